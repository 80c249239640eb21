"""Counting the days of the prediction log: which have changed, what of each is kept, and where.

`daily_store` beside this package puts the parts together.
"""
