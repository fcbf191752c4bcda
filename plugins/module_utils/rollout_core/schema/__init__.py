"""Schema patches: names, statements, timings, permissions, undo files."""
