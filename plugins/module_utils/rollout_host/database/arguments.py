"""Argument specs of the options that several database modules have; doc_fragments/database.py describes them."""

from __future__ import annotations

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule

from ...rollout_core import connections
from .driver import conninfo_to_dict, driver_missing

Arguments = Dict[str, Dict[str, Any]]

DATABASE: Arguments = {"dsn": {"type": "str", "required": True}}
_POOLS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {"console": {"type": "str", "required": True}, "database": {"type": "str", "required": True}},
}
ACCESS: Arguments = {"pools": _POOLS, "state_directory": {"type": "path", "default": "~/.rollout"}}
STANDBYS: Arguments = {
    "standbys": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {**DATABASE, "pools": _POOLS, "delayed": {"type": "bool", "default": False}},
    }
}
SCHEMA: Arguments = {"schema_directory": {"type": "path", "required": True}}
PINNED: Arguments = {"patches": {"type": "list", "elements": "str", "required": True}}
ROWS: Arguments = {"branch_nick": {"type": "str"}, "revno": {"type": "int"}, "revid": {"type": "str"}}


def check_connections(module: AnsibleModule) -> None:
    """Fail unless psycopg is there and no connection string has a password in it; then nothing shows that string."""
    missing = driver_missing()
    if missing:
        module.fail_json(msg=missing)
    given = {name: module.params.get(name) for name in ("dsn", "standbys", "pools")}
    found = [each for name, value in given.items() for each in connections.secrets_in(value, name, conninfo_to_dict)]
    if found:
        module.no_log_values.update(connections.with_secrets(given, conninfo_to_dict))
        module.fail_json(msg=connections.refusal(found))
