"""The prediction log in SQLite: its table, and reading, filtering and archiving it."""
