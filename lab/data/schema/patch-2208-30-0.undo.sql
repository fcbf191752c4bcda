-- Takes patch-2208-30-0 back: what was known of triaging goes with the column.
ALTER TABLE BugTask DROP COLUMN date_triaged;

DELETE FROM LaunchpadDatabaseRevision WHERE (major, minor, patch) = (2208, 30, 0);
