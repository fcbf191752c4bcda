-- Baseline of the lab's database: a dozen of the service's tables, filled so that patches take measurable time.
-- Loaded into an empty database; the roles launchpad and cron exist already. The data are computed, never random.

SET client_min_messages = ERROR;

CREATE TABLE LaunchpadDatabaseRevision (
    major integer NOT NULL,
    minor integer NOT NULL,
    patch integer NOT NULL,
    start_time timestamp without time zone DEFAULT (transaction_timestamp() AT TIME ZONE 'UTC'),
    end_time timestamp without time zone DEFAULT (statement_timestamp() AT TIME ZONE 'UTC'),
    branch_nick text,
    revno integer,
    revid text,
    PRIMARY KEY (major, minor, patch)
);

CREATE TABLE Person (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    displayname text NOT NULL,
    teamowner integer REFERENCES Person,
    datecreated timestamp without time zone NOT NULL
);

CREATE TABLE EmailAddress (
    id integer PRIMARY KEY,
    person integer NOT NULL REFERENCES Person,
    email text NOT NULL UNIQUE
);

CREATE TABLE Product (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    displayname text NOT NULL,
    owner integer NOT NULL REFERENCES Person,
    lastdoap text
);

CREATE TABLE Bug (
    id integer PRIMARY KEY,
    title text NOT NULL,
    description text NOT NULL,
    owner integer NOT NULL REFERENCES Person,
    duplicateof integer REFERENCES Bug,
    private boolean NOT NULL DEFAULT false,
    datecreated timestamp without time zone NOT NULL
);

CREATE TABLE BugTask (
    id integer PRIMARY KEY,
    bug integer NOT NULL REFERENCES Bug,
    product integer NOT NULL REFERENCES Product,
    status integer NOT NULL,
    importance integer NOT NULL,
    assignee integer REFERENCES Person,
    datecreated timestamp without time zone NOT NULL,
    date_closed timestamp without time zone
);
CREATE INDEX bugtask__bug__idx ON BugTask (bug);
CREATE INDEX bugtask__product__status__idx ON BugTask (product, status);

CREATE TABLE BugTag (
    id integer PRIMARY KEY,
    bug integer NOT NULL REFERENCES Bug,
    tag text NOT NULL,
    UNIQUE (bug, tag)
);

CREATE TABLE BugSubscription (
    id integer PRIMARY KEY,
    bug integer NOT NULL REFERENCES Bug,
    person integer NOT NULL REFERENCES Person
);

CREATE TABLE Branch (
    id integer PRIMARY KEY,
    name text NOT NULL,
    owner integer NOT NULL REFERENCES Person,
    product integer REFERENCES Product,
    lifecycle_status integer NOT NULL,
    last_scanned_id text,
    revision_count integer
);

CREATE TABLE POTMsgSet (
    id integer PRIMARY KEY,
    context text,
    msgid text NOT NULL
);

CREATE TABLE TranslationMessage (
    id integer PRIMARY KEY,
    potmsgset integer NOT NULL REFERENCES POTMsgSet,
    language integer NOT NULL,
    submitter integer NOT NULL REFERENCES Person,
    msgstr text NOT NULL,
    is_current_ubuntu boolean NOT NULL,
    date_created timestamp without time zone NOT NULL
);

CREATE TABLE Archive (
    id integer PRIMARY KEY,
    owner integer NOT NULL REFERENCES Person,
    name text NOT NULL,
    enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE JobRun (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text NOT NULL,
    ran_at timestamp without time zone NOT NULL DEFAULT (transaction_timestamp() AT TIME ZONE 'UTC')
);

-- The rows below are consistent; checking every reference again would take most of the time.
SET session_replication_role = replica;

INSERT INTO Person
SELECT n, 'person-' || n, 'Person ' || n, CASE WHEN n > 100 AND n % 20 = 0 THEN n % 100 + 1 END,
       timestamp '2005-01-01' + n * interval '3 hours'
FROM generate_series(1, 12000) AS n;

INSERT INTO EmailAddress
SELECT n, n, 'person-' || n || '@example.com' FROM generate_series(1, 12000) AS n;

INSERT INTO Product
SELECT n, 'project-' || n, 'Project ' || n, n * 7 % 12000 + 1, CASE WHEN n % 3 = 0 THEN repeat('<doap/>', 20) END
FROM generate_series(1, 1500) AS n;

INSERT INTO Bug
SELECT n, 'Bug ' || n, repeat('It does not work. ', n % 9 + 1), n * 11 % 12000 + 1,
       CASE WHEN n > 1000 AND n % 25 = 0 THEN n % 1000 + 1 END, n % 40 = 0,
       timestamp '2006-01-01' + n * interval '1 hour'
FROM generate_series(1, 30000) AS n;

INSERT INTO BugTask
SELECT n, n % 30000 + 1, n * 13 % 1500 + 1, (ARRAY[10, 15, 20, 21, 22, 25, 30])[n % 7 + 1], (n % 6) * 10,
       CASE WHEN n % 4 = 0 THEN n * 17 % 12000 + 1 END,
       timestamp '2006-01-01' + n * interval '1 hour',
       CASE WHEN n % 7 = 6 THEN timestamp '2006-02-01' + n * interval '1 hour' END
FROM generate_series(1, 45000) AS n;

INSERT INTO BugTag
SELECT n, n, (ARRAY['qa-ok', 'qa-needstesting', 'qa-untestable', 'ui', 'oops', 'timeout', 'tech-debt'])[n % 7 + 1]
FROM generate_series(1, 20000) AS n;

INSERT INTO BugSubscription
SELECT n, n % 30000 + 1, n * 19 % 12000 + 1 FROM generate_series(1, 30000) AS n;

INSERT INTO Branch
SELECT n, 'branch-' || n, n * 23 % 12000 + 1, n % 1500 + 1, (n % 4) * 10,
       CASE WHEN n % 5 > 0 THEN 'launchpad@pqm-' || n END, CASE WHEN n % 5 > 0 THEN n % 900 END
FROM generate_series(1, 25000) AS n;

INSERT INTO POTMsgSet
SELECT n, CASE WHEN n % 10 = 0 THEN 'menu' END, 'Message ' || n FROM generate_series(1, 8000) AS n;

INSERT INTO TranslationMessage
SELECT n, n % 8000 + 1, n % 40 + 1, n * 29 % 12000 + 1, 'Nachricht ' || n % 8000, n % 3 > 0,
       timestamp '2007-01-01' + n * interval '15 minutes'
FROM generate_series(1, 100000) AS n;

INSERT INTO Archive
SELECT n, n * 31 % 12000 + 1, 'ppa', n % 50 > 0 FROM generate_series(1, 2000) AS n;

SET session_replication_role = origin;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO launchpad;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO cron;
GRANT INSERT, UPDATE, DELETE ON JobRun TO cron;

ANALYZE;

-- The baseline, and the patch of last month's deployment, which took 12.0 seconds.
INSERT INTO LaunchpadDatabaseRevision VALUES
    (2208, 0, 0, timestamp '2010-12-01 08:00:00', timestamp '2010-12-01 08:00:00',
     'devel', 11900, 'launchpad@pqm.example.com-20101201080000-baseline'),
    (2208, 28, 1,
     transaction_timestamp() AT TIME ZONE 'UTC' - interval '12 days',
     transaction_timestamp() AT TIME ZONE 'UTC' - interval '12 days' + interval '12.0 seconds',
     'devel', 12401, 'launchpad@pqm.example.com-20110202090000-lastmonth');
