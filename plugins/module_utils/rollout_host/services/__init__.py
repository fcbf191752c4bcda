"""The services of a host and the processes of a run on it (R5, R19)."""
