"""What the conductor reads from an inventory: its policy, its groups and the few variables it needs itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from plugins.module_utils.rollout_core import connections
from rollout import ROOT, documents, renamed, site
from rollout.fields import FromZero, Line, Minutes, Model
from rollout.outcomes import BadInputError

IMPORTS = ("import_playbook", "ansible.builtin.import_playbook")
MAY_HAVE_NO_HOST = "may_have_no_host"  # a variable of a play that is left out where nobody is in its group
PLAYS = TypeAdapter(list[dict[str, Any]])
SERVICE: TypeAdapter[str] = TypeAdapter(Line)

# Asked of Ansible in one go, because only Ansible knows what its templates come to.
QUESTION = {
    "groups": "{{ groups }}",
    "production_status": "{{ production_status_file | default('') }}",
    "rehearsals_allowed": "{{ rollout_rehearsals_allowed | default(false) }}",
    "service": "{{ rollout_service if rollout_service is defined else '' }}",
    "renamed": "{{ groups['all'] | map('extract', hostvars) | map('list') | flatten | unique"
    f" | select('match', '(?:{renamed.ANY})$') | sort }}}}",
}

# Every connection string of ours (docs/security.md), as JSON, of each host; what cannot be worked out yet is not there.
CONNECTIONS = (
    "database_dsn",
    "database_standbys",
    "database_pools",
    "qastaging_dsn",
    "revision_database_dsn",
    "revision_timings_dsn",
)
QUESTION |= {
    name: f"{{{{ groups['all'] | map('extract', hostvars) | map(attribute='{name}') | select('defined')"
    " | map('to_json') | select('defined') | unique }}"
    for name in CONNECTIONS
}

# An answer may be a secret: neither the log nor the callbacks that somebody has configured get it.
UNRECORDED = {"ANSIBLE_LOG_PATH": os.devnull, "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"}
ANSWER_SECONDS = 120
QUIET = {  # of --one-line, until ansible-core 2.23; and nothing around the answer
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_NOCOLOR": "1",
}


def vaults() -> dict[str, str]:
    """Return what Ansible is told of vaults' passwords: the operator's, and the lab's, which opens by itself."""
    theirs = os.environ.get("ANSIBLE_VAULT_IDENTITY_LIST")
    return {"ANSIBLE_VAULT_IDENTITY_LIST": ",".join([*([theirs] if theirs else []), f"lab@{ROOT}/lab/vault_password"])}


class DatabaseTime(Model):
    """Factor and minutes of R9: production's database time is staging's by `factor`, plus `plus_minutes`."""

    factor: float = Field(gt=0, le=1000)
    plus_minutes: FromZero


class Policy(Model):
    """The numbers of the process: an inventory's group_vars/all/policy.yml, frozen in the plan."""

    window_minutes: int = Field(gt=0, le=24 * 60)
    abort_after_minutes: Minutes
    ask_minutes_before_last_safe_abort: FromZero
    merge_hours_before: FromZero
    reminder_hours_before: FromZero
    first_announcement_hours_before: FromZero = 48  # plans of before there was one announce nothing
    next_attempt_hours_notice: FromZero
    replica_restore_hours: FromZero
    merge_lead_hours: FromZero
    pause_minutes_before: FromZero
    database_time: DatabaseTime
    decide_hours: FromZero = 2
    qa_days_before: FromZero = 7


class PolicyFile(Model):
    """The file group_vars/all/policy.yml."""

    policy: Policy


@dataclass(frozen=True)
class InventoryFacts:
    """`groups` by name, the path of the production status file, and whether a virtual clock may be used (labs only).

    `service` is the name of what is rolled out; an inventory that says none is a service of its own.
    """

    groups: dict[str, list[str]]
    production_status: Path
    rehearsals_allowed: bool
    service: str = ""


def policy(inventory: Path) -> Policy:
    """Return the numbers of the process (R2, R9, R19, …). Raises BadInputError."""
    return documents.load(inventory / "group_vars" / "all" / "policy.yml", PolicyFile).policy


def facts(inventory: Path) -> InventoryFacts:
    """Ask Ansible. Raises BadInputError with Ansible's own words when the inventory does not parse.

    And for a password in a connection string: nothing of what follows may get it; and for a variable of yesterday.
    """
    found = ask(inventory, QUESTION)
    if found["renamed"]:
        said = [f"E-renamed  {inventory} has names of yesterday, which nothing reads any more; nothing was touched."]
        raise BadInputError("\n".join([*said, *renamed.lines(found["renamed"], inventory)]))
    for name in CONNECTIONS:
        for value in found[name]:  # one for each that hosts have
            if secrets := list(connections.secrets_in(json.loads(value), name, _libpq())):
                raise BadInputError(connections.refusal(secrets))
    return InventoryFacts(
        groups=found["groups"],
        production_status=Path(found["production_status"]),
        rehearsals_allowed=bool(found["rehearsals_allowed"]),
        service=_service(inventory, str(found["service"])),
    )


def _libpq() -> Callable[[str], dict[str, Any]] | None:
    """Return libpq's own parser of connection strings, None where psycopg is not installed."""
    try:
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        return None
    return conninfo_to_dict


def _service(inventory: Path, name: str) -> str:
    """Return the service's name, empty if the inventory says none. Raises BadInputError: it is shown, and kept."""
    try:
        return SERVICE.validate_python(name) if name else ""
    except ValidationError as error:
        said = f"E-bad-inventory  {inventory}: rollout_service is {name[:80]!r}; one line of text was expected."
        raise BadInputError(f"{said}\n  It stands in group_vars/all, and is the name of the service.") from error


def ask(inventory: Path, question: Mapping[str, str]) -> dict[str, Any]:
    """Return what templates evaluate to on localhost, by name, through a pipe, never a file. Raises BadInputError."""
    command = [
        str(Path(sys.executable).with_name("ansible")),
        "localhost",
        "--inventory",
        str(inventory),
        "--module-name",
        "ansible.builtin.debug",
        "--args",
        json.dumps({"msg": question}),
        "--one-line",
    ]
    environment = {**os.environ, **UNRECORDED, **QUIET, **vaults()}
    try:
        asked = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise BadInputError(
            f"E-bad-inventory  Ansible has not read {inventory} within {ANSWER_SECONDS} s: a script of it, or that "
            f"of its vault's password, waits for something.\n  Try it:  ansible-inventory -i {inventory} --list"
        ) from error
    try:
        found: Any = json.loads(asked.stdout.partition(" => ")[2])["msg"]
    except (ValueError, KeyError):  # no answer to the question
        found = (asked.stderr or asked.stdout).strip()
    if asked.returncode != 0 or not isinstance(found, dict):
        raise BadInputError(f"E-bad-inventory  {inventory} cannot be read by Ansible.\n{found}")
    return found


def plays(playbook: Path, site_playbook: str | None = None) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """Yield each play of a playbook and of those that it imports: its file, its index there, the play.

    `site_playbook`, a path from the top of the checkout, is what `{{ rollout.playbook }}` in an import stands for.
    Raises BadInputError for what is no list of plays.
    """
    for number, play in enumerate(documents.checked(playbook, _list_of_plays)):
        imported = next((play[key] for key in IMPORTS if key in play), None)
        if imported is None:
            yield playbook, number, play
        else:
            named = str(imported).replace("{{ rollout.playbook }}", site_playbook or "")
            yield from plays((playbook.parent / named).resolve(), site_playbook)


def _list_of_plays(document: Any) -> list[dict[str, Any]]:
    return PLAYS.validate_python(document)


def groups_of(playbook: Path, site_playbook: str | None = None) -> list[str]:
    """Return the groups, or hosts, that a playbook's plays are for, without localhost."""
    found = dict.fromkeys(play["hosts"] for _, _, play in plays(playbook, site_playbook))
    return [group for group in found if group != "localhost"]


def check_groups(
    inventory: Path, known: InventoryFacts, playbooks: list[str], site_playbook: str | None = None
) -> None:
    """Raise BadInputError if a playbook of the process would find no host in the inventory."""
    missing = []
    for name in playbooks:
        for path, number, play in plays(site.playbook(name, inventory), site_playbook):
            group = play["hosts"]
            if group != "localhost" and not known.groups.get(group) and not play.get("vars", {}).get(MAY_HAVE_NO_HOST):
                where = f"{site.name_of(path)}:{documents.line_of(path, (number, 'hosts'))}"
                missing.append(f"  {inventory / 'hosts.yml'}: expected a group `{group}` with a host; {where} needs it")
    if missing:
        lines = [f"E-bad-inventory  {inventory} lacks hosts; nothing was touched.", *dict.fromkeys(missing)]
        raise BadInputError("\n".join(lines))
