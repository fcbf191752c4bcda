"""What is expected on the hosts: from the plan ($ROLLOUT_PLAN) and the inventory ($ROLLOUT_INVENTORY) of any site.

`--expect deployed` (the default) is the state after a rollout, `--expect as_before` the one after it was undone;
`--expect answers` only asks whether each host can be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.verify import ansible_hosts


def pytest_addoption(parser: pytest.Parser) -> None:
    choices = ["deployed", "as_before", "answers"]
    parser.addoption("--expect", choices=choices, default="deployed", help="state of the hosts")


def pytest_configure(config: pytest.Config) -> None:
    """Look at the hosts of the plan's inventory."""
    for name in ("ROLLOUT_PLAN", "ROLLOUT_INVENTORY"):
        if name not in os.environ:
            pytest.exit(f"{name} is not set. Run this suite with: ./runbook.py verify", returncode=2)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Look whether hosts answer, or at what is on them."""
    light = collection_path.name == "test_answers.py"
    return True if collection_path.is_file() and light != (config.getoption("--expect") == "answers") else None


@pytest.fixture(scope="session")
def _asked() -> dict[str, str | None]:
    """Why each host cannot be looked at, None if it can: asked once, for a host that hangs costs each time."""
    return {}


@pytest.fixture(autouse=True)
def _answers(host: Any, _asked: dict[str, str | None]) -> None:
    """Every test needs its host to answer; one that does not is said in a line."""
    name = host.backend.hostname
    if name not in _asked:
        try:
            host.run("true")
            _asked[name] = None
        except ansible_hosts.CannotLookError as error:
            _asked[name] = str(error)
    if why := _asked[name]:
        pytest.fail(why, pytrace=False)


@pytest.fixture(scope="session")
def plan() -> dict[str, Any]:
    """The plan's `rollout`."""
    return yaml.safe_load(Path(os.environ["ROLLOUT_PLAN"]).read_text(encoding="utf-8"))["rollout"]


@pytest.fixture(scope="session")
def deployed(request: pytest.FixtureRequest) -> bool:
    """Whether the merge is expected in production (otherwise: everything as before)."""
    return request.config.getoption("--expect") == "deployed"


@pytest.fixture(scope="session")
def pinned(plan: dict[str, Any], deployed: bool) -> Callable[[str], Any]:
    """`pinned(name)`: what earlier stages settled, such as `merged_revno`."""

    def get(name: str) -> Any:
        if name not in plan["pinned"] and not deployed:
            pytest.skip(f"the plan {plan['id']} has no {name}, so nothing of it can be in production")
        if name not in plan["pinned"]:
            pytest.fail(f"the plan {plan['id']} has no {name}: the stage that settles it has not run")
        return plan["pinned"][name]

    return get


@pytest.fixture
def name(host: Any) -> str:
    """The inventory name of the host under test."""
    return host.backend.hostname


@pytest.fixture
def variable(name: str) -> Callable[[str], Any]:
    """`variable(name)`: an inventory variable of the host, resolved as in a playbook; None when undefined."""
    return lambda wanted: ansible_hosts.site().variable(name, wanted)


@pytest.fixture
def path(host: Any, variable: Callable[[str], Any]) -> Callable[[str], str]:
    """`path(name)`: a variable that is a path on the host, with its `~` resolved there."""
    return lambda name: (variable(name) or "").replace("~", host.check_output("echo ~"), 1)
