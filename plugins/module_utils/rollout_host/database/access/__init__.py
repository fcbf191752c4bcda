"""Access to the database: closed and opened by PostgreSQL itself, or by pgbouncer (R18)."""
