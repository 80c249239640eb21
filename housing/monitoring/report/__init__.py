"""What the notebook of the monitoring shows: the tables behind its figures, and its sentences.

Nothing here decides whether anything has changed; `signals` and `alarms` do.
"""
