"""When: the timeline, lateness, the next attempt, the schedule."""
