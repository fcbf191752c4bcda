"""The glossary has each term once, and leads to files that are there."""

from __future__ import annotations

import re

from .source import ROOT

GLOSSARY = ROOT / "docs/glossary.md"
ROW = re.compile(r"\| (\*\*.+?) \| .+ \| `([^`|]+)` \|")
ROWS = [ROW.fullmatch(line) for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.startswith("| **")]


def test_each_row_has_a_term_a_meaning_and_a_place():
    assert ROWS
    assert None not in ROWS


def test_each_term_is_there_once_and_in_order():
    terms = [term for row in ROWS if row for term in re.findall(r"\*\*(.+?)\*\*", row[1])]
    assert len(set(terms)) == len(terms)
    first = [re.findall(r"\*\*(.+?)\*\*", row[1])[0].lower() for row in ROWS if row]
    assert first == sorted(first)


def test_each_place_is_there():
    gone = [f"{row[1]}: {row[2]}" for row in ROWS if row and not (ROOT / row[2]).exists()]
    assert not gone, "\n".join(gone)
