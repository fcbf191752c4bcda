"""The events' table in the docs is that of their classes."""

from rollout.journal import table


def test_the_page_has_the_table_of_today():
    """To make it anew:  python -m rollout.journal.table"""
    text = table.PAGE.read_text(encoding="utf-8")
    assert text == table.page(text)
    assert table.table() in text
