"""Writing of the prediction log: rows in SQLite, JSON lines in files. Reading is in housing.prediction_log."""
