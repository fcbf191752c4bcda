"""Looks at all that a month needs, on any day, and changes nothing: each look says what it found, and its mend."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rollout import inventory as inventories
from rollout import site
from rollout.announcing import channels
from rollout.engine import verification
from rollout.engine.rollout import Rollout
from rollout.journal.file import NAME
from rollout.outcomes import BadInputError, NoPlanError, RunbookError
from rollout.plan import creation, store
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.plan.store import KeptRollout
from rollout.schedule import check as schedules

LEFT = "CHANGE ME"  # in a site's files: what its people have to fill in
SHOWN = 12  # places of one kind; the others are counted
CONNECT_SECONDS = 10.0
ANSWER = "hosts_answer"  # a playbook


@dataclass(frozen=True)
class Look:
    """One look. `found` is a line; `mend` are lines that say where, and what to do, if it is not `ok`."""

    what: str
    ok: bool
    found: str
    mend: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the look as lines for people."""
        return [f"{'✓' if self.ok else '✗'} {self.what}: {self.found}", *(f"    {line}" for line in self.mend)]


def of_the_site(inventory: Path, now: datetime) -> Iterator[Look]:
    """Yield what can be seen from here: the site's files, Ansible's view of them, the schedule, the channels."""
    yield filled_in(inventory)
    yield _tried("inventory", lambda: _inventory(inventory))
    yield _schedule(inventory, now)
    yield from _channels(inventory)


def filled_in(inventory: Path) -> Look:
    """Look for what the site's people have not filled in yet."""
    places = [
        f"{path.relative_to(inventory)}:{number}  {line.strip()}"
        for path in sorted(inventory.rglob("*.yml"))
        if "var" not in path.relative_to(inventory).parts
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if LEFT in line
    ]
    if not places:
        return Look("files", ok=True, found="everything is filled in")
    more = [f"… and {len(places) - SHOWN} more"] if len(places) > SHOWN else []
    how = f"Put in what is right, and take the words {LEFT} out."
    return Look("files", ok=False, found=f"{len(places)} places say {LEFT}", mend=(*places[:SHOWN], *more, how))


def plan_to_look_at(inventory: Path, now: datetime) -> KeptRollout:
    """Return a copy of the open plan and its journal, else a draft, in a directory of this look alone.

    So nothing of a rollout is written, and Ctrl-C here ends nothing of a runbook at work. Raises BadInputError.
    """
    try:
        open_one, plan = store.current(inventory)
        entries = (open_one / NAME).read_bytes() if (open_one / NAME).exists() else b""
    except NoPlanError:
        plan, entries = creation.drafted(inventory, now), b""
    (site.var() / "doctor").mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{plan.id}-", dir=site.var() / "doctor"))
    plans.save(plan, directory / "plan.yml")
    if entries:
        (directory / NAME).write_bytes(entries)
    return store.kept(directory, plan)


def groups(inventory: Path, plan: Plan) -> Look:
    """Look whether every playbook of the process finds a host."""

    def look() -> str:
        known = inventories.facts(inventory)
        inventories.check_groups(inventory, known, plan.playbooks(), plan.playbook)
        return f"each of {len(plan.playbooks())} playbooks has hosts"

    return _tried("process", look)


def hosts(rollout: Rollout) -> Look:
    """Look whether a module runs on every host: ssh, the host's key, becoming the other user, Python."""
    run = rollout.begin(ANSWER, rollout.run_id("hosts"), reports=()).wait()
    answered = sum(len(play.worked) for play in run.plays)
    if run.ok:
        return Look("hosts", ok=True, found=f"{answered} answer")
    lines = [line for failure in run.failures for line in failure.message.splitlines()]
    found = f"{len(run.failures)} do not answer" if lines else "they could not be asked"
    return Look("hosts", ok=False, found=found, mend=tuple(lines or run.message.splitlines()))


def programs(rollout: Rollout) -> Look:
    """Look whether hosts have the programs with which they are verified after a rollout."""
    found = verification.verify(rollout.directory, rollout.inventory, "answers")
    failed = tuple(f"{name}: {why}" for name, state in found.hosts.items() for why in state.failed)
    return Look("programs", ok=found.ok, found=found.summary, mend=failed)


def _inventory(inventory: Path) -> str:
    known = inventories.facts(inventory)
    inventories.policy(inventory)
    count = len({host for group in known.groups.values() for host in group} - {"localhost"})
    if not count:  # Ansible only warns of a file that it cannot read
        said = f"E-bad-inventory  {inventory} has no host."
        raise BadInputError(f"{said}\n  See what Ansible says of it:  ansible-inventory -i {inventory} --graph")
    return f"{count} hosts, service {known.service or 'without a name'}"


def _schedule(inventory: Path, now: datetime) -> Look:
    try:
        facts, found = schedules.check(inventory, now)
    except (BadInputError, OSError) as error:
        return wrong("schedule", error)
    first, *rest = schedules.lines(facts, found)
    return Look("schedule", ok=schedules.sound(found), found=first, mend=tuple(rest))


def _channels(inventory: Path) -> Iterator[Look]:
    try:
        known = channels.load(inventory)
    except BadInputError as error:
        yield wrong("channels", error)
        return
    for channel in known.by_name.values():
        yield _tried(f"channel {channel.name}", lambda channel=channel: reachable(channel))  # type: ignore[misc]


def reachable(channel: channels.Channel) -> str:
    """Connect to the channel's server, and say nothing there."""
    from rollout.announcing import destination  # 0.2 s

    address = destination.address(destination.service(channel.url))
    if address is None:
        return f"{channel.shown}, not connected to: its URL names no server"
    try:
        socket.create_connection(address, timeout=CONNECT_SECONDS).close()
    except OSError as error:
        said = f"E-unreachable  {channel.shown}: {error.strerror or error}"
        raise RunbookError(f"{said}\n  Try it from here:  nc -vz {address[0]} {address[1]}") from error
    return f"{channel.shown} answers; nothing was said there"


def _tried(what: str, look: Callable[[], str]) -> Look:
    """Return the look; what it raises is what has to be mended."""
    try:
        return Look(what, ok=True, found=look())
    except RunbookError as error:
        return wrong(what, error)


def wrong(what: str, error: Exception) -> Look:
    """Return the look that ended with an error, whose message says what has to be mended."""
    first, *rest = str(error).splitlines()
    return Look(what, ok=False, found=first, mend=tuple(line.strip() for line in rest))
