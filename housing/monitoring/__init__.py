"""Watching the model in use: what the traffic and its true values say, and when to raise an alarm.

`quantities` names what is watched, `counts` is what is kept of each day, and `verdict` is what
comes out. `reference` knows what is normal, `daily` counts the log, `analysis` compares the two,
`report` makes tables of it for the notebook, `notification` sends the news, and `comparison` judges
the challenger; `statistics` knows no house.
"""
