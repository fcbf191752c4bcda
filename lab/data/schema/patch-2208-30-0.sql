-- Remember when a bug task was triaged (column bugtask.date_triaged, filled from what is known).
SET client_min_messages = ERROR;

ALTER TABLE BugTask ADD COLUMN date_triaged timestamp without time zone;

UPDATE BugTask
SET date_triaged = coalesce(date_closed, datecreated + interval '2 days')
WHERE status >= 20;

INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 30, 0);
