"""Telling people in time (R3, R5–R7, R15, R16, R20–R24): what is said, where, and that it went out once."""

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
