"""The options that several database modules have: rollout_host/database/arguments.py, described."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection; `.access`, `.standbys`, `.schema`, `.pinned` and `.rows` are what may come with it."""

    DOCUMENTATION = r"""
options:
  dsn:
    description: libpq conninfo of the database as a superuser, without a password.
    type: str
    required: true
requirements:
  - psycopg 3.1 or later, on the host (Debian's C(python3-psycopg))
notes:
  - Passwords come from the host user's ~/.pgpass or ~/.pg_service.conf (C(service=NAME)); one in a conninfo is refused.
  - PostgreSQL has to be 14 or later.
"""

    ACCESS = r"""
options:
  pools:
    description: The pools in pgbouncer through which users come. Without any, PostgreSQL itself closes access.
    type: list
    elements: dict
    default: []
    suboptions:
      console:
        description: libpq conninfo of pgbouncer's admin console (C(dbname=pgbouncer)), without a password.
        type: str
        required: true
      database:
        description: Name of the database in pgbouncer.
        type: str
        required: true
  state_directory:
    description: Directory on the host for what an outage keeps. The worker, its progress and result, and how access was
      before.
    type: path
    default: ~/.rollout
"""

    STANDBYS = r"""
options:
  standbys:
    description: All streaming standbys of the database.
    type: list
    elements: dict
    default: []
    suboptions:
      dsn:
        description: libpq conninfo of the database on the standby as a superuser, without a password.
        type: str
        required: true
      pools:
        description: The pools in pgbouncer that lead to the standby.
        type: list
        elements: dict
        default: []
        suboptions:
          console:
            description: As in O(pools[].console).
            type: str
            required: true
          database:
            description: As in O(pools[].database).
            type: str
            required: true
      delayed:
        description: It replays late on purpose (C(recovery_min_apply_delay)). The outage neither pauses nor awaits it.
        type: bool
        default: false
"""

    SCHEMA = r"""
options:
  schema_directory:
    description: Directory on the host with the C(patch-MMMM-mm-p.sql) files.
    type: path
    required: true
"""

    PINNED = r"""
options:
  patches:
    description: Names of the patches that the plan pinned, each C(patch-MMMM-mm-p.sql).
    type: list
    elements: str
    required: true
"""

    ROWS = r"""
options:
  branch_nick:
    description: Branch of the tree that the patches are from, for their rows.
    type: str
  revno:
    description: Revision number of that tree, for the rows.
    type: int
  revid:
    description: Revision id of that tree, for the rows.
    type: str
"""
