"""What the preflight makes of the facts that hosts tell (R18)."""
