"""The Flask routes, one module for each subject, and the hooks that all requests pass."""
