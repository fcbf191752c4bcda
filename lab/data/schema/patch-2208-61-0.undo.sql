-- Takes patch-2208-61-0 back. The addresses that it changed stay in lower case.
DROP TRIGGER emailaddress__normalise__t ON EmailAddress;
DROP FUNCTION normalise_email();

DELETE FROM LaunchpadDatabaseRevision WHERE (major, minor, patch) = (2208, 61, 0);
