"""Experiments in MLflow, and the store behind them. No rules of the registry here."""
