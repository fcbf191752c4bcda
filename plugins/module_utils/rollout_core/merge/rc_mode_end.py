"""Decides whether RC mode may end early when a rollout stops: only if the branch is as it was before (R13)."""

from __future__ import annotations

from typing import NamedTuple, Sequence

_SHOWN = 3


class Revision(NamedTuple):
    """A revision of the branch's mainline: its number and the first line of its message."""

    revno: int
    message: str


class Release(NamedTuple):
    """The decision: ``released`` if RC mode may end, or has ended; ``why`` says it in a sentence."""

    released: bool
    why: str


def decide(
    branch: str,
    *,
    noted: tuple[int, str] | None,
    tip: tuple[int, str],
    same_content: bool,
    landed: Sequence[Revision],
) -> Release:
    """Return whether RC mode may end, by the branch's tip (revno, revid) and the tip when RC mode was set (``noted``).

    ``noted`` is None if the branch does not contain that tip, or nothing was noted. ``same_content``: the trees of both
    are the same file by file, as after a back-out. ``landed`` is what came after ``noted``, oldest first.
    """
    if noted is None:
        return Release(
            released=False,
            why=f"where {branch} was when RC mode was set is not noted, or not part of it any more:"
            " nobody can tell what landed since",
        )
    if tip == noted:
        return Release(released=True, why=f"{branch} is as before, at {tip[0]}")
    if same_content:
        return Release(
            released=True, why=f"{branch} {tip[0]} has the content of {noted[0]}: what landed was taken back"
        )
    if len(landed) == 1:
        return Release(released=False, why=f"{branch} {landed[0].revno} stands: {landed[0].message}")
    told = [f"{one.revno} {one.message}" for one in landed[:_SHOWN]] + (["…"] if len(landed) > _SHOWN else [])
    return Release(
        released=False, why=f"{len(landed)} revisions landed in {branch} since {noted[0]}: {'; '.join(told)}"
    )
