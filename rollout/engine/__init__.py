"""The conductor and what it does to a stage: run it, judge it, stop it, take it back."""
