"""The conductor and its work on stages: to run them, judge lateness, stop them, undo them."""
