"""One module per page below reports/: a step, a run, the index, a comparison of two runs.

Also what only one page needs: the description of a failure, and the differences in a comparison.
"""
