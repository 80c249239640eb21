"""The challenger answers silently beside the champion, in a process of its own.

The process follows the prediction log, so that no request waits for it; `supervisor` starts it and
`challenger_sync` copies the challenger, both in the parent process of the service.
"""
