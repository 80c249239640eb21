"""Metrics, slices, bootstrap comparison and interval calibration, on held-out rows.

Draws no figure.
"""
