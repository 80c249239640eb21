"""Training on rows of the prediction log whose true value is known, beside the data.

`labelled_rows` reads and checks them, `value_index` says what older values are worth at today's
prices, and `training_part` holds the newest rows out and puts the others together.
"""
