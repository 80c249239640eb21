"""The model families and their parts: features, blend, neural network, intervals, files.

No search, no metrics.
"""
