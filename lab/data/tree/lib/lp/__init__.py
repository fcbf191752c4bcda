"""The application: everything the site serves that is not a file."""
