"""Watching the model in use: what the traffic and its true values say, and when to raise an alarm.

`quantities` names what is watched, `counts` is what is kept of each day, and `verdict` is what
comes out; `statistics` knows no house.
"""
