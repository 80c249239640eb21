"""What is normal for a version: its held-out rows, counted as the traffic is.

`held_out` is the reference of a version, `reference_file` its file beside the model.
"""
