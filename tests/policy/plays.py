"""What every play and every task keeps to, wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import jinja2

from .source import JINJA, TASK_LISTS, Finding, Located, Source, module_of, short, tasks_of, templates_of

FORBIDDEN_MODULES = {
    "pause": "a gate is a question of the conductor (process.yml, `gates`): without a terminal, pause passes silently",
    "shell": "call a module, or ansible.builtin.command with argv",
    "raw": "call a module, or ansible.builtin.command with argv",
    "script": "write a module in plugins/modules",
    "expect": "a question is a gate of the conductor (process.yml, `gates`)",
    "action": "write the module's name as the key of the task",
    "local_action": "use the module with delegate_to: localhost",
}
FORBIDDEN_KEYWORDS = {
    "ignore_errors": "let it fail: the conductor undoes what must be undone",
    "ignore_unreachable": "let it fail: a host that cannot be reached was not done",
    "vars_prompt": "a question is a gate of the conductor (process.yml, `gates`)",
    "local_action": "use the module with delegate_to: localhost",
}
FORBIDDEN_TEMPLATES = {
    r"\bnow\s*\(": "modules add rollout_clock_offset to the host's clock; a time rendered at play start is stale",
    r"\bansible_date_time\b": "modules add rollout_clock_offset to the host's clock; facts are off",
    r"""\b(?:lookup|query|q)\(\s*['"](?:ansible\.builtin\.)?pipe['"]""": "call a module, or command with argv",
}


SITES_OWN = "../{{ rollout.playbook }}"
STOP_PHASE = re.compile(r"([A-Z][A-Z ]* )?STOP: ")


def stops(play: Located) -> bool:
    """Whether the play stops a run, by its phase; process.py sees to it that only the stop playbooks' plays do."""
    return bool(STOP_PHASE.match(str(play.get("name") or "")))


def plays_of(source: Source) -> list[Located]:
    """The playbook's own plays, without what it imports."""
    return [play for play in source.document if not _imported(play)]


def _imported(play: Located) -> str | None:
    return next((str(play[key]) for key in play if short(key) == "import_playbook"), None)


def imports_only_the_sites_own(source: Source) -> Iterator[Finding]:
    """What is imported is the playbook that the plan names, and nothing else: ours are read where they stand (R18)."""
    for play in source.document:
        imported = _imported(play)
        if imported is not None and imported != SITES_OWN:
            yield source.finding(play.line, f"imports {imported}", f'Import "{SITES_OWN}", or write the plays here.')


def play_is_named(source: Source) -> Iterator[Finding]:
    """Every play says its phase and, in a sentence, what it does: "MERGE: db-stable into devel"."""
    for play in plays_of(source):
        name = play.get("name")
        if not re.match(r"[A-Z][A-Z ]*: \S", str(name or "")):
            yield source.finding(play.line_of("name"), f"play name {name!r}", 'Name the play "PHASE: sentence".')


def play_names_its_hosts(source: Source) -> Iterator[Finding]:
    """Hosts are one group or host by name: never all, never a pattern, never a template.

    Only a play that stops a run may say all but localhost: the conductor limits it to the hosts of the stage it stops;
    and the one that only asks who answers.
    """
    for play in plays_of(source):
        hosts = play.get("hosts")
        if (stops(play) or source.path.endswith("/hosts_answer.yml")) and hosts == "all:!localhost":
            continue
        if not isinstance(hosts, str) or hosts in ("all", "ungrouped") or not re.fullmatch(r"[a-z][a-z0-9_]*", hosts):
            yield source.finding(play.line_of("hosts"), f"hosts: {hosts!r}", "Name one group of the inventories.")


def play_gathers_no_facts(source: Source) -> Iterator[Finding]:
    """Facts cost 0.7 s a play, and a play that depends on them hides it."""
    yield from _play_says(source, "gather_facts", lambda _play: False)


def play_stops_at_the_first_error(source: Source) -> Iterator[Finding]:
    """One host's failure stops all hosts: half a switch is worse than none. But a run is stopped wherever it can be."""
    yield from _play_says(source, "any_errors_fatal", lambda play: not stops(play))


def play_tolerates_no_failed_host(source: Source) -> Iterator[Finding]:
    """Not one host may fail; where a run is stopped, any may, and the others are still served."""
    yield from _play_says(source, "max_fail_percentage", lambda play: 100 if stops(play) else 0)


def play_marks_its_processes(source: Source) -> Iterator[Finding]:
    """Whatever a play starts on a host carries the run's id: that is how it is found when it must be stopped (R19).

    What is played by hand has a mark of that one play.
    """
    for play in plays_of(source):
        wanted = {"ROLLOUT_RUN": "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
        if play.get("hosts") != "localhost" and play.get("environment") != wanted:
            said = f"environment: {play['environment']}" if "environment" in play else "no environment"
            remedy = f'Write `environment: {{ROLLOUT_RUN: "{wanted["ROLLOUT_RUN"]}"}}`.'
            yield source.finding(play.line_of("environment"), said, remedy)


def _play_says(source: Source, keyword: str, wanted_of: Callable[[Located], object]) -> Iterator[Finding]:
    for play in plays_of(source):
        value, wanted = play.get(keyword), wanted_of(play)
        if type(value) is not type(wanted) or value != wanted:
            said = f"{keyword}: {value}" if keyword in play else f"no {keyword}"
            yield source.finding(play.line_of(keyword), said, f"Write `{keyword}: {str(wanted).lower()}`.")


def play_is_a_table_of_contents(source: Source) -> Iterator[Finding]:
    """A playbook's tasks are roles' entry points and nothing else, so that it can be read aloud."""
    for play in plays_of(source):
        for part in ("roles", *set(TASK_LISTS) - {"tasks"}):
            if part in play:
                yield source.finding(play.line_of(part), f"`{part}`", "List roles' entry points under `tasks`.")
    for task in tasks_of(plays_of(source)):
        if short(module_of(task)) != "include_role":
            yield source.finding(task.line, f"`{module_of(task) or 'block'}`", "Move it into a role's entry point.")


def task_is_named(source: Source) -> Iterator[Finding]:
    """Every task and block has a name that starts with a capital letter: it is what a LOSA reads when it fails."""
    for task in tasks_of(source.document):
        if not re.match(r"[A-Z]", str(task.get("name") or "")):
            said = f"task named {task['name']!r}" if "name" in task else f"unnamed task ({module_of(task) or 'block'})"
            yield source.finding(task.line, said, "Name it; start with a capital letter.")


def task_calls_nothing_forbidden(source: Source) -> Iterator[Finding]:
    """No pause and no prompt (they pass without a terminal), no shell."""
    for task in tasks_of(source.document):
        name = module_of(task)
        remedy = FORBIDDEN_MODULES.get(short(name))
        if remedy:
            yield source.finding(task.line_of(name), f"`{name}`", f"Instead: {remedy}.")


def nothing_swallows_an_error(source: Source) -> Iterator[Finding]:
    """Nothing makes a failure pass: no ignore_errors, no failed_when that never fails, no rescue that ends well."""
    for item in _all_levels(source):
        for keyword in FORBIDDEN_KEYWORDS:
            if keyword in item:
                remedy = FORBIDDEN_KEYWORDS[keyword]
                yield source.finding(item.line_of(keyword), f"`{keyword}`", f"Instead: {remedy}.")
        if str(item.get("failed_when")).lower() in ("false", "no", "[]", "['false']", "[false]"):
            remedy = "Say when it has failed, or let the module say it."
            yield source.finding(item.line_of("failed_when"), "`failed_when` that never fails", remedy)
        if "hosts" not in item and item.get("any_errors_fatal") is False:
            yield source.finding(item.line_of("any_errors_fatal"), "`any_errors_fatal: false`", "Remove it.")
        if "rescue" in item and short(module_of(item["rescue"][-1])) != "fail":
            remedy = "End it with ansible.builtin.fail: a rescued error counts as success."
            yield source.finding(item.line_of("rescue"), "`rescue` that ends well", remedy)


def no_log_hides_only_a_secret(source: Source) -> Iterator[Finding]:
    """no_log hides the evidence too: only on one task, and its line says which secret it keeps (`# secret: …`)."""
    lines = source.text.splitlines()
    for item in _all_levels(source):
        if "no_log" not in item:
            continue
        line = item.line_of("no_log")
        name = None if "hosts" in item else module_of(item)
        if name is None or "include" in name or item["no_log"] is not True:
            yield source.finding(
                line, "`no_log` over more than one task", "Set `no_log: true` on the task with the secret."
            )
        elif not re.search(r"#\s*secret: \S", lines[line - 1]):
            yield source.finding(
                line, "`no_log` that hides evidence", "Remove it, or say in its line `# secret: WHICH`."
            )


def templates_read_no_clock(source: Source) -> Iterator[Finding]:
    """Templates neither read the clock nor run commands: rehearsals have a clock of their own."""
    for item in _all_levels(source):
        for text in templates_of(item):
            for pattern, remedy in FORBIDDEN_TEMPLATES.items():
                if re.search(pattern, text):
                    yield source.finding(item.line, f"template {text!r}", f"Instead: {remedy}.")


def templates_parse(source: Source) -> Iterator[Finding]:
    """A template that does not parse is found today, not at 03:00."""
    for item in _all_levels(source):
        for text in templates_of(item):
            try:
                JINJA.parse(text)
            except jinja2.TemplateSyntaxError as error:
                yield source.finding(item.line, f"template {text!r}: {error.message}", "Mend it.")


def _all_levels(source: Source) -> Iterator[Located]:
    yield from (item for item in source.document or () if "hosts" in item)
    yield from tasks_of(source.document)


PLAY_CHECKS = (
    imports_only_the_sites_own,
    play_is_named,
    play_names_its_hosts,
    play_gathers_no_facts,
    play_stops_at_the_first_error,
    play_tolerates_no_failed_host,
    play_marks_its_processes,
    play_is_a_table_of_contents,
)
TASK_CHECKS = (
    task_is_named,
    task_calls_nothing_forbidden,
    nothing_swallows_an_error,
    no_log_hides_only_a_secret,
    templates_read_no_clock,
    templates_parse,
)
