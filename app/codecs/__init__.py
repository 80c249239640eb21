"""Request bodies to rows, and predictions to response bodies: JSON, MLflow invocations, tables."""
