"""Squawk's remarks on schema patches, in words for the gate: evidence, never a verdict.

squawk also has opinions on style, and on what a site that is never down must not do. Here nobody is on the site, so
only what holds a lock for long, or cannot run in the one transaction of all patches, is told; the rest is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

# squawk's rules that are about locks and transactions, as people call it.
WORDS = {
    "adding-field-with-default": "a column's default rewrites the table",
    "adding-foreign-key-constraint": "foreign key is checked under its locks",
    "adding-not-nullable-field": "NOT NULL scans the table",
    "adding-required-field": "column that existing rows cannot fill",
    "adding-serial-primary-key-field": "primary key builds its index under the lock",
    "ban-concurrent-index-creation-in-transaction": "CONCURRENTLY cannot run in a transaction",
    "ban-truncate-cascade": "TRUNCATE CASCADE takes other tables along",
    "ban-uncommitted-transaction": "a transaction that nobody commits",
    "changing-column-type": "a column's type rewrites the table",
    "constraint-missing-not-valid": "constraint without NOT VALID scans the table",
    "disallowed-unique-constraint": "unique constraint builds its index under the lock",
    "require-concurrent-index-creation": "index without CONCURRENTLY",
    "require-concurrent-index-deletion": "index dropped without CONCURRENTLY",
    "require-concurrent-partition-detach": "partition detached without CONCURRENTLY",
    "require-concurrent-reindex": "REINDEX without CONCURRENTLY",
    "syntax-error": "squawk cannot read it",
    "transaction-nesting": "a transaction of its own",
}
# What a site does on purpose while it is down, or a matter of style. A rule that is neither here nor above is told.
NOT_ABOUT_LOCKS = ("prefer-", "renaming-", "ban-drop-", "require-timeout-", "require-lock-", "require-statement-")
NOT_ABOUT_LOCKS_EITHER = frozenset({"ban-char-field", "identifier-too-long", "unused-ignore", "require-table-schema"})
TOLD_AT_MOST = 4  # places at the gate; the same remark on several lines of a patch is one


@dataclass(frozen=True, order=True)
class Remark:
    """One remark: the patch's file name, its line from 1, squawk's rule and that rule in a few words."""

    patch: str
    line: int
    rule: str
    words: str


@dataclass(frozen=True)
class Findings:
    """All remarks on so many patches, in order, each once, and the number of findings about other things."""

    patches: int
    remarks: tuple[Remark, ...]
    others: int

    def line(self) -> str:
        """Return the evidence: ``squawk: 1 remark (patch-2208-57-0.sql:12: index without CONCURRENTLY)``."""
        count, patches = len(self.remarks), f"{self.patches} patch{'' if self.patches == 1 else 'es'}"
        if not count:
            return f"squawk: no remark on the locks of {patches}"
        places: dict[tuple[str, str], list[str]] = {}
        for remark in self.remarks:
            places.setdefault((remark.patch, remark.words), []).append(str(remark.line))
        shown = list(places.items())[:TOLD_AT_MOST]
        told = [f"{patch}:{','.join(numbers)}: {words}" for (patch, words), numbers in shown]
        left = count - sum(len(numbers) for _, numbers in shown)
        told += [f"{left} more"] if left else []
        return f"squawk: {count} remark{'' if count == 1 else 's'} ({', '.join(told)})"

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the remarks as ``{patch, line, rule, words}``."""
        return [
            {"patch": each.patch, "line": each.line, "rule": each.rule, "words": each.words} for each in self.remarks
        ]


def read(report: Any, patches: Sequence[str]) -> Findings:
    """Return the findings in squawk's JSON report ``[{file, line (from 0), rule_name, message}]`` on these patches.

    Raises ValueError for anything else.
    """
    if not isinstance(report, list):
        raise ValueError("expected a JSON list of findings")
    remarks = [_remark(each) for each in report]
    told = {remark for remark in remarks if not _is_about_something_else(remark.rule)}
    return Findings(len(patches), tuple(sorted(told)), sum(_is_about_something_else(each.rule) for each in remarks))


def _remark(found: Mapping[str, Any]) -> Remark:
    try:
        rule, line = str(found["rule_name"]), int(found["line"]) + 1
        name = str(found["file"]).rpartition("/")[2]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{found!r} has no file, line and rule_name") from error
    return Remark(name, line, rule, WORDS.get(rule, rule))


def _is_about_something_else(rule: str) -> bool:
    return rule not in WORDS and (rule.startswith(NOT_ABOUT_LOCKS) or rule in NOT_ABOUT_LOCKS_EITHER)
