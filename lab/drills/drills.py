"""The drills: for each what goes wrong, what a person does, and how it should end."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import yaml

from lab.drills import faults, timing
from lab.drills.judge import Check, Expected, judge, undo_command
from lab.drills.rollout import TIMEOUT, Rollout
from lab.drills.scene import Scene
from lab.drills.second_checkout import second_checkout
from lab.layout import Lab
from lab.waiting import NeverHappenedError
from rollout import ROOT, environment

Script = Callable[[Scene], None]
JUST_BEFORE_THE_LIMIT = "--at=1770s"  # half a minute left until 30 minutes after the start of the window
HOST = "gac"


@dataclass(frozen=True)
class Drill:
    """A drill: `script` plays it, and the script's docstring says what goes wrong."""

    name: str
    script: Script
    expected: Expected

    @property
    def story(self) -> str:
        """Return what goes wrong, in a sentence or two."""
        return (self.script.__doc__ or "").strip()


def rehearse(drill: Drill, rollout: Rollout) -> list[Check]:
    """Play a drill on a rollout that stands at its window, and judge it."""
    problem = None
    with Scene(rollout) as scene:
        try:
            drill.script(scene)
        except NeverHappenedError as error:
            problem = str(error)
        return judge(drill.expected, scene.found(problem))


def slow_patch(scene: Scene) -> None:
    """The index patch does in production what it did not on staging: it takes for ever."""
    scene.fault(faults.slow_patches(scene.rollout, {"CREATE INDEX": faults.FOR_EVER}))
    scene.run("run", JUST_BEFORE_THE_LIMIT)


def stuck_lock(scene: Scene) -> None:
    """A backup reads the table that the third patch alters; nobody may kill it."""
    dump = scene.fault(faults.backup(scene.rollout, "Branch"))
    scene.run("run", JUST_BEFORE_THE_LIMIT)
    scene.also["the backup"] = "still works" if dump.works() else "is gone"


def slow_services(scene: Scene) -> None:
    """A cron job that runs already does not end, so pausing waits for it."""
    waiting = scene.fault(faults.stuck_jobs(scene.rollout))
    scene.run("run", JUST_BEFORE_THE_LIMIT)
    scene.also["the cron job"] = "still works" if waiting() else "is gone"


def hung_task(scene: Scene) -> None:
    """One of two hosts stops answering while it pauses. It can be taken back only when it answers again."""
    process, answers_again = hang_while_it_pauses(scene)
    scene.end(process)
    scene.also["the other host"] = "as before" if not scene.rollout.paused("soybean") else "is still paused"
    answers_again()
    command = undo_command(scene.screen)
    undone = _type(command, scene.rollout) if command else None
    scene.also["the undo that the screen shows"] = "none" if undone is None else f"exit code {undone}"


def hang_while_it_pauses(scene: Scene) -> tuple[subprocess.Popen[bytes], Callable[[], None]]:
    """Begin, and have a host hang when it is nearly too late; return the runbook, and a function that ends the hang."""
    rollout = scene.rollout
    scene.fault(faults.stuck_jobs(rollout))  # so that pausing takes long enough
    process = scene.start("run", JUST_BEFORE_THE_LIMIT)
    scene.until(lambda: rollout.paused(HOST), f"the jobs of {HOST} are off")
    scene.until(lambda: _to_the_limit(rollout) < timedelta(seconds=5), "it is nearly too late")
    return process, scene.fault(faults.frozen(lambda: faults.of_part(rollout.lab, f"ssh-{HOST}")))


def late_start(scene: Scene) -> None:
    """Nobody began for 31 minutes."""
    scene.run("run", "--at=31m")
    begun = {entry["stage"] for entry in scene.rollout.journal if entry["event"] == "stage_started"}
    window = [stage["stage"] for stage in scene.rollout.plan["process"] if stage["window"]]
    scene.also["window stages begun"] = ", ".join(stage for stage in window if stage in begun) or "none"


def nothing_done(scene: Scene) -> None:
    """Somebody has tagged the outage so that none of its tasks runs, and Ansible calls that a success."""
    checkout = scene.fault(faults.other_checkout(scene.rollout))
    faults.leave_out(checkout / "playbooks" / "outage.yml")
    before = scene.rollout.announced()
    scene.run("run", "--at=-30m")
    told = scene.rollout.announced() - before
    scene.also["people are told"] = (
        "that it was aborted" if told and all("aborted" in each for each in told) else "otherwise"
    )


def late_past_no_return(scene: Scene) -> None:
    """After the commit, a task takes very long on one of the hosts."""
    scene.run("run", "pause", "outage", "--at=-30m")
    process = scene.start("run", "--at=1790s")

    def task() -> list[psutil.Process]:
        return faults.of_stage(scene.rollout, HOST, "switch")

    scene.until(task, f"a task of the stage after the outage runs on {HOST}")
    goes_on = scene.fault(faults.frozen(task))
    scene.until_entry("verdict", verdict="must_finish")
    goes_on()
    scene.end(process)


def control_killed(scene: Scene) -> None:
    """The control machine dies in the middle of the outage; a person resumes once it is back."""
    dump = scene.fault(faults.backup(scene.rollout, "Branch"))  # holds the outage up where we want it
    process = scene.start("run", "--at=-30m")
    _until_it_patches(scene)
    process.kill()
    process.wait()
    dump.end()
    scene.until(lambda: scene.probe.users_are_in, "users get in again, without a conductor")
    scene.also["access, with the conductor dead"] = "opened"
    scene.run("resume")


def control_frozen(scene: Scene) -> None:
    """The control machine stands still in the middle of the outage, until after the limit."""
    scene.fault(faults.slow_patches(scene.rollout, {"CREATE INDEX": faults.FOR_EVER}))
    process = scene.start("run", JUST_BEFORE_THE_LIMIT)
    _until_it_patches(scene)
    goes_on = scene.fault(faults.frozen(lambda: faults.of_conductor(scene.rollout, process.pid)))
    scene.until(lambda: scene.probe.users_are_in, "users get in again, without a conductor")
    scene.also["access, with the conductor frozen"] = "opened"
    goes_on()
    scene.end(process)


def two_operators(scene: Scene) -> None:
    """While the first is at work, others begin the same: in its checkout, in a second one, and on another machine."""
    rollout, lab = scene.rollout, scene.rollout.lab
    second = scene.fault(second_checkout(lab))
    begin = ("run", "--at=-22d", "--answers", "inventories/lab/answers.yml")
    with faults.stuck_jobs(rollout):  # so that pausing takes long enough
        process = scene.start("run", "--at=-30m")
        scene.until(lambda: rollout.paused(HOST), f"the jobs of {HOST} are off")
        before = _said_and_touched(lab)
        scene.also["a second plan in this checkout"] = _refusal(rollout.runbook("plan", "new"))
        scene.also["a plan in a second checkout"] = _refusal(second.runbook("plan", "new"))
        scene.also["it runs on this machine"] = _refusal(second.runbook(*begin))
        scene.also["it runs on another machine"] = _refusal(second.runbook(*begin, machine="prae"))
        scene.also["said and touched by them"] = "nothing" if _said_and_touched(lab) == before else "something"
    scene.end(process)


def _refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The exit code, and the error's name if there is one."""
    said = next((line.split()[0] for line in done.stderr.splitlines() if line.startswith("E-")), None)
    return f"exit code {done.returncode}" + (f", {said}" if said else "")


def _said_and_touched(lab: Lab) -> list[bytes]:
    """What others have posted and mailed, and whether PQM is in RC mode."""
    mails = sorted((lab.mail / "mails").iterdir())
    files = [lab.status_account / "statuses.json", lab.home("prae") / "pqm.conf", lab.topic]
    return [*(path.name.encode() for path in mails), *(path.read_bytes() for path in files)]


def _until_it_patches(scene: Scene) -> None:
    """Wait until users are out, and a patch waits where it cannot go on."""
    scene.until(lambda: not scene.probe.users_are_in, "users are out")
    scene.until(scene.rollout.patch_waits, "a patch waits")


def _to_the_limit(rollout: Rollout) -> timedelta:
    return timing.to_the_limit(rollout.plan, rollout.journal, datetime.now(UTC))


def _type(command: str, rollout: Rollout) -> int:
    """Run a command that the screen shows, pasted into a person's own shell; return its exit code."""
    program, *arguments = shlex.split(command)
    found = Path(sys.executable).with_name(program)
    argv = [str(found) if found.exists() else program, *arguments]
    theirs = environment.ours(rollout.runbook_environment, str(ROOT), str(ROOT)).variables
    with rollout.screen_file.open("ab") as screen:
        return subprocess.run(
            argv, cwd=ROOT, env=theirs, stdout=screen, stderr=screen, check=False, timeout=TIMEOUT
        ).returncode


def _name(script: Script) -> str:
    """Return the script's name as people type it."""
    return script.__name__.replace("_", "-")


SCRIPTS = (
    slow_patch,
    stuck_lock,
    hung_task,
    slow_services,
    late_start,
    nothing_done,
    late_past_no_return,
    control_killed,
    control_frozen,
    two_operators,
)
EXPECTED = yaml.safe_load(Path(__file__).with_name("expected.yml").read_text(encoding="utf-8"))
DRILLS = {name: Drill(name, script, Expected(**EXPECTED[name])) for script in SCRIPTS for name in [_name(script)]}
