"""Files of tables as people write them: what they are, and their rows, numbers and text.

Knows none of the data set's columns.
"""
