"""Telling people in time (R3, R5–R7, R15, R16, R20–R24): what is said, where, and that it went out once."""
