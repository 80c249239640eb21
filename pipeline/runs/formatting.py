"""Texts that the terminal, the records and the pages share: durations, and shortened lists."""

from collections.abc import Sequence, Sized

MAX_LISTED_ITEMS = 3
STACK_MARKS = ("Traceback (most recent call last)", "\x1b[")  # IPython colours stacks of frames


def format_duration(seconds: float) -> str:
    """Return a duration as text, rounded to its smallest unit: 4.2 s, 1 min 12 s, 2 h 5 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    if round(seconds) < 3600:
        minutes, full_seconds = divmod(round(seconds), 60)
        return f"{minutes} min {full_seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def end_sentence(text: str) -> str:
    """Return the text with a period, unless it ends as a sentence or as shortened text does."""
    text = text.rstrip()
    return text if text.rstrip("\"'”)]`").endswith((".", "!", "?", "…")) else f"{text}."


def join_limited(items: Sequence[str], limit: int = MAX_LISTED_ITEMS, separator: str = "; ") -> str:
    """Return the first `limit` items as one text, and how many more there are."""
    return separator.join(items[:limit]) + hidden_items_suffix(items, limit)


def hidden_items_suffix(items: Sized, limit: int = MAX_LISTED_ITEMS) -> str:
    """Return " and 2 more" for a list of which only the first `limit` are shown; else empty."""
    n_hidden = len(items) - limit
    return f" and {n_hidden:,} more" if n_hidden > 0 else ""


def split_message(traceback: str) -> list[str]:
    """Return the lines of an error that renders itself; empty for a single line or a stack.

    An exception with a method `_render_traceback_` gives IPython a text for its user instead of
    the stack of frames.
    """
    lines = traceback.splitlines()
    is_message = len(lines) > 1 and not any(mark in traceback for mark in STACK_MARKS)
    return lines if is_message else []
