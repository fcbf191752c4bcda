"""Argument specs of the options that several database modules have; doc_fragments/database.py describes them."""

from __future__ import annotations

from typing import Any, Dict

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
        "options": {**DATABASE, "pools": _POOLS},
    }
}
SCHEMA: Arguments = {"schema_directory": {"type": "path", "required": True}}
PINNED: Arguments = {"patches": {"type": "list", "elements": "str", "required": True}}
ROWS: Arguments = {"branch_nick": {"type": "str"}, "revno": {"type": "int"}, "revid": {"type": "str"}}
