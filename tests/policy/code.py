"""What Python code may reach for: the core for nothing, the conductor for the clock in one place only."""

from __future__ import annotations

import ast
import difflib
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .source import ROOT, Finding

# The part of the standard library that cannot reach a clock, a file, a socket, the machine or chance.
PURE = {
    *("__future__", "abc", "bisect", "collections", "configparser", "contextlib", "dataclasses", "datetime", "decimal"),
    *("difflib", "enum", "fnmatch", "fractions", "functools", "hashlib", "heapq", "html", "itertools", "json", "math"),
    *("numbers", "operator", "posixpath", "re", "shlex", "statistics", "string", "textwrap", "types", "typing"),
    *("urllib.parse", "io.StringIO"),
}
READS_THE_CLOCK = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter", "localtime", "gmtime"}
REACHES_OUT = {*READS_THE_CLOCK, "open", "input", "print", "exec", "eval", "__import__", "socket", "sleep", "getenv"}
# Written in two pieces: this file keeps the policy too.
FORBIDDEN_TEXTS = {
    "../" + "shared": "the project stands alone: write what it needs here",
    "/work" + "/": "the project runs in any directory: use a relative path",
    "pypi" + ".org": "packages have names, registries are the machine's business",
    "pythonhosted" + ".org": "packages have names, registries are the machine's business",
    "registry." + "npmjs": "packages have names, registries are the machine's business",
    "deb." + "debian.org": "packages have names, registries are the machine's business",
    "--index" + "-url": "packages have names, registries are the machine's business",
}


def core_is_pure(path: str, text: str) -> Iterator[Finding]:
    """rollout_core imports the standard library's pure part and itself; it reads no clock, file or socket."""
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [] if node.level else [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            modules = []
            if isinstance(node, ast.Call) and _called(node) in REACHES_OUT:
                remedy = "Take what it returns as an argument: the caller reads, the core decides."
                yield Finding(path, node.lineno, f"calls {ast.unparse(node.func)}()", remedy)
        for module in modules:
            parents = {".".join(module.split(".")[:depth]) for depth in range(1, module.count(".") + 2)}
            if not parents & PURE:
                remedy = "Import the pure part of the standard library, or the core itself with a leading dot."
                yield Finding(path, node.lineno, f"imports {module}", remedy)


def docstring_says_it_once(path: str, text: str) -> Iterator[Finding]:
    """No paragraph of a module's docstring is another one in other words."""
    paragraphs = [part for part in (ast.get_docstring(ast.parse(text, path)) or "").split("\n\n") if len(part) > 40]
    for one, other in itertools.combinations(paragraphs, 2):
        if difflib.SequenceMatcher(None, one, other).ratio() > 0.55:
            yield Finding(path, 1, f"says twice: {' '.join(other.split())[:60]} …", "Keep the better one.")


def clock_is_read_in_one_place(path: str, text: str) -> Iterator[Finding]:
    """Only rollout/journal/clock.py asks what time it is (a monotonic count of seconds is no time of day)."""
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Call) and _called(node) in READS_THE_CLOCK - {"monotonic", "perf_counter"}:
            called = ast.unparse(node.func)
            if called.startswith(("datetime", "date.", "time.", "dt.")):
                remedy = "Ask the rollout's clock: in a rehearsal it is another time."
                yield Finding(path, node.lineno, f"calls {called}()", remedy)


def python_knows_no_stage(path: str, text: str, stages: set[str]) -> Iterator[Finding]:
    """The conductor interprets process.yml: it compares with no stage's or playbook's name."""
    for node in ast.walk(ast.parse(text, path)):
        operands = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        operands += [node.slice] if isinstance(node, ast.Subscript) else []
        operands += (
            [node.pattern.value]
            if isinstance(node, ast.match_case) and isinstance(node.pattern, ast.MatchValue)
            else []
        )
        for operand in operands:
            for constant in ast.walk(operand):
                if isinstance(constant, ast.Constant) and constant.value in stages:
                    remedy = "Say it in process.yml, as a key of the stage."
                    yield Finding(path, constant.lineno, f"knows the stage {constant.value!r}", remedy)


def _called(node: ast.Call) -> str | None:
    if isinstance(node.func, ast.Name):
        return node.func.id
    return node.func.attr if isinstance(node.func, ast.Attribute) else None


def text_stays_at_home(path: str, text: str) -> Iterator[Finding]:
    """No file of the project names a place outside it."""
    named = {forbidden: remedy for forbidden, remedy in FORBIDDEN_TEXTS.items() if forbidden in text}
    for number, line in enumerate(text.splitlines() if named else (), start=1):
        for forbidden, remedy in named.items():
            if re.search(rf"(?<![\w]){re.escape(forbidden)}", line):
                yield Finding(path, number, f"names {forbidden}", f"Remove it: {remedy}.")


def project_files(root: Path = ROOT) -> list[Path]:
    """Every text file of the project, committed or about to be."""
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    paths = (root / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8000]]
