"""Bugs, as far as the front page shows them."""


def reported(cursor):
    """Return the number of public bugs, with its label."""
    cursor.execute("SELECT count(*) FROM Bug WHERE NOT private")
    return "bugs reported", cursor.fetchone()[0]
