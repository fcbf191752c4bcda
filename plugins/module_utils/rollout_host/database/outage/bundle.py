"""Packs the outage's worker into a file on this host, from the sources that the running module has (R18).

The file holds `main` and every module of ours that it needs, and is the same for the same sources: a plain
zip that any Python 3.8 runs.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.util
import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Iterator

from ....rollout_core import retention
from ... import whole_file
from . import main
from .worker_file import PATTERN

_LEFT = ("answer-*.json", "spec-*.json", "log-*.txt", "upgrade-*.log", "permissions-*.log")
_PACKAGE = "rollout_worker"  # what it is called in the file
_ABOVE = main.__name__[: main.__name__.index("rollout_host")]  # the package that both halves are in
_MAIN = f"""import sys

from {_PACKAGE}.{main.__name__[len(_ABOVE) :]} import main

sys.exit(main(sys.argv))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def bring(state_directory: str | Path) -> Path:
    """Write the worker file, if it is not there already, and return its path. Older ones that nobody uses are deleted.

    Raises OSError.
    """
    directory = Path(state_directory).expanduser()
    content = packed()
    path = directory / f"outage-{hashlib.sha256(content).hexdigest()[:12]}.pyz"
    whole_file.private_directory(directory)
    if not path.is_file() or path.read_bytes() != content:
        own = path.with_suffix(f".{os.getpid()}")  # somebody else may bring it at this moment
        whole_file.replace(own, content)
        own.replace(path)
    os.utime(path)  # the latest is the one that was brought last
    for other in directory.glob(PATTERN):
        if other != path and not _used(other):
            with suppress(OSError):
                other.unlink()
    _remove_old_runs(directory)
    return path


def _remove_old_runs(directory: Path) -> None:
    """Delete what runs of long ago have left: their answers, and what they wrote."""
    for pattern in _LEFT:
        found = [(file.lstat().st_mtime, file) for file in directory.glob(pattern)]
        for file in retention.old(found):
            with suppress(OSError):
                file.unlink()


def packed() -> bytes:
    """Return the worker file's content, which depends on nothing else that the running module has loaded."""
    sources = {"__main__.py": _MAIN, f"{_PACKAGE}/__init__.py": ""}
    sources.update(_sources(main.__name__))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(sources):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o600 << 16
            archive.writestr(info, sources[name])
    return content.getvalue()


def _sources(root: str) -> dict[str, str]:
    """Return the sources of a module, of all that it imports relatively and of their packages, by name in the file."""
    found: dict[str, str] = {}
    todo, seen = [root], {root}
    while todo:
        module = todo.pop()
        spec = _spec(module) if module.startswith(_ABOVE) else None
        if spec is None or spec.loader is None:
            continue
        package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
        file = module[len(_ABOVE) :].replace(".", "/") + ("/__init__.py" if package == module else ".py")
        source = spec.loader.get_source(module)  # type: ignore[attr-defined]
        found[f"{_PACKAGE}/{file}"] = source
        new = {module.rpartition(".")[0], *_imports(source, package)} - seen
        seen |= new
        todo += sorted(new)
    return found


def _imports(source: str, package: str) -> Iterator[str]:
    """Yield the names that a module of `package` imports relatively: modules, or names in modules, which look alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package.rsplit(".", node.level - 1)[0]
            module = f"{base}.{node.module}" if node.module else base
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _spec(module: str) -> importlib.machinery.ModuleSpec | None:
    with suppress(ModuleNotFoundError):  # a name in a module, not a module
        return importlib.util.find_spec(module)
    return None


def _used(path: Path) -> bool:
    """Return True if a process of this host runs the file."""
    name = os.fsencode(path)
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if name in process.read_bytes().split(b"\0"):
                return True
    return False
