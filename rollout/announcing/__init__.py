"""Announcements (R3, R5–R7, R15, R16, R20–R24): what they say, where they go, and that each goes out once."""
