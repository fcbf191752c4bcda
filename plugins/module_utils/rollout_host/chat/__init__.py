"""Chat servers (R15)."""
