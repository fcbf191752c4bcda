"""Trees on a host: directories with one revision of the application each, from Bazaar, git or an archive."""
