"""What every module keeps beyond what Ansible's own check asks for (validate_modules.py)."""

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


def examples_run(module: Module) -> Iterator[Finding]:
    """EXAMPLES are named tasks that call this module with options it has, all the required ones among them."""
    if not module.section("EXAMPLES"):
        yield module.finding("EXAMPLES", "no EXAMPLES", "Show how the module is called.")
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


def returns_are_told(module: Module) -> Iterator[Finding]:
    """RETURN is not empty."""
    if not module.section("RETURN"):
        yield module.finding("RETURN", "no RETURN", "Describe what the module returns.")


def check_mode_is_supported(module: Module) -> Iterator[Finding]:
    """--check changes nothing and is never skipped over."""
    if module.called_with.get("supports_check_mode") is not True:
        remedy = "Pass supports_check_mode=True and keep the promise."
        yield module.finding("DOCUMENTATION", "no supports_check_mode", remedy)


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


CHECKS = (examples_run, returns_are_told, check_mode_is_supported)
