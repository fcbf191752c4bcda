"""The site's trees on a host: cowboys (R16, R25)."""
