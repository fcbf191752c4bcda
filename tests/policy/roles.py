"""What every role keeps to: entry points with argument specs that are true, prefixed variables, includes that exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .source import (
    ROOT,
    Finding,
    Located,
    Source,
    module_of,
    names_in,
    playbooks,
    role_of,
    short,
    tasks_of,
    templates_of,
)

EXTRA_VARS = {"rollout", "rollout_journal", "rollout_clock_offset", "go"}  # docs/architecture.md, plan -> playbook
META = {"author", "description", "license", "min_ansible_version"}


@dataclass(frozen=True)
class Role:
    """One role as its files say it."""

    name: str
    files: dict[str, Source]

    @classmethod
    def read(cls, directory: Path, root: Path = ROOT) -> Role:
        """Every YAML file of the role, by its path inside the role."""
        return cls(
            directory.name,
            {str(path.relative_to(directory)): Source.read(path, root) for path in sorted(directory.rglob("*.yml"))},
        )

    @property
    def task_files(self) -> dict[str, Source]:
        """The task files by name, included ones too."""
        return {Path(path).stem: source for path, source in self.files.items() if path.startswith("tasks/")}

    @property
    def specs(self) -> Located:
        """The argument specs by entry point."""
        source = self.files.get("meta/argument_specs.yml")
        return source.document["argument_specs"] if source else Located()

    def mapping(self, path: str) -> Located:
        """The mapping in a file of variables, empty where there is no such file."""
        source = self.files.get(path)
        return (source.document if source else None) or Located()

    def included(self) -> set[str]:
        """Names of task files that another task file of this role includes: not entry points."""
        names = set()
        for source in self.task_files.values():
            for task in tasks_of(source.document):
                if short(module_of(task)) in ("include_tasks", "import_tasks"):
                    names.add(Path(_file_of(task)).stem)
        return names

    def finding(self, path: str, line: int, problem: str, remedy: str) -> Finding:
        """A finding in one of the role's files, also in one that is missing."""
        source = self.files.get(path)
        return Finding(source.path if source else f"roles/{self.name}/{path}", line, problem, remedy)


def _file_of(task: Located) -> str:
    arguments = task[module_of(task)]
    return str(arguments.get("file", "") if isinstance(arguments, dict) else arguments)


def spec_and_entry_points_agree(role: Role) -> Iterator[Finding]:
    """Every entry point has an argument spec and every spec an entry point, each with its sentence."""
    spec_file = "meta/argument_specs.yml"
    entry_points = set(role.task_files) - role.included()
    for name in sorted(entry_points - set(role.specs)):
        yield role.finding(
            f"tasks/{name}.yml", 1, f"entry point {name} has no argument spec", f"Add it to {spec_file}."
        )
    for name, spec in role.specs.items():
        line = role.specs.line_of(name)
        if name not in entry_points:
            problem = f"argument spec of {name}, which is no entry point"
            yield role.finding(spec_file, line, problem, f"Write tasks/{name}.yml or remove the spec.")
        if not spec.get("short_description"):
            yield role.finding(spec_file, line, f"{name} has no short_description", "Say in a sentence what it does.")


def options_are_described(role: Role) -> Iterator[Finding]:
    """Every option has a type and a description."""
    for option, spec, line in _options(role):
        for key in ("type", "description"):
            if key not in spec:
                yield role.finding("meta/argument_specs.yml", line, f"{option} has no {key}", f"Add its {key}.")


def defaults_agree(role: Role) -> Iterator[Finding]:
    """defaults/main.yml and the specs say the same: each default has its option, each option's default is set."""
    defaults = role.mapping("defaults/main.yml")
    options = list(_options(role))
    for name in defaults:
        if name not in {option for option, _, _ in options}:
            problem, remedy = f"{name} is in no argument spec", "Add the option, or remove the default."
            yield role.finding("defaults/main.yml", defaults.line_of(name), problem, remedy)
    for name, spec, line in options:
        if name in defaults and spec.get("required"):
            problem = f"{name} is required and has a default in defaults/main.yml"
            yield role.finding("meta/argument_specs.yml", line, problem, "Replace `required` by that `default`.")
        elif name in defaults and ("default" not in spec or not _same(spec["default"], defaults[name])):
            problem = f"{name}: {spec.get('default', 'no default')!r} here, {defaults[name]!r} in defaults/main.yml"
            yield role.finding("meta/argument_specs.yml", line, problem, "Make them the same.")
        elif name not in defaults and "default" in spec:
            problem = f"{name} has a default that defaults/main.yml does not set"
            yield role.finding("meta/argument_specs.yml", line, problem, "Set it there: a spec's default sets nothing.")


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


def _options(role: Role) -> Iterator[tuple[str, Located, int]]:
    """Name, spec and line of every option of every entry point."""
    for spec in role.specs.values():
        options = spec.get("options") or Located()
        yield from ((name, option, options.line_of(name)) for name, option in options.items())


def variables_are_prefixed(role: Role) -> Iterator[Finding]:
    """Role variables are `<role>_x`; what a task registers, loops over or sets is `__<role>_x`.

    What a whole entry point found may be registered for later roles of the play, as `<role>_<entry point>`.
    """
    own, internal = f"{role.name}_", f"__{role.name}_"
    for path in ("defaults/main.yml", "vars/main.yml"):
        variables = role.mapping(path)
        allowed = own if path.startswith("defaults") else (own, internal)
        for name in variables:
            if not name.startswith(allowed):
                yield role.finding(path, variables.line_of(name), f"variable {name}", f"Name it {own}…")
    for name, _, line in _options(role):
        if not name.startswith(own):
            yield role.finding("meta/argument_specs.yml", line, f"option {name}", f"Name it {own}…")
    for entry_point, source in role.task_files.items():
        for task in tasks_of(source.document):
            for name in _set_by(task):
                if not f"{name}_".startswith(internal) and name != f"{own}{entry_point}":
                    yield source.finding(task.line, f"variable {name}", f"Name it {internal}…")


def _set_by(task: Located) -> Iterator[str]:
    """Variables a task brings into being, but for those it hands to another role, or to Ansible (`ansible_…`)."""
    if "register" in task:
        yield str(task["register"])
    loop = task.get("loop_control") or {}
    yield from (str(loop[key]) for key in ("loop_var", "index_var") if key in loop)
    name = short(module_of(task))
    if name == "set_fact":
        yield from (key for key in task[module_of(task)] if key != "cacheable")
    if name != "include_role":
        yield from (key for key in task.get("vars") or () if not key.startswith("ansible_"))


def meta_is_complete(role: Role) -> Iterator[Finding]:
    """meta/main.yml says who, what, which licence and which Ansible, and depends on nothing."""
    meta = role.mapping("meta/main.yml")
    galaxy = meta.get("galaxy_info") or {}
    for key in sorted(META - set(galaxy)):
        yield role.finding("meta/main.yml", 1, f"galaxy_info has no {key}", f"Add {key}.")
    for key, wanted in (("license", "MIT"), ("min_ansible_version", "2.19")):
        if key in galaxy and galaxy[key] != wanted:
            yield role.finding("meta/main.yml", galaxy.line_of(key), f"{key}: {galaxy[key]}", f'Write "{wanted}".')
    if meta.get("dependencies") != []:
        remedy = "Write `dependencies: []`: order is the playbook's, where it is seen."
        yield role.finding("meta/main.yml", meta.line_of("dependencies"), "dependencies", remedy)


def includes_exist(source: Source, roles: dict[str, Role]) -> Iterator[Finding]:
    """Every include names a role and entry point that exist and gives it only options it knows."""
    for task in tasks_of(source.document):
        name = module_of(task)
        if short(name) in ("include_tasks", "import_tasks"):
            target = Path(source.path).parent / _file_of(task)
            if str(target) not in {file.path for role in roles.values() for file in role.files.values()}:
                yield source.finding(task.line, f"includes {target}, which is not there", "Write it, or mend the name.")
        if short(name) not in ("include_role", "import_role"):
            continue
        role_name, entry = role_of(task)
        role = roles.get(role_name)
        if role is None:
            yield source.finding(
                task.line, f"role {role_name!r} does not exist", f"Write roles/{role_name}, or mend the name."
            )
        elif entry not in role.specs or entry not in role.task_files:
            remedy = f"Name one of {', '.join(sorted(role.specs)) or 'its entry points'} in `tasks_from`, or write it."
            yield source.finding(task.line, f"role {role_name} has no entry point {entry!r}", remedy)
        else:
            known = set(role.specs[entry].get("options") or ())
            for unknown in sorted(set(task.get("vars") or ()) - known):
                problem = f"{role_name}: {entry} has no option {unknown}"
                yield source.finding(task["vars"].line_of(unknown), problem, "Add it to the spec, or remove it here.")


def entry_points_are_used(roles: dict[str, Role], sources: list[Source]) -> Iterator[Finding]:
    """Nothing is built ahead of its use: each entry point is in a playbook or in another role."""
    used = {
        role_of(task)
        for source in sources
        for task in tasks_of(source.document)
        if short(module_of(task)) in ("include_role", "import_role")
    }
    for role in roles.values():
        for entry in role.specs:
            if (role.name, entry) not in used:
                remedy = "Use it in a playbook, or remove it with its spec."
                yield role.finding(
                    "meta/argument_specs.yml", role.specs.line_of(entry), f"{entry} is never used", remedy
                )


def options_cover_what_tasks_use(role: Role) -> Iterator[Finding]:
    """A task's `<role>_x` is an option of the role or set inside it: a spec that leaves one out checks nothing."""
    known = {name for name, _, _ in _options(role)} | set(role.mapping("vars/main.yml"))
    for source in role.task_files.values():
        for task in tasks_of(source.document):
            used = {name for text in templates_of(task) for name in names_in(text)}
            for name in sorted(used - known):
                if name.startswith(f"{role.name}_"):
                    yield source.finding(
                        task.line, f"{name} is in no argument spec", "Add the option, or mend the name."
                    )


@cache
def all_roles(root: Path = ROOT) -> dict[str, Role]:
    """Every role by name."""
    return {path.name: Role.read(path, root) for path in sorted((root / "roles").glob("*")) if path.is_dir()}


@cache
def callers(root: Path = ROOT) -> list[Source]:
    """Every file that may include a role: playbooks and task files."""
    return [*playbooks(root), *(source for role in all_roles(root).values() for source in role.task_files.values())]


ROLE_CHECKS = (
    spec_and_entry_points_agree,
    options_are_described,
    defaults_agree,
    variables_are_prefixed,
    meta_is_complete,
    options_cover_what_tasks_use,
)
