"""After an abort: the source of the problem (R20), and the next attempt (R21)."""
