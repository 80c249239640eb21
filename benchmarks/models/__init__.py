"""Accuracy, intervals, inference speed and scaling of the models."""
