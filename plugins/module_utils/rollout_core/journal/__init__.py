"""The journal: its text, its events, and what follows from them."""
