-- Count bugs per project, status and tag once, not on every page (table bugsummary).
SET client_min_messages = ERROR;

CREATE TABLE BugSummary (
    id serial PRIMARY KEY,
    product integer NOT NULL REFERENCES Product,
    status integer NOT NULL,
    tag text,
    count integer NOT NULL CHECK (count >= 0)
);

INSERT INTO BugSummary (product, status, tag, count)
SELECT BugTask.product, BugTask.status, NULL, count(DISTINCT BugTask.bug)
FROM BugTask
GROUP BY BugTask.product, BugTask.status
UNION ALL
SELECT BugTask.product, BugTask.status, BugTag.tag, count(DISTINCT BugTask.bug)
FROM BugTask JOIN BugTag ON BugTag.bug = BugTask.bug
GROUP BY BugTask.product, BugTask.status, BugTag.tag;

CREATE UNIQUE INDEX bugsummary__dimensions__key ON BugSummary (product, status, coalesce(tag, ''));
GRANT SELECT, INSERT, UPDATE, DELETE ON BugSummary TO launchpad;
GRANT USAGE ON SEQUENCE bugsummary_id_seq TO launchpad;
GRANT SELECT ON BugSummary TO cron;

INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 58, 1);
