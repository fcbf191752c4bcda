"""Version control on a host: the merge and its back-out, in Bazaar and git (R10, R17)."""
