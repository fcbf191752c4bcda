"""The merge: commit messages, QA, selection, blessing, RC mode."""
