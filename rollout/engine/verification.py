"""Looking at every host with testinfra: as deployed (R22), or as before after an abort (R19)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal
from xml.etree import ElementTree

from plugins.module_utils.rollout_core.journal.events import HostsVerified
from rollout import ROOT, site
from rollout import inventory as inventories
from rollout.engine import ssh
from rollout.outcomes import BadInputError

Expect = Literal["deployed", "as_before", "answers"]
PATIENCE = 600.0  # seconds for all hosts: one that hangs costs about 20 (ansible.cfg), and then it is not asked again
NO_HOST = "testinfra"  # what is no host's: tests that could not even be collected
NO_TEST = "no test looked at it"
IN_NO_GROUP = "no host of the inventory is in its group"
_GROUP = re.compile(r"ansible://(\w+)")  # whose hosts a file of tests is for
_HOST = re.compile(r"\[ansible://([^]?/]+)")
_IN_FIXTURE = re.compile(r'failed on (?:setup|teardown) with "(.*)"', re.DOTALL)
_RAISED = re.compile(r"^(?:AssertionError|Failed|RuntimeError|[\w.]+CannotLookError): ")


@dataclass(frozen=True)
class HostState:
    """One host: how many tests passed, and each that failed, with the reason."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HostsLookedAt:
    """What testinfra found; `summary` is a line for people."""

    ok: bool
    summary: str
    hosts: dict[str, HostState]

    def on_record(self, expect: Expect) -> HostsVerified:
        """Return what the journal keeps of it."""
        hosts = {name: asdict(state) for name, state in self.hosts.items()}
        return HostsVerified(expect, "ok" if self.ok else "failed", self.summary, hosts)


def verify(directory: Path, inventory: Path, expect: Expect = "deployed", *, show: bool = False) -> HostsLookedAt:
    """Run tests/verify over the inventory's hosts, against the plan of the rollout in `directory`. `answers`
    looks only whether they can be looked at.

    `show` lets the tests write to the screen; otherwise that goes to `verify-EXPECT.txt` in `directory`. What each test
    found stands in `verify-EXPECT.xml` there. A host that does not answer is a failure like any other, and so is one on
    which no test passed.
    """
    report, log = directory / f"verify-{expect}.xml", directory / f"verify-{expect}.txt"
    report.unlink(missing_ok=True)
    site.var().mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=site.var(), ignore_cleanup_errors=True) as scratch:
        options = [f"--expect={expect}", f"--junit-xml={report}", f"--basetemp={scratch}/tests"]
        command = [sys.executable, "-m", "pytest", *options, "tests/verify"]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # of inventory scripts
            "ROLLOUT_PLAN": str(directory / "plan.yml"),
            "ROLLOUT_INVENTORY": str(inventory),
            **ssh.environment("v"),
            **inventories.vaults(),
        }
        with (
            nullcontext() if show else log.open("w", encoding="utf-8") as output,
            _ended(command, environment, output) as tests,
        ):
            try:
                code = tests.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                return HostsLookedAt(
                    ok=False, summary=f"testinfra was not done after {PATIENCE / 60:.0f} min", hosts={}
                )
    hosts = read(report) if report.exists() else {}
    try:
        groups = groups_looked_at(inventory)
    except BadInputError as error:  # of a vault, say: then each host has said so already
        groups = {}
        hosts = hosts if hosts.keys() - {NO_HOST} else {NO_HOST: HostState(0, [str(error)])}
    unnamed = NO_HOST in hosts and all(groups.values()) and all(IN_NO_GROUP in why for why in hosts[NO_HOST].failed)
    if not hosts or (NO_HOST in hosts and not unnamed):  # pytest runs nothing when it cannot collect everything
        why = hosts[NO_HOST].failed[0] if NO_HOST in hosts else f"pytest ended with exit code {code}"
        return HostsLookedAt(ok=False, summary=f"testinfra looked at no host: {why}", hosts={})
    hosts.pop(NO_HOST, None)  # tests of a group that this inventory does not have
    hosts = complete(hosts, {host for found in groups.values() for host in found})
    ok = code == 0 and not any(state.failed for state in hosts.values())
    return HostsLookedAt(ok=ok, summary=_summary(hosts), hosts=hosts)


def groups_looked_at(inventory: Path) -> dict[str, list[str]]:
    """Return the hosts of each group that tests/verify is for and the inventory has. Raises BadInputError."""
    files = (ROOT / "tests/verify").glob("test_*.py")
    named = {group for path in files for group in _GROUP.findall(path.read_text(encoding="utf-8"))}
    return {group: hosts for group, hosts in inventories.facts(inventory).groups.items() if group in named}


def complete(hosts: Mapping[str, HostState], named: Iterable[str]) -> dict[str, HostState]:
    """Return what was found of every host that was to be looked at; one on which nothing passed has failed."""
    every = {**{name: HostState() for name in sorted(named)}, **hosts}
    return {
        name: state if state.passed or state.failed else HostState(0, [NO_TEST])
        for name, state in sorted(every.items(), key=lambda each: each[0] not in hosts)
    }


def read(report: Path) -> dict[str, HostState]:
    """What pytest's junit xml says of each host, in the order in which they were looked at.

    A reason that several tests share, such as a host that does not answer, is told once.
    """
    passed: Counter[str] = Counter()
    failed: dict[str, dict[str, list[str]]] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        name = case.get("name", "")
        found = _HOST.search(name)
        reasons = failed.setdefault(found[1] if found else NO_HOST, {})
        problem = next((case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None)
        if problem is not None:
            reasons.setdefault(_reason(problem), []).append(name.partition("[")[0])
        elif found is None:
            reasons.setdefault(IN_NO_GROUP, []).append(name.partition("[")[0])
        elif case.find("skipped") is None:
            passed[found[1]] += 1
    return {
        host: HostState(passed[host], [_told(*item) for item in reasons.items()]) for host, reasons in failed.items()
    }


def _reason(problem: ElementTree.Element) -> str:
    """What was raised, in one line."""
    message = problem.get("message", "")
    if message == "collection failure":  # then only the traceback says it
        message = next((line[1:] for line in reversed((problem.text or "").splitlines()) if line[:1] == "E"), message)
    if in_fixture := _IN_FIXTURE.fullmatch(message):
        message = in_fixture[1]
    first = (message.strip().splitlines() or ["no reason given"])[0]
    return _RAISED.sub("", first)


def _told(reason: str, tests: list[str]) -> str:
    return f"{tests[0]}: {reason}" if len(tests) == 1 else f"{reason} ({len(tests)} tests)"


def _summary(hosts: dict[str, HostState]) -> str:
    passed = sum(state.passed for state in hosts.values())
    bad = [name for name, state in hosts.items() if state.failed]
    if not bad:
        return f"{passed} tests passed on {', '.join(hosts)}"
    return f"not as expected: {', '.join(bad)} ({passed} tests passed)"


@contextmanager
def _ended(
    command: list[str], environment: dict[str, str], output: IO[str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The command, in a session of its own; whatever becomes of us, neither it nor its ssh clients are left."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
