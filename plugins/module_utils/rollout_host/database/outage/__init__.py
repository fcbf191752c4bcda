"""One outage: the worker that runs it, its guardian, its progress, how it is stopped (R18, R19)."""
