-- A branch that was scanned has a revision count, and its name is unique in its project (constraints on branch).
SET client_min_messages = ERROR;

UPDATE Branch SET revision_count = 0 WHERE revision_count IS NULL;
ALTER TABLE Branch ALTER COLUMN revision_count SET NOT NULL;
ALTER TABLE Branch ALTER COLUMN revision_count SET DEFAULT 0;
ALTER TABLE Branch ADD CONSTRAINT branch__scanned__counted
    CHECK (last_scanned_id IS NOT NULL OR revision_count = 0);
ALTER TABLE Branch ADD CONSTRAINT branch__owner__product__name__key UNIQUE (owner, product, name);

INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 57, 0);
