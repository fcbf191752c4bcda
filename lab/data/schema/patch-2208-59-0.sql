-- Nobody has read the DOAP export since 2008 (column product.lastdoap goes).
SET client_min_messages = ERROR;

ALTER TABLE Product DROP COLUMN lastdoap;

INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 59, 0);
