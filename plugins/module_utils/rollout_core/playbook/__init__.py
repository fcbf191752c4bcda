"""Playbooks as a whole: whether one is played as it stands, and whether it did its work."""
