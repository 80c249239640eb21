"""False alarms, detection delays and costs of the monitoring, beside Evidently and NannyML."""
