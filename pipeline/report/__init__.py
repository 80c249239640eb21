"""The pages below reports/: the report of each step, the page of a run, the index, comparisons.

A page loads nothing from any network and runs the scripts of a notebook only in a sandboxed frame.
"""
