-- Takes patch-2208-59-0 back: the column, empty. What it held is in the backup.
ALTER TABLE Product ADD COLUMN lastdoap text;

DELETE FROM LaunchpadDatabaseRevision WHERE (major, minor, patch) = (2208, 59, 0);
