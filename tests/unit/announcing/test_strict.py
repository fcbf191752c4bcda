"""What cannot go out is refused with its place; what a plan or a person says is text and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rollout.announcing import wording
from rollout.outcomes import BadInputError

from .conftest import facts_of, planned, text_of, whole

TEMPLATES = Path(wording.__file__).parent / "templates"
EVERY = [(message, how) for message in wording.MESSAGES for how in wording.wordings(message)]


@pytest.fixture
def site(tmp_path):
    (tmp_path / "announcements").mkdir()
    return tmp_path


def write(site, name, text):
    path = site / "announcements" / name
    path.write_text(text)
    return path


def test_messages_to_everybody_have_every_wording_and_notes_to_persons_are_mails():
    notes = {"announcer_note", "chase"}
    expected = {m: ("mail",) if m in notes else ("mail", "status", "chat", "irc") for m in wording.MESSAGES}
    assert {message: wording.wordings(message) for message in wording.MESSAGES} == expected


def test_no_template_lies_about_that_nobody_uses():
    assert {path.name for path in TEMPLATES.glob("*.j2")} == {f"{message}.{how}.j2" for message, how in EVERY}
    included = re.findall(r'"(parts/\w+\.j2)"', "".join(path.read_text() for path in TEMPLATES.rglob("*.j2")))
    assert {f"parts/{path.name}" for path in (TEMPLATES / "parts").iterdir()} == set(included)


@pytest.mark.parametrize(("message", "how"), EVERY)
def test_what_is_not_known_is_an_error_that_names_file_and_line(message, how):
    with pytest.raises(BadInputError, match=r"E-bad-template  rollout/announcing/templates/.*\.j2:\d+: .*undefined"):
        wording.render(message, how, {})


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Well,\n{{ services }} is\n", r"first\.status\.j2:2: 'services' is undefined"),
        ("Well,\n\n{% if service %}\n", r"first\.status\.j2:3: Unexpected end of template"),
        ("{{ service | cutt(5) }}", r"first\.status\.j2:1: No filter named 'cutt'"),
        ("\n{{ start | lasting }}", r"first\.status\.j2:2: .*timedelta|first\.status\.j2:2: "),
        ('{% include "parts/nothing.j2" %}', r"parts/nothing\.j2"),
        ("{{ none }}", r"first\.status\.j2(:1)?: something is named that has no value"),
    ],
)
def test_a_sites_template_that_is_wrong(site, template, said):
    write(site, "first.status.j2", template)
    with pytest.raises(BadInputError, match=f"E-bad-template  .*{said}"):
        text_of("first", "status", site=site)


@pytest.mark.parametrize(
    ("how", "template", "fits", "said"),
    [
        ("status", "{{ 'x' * %d }}", 500, "first.status.j2: first for status has 1 more than 500 characters"),
        ("irc", "{{ 'x' * %d }}", 400, "first.irc.j2: first for irc has 1 more than 400 bytes"),
        (
            "mail",
            "Subject: {{ 'x' * %d }}\n\nBody\n",
            78,
            "first.mail.j2: first for mail has 1 more than 78 characters",
        ),
    ],
)
def test_limits_are_kept_to_the_letter(site, how, template, fits, said):
    write(site, f"first.{how}.j2", template % fits)
    assert text_of("first", how, site=site)
    write(site, f"first.{how}.j2", template % (fits + 1))
    with pytest.raises(BadInputError, match=f"E-text-too-long  .*{re.escape(said)}"):
        text_of("first", how, site=site)


def test_bytes_and_characters_are_counted_as_the_channel_does(site):
    write(site, "first.irc.j2", "{{ 'ж' * 200 }}")
    assert len(text_of("first", "irc", site=site).body) == 200
    long = "{{ 'ж' * %d }} https://lists.example.com/{{ 'x' * 900 }} https://a.eu/"
    write(site, "first.status.j2", long % (500 - 2 * (1 + 23)))
    assert len(text_of("first", "status", site=site).body) > 1300, "a URL counts 23, long or short"
    write(site, "first.status.j2", long % (501 - 2 * (1 + 23)))
    with pytest.raises(BadInputError, match="has 1 more than 500 characters, as Mastodon counts them"):
        text_of("first", "status", site=site)


def test_a_url_that_mastodon_takes_for_text_counts_in_full(site):
    write(site, "first.status.j2", "http://localhost/{{ 'x' * 490 }}")
    with pytest.raises(BadInputError, match="E-text-too-long"):
        text_of("first", "status", site=site)


def test_a_mail_must_have_a_subject(site):
    path = write(site, "first.mail.j2", "Hello\n")
    with pytest.raises(
        BadInputError, match=rf"E-bad-template  .*{path.name}:1: a mail begins with a line `Subject: …`"
    ):
        text_of("first", "mail", site=site)


@pytest.mark.parametrize(
    ("message", "how"), [("chase", "irc"), ("nonsense", "mail"), ("first", "fax"), ("../x", "mail")]
)
def test_no_such_text(message, how):
    with pytest.raises(BadInputError, match="E-no-wording"):
        wording.render(message, how, facts_of("first"))


def test_a_site_says_it_in_its_own_words(site):
    write(site, "first.status.j2", "Down, {{ window }}.")
    assert (
        text_of("first", "status", site=site).body
        == "Down, 23.00 UTC 10th of February to 00.30 UTC 11th of February 2011."
    )
    assert text_of("first", "irc", site=site) == text_of("first", "irc"), "the others are ours"
    assert text_of("first", "status").body != text_of("first", "status", site=site).body


def test_a_site_adds_to_our_text_and_has_wordings_that_we_lack(site):
    write(site, "done.irc.j2", '{% include "ours/done.irc.j2" %} Thank you, {{ people.dba }}!')
    assert text_of("done", "irc", site=site).body == text_of("done", "irc").body + " Thank you, Stuart!"
    write(site, "chase.irc.j2", "{{ owner }}: {{ cowboys | map(attribute='id') | join(', ') }}?")
    assert wording.wordings("chase", site) == ("mail", "irc")
    assert text_of("chase", "irc", site=site).body == "jml: lp-12, lp-15, lp-16?"


def test_a_site_calls_things_by_their_names(site):
    write(
        site,
        "words.yml",
        "words: {service: Bugzilla, effect: read-only, in_full: read-only for you, paused_first: [a, b]}",
    )
    assert "Bugzilla will be read-only for you for around 90 minutes" in whole(text_of("first", "mail", site=site))
    assert "Some services (a, b) can go offline" in whole(text_of("first", "irc", site=site))


@pytest.mark.parametrize(
    "words", ["words: {servise: X}", "words: {service: a name of more than 20}", "words: {effect: gone}", "words: 3"]
)
def test_words_that_are_wrong(site, words):
    path = write(site, "words.yml", words)
    with pytest.raises(BadInputError, match=rf"E-bad-input(.|\n)*{path.name}:1: words"):
        text_of("first", "mail", site=site)


def test_what_people_say_is_text():
    told = "it's {{ 7 * 7 }} {% raw %} & <b>\x1b[31mred\x07\r\nBcc: all@example.com\u2028next\u202e!"
    for how in ("mail", "status", "irc"):
        text = text_of("problem", how, problem=told)
        assert "it's {{ 7 * 7 }} {% raw %} & <b>red\N{REPLACEMENT CHARACTER} Bcc: all@example.com next!" in whole(text)
        assert "\n" not in text.title


def test_a_subject_stays_in_its_line(site):
    write(site, "problem.mail.j2", "Subject: {{ problem }}\n\nBody\n")
    text = text_of("problem", "mail", site=site, problem="a\r\nBcc: all@example.com\n\nb")
    assert (text.title, text.body) == ("a Bcc: all@example.com b", "Body\n")


def test_names_in_any_script():
    plan = {**planned(), "people": {"losa": "Þórður O'Brien-Łuk 张伟"}}
    assert "Þórður O'Brien-Łuk 张伟" in whole(text_of("announcer_note", "mail", plan))


def test_a_misspelt_fact_is_not_silently_lost():
    with pytest.raises(TypeError, match="no template can name resolutoin"):
        facts_of("solved", resolutoin="x")


def test_the_channels_limit_cuts_what_is_long_and_says_so():
    for message, told in (
        ("problem", "problem"),
        ("solved", "resolution"),
        ("correction", "right"),
        ("new_date", "source"),
    ):
        for how in ("status", "irc"):
            text = text_of(message, how, **{told: "слово " * 200})
            assert "слово…" in text.body
            assert wording.WORDINGS[how].size(text) <= wording.WORDINGS[how].most
