"""What every module says of itself is true: documentation, examples and argument spec are one and the same."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible.module_utils.basic
import yaml

from .source import COLLECTION, ROOT, Finding

COMPARED = ("type", "required", "default", "choices", "elements", "aliases")
IMPLIED = {"type": "str", "required": False, "default": None, "choices": None, "elements": None, "aliases": None}
NEWER_THAN_3_8 = {"removeprefix", "removesuffix", "bit_count", "is_relative_to", "with_stem", "hardlink_to"}


class Captured(Exception):  # noqa: N818  it carries an answer, it is no error
    """What the module handed to AnsibleModule."""


@dataclass(frozen=True)
class Module:
    """One file of plugins/modules, parsed and asked for its argument spec."""

    path: str
    name: str
    tree: ast.Module
    called_with: dict[str, Any]

    @classmethod
    def read(cls, path: Path, root: Path = ROOT) -> Module:
        """Parse the module and run its main() as far as its AnsibleModule(…)."""
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        return cls(str(path.relative_to(root)), path.stem, tree, called_with(path))

    def text(self, name: str) -> str | None:
        """DOCUMENTATION, EXAMPLES or RETURN as it stands in the file."""
        node = self._assignment(name)
        return str(ast.literal_eval(node.value)) if node else None

    def section(self, name: str) -> Any:
        """The section as YAML, None where it is missing."""
        return yaml.safe_load(self.text(name) or "null")

    def finding(self, name: str, problem: str, remedy: str) -> Finding:
        """A finding at the section `name`."""
        node = self._assignment(name)
        return Finding(self.path, node.lineno if node else 1, problem, remedy)

    def _assignment(self, name: str) -> ast.Assign | None:
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                return node
        return None


def called_with(path: Path) -> dict[str, Any]:
    """The arguments by name of the module's AnsibleModule(…). Raises AssertionError when it makes none."""
    signature = inspect.signature(ansible.module_utils.basic.AnsibleModule)

    def capture(*positional: Any, **named: Any) -> None:
        raise Captured(signature.bind(*positional, **named).arguments)

    name = f"plugins.modules.policy_of_{path.stem}"  # in that package, so that its imports are found
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    original, ansible.module_utils.basic.AnsibleModule = ansible.module_utils.basic.AnsibleModule, capture
    try:
        spec.loader.exec_module(module)
        module.main()
    except Captured as answer:
        arguments: dict[str, Any] = answer.args[0]
        return arguments
    finally:
        ansible.module_utils.basic.AnsibleModule = original
    raise AssertionError(f"{path}: main() makes no AnsibleModule(…)")


def documentation_is_whole(module: Module) -> Iterator[Finding]:
    """DOCUMENTATION parses and says name, sentence, description, author and options; EXAMPLES and RETURN are there."""
    documentation = module.section("DOCUMENTATION") or {}
    for key in ("module", "short_description", "description", "author"):
        if not documentation.get(key):
            yield module.finding("DOCUMENTATION", f"DOCUMENTATION has no {key}", f"Add {key}.")
    if documentation.get("module", module.name) != module.name:
        yield module.finding("DOCUMENTATION", f"module: {documentation['module']}", f"Write {module.name}.")
    for name, option in (documentation.get("options") or {}).items():
        if not option.get("description"):
            yield module.finding("DOCUMENTATION", f"option {name} has no description", "Describe it.")
    for section in ("EXAMPLES", "RETURN"):
        if not module.section(section):
            yield module.finding(section, f"no {section}", f"Add {section}.")


def options_agree(module: Module) -> Iterator[Finding]:
    """The argument spec is what DOCUMENTATION says, option by option, suboptions too."""
    documented = (module.section("DOCUMENTATION") or {}).get("options") or {}
    yield from _compare(module, "", documented, module.called_with.get("argument_spec") or {})


def _compare(module: Module, prefix: str, documented: dict[str, Any], spec: dict[str, Any]) -> Iterator[Finding]:
    for name in sorted({*documented, *spec}):
        said, is_so = documented.get(name), spec.get(name)
        if said is None or is_so is None:
            missing = "DOCUMENTATION" if said is None else "argument_spec"
            yield module.finding("DOCUMENTATION", f"{prefix}{name} is not in {missing}", "Add it, or remove the other.")
            continue
        for key in COMPARED:
            left, right = said.get(key, IMPLIED[key]), is_so.get(key, IMPLIED[key])
            if left != right:
                problem = f"{prefix}{name}: {key} is {left!r} in DOCUMENTATION, {right!r} in argument_spec"
                yield module.finding("DOCUMENTATION", problem, "Make them the same.")
        yield from _compare(module, f"{prefix}{name}.", said.get("suboptions") or {}, is_so.get("options") or {})


def examples_run(module: Module) -> Iterator[Finding]:
    """EXAMPLES are named tasks that call this module with options it has, all the required ones among them."""
    spec = module.called_with.get("argument_spec") or {}
    required = {name for name, option in spec.items() if option.get("required")}
    for task in module.section("EXAMPLES") or []:
        arguments = task.get(COLLECTION + module.name)
        if "name" not in task or not isinstance(arguments, dict):
            yield module.finding("EXAMPLES", f"example {task!r}", f"Make it a named task that calls {module.name}.")
            continue
        for name in sorted(set(arguments) - set(spec)):
            yield module.finding("EXAMPLES", f"example {task['name']!r}: no option {name}", "Mend the example.")
        for name in sorted(required - set(arguments)):
            yield module.finding("EXAMPLES", f"example {task['name']!r} lacks {name}", "Mend the example.")


def returns_are_described(module: Module) -> Iterator[Finding]:
    """Each value of RETURN says what, when and of which type."""
    for name, value in (module.section("RETURN") or {}).items():
        for key in ("description", "returned", "type"):
            if key not in value:
                yield module.finding("RETURN", f"{name} has no {key}", f"Add {key}.")


def check_mode_is_supported(module: Module) -> Iterator[Finding]:
    """--check changes nothing and is never skipped over."""
    if module.called_with.get("supports_check_mode") is not True:
        yield module.finding(
            "DOCUMENTATION", "no supports_check_mode", "Pass supports_check_mode=True and keep the promise."
        )


def python_is_the_hosts(path: str, text: str) -> Iterator[Finding]:
    """Modules run on the hosts' own Python: 3.8, annotations not evaluated, and no shell anywhere."""
    try:
        tree = ast.parse(text, path, feature_version=(3, 8))
    except SyntaxError as error:
        yield Finding(path, error.lineno or 1, f"not Python 3.8: {error.msg}", "Write it as 3.8 can read it.")
        return
    imports = {
        (node.module, alias.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    if tree.body and ("__future__", "annotations") not in imports and any(_annotated(node) for node in ast.walk(tree)):
        yield Finding(path, 1, "annotations are evaluated", "Add `from __future__ import annotations`.")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in NEWER_THAN_3_8:
            yield Finding(path, node.lineno, f".{node.attr} is not in Python 3.8", "Do without it.")
        if isinstance(node, ast.keyword) and node.arg in ("shell", "use_unsafe_shell") and _is_true(node.value):
            yield Finding(path, node.value.lineno, f"{node.arg}=True", "Pass an argv list.")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.system", "os.popen", "subprocess.getoutput"):
            yield Finding(path, node.lineno, ast.unparse(node.func), "Pass an argv list to run_command.")


def _annotated(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.returns is not None or any(argument.annotation for argument in node.args.args)
    return isinstance(node, ast.AnnAssign)


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def all_modules(root: Path = ROOT) -> list[Path]:
    """Every module's file."""
    return sorted((root / "plugins/modules").glob("[!_]*.py"))


def host_files(root: Path = ROOT) -> list[Path]:
    """Every Python file that runs on the hosts."""
    return sorted(path for path in (root / "plugins").rglob("*.py") if "__pycache__" not in path.parts)


CHECKS = (documentation_is_whole, options_agree, examples_run, returns_are_described, check_mode_is_supported)
