"""The banner that tells visitors of a maintenance window to come."""

import math
from datetime import UTC, datetime, timedelta

NOTICE = timedelta(minutes=30)


def banner(notice, now=None):
    """The banner as HTML, from half an hour before the time in `notice` (ISO, UTC); empty when there is none."""
    try:
        start = datetime.fromisoformat((notice or "").strip())
    except ValueError:
        return ""
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    ahead = start - (now or datetime.now(UTC))
    if ahead > NOTICE:
        return ""
    minutes = math.ceil(ahead / timedelta(minutes=1))
    soon = ahead < timedelta(seconds=30)
    when = "very very soon" if soon else "in 1 minute" if minutes == 1 else f"in {minutes} minutes"
    return f'<p class="maintenance">Launchpad will be going offline for maintenance {when}.</p>'
