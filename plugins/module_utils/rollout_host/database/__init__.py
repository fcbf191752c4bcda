"""PostgreSQL on its host: connections, access, the outage and the work in it."""
