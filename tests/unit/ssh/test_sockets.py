"""Where ssh's sockets are: a path that is short enough, in a directory that is ours alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from rollout.engine import ssh
from rollout.outcomes import BadInputError

FAR = Path("/tmp") / ("x" * 90)  # noqa: S108 - it is never made


@pytest.fixture
def near(tmp_path_factory, monkeypatch):
    """A short directory, in the place of the run time directory; checkout, home and temporary one are far."""
    monkeypatch.setattr(ssh, "ROOT", FAR)
    monkeypatch.setattr(ssh.site, "ROOT", FAR)
    monkeypatch.setenv("HOME", str(FAR))
    monkeypatch.setattr(ssh.tempfile, "gettempdir", lambda: str(FAR))
    near = Path("var/s")
    near.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(near))
    return near


def test_a_checkout_with_a_short_path_has_them_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(ssh.site, "ROOT", Path("var/s"))
    assert ssh.socket_directory() == Path("var/s/var/cp")


def test_a_checkout_with_a_long_path_has_them_elsewhere(near):
    place = ssh.socket_directory()
    assert place.parent == near
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert ssh.environment("v")["ANSIBLE_SSH_CONTROL_PATH_DIR"] == f"{place}/v"


def test_a_directory_that_others_may_read_is_closed_to_them(near):
    place = ssh.socket_directory()
    place.chmod(0o755)
    assert stat.S_IMODE(ssh.socket_directory().stat().st_mode) == 0o700


def test_what_somebody_else_put_there_is_not_taken(near, monkeypatch):
    """Neither a link, wherever it leads, nor another user's directory."""
    place = ssh.socket_directory()
    place.rmdir()
    place.symlink_to("..")
    monkeypatch.setattr(ssh, "_places", lambda: iter([place]))
    with pytest.raises(BadInputError, match=f"(?s)E-socket-path .*{place}"):
        ssh.socket_directory()
    place.unlink()
    place.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(BadInputError, match="E-socket-path"):
        ssh.socket_directory()
    place.rmdir()
