"""Rehearsals on the lab with a fault in them, that say by themselves whether the runbook did right (docs/drills.md)."""
