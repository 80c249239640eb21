"""Counts in messages, in words."""


def count_text(count: int, noun: str) -> str:
    """Return "1 row", or "2,000 rows"."""
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def omission_text(total: int, max_listed: int, nouns: str) -> str:
    """Return the last line of a list that leaves some out: "and 5 more problems"; else empty.

    total: how many there are. max_listed: how many the list has at most.
    """
    return f"and {total - max_listed:,} more {nouns}" if total > max_listed else ""
