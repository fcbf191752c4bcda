-- Takes patch-2208-57-0 back. The revision counts that it filled in stay: nobody knows any more which they were.
ALTER TABLE Branch DROP CONSTRAINT branch__owner__product__name__key;
ALTER TABLE Branch DROP CONSTRAINT branch__scanned__counted;
ALTER TABLE Branch ALTER COLUMN revision_count DROP DEFAULT;
ALTER TABLE Branch ALTER COLUMN revision_count DROP NOT NULL;

DELETE FROM LaunchpadDatabaseRevision WHERE (major, minor, patch) = (2208, 57, 0);
