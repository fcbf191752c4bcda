"""What the processes and their playbooks promise each other: names lead somewhere, lateness is judged before acting.

process.yml is the monthly deployment, processes/*.yml are the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .plays import plays_of, stops
from .roles import Role, all_roles
from .source import ROOT, Finding, Located, Source, module_of, playbooks, role_of, short, tasks_of

RULES = {f"R{number}" for number in range(1, 27)}
CHECKPOINT = ("lateness", "checkpoint")
CLAIM = "claim"  # the role that says whose the service is
# The conductor's own: a run begins with a claim, a rollout ends it, and `doctor` asks whether hosts answer.
CONDUCTORS_PLAYBOOKS = {"claim", "claim_end", "hosts_answer"}
LOOKS_ONLY = {
    "go",
    "preflight",
    "check",
    "free",
}  # entry points that may stand before the checkpoint: they refuse, they do not act
ONLY_LOOK = "preflight"  # how entry points are called that change nothing
AFTER_THE_CALL = {"set_stats", "assert", "fail"}  # what may stand beside the outage's one module call
LOOKS = "_progress"  # and modules so named, which look how far it is
HOLDS = ("database", "hold")  # the entry point that closes the gate and leaves it closed
DONE = "done"  # the message that says so
LOOKS_AT_THE_SITE = ("smoke", "site")  # the entry point that does, as a visitor would
DEFAULT_STOP = "stop"  # the playbook that stops a stage which names none


@dataclass(frozen=True)
class Project:
    """Processes, playbooks and roles, read together."""

    processes: tuple[Source, ...]
    playbooks: dict[str, Source]
    roles: dict[str, Role]

    @classmethod
    def read(cls, root: Path = ROOT) -> Project:
        """The project at `root`."""
        books = {Path(source.path).stem: source for source in playbooks(root)}
        paths = [root / "process.yml", *sorted((root / "processes").glob("*.yml"))]
        return cls(tuple(Source.read(path, root) for path in paths), books, all_roles(root))

    @property
    def stages(self) -> list[Located]:
        """The stages in order, of one process after the other."""
        return [stage for process in self.processes for stage in process.document]

    def process_of(self, stage: Located) -> Source:
        """The process that a stage belongs to."""
        return next(process for process in self.processes if any(each is stage for each in process.document))

    def stage_finding(self, stage: Located, key: str, problem: str, remedy: str) -> Finding:
        """A finding at one key of a stage."""
        said = f"stage {stage.get('stage')}: {problem}"
        return self.process_of(stage).finding(stage.line_of(key), said, remedy)

    @property
    def undo_playbooks(self) -> set[str]:
        """Playbooks that undo a stage."""
        return {stage["undo"]["playbook"] for stage in self.stages if stage.get("undo")}

    @property
    def release_playbooks(self) -> set[str]:
        """Playbooks that end what a stage has switched on, when the rollout stops."""
        return {stage["bracket"].get("end_early") for stage in self.stages if stage.get("bracket")}

    @property
    def ending_playbooks(self) -> set[str]:
        """Playbooks of the stages that end what another has switched on: also when the rollout is over."""
        ends = {stage["bracket"].get("ends_with") for stage in self.stages if stage.get("bracket")}
        return {stage.get("playbook") for stage in self.stages if stage.get("stage") in ends}

    @property
    def back_out_playbooks(self) -> set[str]:
        """Playbooks that take everything back after a gate was answered no."""
        gates = [gate for stage in self.stages for gate in stage.get("gates") or []]
        return {gate["on_no"].get("playbook") for gate in gates if gate.get("on_no")}

    @property
    def taking_back(self) -> set[str]:
        """Whatever takes something back."""
        return self.undo_playbooks | self.release_playbooks | self.back_out_playbooks

    @property
    def stop_playbooks(self) -> set[str]:
        """Playbooks that stop a stage which runs."""
        return {stage.get("stop", DEFAULT_STOP) for stage in self.stages}


def entry_points(source: Source) -> list[tuple[Located, tuple[str, str]]]:
    """The playbook's table of contents: each task with its role and entry point."""
    return [(task, role_of(task)) for task in tasks_of(source.document) if short(module_of(task)) == "include_role"]


def _gates(stage: Located) -> list[Located]:
    return list(stage.get("gates") or [])


def playbooks_exist(project: Project) -> Iterator[Finding]:
    """Every playbook that process.yml names is there, those that undo, stop, release or back out too."""
    for stage in project.stages:
        undo = stage.get("undo") or Located()
        named = [] if stage.get("announces") else [(stage.line_of("playbook"), stage.get("playbook"))]
        if "undo" in stage:
            named.append((stage.line_of("undo"), undo.get("playbook")))
        if stage.get("bracket"):
            named.append((stage.line_of("bracket"), stage["bracket"].get("end_early")))
        named += [(gate["on_no"].line, gate["on_no"].get("playbook")) for gate in _gates(stage) if gate.get("on_no")]
        if not stage.get("announces"):  # nothing of it runs on hosts
            named.append((stage.line_of("stop"), stage.get("stop", DEFAULT_STOP)))
        for line, name in named:
            if name not in project.playbooks:
                problem = f"stage {stage.get('stage')}: there is no playbooks/{name}.yml"
                yield project.process_of(stage).finding(line, problem, "Write it, or mend the name.")


def playbooks_belong(project: Project) -> Iterator[Finding]:
    """Every playbook is a stage's, or takes one back: nothing is run that the process does not know."""
    known = {stage.get("playbook") for stage in project.stages} | project.taking_back | project.stop_playbooks
    for name, source in project.playbooks.items():
        if name not in known | CONDUCTORS_PLAYBOOKS:
            yield source.finding(
                1, "belongs to no stage", "Name it in process.yml, as `playbook`, `stop`, in `undo` …, or remove it."
            )


def only_stop_playbooks_stop(project: Project) -> Iterator[Finding]:
    """Plays that stop a run may go on without hosts that fail; they are in the stop playbooks, and nothing else is."""
    for name, source in project.playbooks.items():
        for play in plays_of(source):
            if stops(play) and name not in project.stop_playbooks:
                yield source.finding(play.line_of("name"), "a play that stops", "Name another phase than STOP.")
            elif not stops(play) and name in project.stop_playbooks:
                yield source.finding(play.line_of("name"), "a play that does not stop", "Name its phase … STOP.")


def any_day_only_looks(project: Project) -> Iterator[Finding]:
    """A stage that runs on any day changes nothing: a look ahead is not even on record (R18)."""
    for stage in project.stages:
        source = project.playbooks.get(stage.get("playbook"))
        for task, (role, entry) in entry_points(source) if stage.get("any_day") and source else []:
            if not str(entry).endswith(ONLY_LOOK) and (role, entry) != (CLAIM, "free"):
                problem = f"{role}: {entry} in a playbook that runs on any day"
                yield source.finding(task.line, problem, f"Name an entry point …{ONLY_LOOK}, or drop `any_day`.")


def rules_are_real(project: Project) -> Iterator[Finding]:
    """Every stage serves rules of the process, R1 to R26."""
    for stage in project.stages:
        rules = stage.get("rules") or []
        if not rules:
            yield project.stage_finding(stage, "rules", "serves no rule", "Name the rules it carries out.")
        for rule in rules:
            if rule not in RULES:
                yield project.stage_finding(stage, "rules", f"there is no rule {rule}", "Name one of R1 … R26.")


def lateness_is_judged_first(project: Project) -> Iterator[Finding]:
    """A stage of the window that can be undone asks for the verdict before it acts (R19)."""
    for stage in project.stages:
        source = project.playbooks.get(stage.get("playbook"))
        if not stage.get("window") or "undo" not in stage or source is None:
            continue
        before: list[str] = []
        checkpoint = None
        for task, (role, entry) in entry_points(source):
            if (role, entry) == CHECKPOINT:
                checkpoint = task
                break
            before.append(entry)
        if checkpoint is None:
            remedy = "Include role lateness, checkpoint, before the first entry point that acts."
            yield source.finding(1, f"stage {stage['stage']} never judges its lateness", remedy)
        elif set(before) - LOOKS_ONLY:
            acts = ", ".join(entry for entry in before if entry not in LOOKS_ONLY)
            yield source.finding(
                checkpoint.line, f"the checkpoint comes after {acts}", "Move it before the first that acts."
            )


def claim_is_seen_first(project: Project) -> Iterator[Finding]:
    """A stage's first task sees that the service is this rollout's; only the refusal without a `go` stands before it.

    What is undone or ended, and what looks on any day, wants only that it is no other rollout's.
    """
    any_day = {stage.get("playbook") for stage in project.stages if stage.get("any_day")}
    lenient = project.undo_playbooks | project.release_playbooks | project.ending_playbooks | any_day
    for name, source in project.playbooks.items():
        entries = [target for _, target in entry_points(source)]
        if not entries or name in project.stop_playbooks | CONDUCTORS_PLAYBOOKS:
            continue
        wanted = (CLAIM, "free" if name in lenient else "check")
        if next((target for target in entries if target[1] != "go"), None) != wanted:
            yield source.finding(1, "never sees whose the service is", f"Begin with role {CLAIM}, {wanted[1]}.")


def taking_back_never_aborts(project: Project) -> Iterator[Finding]:
    """An undo is never too late, and neither is a stop, a release or a back-out."""
    for name in sorted((project.taking_back | project.stop_playbooks) & set(project.playbooks)):
        source = project.playbooks[name]
        for task, target in entry_points(source):
            if target == CHECKPOINT:
                yield source.finding(task.line, "what takes back may abort as late", "Remove the checkpoint.")


def lockout_wants_a_go(project: Project) -> Iterator[Finding]:
    """A playbook that locks users out refuses first of all to do so without `-e go=PLAN_ID`, by hand too."""
    for stage in project.stages:
        source = project.playbooks.get(stage.get("playbook"))
        if source is None:
            continue
        entries = [entry for _, entry in entry_points(source)]
        locks_out = stage.get("abortable") == "until_commit" or HOLDS in entries
        if locks_out and entries[0][1:] != ("go",):
            yield source.finding(1, "locks users out without asking for a go", "Begin with an entry point `go`.")


def outage_is_one_call(project: Project) -> Iterator[Finding]:
    """Between close and open stands no task: what locks users out until the commit is one module call, and detached.

    A task costs more than the patches; what is not detached dies with its connection. Others may look how far it is.
    """
    for stage in project.stages:
        source = project.playbooks.get(stage.get("playbook"))
        if stage.get("abortable") != "until_commit" or source is None:
            continue
        calls = [
            (role.task_files[entry], task)
            for _, (name, entry) in entry_points(source)
            if (role := project.roles.get(name)) and entry == stage["stage"] and entry in role.task_files
            for task in tasks_of(role.task_files[entry].document)
        ]
        others = [(file, task) for file, task in calls if short(module_of(task)) not in AFTER_THE_CALL]
        acting = [(file, task) for file, task in others if not str(module_of(task)).endswith(LOOKS)]
        if not acting:
            remedy = f"Give it one entry point named {stage['stage']} with one module call."
            yield source.finding(1, f"stage {stage['stage']} locks nobody out", remedy)
        for file, task in acting[1:]:
            remedy = "Do it inside the module call: each task here costs more than the patches."
            yield file.finding(task.line, f"a second task ({module_of(task) or 'block'}) in the outage", remedy)
        for file, task in acting[:1]:
            for keyword in ("loop", "until", "retries", "async"):
                if keyword in task:
                    yield file.finding(task.line_of(keyword), f"`{keyword}` on the outage", "One call, once.")
            if task[module_of(task)].get("detach") is not True:
                yield file.finding(task.line, "the outage would die with its connection", "Write `detach: true`.")


def what_is_ended_early_says_what_becomes_of_it(project: Project) -> Iterator[Finding]:
    """A release playbook answers `released`: the conductor takes silence for a no (R13)."""
    for stage in project.stages:
        source = project.playbooks.get((stage.get("bracket") or {}).get("end_early"))
        if source is not None and "released" not in _stats(project, source):
            remedy = (
                "Report `released`, and `why` where it stays on, with set_stats in an entry point that it includes."
            )
            yield source.finding(1, f"never says whether what {stage['stage']} switched on is off", remedy)


def what_is_done_is_reported(project: Project) -> Iterator[Finding]:
    """Every playbook reports what the conductor wants of it: without that it has not done its work (E-nothing-ran)."""
    wanted: dict[str, set[str]] = {}
    for stage in project.stages:
        if not stage.get("announces"):
            facts = {"evidence", *["irreversible"] * (stage.get("abortable") == "until_commit")}
            wanted.setdefault(str(stage.get("playbook")), set()).update(facts, ["pin"] * bool(stage.get("merges")))
    for name in project.taking_back:
        wanted.setdefault(name, set()).add("evidence")
    for name in project.stop_playbooks:
        wanted.setdefault(name, set()).add("answer")
    for name, source in project.playbooks.items():
        for fact in sorted(wanted.get(name, set()) - _stats(project, source)):
            remedy = f"Report `{fact}` with set_stats in an entry point that it includes."
            yield source.finding(1, f"never reports `{fact}`", remedy)


def _stats(project: Project, source: Source) -> set[str]:
    """The keys that the playbook's entry points report with set_stats."""
    found: set[str] = set()
    for _, (name, entry) in entry_points(source):
        role = project.roles.get(name)
        if role and entry in role.task_files:
            for task in tasks_of(role.task_files[entry].document):
                if short(module_of(task)) == "set_stats":
                    found |= set(task[module_of(task)].get("data") or {})
    return found


def done_is_told_last(project: Project) -> Iterator[Finding]:
    """Who announces `done` comes after the window, when the services are back, and after a look at the site (R23)."""
    for process in project.processes:
        stages = process.document
        for number, stage in enumerate(stages):
            if (stage.get("announces") or {}).get("message") != DONE:
                continue
            later = [other["stage"] for other in stages[number:] if other.get("window")]
            if later:
                remedy = "Move it behind the last stage of the window."
                yield project.stage_finding(
                    stage, "announces", f"{DONE} is announced before {', '.join(later)}", remedy
                )
            if not any(_looks_at_the_site(project, other) for other in stages[:number]):
                remedy = "Move it behind the stage whose playbook includes role smoke."
                yield project.stage_finding(stage, "announces", f"{DONE} is announced unseen", remedy)


def _looks_at_the_site(project: Project, stage: Located) -> bool:
    source = project.playbooks.get(stage.get("playbook"))
    return source is not None and any(target == LOOKS_AT_THE_SITE for _, target in entry_points(source))


CHECKS = (
    done_is_told_last,
    playbooks_exist,
    what_is_ended_early_says_what_becomes_of_it,
    what_is_done_is_reported,
    playbooks_belong,
    any_day_only_looks,
    rules_are_real,
    lateness_is_judged_first,
    claim_is_seen_first,
    only_stop_playbooks_stop,
    taking_back_never_aborts,
    lockout_wants_a_go,
    outage_is_one_call,
)
