"""Messages to people about the monitoring: what is worth one, its text, and the way it is sent.

Needs the standard library only.
"""
