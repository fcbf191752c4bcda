"""One outage on real servers, in which something is killed, and what can be seen of it afterwards."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

from lab import postgres
from lab.clients import Crowd
from plugins.module_utils.rollout_host.database.outage import worker_file
from plugins.module_utils.rollout_host.services import processes
from tests.faults.moments import CLOSED, ON_RECORD, PAUSED, Moment
from tests.modules.conftest import RunningModule
from tests.modules.database_servers import FOUR, Database, wait_for
from tests.modules.pgbouncers import Pooler

PATIENCE = 60  # seconds
# So that the outage takes a second, and its commit a part of it: deferred triggers of the last patch's row run then.
SLEEPS = "SELECT pg_sleep(0.08);\n"
COMMIT_SLEEPS = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.15); RETURN NEW; END';
CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON LaunchpadDatabaseRevision DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.minor = 58) EXECUTE FUNCTION slow();
"""


def slow_patches(database: Database) -> None:
    """Make the four patches take a moment each."""
    for name in FOUR:
        with (database.schema / name).open("a") as patch:
            patch.write(SLEEPS + (COMMIT_SLEEPS if name == FOUR[2] else ""))


class Stage:
    """The outage of a moment. `story` says what was done and seen, for whoever has to understand a failure."""

    def __init__(self, moment: Moment, database: Database, pooler: Pooler | None) -> None:
        """`database` has its four patches; with a `pooler`, users come through it."""
        self.moment = moment
        self.database = database
        self.pooler = pooler
        self.run_id = f"faults/{os.getpid()}-{moment.seed}"
        self.story: list[str] = []
        self.stopped: dict[str, Any] | None = None  # what database_outage_stop answered
        self.crowd: Crowd | None = None
        self._begun = time.monotonic()
        self._outage: RunningModule | None = None

    # -- what happens ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the outage, as the role does."""
        arguments = self.arguments(detach=True, deadline_seconds=30)
        self._begun = time.monotonic()
        self._outage = self._start("database_outage", arguments)

    def wait_for_the_moment(self) -> None:
        """Return at it, or when the outage is over."""
        if self.moment.steps is not None:
            wait_for(self._has_come_so_far, f"{self.moment.steps} steps; {self._progress()}", PATIENCE)
        time.sleep(self.moment.seconds)
        steps = self._progress().get("steps", [])
        self.tell(f"the moment has come, at {steps[-1]['step'] if steps else 'no step'!r}")

    def strike(self) -> None:
        """Do what this moment is about."""
        getattr(self, self.moment.fault)()

    def worker_killed(self) -> None:
        self._signal(signal.SIGKILL, "outage")

    def guardian_killed(self) -> None:
        self._signal(signal.SIGKILL, "guard")

    def worker_and_guardian_killed(self) -> None:
        self._signal(signal.SIGKILL, "outage", "guard")

    def starter_killed(self) -> None:
        assert self._outage
        self._outage.process.kill()
        self.tell("killed the module that started it")

    def patching_session_ended(self) -> None:
        self._end_session(f"rollout {self.run_id}")

    def access_session_ended(self) -> None:
        self._end_session(f"rollout {self.run_id} access")

    def primary_crashes(self) -> None:
        self._crash("primary")

    def pooler_killed_or_standby_crashes(self) -> None:
        if self.pooler is None:
            self._crash("standby")
        else:
            self.pooler.kill()
            self.tell("killed pgbouncer")
            self.pooler.start()
            self.tell("started it again")

    def worker_gets_sigterm(self) -> None:
        self._signal(signal.SIGTERM, "outage")

    def worker_frozen_then_stopped(self) -> None:
        self._signal(signal.SIGSTOP, "outage")
        self.asked_to_stop()

    def asked_to_stop(self) -> None:
        arguments = self.only("dsn", "patches", "state_directory", "pools", stop_run=self.run_id, grace_seconds=1)
        self.stopped = self.module("database_outage_stop", arguments, run=f"stop of {self.run_id}")
        self.tell(f"asked to stop: {self.stopped['answer']}, {self.stopped.get('summary')}, {self.stopped['ladder']}")

    def machine_loses_power(self) -> None:
        """All that the outage has on the host is gone at once, and its database; both come back."""
        for process in processes.marked(self.run_id):
            processes.ask([process], signal.SIGKILL)
            self.tell(f"killed {process.text}")
        self._crash("primary")

    # -- what is seen ---------------------------------------------------------------------------------------------

    def answer(self) -> dict[str, Any] | None:
        """What whoever follows it hears in the end; None when there is nobody who could."""
        assert self._outage
        stdout, stderr = self._outage.process.communicate(timeout=PATIENCE)
        begun = _parsed(stdout)
        if begun is None:
            self.tell(f"the module ended with {self._outage.process.returncode} and no word {stderr.strip()[-300:]}")
            return None
        if begun.get("finished", True):
            return begun
        names = ("dsn", "patches", "run_id", "state_directory", "pools")
        arguments = self.only(*names, answer_file=begun["answer_file"])
        return wait_for(
            lambda: (look := self.module("database_outage_progress", arguments))["finished"] and look,
            f"the outage to end; {self.story}",
            PATIENCE,
        )

    def survivors(self) -> list[str]:
        """Processes and sessions of the run that are still there after a long time."""
        ours = "SELECT format('session %s: %s', pid, application_name) FROM pg_stat_activity WHERE "
        names = "datname = current_database() AND application_name LIKE 'rollout %'"
        until = time.monotonic() + PATIENCE
        while True:
            found = [each.text for each in processes.marked(self.run_id)]
            found += [text for (text,) in self.database.ask(ours + names)]
            if not found or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def access_is_closed(self) -> bool:
        if self.pooler:
            return True in self.pooler.state()
        return self.database.limit() == 0

    def replay_is_paused(self) -> bool:
        return self.on_standby("SELECT pg_is_wal_replay_paused()") == (True,)

    def left(self) -> list[str]:
        """What has to be put right: CLOSED, PAUSED; ON_RECORD is what the host remembers of either."""
        records = [*self.state.glob("access-*"), *self.state.glob("standbys-*")]
        return [CLOSED] * self.access_is_closed() + [PAUSED] * self.replay_is_paused() + [ON_RECORD] * bool(records)

    def on_standby(self, query: str, *values: Any) -> Any:
        """One row, from the standby."""
        dsn = self.database.servers.dsn("postgres", host=self.database.servers.standby)
        with psycopg.connect(dsn, autocommit=True) as standby:
            return standby.execute(query, values).fetchone()

    def users_get_in(self) -> bool:
        """Whether an ordinary user can; pgbouncer needs a moment to believe that its server is there again."""
        connect = self._connect_pooled if self.pooler else self.database.user
        until = time.monotonic() + 10
        while True:
            try:
                with connect() as user:
                    return user.execute("SELECT count(*) FROM Person").fetchone() == (12000,)
            except psycopg.OperationalError as error:
                if time.monotonic() > until:
                    self.tell(f"a user hears: {error}")
                    return False
                time.sleep(0.05)

    def put_right(self) -> None:
        """Open access that was left closed, resume a replay that was left paused: by one of the ways that there are."""
        if self.moment.opener == "the command":
            said = self._type(self.opening_command)
        elif self.moment.opener == "database_access":
            said = str(self.module("database_access", self.only("dsn", "state_directory", "pools", "standbys")))
        else:
            said = str(self.module("database_outage", self.arguments(run_id=f"{self.run_id}-next"), run="next"))
        self.tell(f"put it right by {self.moment.opener}: {said}")

    # -- what it works with ---------------------------------------------------------------------------------------

    @property
    def opening_command(self) -> str:
        """What ends the outage on its host when a person types it."""
        return worker_file.opening_command(self.state, self.database.name) or "there is no worker file"

    @property
    def state(self) -> Path:
        return self.database.directory / "state"

    def arguments(self, **more: Any) -> dict[str, Any]:
        """Those of database_outage."""
        pools = [self.pooler.primary] if self.pooler else []
        return self.database.outage(**{"run_id": self.run_id, "pools": pools, **more})

    def only(self, *names: str, **more: Any) -> dict[str, Any]:
        """Some of them, as other modules want them too, and more."""
        return {**{name: self.arguments()[name] for name in names}, **more}

    def module(self, name: str, arguments: dict[str, Any], *, check: bool = False, run: str = "") -> dict[str, Any]:
        """Call a module and return what it answers."""
        return self._start(name, arguments, check=check, run=run).result(PATIENCE)

    def tell(self, what: str) -> None:
        self.story.append(f"{time.monotonic() - self._begun:.3f} s: {what}")

    def end(self) -> None:
        """End whatever is left of it: the next moment must not see it."""
        for process in processes.marked(self.run_id):
            processes.ask([process], signal.SIGKILL)

    def _start(self, name: str, arguments: dict[str, Any], *, check: bool = False, run: str = "") -> RunningModule:
        environment = self.database.environment(run or self.run_id)
        return RunningModule(name, arguments, check=check, diff=False, env=environment, cwd=None)

    def _progress(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self.database.progress_file.read_text())
        except (OSError, ValueError):
            return {}
        return told

    def _has_come_so_far(self) -> bool:
        told = self._progress()
        return bool(told) and (told["finished"] or len(told["steps"]) >= (self.moment.steps or 0))

    def _signal(self, number: signal.Signals, *roles: str) -> None:
        """Send it to the worker (`outage`) or the guardian (`guard`), by how the worker file was called."""
        found = [each for each in processes.marked(self.run_id) if each.command[2:3] and each.command[2] in roles]
        for process in found:
            os.kill(process.pid, number)
            self.tell(f"{number.name} to {process.text}")
        if not found:
            self.tell(f"no {' and '.join(roles)} is there")

    def _end_session(self, name: str) -> None:
        query = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        self.tell(f"ended the session {name!r}: {self.database.ask(query, name)}")

    def _crash(self, role: str) -> None:
        pid = postgres.running_pid(self.database.servers, role)
        assert pid
        os.kill(pid, signal.SIGQUIT)  # as pg_ctl stop -m immediate does
        wait_for(lambda: postgres.running_pid(self.database.servers, role) is None, f"the {role} to be gone")
        self.tell(f"the {role} has crashed")
        postgres.start(self.database.servers, streaming=False)
        self.tell(f"the {role} is there again")

    def _connect_pooled(self) -> psycopg.Connection[Any]:
        assert self.pooler
        return self.pooler.connect("primary")

    def _type(self, command: str) -> str:
        environment = {**os.environ, **self.database.environment("by hand")}
        done = subprocess.run(shlex.split(command), env=environment, capture_output=True, text=True, timeout=PATIENCE)
        return f"{command} → {done.returncode}: {done.stdout}{done.stderr}"


def _parsed(stdout: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads(stdout)
    except ValueError:
        return None
    return answer
