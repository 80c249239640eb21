"""Scripts that print every published figure.

Run them from the project folder: `.venv/bin/python -m benchmarks.models.accuracy`.
"""
