"""What is done while access is closed: patches, the site's script, nothing, or a schema undo."""
