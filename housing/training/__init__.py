"""Hyper-parameter search and cross-validation, with their cache and executors.

Knows no MLflow.
"""
