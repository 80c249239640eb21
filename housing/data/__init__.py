"""The data set: sources, validation, splitting, the synthetic sample and DVC versions.

Trains no model.
"""
