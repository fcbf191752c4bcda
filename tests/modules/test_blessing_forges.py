"""The blessing module on the APIs of GitHub, GitLab and Forgejo, over real HTTP (R11)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.modules.forges import REPOSITORY, TOKEN, Forge, serving, serving_tls

SHA, OTHER = "0d4c4f1ad6a0b7a2a9f31a2b7c6a2d2f4d3e5c61", "9" * 40
SPURIOUS = [{"pattern": "Could not kill stale process", "bug": 612345}]
CAN_RERUN = ("github", "gitlab")
Look = Callable[..., dict[str, Any]]


@pytest.fixture(params=["github", "gitlab", "forgejo"])
def forge(request: pytest.FixtureRequest) -> Iterator[Forge]:
    with serving(request.param) as made:
        yield made


@pytest.fixture
def look(forge: Forge, run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Look:
    """`look(check=False, **options)`: one look at the merge; nothing in an answer has the token."""
    common = {
        "kind": forge.kind,
        "url": forge.api,
        "repository": REPOSITORY,
        "token": TOKEN,
        "checks": ["test", "lint"],
        "branch": "main",
        "revno": 12,
        "revid": SHA,
        "spurious": SPURIOUS,
        "waits_hours": 1,
        "start_minutes": 10,
        "down_minutes": 10,
        "begun": time.time(),
        "record": str(tmp_path / "blessing.json"),
    }

    def run(*, check: bool = False, **options: Any) -> dict[str, Any]:
        result = run_module("blessing", {**common, **options}, check)
        said = {name: value for name, value in result.items() if name != "invocation"}
        assert TOKEN not in json.dumps(said)
        assert not (tmp_path / "blessing.json").exists() or TOKEN not in (tmp_path / "blessing.json").read_text()
        return result

    return run


def failed(result: dict[str, Any], name: str) -> str:
    assert result["failed"], result
    assert result["msg"].startswith(f"{name}  "), result["msg"]
    return result["msg"]


def report(forge: Forge, **checks: str) -> None:
    for name, does in checks.items():
        forge.report(name, does, SHA, run=forge.kind == "github")


def test_green_by_the_newest_run_of_each_name_on_every_page(forge: Forge, look: Look) -> None:
    forge.report("test", "fails", SHA, run=forge.kind == "github")
    report(forge, docs="fails", build="passes", lint="passes", other="runs")
    newest = forge.report("test", "passes", SHA, run=forge.kind == "github")
    result = look()
    assert not result["failed"], result
    assert (result["state"], result["finished"], result["changed"]) == ("blessed", True, False)
    assert [each["check"] for each in result["blessed"]] == ["test", "lint"]
    assert result["blessed"][0]["run"] == str(newest)
    assert result["blessed"][0]["url"].startswith("http")
    assert result["line"] == "test ✓ · lint ✓" if forge.kind == "forgejo" else "test ✓ 2:05 min · lint ✓ 2:05 min"
    assert {token for _path, token in forge.asked} == {TOKEN}


def test_another_commit_blesses_nothing(forge: Forge, look: Look) -> None:
    for name in ("test", "lint"):
        forge.report(name, "passes", OTHER, run=forge.kind == "github")
    result = look()
    assert (result["state"], result["finished"]) == ("wait", False)
    assert "that revision has no check yet" in result["line"]


def test_red_says_where(forge: Forge, look: Look) -> None:
    report(forge, lint="passes")
    number = forge.report("test", "fails", SHA, run=forge.kind == "github", said="3 tests failed")
    forge.logs[number] = "FAIL: test_private\nAssertionError: 3 != 2\n"
    message = failed(look(), "E-check-failed")
    assert message.splitlines()[0] == "E-check-failed  test did not bless main r12."
    assert str(number) in message.splitlines()[1]
    assert "http" in message.splitlines()[1]
    assert ("AssertionError: 3 != 2" if forge.kind in CAN_RERUN else "3 tests failed") in message
    assert forge.rerun == []


def test_what_runs_is_waited_for(forge: Forge, look: Look) -> None:
    report(forge, test="runs", lint="passes")
    result = look()
    assert (result["state"], result["finished"]) == ("wait", False)
    assert result["progress"]["step"].startswith("test ")
    assert look(check=True)["finished"]
    assert "test " in failed(look(waits_hours=0), "E-blessing-late")


def test_a_missing_check_is_named_with_those_that_there_are(forge: Forge, look: Look) -> None:
    report(forge, tests="passes", lint="passes")
    assert look()["state"] == "wait"
    message = failed(look(start_minutes=0), "E-check-not-started")
    assert "it is not among the checks of that revision, which are lint, tests" in message
    assert "blessing_checks" in message


def test_spurious_is_run_again_and_on_record(forge: Forge, look: Look) -> None:
    report(forge, lint="passes")
    number = forge.report("test", "fails", SHA, run=forge.kind == "github", said="Could not kill stale process")
    forge.logs[number] = "ERROR: setting up\nCould not kill stale process 4\n"
    if forge.kind not in CAN_RERUN:
        message = failed(look(), "E-check-failed")
        assert "spurious, bug 612345, and it cannot be run again from here: run it again on its page" in message
        return
    assert (look(check=True)["state"], forge.rerun) == ("rerun", [])
    result = look()
    assert (result["state"], result["changed"], result["finished"]) == ("rerun", True, False)
    assert forge.rerun == [number]
    assert [(each["check"], each["bug"]) for each in result["rerun"]] == [("test", 612345)]

    waits = look()
    assert (waits["state"], waits["changed"], forge.rerun) == ("wait", False, [number]), "it is asked for once"
    assert "it was run again, and has not begun" in waits["line"]
    failed(look(start_minutes=0), "E-check-not-started")

    report(forge, test="passes")
    done = look()
    assert (done["state"], done["blessed"][0]["reruns"]) == ("blessed", 1)
    assert f"test {number} spurious, bug 612345: run again" in done["evidence"][1]


@pytest.mark.parametrize("forge", CAN_RERUN, indirect=True)
def test_a_cut_run_is_run_again_a_limited_number_of_times(forge: Forge, look: Look) -> None:
    report(forge, lint="passes")
    for _ in range(2):
        number = forge.report("test", "is cut", SHA, run=forge.kind == "github")
        forge.logs[number] = ""
        assert look()["changed"]
    forge.logs[forge.report("test", "is cut", SHA, run=forge.kind == "github")] = ""
    assert ", and run 3 times already" in failed(look(), "E-check-failed")
    assert len(forge.rerun) == 2


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_the_log_on_another_host_gets_no_token(forge: Forge, look: Look) -> None:
    forge.logs[forge.report("test", "fails", SHA, run=True)] = "FAIL: test_a\nbroken\n"
    assert "broken" in failed(look(), "E-check-failed")
    assert [token for _path, token in forge.said_to_others] == [None]


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_a_log_that_is_not_there_any_more_hides_no_red(forge: Forge, look: Look) -> None:
    report(forge, lint="passes")
    forge.report("test", "fails", SHA, run=True, said="Could not kill stale process")
    message = failed(look(), "E-check-failed")
    assert "test ✗ failure (Could not kill stale process)" in message
    assert "its log cannot be read: GET " in message


@pytest.mark.parametrize("forge", ["github"], indirect=True)
@pytest.mark.parametrize("word", ["neutral", "skipped"])
def test_what_says_nothing_stands_for_green_only_if_the_site_says_so(forge: Forge, look: Look, word: str) -> None:
    report(forge, lint="passes", test=word)
    forge.logs[forge.checks[-1]["id"]] = ""
    assert f"test ✗ {word}, which is no success; whether it may stand for one" in failed(look(), "E-check-failed")
    result = look(accepts=[word])
    assert (result["state"], result["line"]) == ("blessed", f"test ✓ {word} 2:05 min · lint ✓ 2:05 min")


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_a_name_that_is_run_and_status_needs_both(forge: Forge, look: Look) -> None:
    report(forge, lint="passes", test="passes")
    forge.report("test", "pending", SHA)
    assert look()["state"] == "wait"
    forge.report("test", "success", SHA)
    assert look()["state"] == "blessed"
    forge.report("test", "failure", SHA, said="no")
    assert "test ✗ failure (no)" in failed(look(), "E-check-failed")


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_an_answer_about_another_commit_is_refused(forge: Forge, look: Look) -> None:
    forge.report("test", "passes", SHA, run=True, head_sha=OTHER)
    assert f"was asked about {SHA}, and answers about {OTHER}" in failed(look(), "E-ci-refused")


def test_a_rate_limit_is_waited_out_without_a_question(forge: Forge, look: Look, tmp_path: Path) -> None:
    report(forge, test="passes", lint="passes")
    reset = int(time.time()) + 3600
    headers = {
        "github": {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(reset)},
        "gitlab": {"RateLimit_Reset": str(reset)},
        "forgejo": {"Retry_After": "3600"},
    }[forge.kind]
    code = 403 if forge.kind == "github" else 429
    forge.answers.append(lambda handler: handler.say(code, {"message": "API rate limit exceeded"}, **headers))
    limited = look()
    assert (limited["state"], limited["finished"], limited["failed"]) == ("limited", False, False)
    assert "takes no more questions for now (API rate limit exceeded), until " in limited["line"]
    record = json.loads((tmp_path / "blessing.json").read_text())
    assert record["limited_until"] == pytest.approx(reset, abs=60)
    asked = len(forge.asked)
    assert look(down_minutes=0)["state"] == "limited"
    assert len(forge.asked) == asked, "nothing was asked"
    record["limited_until"] = time.time() - 1
    (tmp_path / "blessing.json").write_text(json.dumps(record))
    assert look()["state"] == "blessed"
    assert json.loads((tmp_path / "blessing.json").read_text())["limited_until"] is None


def test_a_wrong_token_and_a_repository_that_is_not_there(forge: Forge, look: Look) -> None:
    message = failed(look(token="mistyped-token"), "E-ci-refused")  # noqa: S106
    assert "answers 401 (Bad credentials). The token is wrong" in message
    assert "mistyped-token" not in message
    missing = failed(look(repository="example/nothing"), "E-ci-refused")
    assert "There is no example/nothing, or the token may not see it" in missing


def test_a_token_with_a_newline_is_not_shown(forge: Forge, look: Look) -> None:
    report(forge, test="passes", lint="passes")
    assert look(token=f"{TOKEN}\n")["state"] == "blessed", "a vault often has one at the end"
    for token in (f"{TOKEN}\nX-More: 1", f"{TOKEN}€"):
        assert "the token has a character in it that no header takes" in failed(look(token=token), "E-ci-refused")


def test_a_commit_that_the_forge_does_not_know_yet_is_waited_for(forge: Forge, look: Look) -> None:
    said = {"github": (422, f"No commit found for SHA: {SHA}"), "gitlab": (404, "404 Commit Not Found")}
    code, message = said.get(forge.kind, (404, f"commit does not exist [{SHA}]"))
    forge.answers.append(lambda handler: handler.say(code, {"message": message}))
    result = look()
    assert (result["state"], result["finished"]) == ("wait", False)


@pytest.mark.parametrize("code", [500, 502, 503])
def test_a_server_in_trouble_is_waited_for(forge: Forge, look: Look, code: int) -> None:
    forge.answers += [lambda handler: handler.say(code, {"message": "Unicorn!"})] * 2
    assert (look()["state"], len(forge.asked)) == ("down", 1)
    assert f"answers {code} (Unicorn!)" in failed(look(down_minutes=0), "E-ci-down")


def cut(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"check_runs": [')
    handler.close_connection = True


def test_a_cut_answer_is_none(forge: Forge, look: Look) -> None:
    forge.answers.append(cut)
    result = look()
    assert result["state"] == "down"
    assert "hung up in the middle of an answer" in result["line"]


def test_nobody_at_the_address(forge: Forge, look: Look) -> None:
    result = look(url="http://127.0.0.1:9/api/")
    assert (result["state"], result["line"]) == ("down", "http://127.0.0.1:9/api/ does not answer: Connection refused")


def elsewhere(handler: Any) -> None:
    handler.say(302, {}, Location="http://localhost:9/")


def text(content: bytes) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def next_page_elsewhere(handler: Any) -> None:
    empty = {"check_runs": [], "statuses": [], "sha": SHA} if handler.forge.kind == "github" else []
    handler.say(200, empty, Link='<http://localhost:9/?page=2>; rel="next"')


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (elsewhere, "leads to another host, http://localhost:9/, which does not get the token"),
        (next_page_elsewhere, "says that its next page is elsewhere: http://localhost:9/?page=2"),
        (text(b"<html>Sign in</html>"), "is not what the API of"),
        (text(b"[" * 100000), "is not what the API of"),
        (text(b'"text"'), "is not the API of"),
        (text(b'[{"id": "\\u001b[2J"}]'), "is not the API of"),
        (text(b"[" + b" " * (17 * 1024 * 1024) + b"]"), "answers with more than"),
    ],
)
def test_what_is_no_answer_is_refused(forge: Forge, look: Look, answer: Callable[[Any], None], says: str) -> None:
    forge.answers.append(answer)
    message = failed(look(), "E-ci-refused")
    assert says in message
    assert "\x1b" not in message


def test_what_checks_say_is_one_plain_line(forge: Forge, look: Look) -> None:
    report(forge, lint="passes")
    number = forge.report(
        "test", "fails", SHA, run=forge.kind == "github", job=False, said="no\n\x1b[2Jfirst\u202e line " + "x" * 1000,
        url="javascript:alert(1)",
    )  # fmt: skip
    message = failed(look(), "E-check-failed")
    assert number
    assert "\x1b" not in message
    assert "\u202e" not in message
    assert "javascript" not in message
    assert max(map(len, message.splitlines())) < 700


def test_a_token_goes_nowhere_without_tls(forge: Forge, look: Look) -> None:
    assert "is without TLS, and everybody on the way could read the token" in failed(
        look(url="http://ci.example/api"), "E-ci-refused"
    )
    assert "is no address" in failed(look(url="file:///etc/passwd"), "E-ci-refused")
    assert forge.asked == []


def test_the_kind_says_what_it_needs(look: Look) -> None:
    message = failed(look(repository=""), "E-ci-refused")
    assert "needs blessing_repository in the inventory" in message


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_a_certificate_is_verified(forge: Forge, look: Look, certificate: Path) -> None:
    report(forge, test="passes", lint="passes")
    with serving_tls(forge, certificate) as url:
        message = failed(look(url=url), "E-ci-refused")
        assert f"the certificate of {url}/ is not trusted: self-signed certificate" in message
        assert forge.asked == []
        forge.url = url.removesuffix("/api/v3")
        assert look(url=url, ca_file=str(certificate / "cert.pem"))["state"] == "blessed"
    assert "cannot be read" in failed(look(url="https://localhost", ca_file="/nonexistent.pem"), "E-ci-refused")
