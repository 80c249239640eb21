"""The Flask routes, one module for each subject."""
