"""PQM on its host: its configuration and the branches it guards (R13)."""
