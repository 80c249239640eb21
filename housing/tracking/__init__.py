"""Experiments in MLflow and the store behind them: created, migrated and probed. No registry rules here."""
