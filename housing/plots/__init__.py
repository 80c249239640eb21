"""Figures and maps for notebooks and reports.

Each function returns Axes or HTML and computes no metric.
"""
