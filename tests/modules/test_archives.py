"""Trees of archives: what is unpacked and what never is, with real tar and zip files, by path and by HTTP (R18)."""

from __future__ import annotations

import hashlib
import io
import stat
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.modules import app_trees

Bring = Callable[..., dict[str, Any]]
FILES = {"app/main.py": "print('hello')\n", "app/bin/run": "#!/bin/sh\n", "database/schema/patch-1-0-0.sql": "--\n"}
LINK, HARD, DEVICE, FIFO = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "r7"


@pytest.fixture
def bring(run_module: Bring, dest: Path, tmp_path: Path) -> Bring:
    """`bring(packed, **arguments that differ)` calls the module with the archive's own sum."""

    def call(packed: Path, check: bool = False, **different: Any) -> dict[str, Any]:
        summed = hashlib.sha256(packed.read_bytes()).hexdigest()
        known = {"kind": "archive", "dest": str(dest), "archive": str(packed), "sha256": summed, "revid": "abc"}
        return run_module("app_tree", {**known, **different}, check, env={"HOME": str(tmp_path)})

    return call


def tar(path: Path, *members: tuple[str, bytes, str], mode: str = "w", **files: str) -> Path:
    """Write a tar: the files of FILES unless `files` are given, then members (name, type, what they link to)."""
    with tarfile.open(path, mode) as archive:
        for name, text in (files or FILES).items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o6777 if name.endswith("run") else 0o600
            info.uid = info.gid = 12345
            archive.addfile(info, io.BytesIO(text.encode()))
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return path


def wheel(path: Path, **links: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in FILES.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | (0o755 if name.endswith("run") else 0o644)) << 16
            archive.writestr(info, text)
        for name, target in links.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return path


@pytest.mark.parametrize("form", ["app.tar", "app.tar.gz", "app.tar.bz2", "app.tar.xz", "app.zip", "app.whl"])
def test_every_form_comes_with_sane_modes_and_owners(bring: Bring, tmp_path: Path, dest: Path, form: str) -> None:
    kind = form.rpartition(".")[2]
    make = wheel if kind in ("zip", "whl") else partial(tar, mode="w" if kind == "tar" else f"w:{kind}")
    made = bring(make(tmp_path / form), revno=7)
    assert (made["failed"], made["revno"], made["revid"]) == (False, 7, "abc"), made
    assert {name: text.decode() for name, text in app_trees.contents(dest).items()} == FILES
    modes = {stat.S_IMODE((dest / name).stat().st_mode) for name in ("app/main.py", "database/schema/patch-1-0-0.sql")}
    assert modes == {0o644}
    assert stat.S_IMODE((dest / "app/bin/run").stat().st_mode) == 0o755
    assert (dest / "app/bin/run").stat().st_uid == dest.stat().st_uid


def test_links_inside_stay_links(bring: Bring, tmp_path: Path, dest: Path) -> None:
    members = [("app/current", LINK, "../database"), ("app/again.py", HARD, "app/main.py")]
    assert bring(tar(tmp_path / "a.tar", *members))["changed"]
    assert (dest / "app/current").readlink() == Path("../database")
    assert (dest / "app/again.py").read_text() == FILES["app/main.py"]
    assert (dest / "app/again.py").stat().st_nlink == 1
    assert not bring(tmp_path / "a.tar", clean=True)["changed"]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("../evil", tarfile.REGTYPE, "")], "'../evil' in it leads out"),
        ([("app/../../evil", tarfile.REGTYPE, "")], "leads out"),
        ([("/srv/evil", tarfile.REGTYPE, "")], "leads out"),
        ([("app/up", LINK, "../../evil")], "app/up is a link that leads out"),
        ([("app/up", LINK, "/etc")], "app/up is a link that leads out"),
        # By its letters "a/b/up/.." is a/b; through the link it is what is above the tree.
        ([("a/b/up", LINK, "../.."), ("out", LINK, "a/b/up/../x")], "out is a link that leads out"),
        ([("app/link", LINK, "bin"), ("app/link/evil", tarfile.REGTYPE, "")], "app/link/evil lies behind app/link"),
        ([("app/main.py/x", tarfile.REGTYPE, "")], "lies behind app/main.py"),
        ([("app/main.py", tarfile.REGTYPE, "")], "app/main.py is in it twice"),
        ([("app/null", DEVICE, "")], "app/null in it is a device"),
        ([("app/pipe", FIFO, "")], "app/pipe in it is a device"),
        ([("app/hard", HARD, "app/nothing")], "no whole tar"),
        ([(".rollout/tree.json", tarfile.REGTYPE, "")], "is where the tree keeps its archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_must_not_be_unpacked_is_refused_whole(
    bring: Bring, tmp_path: Path, dest: Path, members: list[tuple[str, bytes, str]], why: str
) -> None:
    refused = bring(tar(tmp_path / "a.tar.gz", *members, mode="w:gz"))
    assert refused["msg"].startswith("E-archive-refused ")
    assert why in refused["msg"]
    assert list(dest.parent.iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_a_link_out_of_a_zip_is_refused(bring: Bring, tmp_path: Path, dest: Path) -> None:
    assert "leads out of the tree" in bring(wheel(tmp_path / "a.zip", link="../../etc"))["msg"]
    assert not dest.exists()


@pytest.mark.parametrize("form", ["a.tar.gz", "a.tar.xz", "a.zip", "none.tar"])
def test_a_cut_off_archive_is_refused(bring: Bring, tmp_path: Path, dest: Path, form: str) -> None:
    if form == "none.tar":
        (tmp_path / form).write_text("this is no archive\n")
    else:
        whole = tmp_path / ("whole-" + form)
        wheel(whole) if form.endswith("zip") else tar(whole, mode=f"w:{form[-2:]}")
        (tmp_path / form).write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert bring(tmp_path / form)["msg"].startswith("E-archive-refused ")
    assert not dest.exists()


def test_another_archive_of_that_name_is_not_taken(bring: Bring, tmp_path: Path, dest: Path) -> None:
    refused = bring(tar(tmp_path / "a.tar"), sha256="0" * 64)
    assert refused["msg"].startswith("E-archive-checksum ")
    assert hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest() in refused["msg"]
    assert list(dest.parent.iterdir()) == []


def test_a_refresh_that_fails_leaves_the_tree(bring: Bring, tmp_path: Path, dest: Path) -> None:
    bring(tar(tmp_path / "a.tar"))
    before = app_trees.contents(dest)
    other = tar(tmp_path / "b.tar", ("../evil", tarfile.REGTYPE, ""), **{"app/main.py": "new\n"})
    for refused in (bring(other, revid="def"), bring(other, revid="def", sha256="0" * 64)):
        assert refused["failed"]
    assert app_trees.contents(dest) == before
    assert not bring(tmp_path / "a.tar", clean=True)["changed"]


def test_a_tree_that_was_not_brought_whole_is_not_switched_to_and_is_repaired(
    bring: Bring, run_module: Bring, tmp_path: Path, dest: Path
) -> None:
    bring(tar(tmp_path / "a.tar"))
    (dest / ".rollout/tree.json").unlink()  # as a refresh does first
    (dest / "app/main.py").write_text("half\n")
    switch = {"root": str(dest.parent), "to": dest.name, "kind": "archive"}
    assert "was not brought whole" in run_module("app_tree_switch", switch)["msg"]
    assert bring(tmp_path / "a.tar", clean=True)["changed"]
    assert run_module("app_tree_switch", switch)["current"] == "r7"


def test_what_python_compiled_is_ignored(bring: Bring, tmp_path: Path, dest: Path) -> None:
    bring(tar(tmp_path / "a.tar"))
    (dest / "app/__pycache__").mkdir()
    (dest / "app/__pycache__/main.cpython-311.pyc").write_bytes(b"compiled")
    (dest / "app/old.pyc").write_bytes(b"compiled")
    assert not bring(tmp_path / "a.tar", clean=True)["changed"]
    (dest / "app/other.py").write_text("by hand\n")
    assert bring(tmp_path / "a.tar", clean=True)["removed"] == ["app/other.py"]


@pytest.mark.parametrize(
    "options",
    [
        {"archive": "ftp://builds/a.tar"},
        {"archive": "https://ci:s3cret@builds/a.tar"},
        {"archive": "ext::sh"},
        {"sha256": "ABC"},
        {"sha256": ""},
        {"revid": None},
    ],
    ids=str,
)
def test_options_that_cannot_be_meant(bring: Bring, tmp_path: Path, dest: Path, options: dict[str, Any]) -> None:
    refused = bring(tar(tmp_path / "a.tar"), **options)
    assert refused["msg"].startswith(("E-bad-archive ", "E-archive-unreachable "))
    assert "s3cret" not in refused["msg"]
    assert not dest.exists()


class Builds(SimpleHTTPRequestHandler):
    """A server of builds; one path is behind a password, one is cut off."""

    def do_GET(self) -> None:
        if self.path.startswith("/private/") and "Authorization" not in self.headers:
            self.send_error(401)
        elif self.path.startswith("/cut/"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"a start")
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def builds(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www/private").mkdir(parents=True)
    tar(tmp_path / "www/a.tar.gz", mode="w:gz")
    (tmp_path / "www/private/a.tar.gz").write_bytes((tmp_path / "www/a.tar.gz").read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Builds, directory=str(tmp_path / "www")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_an_archive_by_http(bring: Bring, builds: str, tmp_path: Path, dest: Path) -> None:
    packed = tmp_path / "www/a.tar.gz"
    for path in ("/none.tar.gz", "/private/a.tar.gz", "/cut/a.tar.gz"):
        refused = bring(packed, archive=builds + path)
        assert refused["msg"].startswith(("E-archive-unreachable ", "E-archive-checksum ")), path
        assert not dest.exists()
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ci password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert bring(packed, archive=builds + "/private/a.tar.gz")["changed"]
    assert not bring(packed, archive="http://127.0.0.1:1/a.tar.gz")["changed"]  # it is there: nobody is asked


# -- what a command of the site's own delivers


def test_a_debian_package_s_files(run_module: Bring, tmp_path: Path, dest: Path) -> None:
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN/control").write_text(
        "Package: app\nVersion: 7\nArchitecture: all\nMaintainer: A <a@lab.example>\nDescription: app\n"
    )
    (package / "srv").mkdir()
    (package / "srv/REVISION").write_text("c3fd3a4\n")
    (package / "srv/REVISION").chmod(0o4666)
    subprocess.run(["/usr/bin/dpkg-deb", "-b", package, tmp_path / "app_7.deb"], check=True, capture_output=True)
    options = {
        "kind": "command",
        "dest": str(dest),
        "revid": "c3fd3a4bd8b5",
        "revno": 7,
        "deliver_command": ["dpkg-deb", "-x", f"{tmp_path}/app_{{revno}}.deb", "{directory}"],
        "version_command": ["cat", "srv/REVISION"],
        "clean": True,
    }
    assert run_module("app_tree", options)["changed"]
    assert not run_module("app_tree", options)["changed"]
    (dest / "srv/REVISION").write_text("by hand\n")
    (dest / "srv/new").write_text("by hand\n")
    refreshed = run_module("app_tree", options)
    assert ([each["path"] for each in refreshed["reverted"]], refreshed["removed"]) == (["srv/REVISION"], ["srv/new"])
    assert app_trees.contents(dest) == {"srv/REVISION": b"c3fd3a4\n"}
    assert stat.S_IMODE((dest / "srv/REVISION").stat().st_mode) == 0o644
    assert [path.name for path in dest.parent.iterdir()] == ["r7"]
    switched = run_module("app_tree_switch", {"root": str(dest.parent), "to": "r7", "revid": "c3fd3a4bd8b5"})
    assert (switched["current"], switched["revno"]) == ("r7", 7)


@pytest.mark.parametrize(
    ("commands", "why"),
    [
        ({"deliver_command": ["sh", "-c", "echo no build of it >&2; exit 3"]}, "exited 3. "),
        ({"deliver_command": ["/nowhere/deliver"]}, "cannot be run: No such file"),
        ({"version_command": ["echo", "c3fd3"]}, "E-tree-version "),
        ({"deliver_command": ["ln", "-s", "/etc", "{directory}/etc"]}, "etc is a link that leads out"),
        ({"deliver_command": ["mkfifo", "{directory}/pipe"]}, "pipe in it is a device"),
        ({"deliver_command": []}, "E-bad-command  deliver_command is missing"),
        ({"version_command": []}, "E-bad-command  version_command is missing"),
    ],
)
def test_a_delivery_that_is_not_what_was_asked_for(
    run_module: Bring, dest: Path, commands: dict[str, list[str]], why: str
) -> None:
    deliver = {"deliver_command": ["touch", "{directory}/app"], "version_command": ["echo", "c3fd3a4"]}
    known = {"kind": "command", "dest": str(dest), "revid": "c3fd3a4bd8b5", **deliver}
    refused = run_module("app_tree", {**known, **commands})
    assert why in refused["msg"]
    assert not (dest.parent.exists() and list(dest.parent.iterdir()))
