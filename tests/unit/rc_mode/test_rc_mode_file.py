"""PQM's configuration as text: into RC mode and out of it, nothing else touched (R13)."""

import configparser
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import rc_mode
from plugins.module_utils.rollout_core.merge import rc_mode_file as configuration
from rollout import ROOT

SINCE, REASON, TIP = "2026-12-07T08:03:11+00:00", "2026-12", "pqm@prae-20261207-x"
RECORDED = f"# PQM\n[devel]\n; as recorded\ncommit_re = {rc_mode.OPEN}\n\n[db-devel]\ncommit_re = %(x)s\n"
LAYOUTS = {
    "as recorded": RECORDED,
    "other line ends": RECORDED.replace("\n", "\r\n"),
    "old line ends": RECORDED.replace("\n", "\r"),
    "no end": "[devel]\ncommit_re=^x",
    "spelt and spaced otherwise": "[devel]\n  a = 1\n  Commit_RE  :   ^x  \n  b = 2\n",
    "continued": "[devel]\ncommit_re = (?x)\n   ^\\[r=   \n\n # which\n   .*\\]\nnext = 1\n",
    "under a continued option": "[devel]\nverify =\n    make\n    make check\ncommit_re = ^x\n",
    "alike elsewhere": (
        "[DEFAULT]\ncommit_re = ^d\n[a]\ncommit_re = ^a\n[devel]\ncommit_re_o = 1\ncommit_re = ^x\n[b]\nrc_for = b\n"
    ),
    "a header in a value": "[devel]\nx =\n  [db-devel]\n  commit_re = 1\ncommit_re = ^x\n",
}


def enter(text, reason=REASON, tip=TIP, since=SINCE):
    return configuration.enter(text, "devel", since=since, reason=reason, tip=tip)


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS)
def text(request):
    return request.param


def test_leaving_gives_back_what_was_there_byte_for_byte(text):
    entered = enter(text)
    assert configuration.leave(entered, "devel") == text
    assert configuration.leave(text, "devel") == text
    assert enter(entered, tip="another", since="later") == entered


def test_both_say_what_rc_check_reads(text):
    before, entered = configuration.read(text, "devel"), enter(text)
    assert configuration.read(entered, "devel") == (True, rc_mode.RC, before.commit_re, SINCE, REASON, TIP)
    universal = re.sub("\r\n|\r", "\n", entered)
    assert rc_mode.configured(universal, "devel") == (True, before.commit_re)
    assert rc_mode.configured(re.sub("\r\n|\r", "\n", text), "devel") == (False, before.commit_re)


def test_what_it_looks_like():
    assert enter(RECORDED) == (
        "# PQM\n[devel]\n; as recorded\n"
        f"commit_re = {rc_mode.RC}\nrc_since = {SINCE}\nrc_for = {REASON}\nrc_tip = {TIP}\n"
        f"commit_re_open = {rc_mode.OPEN}\n\n[db-devel]\ncommit_re = %(x)s\n"
    )


def test_what_others_edit_meanwhile_stays():
    edited = enter(RECORDED).replace("# PQM\n", "# PQM, hands off\n").replace(rc_mode.OPEN, "^y")
    edited = edited.replace("\n\n[db", "\nnew = 1\n\n[db").replace("rc_for", "# why\nrc_for")
    assert configuration.leave(edited, "devel") == (
        "# PQM, hands off\n[devel]\n; as recorded\n# why\ncommit_re = ^y\nnew = 1\n\n[db-devel]\ncommit_re = %(x)s\n"
    )


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ("commit_re_open = ^x\n", "no commit_re: deleted by hand"),
        ("commit_re = ^x\ncommit_re_open = ^x\n", "it lets everything land"),
        (f"commit_re = {rc_mode.OPEN}\ncommit_re_open = ^x\nrc_for = {REASON}\n", "an open expression"),
        (f"commit_re = [\nrc_since = {SINCE}\ncommit_re_open = ^x\n", "no expression at all"),
        (f"rc_tip = {TIP}\nrc_for = long ago\ncommit_re = ^x\n", "notes without RC mode"),
    ],
)
def test_what_is_half_done_is_completed(found, left):
    text = f"[devel]\n{found}"
    entered = enter(text)
    assert configuration.read(entered, "devel") == (True, rc_mode.RC, "^x", SINCE, REASON, TIP), left
    assert configuration.leave(entered, "devel") == configuration.leave(text, "devel") == "[devel]\ncommit_re = ^x\n"


def test_an_expression_of_ones_own_stays_while_it_holds_back():
    own = r"(?i)^\[release-critical=(flacoste|NAME)\]|^\[testfix\]\[release-critical"
    text = enter(RECORDED).replace(rc_mode.RC, own)
    assert enter(text) == text
    assert configuration.read(enter(text, reason="2027-01"), "devel") == (
        True,
        own,
        rc_mode.OPEN,
        SINCE,
        "2027-01",
        TIP,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[db-devel]\ncommit_re = x\n", r"no section \[devel\]; there are: db-devel"),
        ("[devel]\n", r"section \[devel\] has no commit_re"),
        ("[DEFAULT]\ncommit_re = x\n[devel]\n", r"takes its expression from \[DEFAULT\]"),
        ("[DEFAULT]\ncommit_re_open = x\n[devel]\ncommit_re = x\n", r"takes its expression from \[DEFAULT\]"),
        ("[devel]\ncommit_re = [\n", "is no regular expression"),
        ("commit_re = x\n", "no section headers"),
        ("[devel]\ncommit_re = x\ncommit_re = y\n", "already exists"),
    ],
)
def test_a_configuration_that_cannot_be_switched(text, says):
    for attempt in (enter, lambda text: configuration.leave(text, "devel")):
        with pytest.raises(ValueError, match=says):
            attempt(text)


LINES = [
    "",
    "  ",
    "# c",
    "  ; c",
    "a = 1",
    "  b: 2",
    "\tc =",
    "   more",
    "\t[x]",
    "    commit_re = 9",
    "%(x)s = %",
    "d=\f",
]
INI = st.lists(st.sampled_from(LINES) | st.text("[]a=: \t#;%", max_size=8), max_size=6)


@given(
    INI, INI, st.sampled_from(["", "  ", "\t"]), st.sampled_from([" = ", "=", " :"]), st.sampled_from(["\n", "\r\n"])
)
@example(["a="], [], "  ", "=", "\n")
def test_whatever_is_around_it_is_given_back(above, below, indent, between, end):
    text = end.join(["[start]", *above, "[devel]", f"{indent}commit_re{between}^x", *below])
    try:
        before = configuration.read(text, "devel")
    except ValueError:
        return  # rc-check refuses it too
    entered = enter(text)
    assert configuration.leave(entered, "devel") == text
    found = configuration.read(entered, "devel")
    assert (found.in_rc_mode, found.commit_re_open) == (True, before.commit_re)
    parsed = [configparser.ConfigParser(interpolation=None) for _ in range(2)]
    for parser, content in zip(parsed, (text, entered), strict=True):
        parser.read_string(re.sub("\r\n|\r", "\n", content))
    others = [{name: dict(parser[name]) for name in parser if name != "devel"} for parser in parsed]
    assert others[0] == others[1]


@given(
    st.text("[]=,: \n\trelease-critical-fjm", max_size=40),
    st.sampled_from(["", "[r=x]", "[testfix] ", "[release-critical="]),
)
@example("] x", "[release-critical=")
@example("jml] x", "[release-critical=")
@example("jml\n\t] x", "[release-\n\tcritical =")
def test_pqm_and_rc_check_let_the_same_land_in_rc_mode(message, start):
    text = start + message
    assert bool(re.match(rc_mode.RC, text)) is rc_mode.check(text, in_rc_mode=True).lands


def test_the_docs_say_how_by_hand():
    shown = (ROOT / "docs/operations.md").read_text().partition("```ini\n[devel]\n")[2].partition("```")[0]
    found = configuration.read(f"[devel]\n{shown}", "devel")
    assert (found.in_rc_mode, found.commit_re, found.commit_re_open) == (True, rc_mode.RC, rc_mode.OPEN)
    assert None not in found


def test_recorded_expressions():
    assert configuration.holds_back(rc_mode.RC)
    assert not configuration.holds_back(rc_mode.OPEN)
    assert not configuration.holds_back("(")
    assert not configuration.holds_back(None)
