"""Bugs, as far as the front page shows them."""


def reported(cursor):
    """How many public bugs there are."""
    cursor.execute("SELECT count(*) FROM Bug WHERE NOT private")
    return "bugs reported", cursor.fetchone()[0]
