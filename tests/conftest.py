"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test asserts a duration: a loaded machine is not a bug.
settings.register_profile("runbook", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("runbook")

HERE = Path(__file__).parent
# What brz writes about itself goes into var/, not into the home of whoever runs the tests.
os.environ["BRZ_HOME"] = os.environ["XDG_CACHE_HOME"] = str(HERE.parent / "var" / "cache" / "breezy")
# A shell starts background jobs with SIGINT ignored, nohup with SIGHUP; so would be all that a test asks to end.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
ONE_AT_A_TIME = {"lab": HERE / "lab", "database": HERE / "modules" / "test_database"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """There is one lab, and one pair of database servers: tests that share one run on the same worker."""
    for item in items:
        for group, path in ONE_AT_A_TIME.items():
            if str(item.path).startswith(str(path)):
                item.add_marker(pytest.mark.xdist_group(group))
