"""The year of windows: the list, the calendars it must not collide with, the people (R1, R3, R4)."""
