"""The prediction log in SQLite: reading, filtering, summarizing and archiving it. The service writes it."""
