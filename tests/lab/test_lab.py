"""The lab as a whole: is it what its README says, does it come back as it was, and does it leave nothing behind?"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import psycopg
import pytest

from lab import lab as embedded
from lab import parts, processes
from lab.layout import HOSTS, PROJECT, SSH_PORT, Lab, LabError
from lab.waiting import eventually

BIN = PROJECT / ".venv" / "bin"
PATCHES = [f"patch-2208-{number}.sql" for number in ("30-0", "56-0", "57-0", "58-1", "59-0")]
Command = Callable[..., subprocess.CompletedProcess[str]]
Database = Callable[..., AbstractContextManager[psycopg.Connection]]
Page = Callable[..., tuple[int, dict[str, str], str]]


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, **environment}
    return subprocess.run(argv, cwd=PROJECT, env=known, capture_output=True, text=True, timeout=120, check=False)


def brz(*arguments: str) -> str:
    done = run(str(BIN / "brz"), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lives(process: psutil.Process) -> bool:
    """A zombie does not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class TestInventory:
    def test_every_host_answers_over_kept_connections(self, lab: Lab, ansible: Command) -> None:
        for _ in range(2):
            done = ansible("ansible", "all", "-m", "ping")
            assert done.stdout.count("SUCCESS") == len(HOSTS) + 1, done.stdout + done.stderr
        for host in HOSTS:
            log = (lab.run / f"ssh-{host}.log").read_text()
            # Pipelining: a task is one command, and the module comes through its stdin.
            assert len(re.findall(r"exec .*/python && sleep 0'$", log, re.MULTILINE)) >= 2, log
        assert len(processes.ssh_clients({lab.address(host) for host in HOSTS}, SSH_PORT)) >= len(HOSTS)

    def test_its_values_are_literal(self, lab: Lab, ansible: Command) -> None:
        found = json.loads(ansible("ansible-inventory", "--host", "gac").stdout)
        assert found["ansible_host"] == lab.address("gac")
        assert found["lab_bazaar_url"] == lab.bazaar_url
        assert found["lab_database_address"] == lab.address("wildcherry")

    def test_its_secrets_are_vaulted_and_found_without_anybodys_doing(self, lab: Lab, ansible: Command) -> None:
        saved = json.loads((lab.directory / "lab.json").read_text())["vars"]
        assert saved["vault_mail_password"]["__ansible_vault"].startswith("$ANSIBLE_VAULT;1.2;AES256;lab")
        said = ansible("ansible", "localhost", "-m", "ansible.builtin.debug", "-a", "var=vault_mail_password").stdout
        assert (lab.mail / "password").read_text().strip() in said

    def test_without_a_lab_it_has_hosts_and_no_addresses(self, tmp_path: Path) -> None:
        done = run(
            str(BIN / "ansible-inventory"), "-i", "inventories/lab", "--list", ROLLOUT_LAB=str(tmp_path / "none")
        )
        assert done.returncode == 0
        assert "./runbook.py lab up" in done.stderr
        found = json.loads(done.stdout)
        assert found["app"]["hosts"] == ["gac", "soybean"]
        assert "ansible_host" not in found["_meta"]["hostvars"]["gac"]


class TestBazaar:
    def test_every_lab_has_the_same_revisions(self, fresh_lab: Lab) -> None:
        tips = [brz("revision-info", "-d", fresh_lab.bazaar_url + branch) for branch in ("devel", "db-stable")]
        assert tips == [
            "9 launchpad@pqm.example.com-20261109190218-699d98858941a780\n",
            "20 launchpad@pqm.example.com-20261119164754-63a947c3ca948640\n",
        ]

    def test_the_log_is_read_over_the_network_with_messages_as_mail_folds_them(self, lab: Lab) -> None:
        numbers = [
            line.partition(":")[0] for line in brz("log", "--line", "-n1", lab.bazaar_url + "db-stable").split("\n")
        ]
        assert numbers == [*map(str, range(20, 0, -1)), ""]
        assert "[r=stub,\n  \tjml][bug=43877,\n  \t43912]" in brz("log", "-r8", lab.bazaar_url + "db-stable")

    def test_the_revision_to_pin_merges_and_brings_its_patches(self, fresh_lab: Lab, on_host: Command) -> None:
        merge = f"brz merge -q -r18 {fresh_lab.bazaar_url}db-stable && brz commit -q -m 'Merge db-stable 18.'"
        done = on_host("prae", f"cd archives/rocketfuel/launchpad/devel && {merge} && brz push -q && brz revno")
        assert (done.returncode, done.stdout) == (0, "10\n"), done.stderr
        brought = re.findall(r"patch-\S+", brz("log", "-v", "-n1", "-r10", fresh_lab.bazaar_url + "devel"))
        assert brought == [name for patch in PATCHES for name in (patch, patch.replace(".sql", ".undo.sql"))]

    def test_production_runs_the_tip_of_devel_with_its_cowboys(self, on_host: Command) -> None:
        both = [" M  lib/lp/projects.py", " M  lib/lp/translations.py"]
        expected = {"gac": ["9", *both], "soybean": ["9", " M  docroot/frontpage.css", *both]}
        found = {
            host: on_host(host, "cd srv/launchpad/current && brz revno --tree && brz status -S") for host in expected
        }
        assert {host: done.stdout.splitlines() for host, done in found.items()} == expected


class TestCron:
    def test_it_obeys_its_ini_and_runs_everything_without_one(self, fresh_lab: Lab, database: Database) -> None:
        home = fresh_lab.home("gac")
        publisher, export = "soyuz-publisher", "translations-export"
        lock = home / "locks" / f"launchpad-{publisher}.lock"
        with database() as connection:

            def runs(job: str) -> int:
                return connection.execute("SELECT count(*) FROM JobRun WHERE job = %s", [job]).fetchone()[0]

            def wait_for_runs(job: str, times: int) -> None:
                before = runs(job)
                eventually(lambda: runs(job) >= before + times)

            wait_for_runs(publisher, 1)
            ini = (home / "cron.ini").read_text()
            off = ini.replace(f"[{publisher}]\nenabled = true", f"[{publisher}]\nenabled = false")
            assert off != ini
            (home / "cron.ini").write_text(off)
            wait_for_runs(export, 2)  # the second of them has read the new switch
            eventually(lambda: not lock.exists())
            before = runs(publisher)
            wait_for_runs(export, 2)
            assert runs(publisher) == before
            (home / "cron.ini").unlink()
            wait_for_runs(publisher, 1)

    def test_a_run_is_a_process_with_a_lock_and_a_named_connection(self, lab: Lab, database: Database) -> None:
        lock = lab.home("gac") / "locks" / "launchpad-soyuz-publisher.lock"
        cron = processes.running(lab.run, "cron-gac")
        assert cron is not None
        eventually(lambda: lock.exists() and lock.read_text() in {f"{child.pid}\n" for child in cron.children()})
        query = "SELECT usename FROM pg_stat_activity WHERE application_name = 'cron:soyuz-publisher'"
        with database() as connection:
            assert eventually(lambda: connection.execute(query).fetchone()) == ("cron",)


class TestSnapshot:
    def test_restore_brings_back_rows_and_trees_and_ends_what_runs_on_the_hosts(
        self, fresh_lab: Lab, lab_snapshot: Path, ssh: Callable[..., list[str]], database: Database, page: Page
    ) -> None:
        argv = [*ssh("wildcherry"), "echo $$; exec sleep 600"]
        client = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        left_over = int(client.stdout.readline())
        tree = fresh_lab.home("soybean") / "srv/launchpad/current"
        readme = (tree / "README").read_text()
        (tree / "README").write_text("scribbled over")
        (tree / "docroot" / "index.html").unlink()
        with database() as connection:
            connection.execute("DROP TABLE BugTask, BugSubscription, BugTag, Bug CASCADE")
        embedded.restore(fresh_lab.directory, lab_snapshot)
        client.communicate(timeout=20)
        assert not psutil.pid_exists(left_over)
        assert (tree / "README").read_text() == readme
        with database() as connection:
            assert connection.execute(
                "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            ).fetchone() == (1,)
        assert [part.name for part in embedded.status(fresh_lab.directory) if part.state != "up"] == []
        assert page("soybean")[0] == 200


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for a lab that the test may break."""
    directory = PROJECT / "var" / "lab-test-broken"
    embedded.down(directory)
    yield directory
    embedded.down(directory)


class TestUpAndDown:
    def test_up_twice_starts_what_is_missing_and_down_twice_leaves_nothing(
        self, directory: Path, lab: Lab, page: Page, capsys: pytest.CaptureFixture[str]
    ) -> None:
        second = embedded.up(directory)
        assert second.network != lab.network
        before = {part.name: part.pid for part in embedded.status(directory)}
        site = processes.running(second.run, "site-gac")
        assert site is not None
        processes.stop([site])
        capsys.readouterr()

        embedded.up(directory)
        assert capsys.readouterr().out.count("ran already") == len(before) - 1
        after = {part.name: part.pid for part in embedded.status(directory)}
        assert [name for name in before if before[name] != after[name]] == ["site-gac"]

        # Hardest for `down`: kept connections, a command that outlives its client, and no pidfiles, as after a crash.
        argv = [str(BIN / "ansible"), "-i", "inventories/lab", "prae", "-a", "sh -c 'sleep 600 >/dev/null 2>&1 &'"]
        assert run(*argv, ROLLOUT_LAB=str(directory)).returncode == 0
        masters = processes.ssh_clients({second.address("prae")}, SSH_PORT)
        assert masters
        for pidfile in second.run.glob("*.pid"):
            pidfile.unlink()
        assert {" ".join(process.cmdline()) for process in processes.marked(directory)} >= {"sleep 600"}

        embedded.down(directory)
        embedded.down(directory)
        assert not directory.exists()
        assert processes.marked(directory) == []
        assert [listener for listener in second.listeners if not processes.can_bind(listener)] == []
        assert not any(lives(process) for process in masters)
        assert page("gac")[0] == 200  # the other lab

    def test_what_an_interrupted_up_leaves_is_cleared_away(self, directory: Path) -> None:
        half = Lab(directory, "127.1.0")  # no lab.json yet: what both `up` and `down` begin with
        half.run.mkdir(parents=True)
        half.bazaar.mkdir()
        processes.start(directory, processes.Part("ssh-prae", ["sleep", "600"], {"PATH": os.environ["PATH"]}, None))
        (orphan,) = processes.marked(directory)
        assert embedded.status(directory) == []
        embedded.down(directory)
        assert not lives(orphan)
        assert not directory.exists()

    def test_files_that_are_not_the_labs_are_left_alone(self, directory: Path) -> None:
        directory.mkdir()
        (directory / "thesis.tex").write_text("in the wrong place")
        embedded.down(directory)
        assert [path.name for path in directory.iterdir()] == ["thesis.tex"]
        (directory / "thesis.tex").unlink()

    def test_an_address_that_somebody_else_has_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        with socket.create_server(("127.1.0.1", 0)) as somebody:
            part = processes.Part("links", ["sleep", "600"], {}, somebody.getsockname())
            with pytest.raises(LabError, match=r"E-lab-address  links cannot listen on 127\.1\.0\.1:\d+"):
                processes.start(tmp_path, part)
        assert processes.marked(tmp_path) == []

    def test_a_part_that_does_not_start_is_named_with_the_end_of_its_log(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        part = processes.Part("links", ["/bin/sh", "-c", "echo no such page; exit 9"], {}, ("127.1.0.1", 2222))
        with pytest.raises(LabError, match=r"(?s)links .*ended at once with exit code 9.*no such page"):
            processes.start(tmp_path, part)

    def test_a_missing_tool_is_named_with_its_package(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for tool in set(embedded.TOOLS) - {"patch"}:
            (tmp_path / tool).symlink_to(str(shutil.which(tool)))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(LabError, match=r"(?s)E-lab-tools  not here: patch\..*apt-get install patch"):
            embedded.up(directory)
        assert not directory.exists()


def test_every_part_has_an_environment_of_its_own(lab: Lab) -> None:
    """Nothing of whoever typed `lab up` reaches the hosts: no agent, no proxy, no LD_PRELOAD, no other lab."""
    for part in parts.parts(lab):
        process = processes.running(lab.run, part.name)
        assert process is not None
        assert set(process.environ()) == {*part.environment, processes.MARK}
