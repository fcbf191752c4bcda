"""What we claim about speed, as commands that print a table: `python -m bench [NAME…]`."""
