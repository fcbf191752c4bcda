"""The lab's SSH servers: do they behave as sshd does, as far as Ansible and people use it?"""

import contextlib
import hashlib
import random
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from lab.layout import Lab
from lab.waiting import eventually

Ssh = Callable[..., list[str]]
Command = Callable[..., subprocess.CompletedProcess[str]]


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_a_command_runs_in_the_users_home_with_a_clean_environment(lab: Lab, on_host: Command) -> None:
    done = on_host(
        "gac", 'pwd; echo $HOME $USER $LOGNAME $SHELL $LANG; echo "${ROLLOUT_LAB-none}"; echo oops >&2; exit 3'
    )
    home = lab.home("gac")
    assert done.stdout.splitlines() == [f"{home}", f"{home} launchpad launchpad /bin/bash C.UTF-8", "none"]
    assert (done.stderr, done.returncode) == ("oops\n", 3)


def test_another_host_key_than_the_known_one_is_refused(lab: Lab, ssh: Ssh, tmp_path: Path) -> None:
    gac, prae = ((lab.keys / f"{host}.pub").read_text() for host in ("gac", "prae"))
    wrong = tmp_path / "known_hosts"
    wrong.write_text((lab.keys / "known_hosts").read_text().replace(gac, prae))
    done = run([*ssh("gac", "-o", f"UserKnownHostsFile={wrong}"), "true"])
    assert done.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_an_unknown_host_key_is_refused(ssh: Ssh) -> None:
    done = run([*ssh("gac", "-o", "UserKnownHostsFile=/dev/null"), "true"])
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_only_the_hosts_user_with_the_labs_key_gets_in(lab: Lab, ssh: Ssh) -> None:
    for refused in (ssh("gac", user="root"), ssh("gac", key=lab.keys / "prae")):
        done = run([*refused, "true"])
        assert done.returncode == 255
        assert "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize("command", ["cat", "cat >&2", "tee /dev/stderr"])
def test_megabytes_go_in_and_out_unchanged(ssh: Ssh, command: str) -> None:
    data = random.Random(2208).randbytes(12_000_000)  # noqa: S311
    done = subprocess.run([*ssh("prae"), command], input=data, capture_output=True, timeout=60, check=True)
    answers = {hashlib.sha256(stream).hexdigest() for stream in (done.stdout, done.stderr) if stream}
    assert answers == {hashlib.sha256(data).hexdigest()}


def test_a_command_that_reads_nothing_of_its_input_ends(ssh: Ssh) -> None:
    done = subprocess.run(
        [*ssh("prae"), "echo done"], input=bytes(8_000_000), capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"done\n"


def test_one_connection_serves_many_commands_at_once(lab: Lab, ssh: Ssh) -> None:
    log = lab.run / "ssh-soybean.log"
    with tempfile.TemporaryDirectory() as directory:  # a socket's path must be short
        shared = ("-o", f"ControlPath={directory}/s", "-o", "ControlMaster=auto", "-o", "ControlPersist=60")
        assert run([*ssh("soybean", *shared), "true"]).returncode == 0
        logins = log.read_text().count("Accepted")
        with ThreadPoolExecutor(10) as pool:
            commands = [[*ssh("soybean", *shared), f"sleep 0.2; echo {n}; exit {n}"] for n in range(10)]
            done = list(pool.map(run, commands))
        run([*ssh("soybean", *shared, "-O", "exit")])
    assert [(each.stdout, each.returncode) for each in done] == [(f"{n}\n", n) for n in range(10)]
    assert log.read_text().count("Accepted") == logins


def test_death_by_a_signal_is_told(ssh: Ssh) -> None:
    done = run([*ssh("prae", "-v"), "kill -KILL $$"])
    assert "rtype exit-signal" in done.stderr
    assert done.returncode == 255


def test_a_terminal_is_a_real_one(ssh: Ssh) -> None:
    done = run([*ssh("prae", "-tt"), "tty; ps -o tty= -p $$; test -t 0 && test -t 1 && exit 7"])
    tty, controlling = done.stdout.split()
    assert tty == f"/dev/{controlling}"
    assert done.returncode == 7


def test_without_a_command_it_is_a_shell(lab: Lab, ssh: Ssh) -> None:
    done = subprocess.run(
        ssh("wildcherry", "-T"), input="pwd\nexit 4\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == (f"{lab.home('wildcherry')}\n", 4)


@pytest.mark.parametrize(("options", "survives"), [((), True), (("-tt",), False)])
def test_only_a_command_without_a_terminal_outlives_its_client(
    ssh: Ssh, on_host: Command, options: tuple[str], survives: bool
) -> None:
    pipe = subprocess.PIPE
    client = subprocess.Popen([*ssh("prae", *options), "echo $$; exec sleep 600"], stdin=pipe, stdout=pipe, text=True)
    assert client.stdout is not None
    process = psutil.Process(int(client.stdout.readline()))
    client.kill()
    client.communicate()
    try:
        if survives:
            assert on_host("prae", "true").returncode == 0  # by now the server knows that the client has gone
            assert process.status() == psutil.STATUS_SLEEPING
        else:
            eventually(lambda: not psutil.pid_exists(process.pid))
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
