-- Takes patch-2208-56-0 back.
DROP INDEX translationmessage__msgstr__idx;
DROP INDEX translationmessage__potmsgset__language__current__idx;

DELETE FROM LaunchpadDatabaseRevision WHERE (major, minor, patch) = (2208, 56, 0);
