"""Whatever stands in a file, or is said by a server, a reader reads it or says what is wrong: no traceback, no hang.

A small part, the same each time, with every `make test`; `make fuzz` plays 100,000 inputs, other ones each time.
`FUZZ_SEED=42 make fuzz` plays those again.
"""

from __future__ import annotations

import os
import random
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from tests.fuzz import control, documents, hosts, inputs, schema_texts, site_texts
from tests.fuzz.limit import HangsError, limited
from tests.fuzz.reader import ROOT, Reader

READERS = [*site_texts.READERS, *schema_texts.READERS, *documents.READERS, *hosts.READERS, *control.READERS]
INPUTS = int(os.environ.get("FUZZ", "0"))
SEED = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
SMALL = 60  # inputs of each reader with `make test`, times its share
FRAMES, SHOWN, FEW = 5, 160, 3
LONG = [each for each in READERS if INPUTS and each.long and not each.only_texts]  # they take minutes
SHARES = sum(reader.share for reader in READERS)


def play(reader: Reader, value: Any) -> None:
    """Read one input: a reader returns, or raises what it says. Anything else is told in a few lines."""
    wrong = ""
    try:
        with limited():
            reader.read(value)
    except reader.raises:
        pass
    except (Exception, HangsError) as error:
        wrong = told(error)
    assert not wrong, f"{reader.name}: {wrong}"


def told(error: BaseException) -> str:
    """Return the error and the last lines of code on the way to it."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = "".join(f"\n  {frame.filename.removeprefix(f'{ROOT}/')}:{frame.lineno} {frame.line}" for frame in frames)
    return f"{type(error).__name__}: {str(error)[:SHOWN]}{where}"


def generated(reader: Reader) -> tuple[Any, int]:
    """Return the strategy for a reader's inputs, and how many of them there are."""
    count = INPUTS * reader.share / SHARES if INPUTS else SMALL * max(0.3, min(reader.share, 1.5))
    made = (
        inputs.values(reader.examples, only_texts=reader.only_texts)
        if reader.data
        else inputs.texts(reader.examples, reader.tokens)
    )
    return made, round(count) + 1


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_reads_it_or_says_what_is_wrong(reader: Reader, record_property: Callable[[str, Any], None]) -> None:
    made, count = generated(reader)
    played = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=not INPUTS,
        phases=[Phase.generate],  # shrinking what hangs takes hours, and an input has few changes
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.normal,
        print_blob=False,
    )
    @given(made)
    def each(value: Any) -> None:
        played.append(None)
        play(reader, value)

    for example in reader.examples:  # the real ones are read
        play(reader, example)
    (seed(SEED)(each) if INPUTS else each)()
    record_property("fuzz", (reader.name, len(played)))


@pytest.mark.parametrize("reader", LONG, ids=lambda reader: reader.name)
def test_much_of_one_thing_is_read_in_a_moment(reader: Reader, record_property: Callable[[str, Any], None]) -> None:
    many: Iterable[Any] = (
        inputs.deep_values(reader.examples) if reader.data else inputs.long_texts(reader.examples, reader.tokens)
    )
    played, wrong = 0, []
    for value in many:
        played += 1
        try:
            play(reader, value)
        except AssertionError as error:
            of = f"{len(value)} characters, {value[:SHOWN]!r} …" if isinstance(value, str) else "data nested deep"
            wrong.append(f"{error}\n  of {of}")
            if len(wrong) == FEW:
                break
    record_property("fuzz", (f"{reader.name}, long", played))
    assert not wrong, "\n".join(wrong)
