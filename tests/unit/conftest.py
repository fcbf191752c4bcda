"""What an inventory says is asked of Ansible once, as long as none of its files changes: each time is a second."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout import inventory as inventories

OURS = ("ANSIBLE_", "ROLLOUT_", "HOME")


@pytest.fixture(scope="session", autouse=True)
def inventories_are_asked_once() -> Iterator[None]:
    """Remember Ansible's real answers for this process."""
    ask, known = inventories.ask, {}

    def remembered(inventory: Path, question: Any) -> Any:
        files = [(path, path.stat().st_mtime_ns) for path in sorted(Path(inventory).rglob("*")) if path.is_file()]
        environment = [(name, value) for name, value in sorted(os.environ.items()) if name.startswith(OURS)]
        key = repr((inventory, files, environment, question))
        if key not in known:
            known[key] = ask(inventory, question)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventories, "ask", remembered)
        yield
