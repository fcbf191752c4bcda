-- Find the current translation of a message, and equal translations, without a scan (indexes on translationmessage).
SET client_min_messages = ERROR;

CREATE INDEX translationmessage__potmsgset__language__current__idx
    ON TranslationMessage (potmsgset, language) WHERE is_current_ubuntu;
CREATE INDEX translationmessage__msgstr__idx
    ON TranslationMessage (md5(msgstr));

INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 56, 0);
