"""Real channels for the outbox, on loopback: a status account, a mail server, and what comes between them and us."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import yaml

from plugins.module_utils.rollout_core.journal import outbox as core
from rollout import ROOT
from rollout.announcing import channels
from rollout.announcing.outbox import Outbox
from rollout.announcing.wording import wordings
from rollout.engine.processes import marked
from rollout.gates import model as gates
from rollout.gates.model import Answer
from rollout.journal.clock import RehearsalClock
from rollout.journal.file import Journal
from rollout.plan import model as plans
from tests.modules import announcing_servers as servers
from tests.unit.journals import event, lines

ADDRESS = "127.0.0.1"
PLAN = ROOT / "tests" / "unit" / "plan" / "plan.yml"
MESSAGE = "reminder"
MARK = "OUTBOX_TEST"  # in the environment of whatever a test of ours has started
TEMPLATES = {"status": "{{ what }}: {{ window }}\n", "mail": "Subject: {{ what }}\n\n{{ window }}\n"}


class Between:
    """Between us and a server: it hands everything on, or cuts the answer off after what should be the last of ours.

    `cut` is what our side says at the moment from which nothing of the server's comes back, None: nothing is cut.
    """

    def __init__(self, port: int) -> None:
        self.to, self.cut, self.cuts = port, None, 0
        self.port = 0
        self.open()

    def open(self) -> None:
        """Take connections, from the second time on where it did before."""
        self.server = socket.create_server((ADDRESS, self.port))
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._serve, args=(self.server,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections."""
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def _serve(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection((ADDRESS, self.to)) as server:
            silent = threading.Event()
            threading.Thread(target=self._answers, args=(server, client, silent), daemon=True).start()
            said = b""
            while data := client.recv(65536):
                said += data
                if self.cut is not None and self.cut in said:
                    silent.set()
                server.sendall(data)

    def _answers(self, server: socket.socket, client: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if silent.is_set():  # it has been taken: the server answers
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)


class Person:
    """Answers in order, by the gate's name; whoever is asked more than that is not there."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {gate: list(words) for gate, words in answers.items()}
        self.asked: list[str] = []

    def begin(self, question):
        self.asked.append(f"{question.gate}: {question.text}")

    def withdraw(self):
        pass

    def poll(self, question):
        words = self.answers.get(question.gate, [])
        if not words:
            return Answer(question.silence, "nobody", "nobody")
        word = words.pop(0)
        return Answer(word, "mia", "terminal", dict.fromkeys(question.needs.get(word, ()), "by phone"))

    def tell(self, name, prompt):  # noqa: ARG002 - whatever it is
        return None


class Site:
    """An inventory with two channels, and a rollout that announces on them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.parts = ExitStack()
        for name in ("status_account", "smtp"):
            (directory / name).mkdir()
        self.status = self.parts.enter_context(servers.status_account(directory / "status_account"))
        self.mail = self.parts.enter_context(servers.mail_server(directory / "smtp"))
        self.to_status, self.to_mail = Between(self.status.port), Between(self.mail.port)
        self.inventory = directory / "inventory"
        (self.inventory / "group_vars" / "all").mkdir(parents=True)
        (self.inventory / "announcements").mkdir()
        for how, text in TEMPLATES.items():
            (self.inventory / "announcements" / f"{MESSAGE}.{how}.j2").write_text(text)
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": local}}}))
        file, variables = self.inventory / "group_vars" / "all" / "announcements.yml", self._channels()
        file.write_text(yaml.safe_dump(variables))
        (directory / "channels").write_bytes(pickle.dumps(channels.checked(variables, file)))

    def _channels(self) -> dict[str, object]:
        mailto = (
            f"mailto://rollout:{servers.PASSWORD}@{ADDRESS}:{self.to_mail.port}/list@lab.example?from=losas@lab.example"
        )
        urls = {"status": f"mastodon://{servers.QUOTED}@{ADDRESS}:{self.to_status.port}", "mail": mailto}
        shipped = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/announcements.yml").read_text())
        return {
            "announcements_channels": {name: {"wording": name, "url": url} for name, url in urls.items()},
            "announcements_messages": {
                message: [how for how in urls if how in wordings(message)]
                for message in shipped["announcements_messages"]
            },
            "announcements_loopback_only": True,
        }

    def close(self) -> None:
        for part in (self.to_status, self.to_mail, self.parts):
            part.close()

    def outbox(self, person: Person) -> Outbox:
        """The outbox as the journal has it now; its clock jumps over waiting, and Ansible is not asked for channels."""
        journal = Journal(self.directory / "journal.jsonl")
        before = [entry["offset_seconds"] for entry in lines(journal.entries) if entry["event"] == "clock_set"]
        clock = RehearsalClock(
            plans.timedelta(seconds=before[-1] if before else 0),
            lambda to, why: journal.write(event("clock_set", offset_seconds=to.total_seconds(), reason=why)),
        )
        journal.now = clock.now

        def ask(question):
            return gates.ask(person, journal, question)

        def wait(instant, what):
            clock.wait_until(instant, lambda: None)

        said: list[str] = []
        box = Outbox(plans.load(PLAN), self.inventory, journal, clock, said.append, ask, wait)
        box.channels = pickle.loads((self.directory / "channels").read_bytes())  # noqa: S301 - our own
        return box

    def announce(self, **answers: list[str]) -> tuple[core.Announcement, Person]:
        """Queue the message, unless it is, and send what is not out; returns how it stands, and who was asked what."""
        person = Person(**answers)
        box = self.outbox(person)
        known = core.announcements(box.journal.entries)
        return box.send(known[0].number if known else box.queue(MESSAGE)), person

    @property
    def posts(self) -> list[str]:
        """What stands on the status account."""
        return self.status.texts

    @property
    def mails(self) -> list[Path]:
        """What the mail server has taken."""
        return sorted((self.directory / "smtp" / "mails").glob("*.eml"))

    def posting(self) -> list[psutil.Process]:
        """What a killed runbook of ours has left: the processes that post end by themselves."""
        return marked(MARK, str(self.directory))

    def killed(self, event: str, when: str, number: int) -> int:
        """Announce in a process that is killed with SIGKILL before or after it writes its n-th such event."""
        argv = [sys.executable, "-m", "tests.unit.outbox.killed", str(self.directory), event, when, str(number)]
        environment = {**os.environ, MARK: str(self.directory), "PYTHONPATH": str(ROOT)}
        return subprocess.run(argv, cwd=ROOT, env=environment, timeout=60, check=False).returncode
