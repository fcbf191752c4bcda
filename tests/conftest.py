"""What all tests share: in which order they run and where, and what is left out."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No test asserts a duration: a loaded machine is not a bug.
settings.register_profile("runbook", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("runbook")

HERE = Path(__file__).parent
# What brz writes about itself goes into var/, not into the home of whoever runs the tests.
os.environ["BRZ_HOME"] = os.environ["XDG_CACHE_HOME"] = str(HERE.parent / "var" / "cache" / "breezy")
# ssh's sockets too, of what tests play as by hand.
os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(HERE.parent / "var" / "cp")
# Nor is anything here for the site that a shell is set up for.
os.environ.pop("RUNBOOK_SITE", None)
# A shell starts background jobs with SIGINT ignored, nohup with SIGHUP; so would be all that a test asks to end.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

LAB, MODULES, FAULTS = HERE / "lab", HERE / "modules", HERE / "faults"
LABS = AT_THE_WINDOW, DRILLS, LAB_ITSELF = "at the window", "drills", "lab"
# What takes minutes comes first: a worker for each lab, then what needs servers, and last what fills the gaps.
ORDER = (*LABS, "database", "faults", "modules", "rest")
SHARE = (*LABS, "database")  # a lab or a pair of database servers: they run on the same worker
LEFT_OUT = pytest.StashKey[int]()
EVERY_MOMENT = 200  # of `make faults`


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the drills unless they are asked for, deal the tests out, and begin with what takes longest."""
    drills = [item for item in items if item.get_closest_marker("drill")]
    asked_for = config.option.markexpr or any("::" in argument for argument in config.args)
    left_out = [] if asked_for or os.environ.get("DRILLS") == "all" else drills
    config.stash[LEFT_OUT] = len(left_out)
    groups = {item: _group(item) for item in items if item not in left_out}
    if asked_for:  # with nothing else to do, every lab has its share
        groups.update((drill, LABS[number % len(LABS)]) for number, drill in enumerate(drills))
    for item, group in groups.items():
        if group in SHARE:
            item.add_marker(pytest.mark.xdist_group(group))
        elif group == "modules":  # the tests of a file have servers or branches in common
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items[:] = sorted(groups, key=lambda item: ORDER.index(groups[item]))


def _group(item: pytest.Item) -> str:
    if item.path.name == "test_drills.py":
        return DRILLS
    if item.path.is_relative_to(LAB):
        return AT_THE_WINDOW if "before_the_window" in getattr(item, "fixturenames", ()) else LAB_ITSELF
    if item.path.is_relative_to(FAULTS):
        return "faults"
    if item.path.is_relative_to(MODULES):
        return "database" if item.path.name.startswith("test_database") else "modules"
    return "rest"


@pytest.hookimpl
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells how much it has left out: whoever writes the summary collects nothing itself."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it."""
    node.config.stash[LEFT_OUT] = node.workeroutput["left_out"] if hasattr(node, "workeroutput") else 0


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what became of each drill; and say what was left out, and how it is run."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [dict(getattr(report, "user_properties", ())) for report in reports if getattr(report, "when", "") == "call"]
    for shown in (properties["drill"] for properties in told if "drill" in properties):
        terminalreporter.write_line(shown)
    if drills := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"Left out: {drills} drills and other rehearsals that take minutes.  make drills")
    if fuzz := [properties["fuzz"] for properties in told if "fuzz" in properties]:
        terminalreporter.write_line(f"{sum(count for _, count in fuzz)} inputs for readers.  make fuzz")
        if "FUZZ" in os.environ:
            for name, count in sorted(fuzz):
                terminalreporter.write_line(f"  {count:6}  {name}")
    left = EVERY_MOMENT - sum("moment" in properties for properties in told)
    if 0 < left < EVERY_MOMENT - 1:
        terminalreporter.write_line(f"Left out: {left} of {EVERY_MOMENT} random moments of an outage.  make faults")
