"""The checks before an outage (R18)."""
