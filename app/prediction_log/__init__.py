"""Writing the prediction log to SQLite and JSON lines. housing.prediction_log reads it."""
