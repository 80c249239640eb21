"""Watching the model in use: what the traffic and its true values say, and when to raise an alarm.

`betting`, `change_detection`, `confidence_sequences` and `shrinkage` are statistics that know no
house.
"""
