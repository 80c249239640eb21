"""The data set: files and their forms, sources, validation, cleaning, splitting, the sample, DVC.

Trains no model.
"""
