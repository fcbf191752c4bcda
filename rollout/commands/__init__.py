"""What a person types: one file a group of commands (docs/operations.md)."""
