"""From counts to alarms: the streams that are watched, their changes, and how large these are.

`signals` is the entry; `self_test` replays held-out rows through the same rules.
"""
