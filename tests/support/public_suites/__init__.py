"""The test notebooks of papermill, nbclient and nbconvert, and how each must end as a step.

Each has a notebook of the same shape made here: the packages' own ones need their source packages.
"""
