"""What is expected on the hosts: from the plan ($ROLLOUT_PLAN) and the inventory ($ROLLOUT_INVENTORY) of any site.

`--expect deployed` (the default) is the state after a rollout, `--expect as_before` the one after it was undone.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.vars.manager import VariableManager

PROJECT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--expect", choices=["deployed", "as_before"], default="deployed", help="state of the hosts")


def pytest_configure(config: pytest.Config) -> None:
    """Look at the hosts of the plan's inventory, all commands for a host over one connection."""
    for name in ("ROLLOUT_PLAN", "ROLLOUT_INVENTORY"):
        if name not in os.environ:
            pytest.exit(f"{name} is not set. Run this suite with: ./runbook.py verify", returncode=2)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # of ansible-inventory
    config.option.ansible_inventory = os.environ["ROLLOUT_INVENTORY"]
    os.environ["ANSIBLE_CONFIG"] = str(PROJECT / "ansible.cfg")
    sockets = PROJECT / "var" / "cp"
    sockets.mkdir(parents=True, exist_ok=True)
    # relative, because the path of a socket may have 100 characters only
    os.environ["ANSIBLE_SSH_EXTRA_ARGS"] = f"-o ControlPath={os.path.relpath(sockets)}/verify-%C"


@pytest.fixture(scope="session")
def _silent() -> dict[str, str]:
    """Hosts that did not answer, and what ssh said: asked once, for a host that hangs costs each time."""
    return {}


@pytest.fixture(autouse=True)
def _answers(host: Any, _silent: dict[str, str]) -> None:
    """Every test needs its host to answer; one that does not is said in a line."""
    name = host.backend.host
    if name not in _silent:
        try:
            host.check_output("true")
        except (RuntimeError, AssertionError) as error:
            said = getattr(error.args[0], "stderr", error)
            _silent[name] = str(said).strip().splitlines()[-1] if str(said).strip() else "ssh said nothing"
        else:
            return
    pytest.fail(f"{name} does not answer: {_silent[name]}", pytrace=False)


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


@pytest.fixture(scope="session")
def _variables() -> Callable[[str], Templar]:
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[os.environ["ROLLOUT_INVENTORY"]])
    manager = VariableManager(loader=loader, inventory=inventory)

    @functools.cache
    def templar(host: str) -> Templar:
        return Templar(loader, variables=manager.get_vars(host=inventory.get_host(host)))

    return templar


@pytest.fixture
def name(host: Any) -> str:
    """The inventory name of the host under test."""
    return host.ansible.get_variables()["inventory_hostname"]


@pytest.fixture
def variable(name: str, _variables: Callable[[str], Templar]) -> Callable[[str], Any]:
    """`variable(name)`: an inventory variable of the host, resolved as in a playbook; None when undefined."""
    return lambda wanted: _variables(name).template(trust_as_template(f"{{{{ {wanted} | default(none) }}}}"))


@pytest.fixture
def path(host: Any, variable: Callable[[str], Any]) -> Callable[[str], str]:
    """`path(name)`: a variable that is a path on the host, with its `~` resolved there."""
    return lambda name: (variable(name) or "").replace("~", host.check_output("echo ~"), 1)
