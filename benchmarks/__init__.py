"""Scripts that print every published figure.

Run them from the project folder: `python -m benchmarks.models.accuracy`.
"""
