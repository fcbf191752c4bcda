"""The messages that can be announced; a stage of a process may name any of them."""

MESSAGES = (
    "announcer_note",  # R6, to the announcer
    "first",
    "rescheduled",
    "reminder",  # R7
    "chase",  # R16, to a cowboy's owner
    "starting",  # R5
    "done",  # R23
    "problem",  # R24
    "solved",
    "aborted",  # R20
    "new_date",  # R21
    "correction",
)
