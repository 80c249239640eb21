"""Texts: counts in words, and the byte order marks that content begins with."""

import codecs

BYTE_ORDER_MARKS = {  # UTF-32's little-endian mark begins with UTF-16's
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def find_byte_order_mark(content: bytes) -> tuple[bytes, str]:
    """Return the byte order mark that content begins with, and its encoding; else both empty."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return mark, encoding
    return b"", ""


def count_text(count: int, noun: str) -> str:
    """Return "1 row", or "2,000 rows"."""
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def omission_text(total: int, max_listed: int, nouns: str) -> str:
    """Return the last line of a list that leaves some out: "and 5 more problems"; else empty.

    total: how many there are. max_listed: how many the list has at most.
    """
    return f"and {total - max_listed:,} more {nouns}" if total > max_listed else ""
