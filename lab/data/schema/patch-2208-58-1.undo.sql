-- Takes patch-2208-58-1 back: the counts go, and can be computed again.
DROP TABLE BugSummary;

DELETE FROM LaunchpadDatabaseRevision WHERE (major, minor, patch) = (2208, 58, 1);
