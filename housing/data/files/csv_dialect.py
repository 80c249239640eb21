"""Recognize from the start of a CSV file how it is written: encoding, separator, decimal mark."""

import codecs
import csv
import re
from collections import Counter
from typing import NamedTuple

from housing.text import find_byte_order_mark

# in the order of preference where several fit equally well
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
NUMBER_PATTERN = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*")
SEPARATOR_LINE_PATTERN = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's first line
MAX_SAMPLE_ROWS = 1_000
MIN_ZERO_SHARE = 0.5  # of every second byte, in UTF-16 without a byte order mark


class CsvDialect(NamedTuple):
    """How a CSV file is written."""

    encoding: str  # a name that Python's codecs have
    separator: str
    decimal: str  # "." or ","
    column_names: list[str]  # of each field of a row; "" for one that the header does not name
    header_lines: int  # lines up to and with the header
    has_rows: bool

    def describe(self) -> str:
        """Describe what is unusual in a dialect; empty for UTF-8, commas and decimal points."""
        traits = [] if self.encoding == "utf-8" else [self.encoding.upper()]
        traits += [] if self.separator == "," else [f"separated by {SEPARATORS[self.separator]}"]
        traits += [] if self.decimal == "." else ["decimal commas"]
        return ", ".join(traits)


def recognize_dialect(start: bytes, is_complete: bool) -> CsvDialect:
    """Recognize the dialect from the first bytes of a file; is_complete: there are no more.

    Raises ValueError, whose text goes on after the file's name, if there is no header: nothing but
    blank lines, or numbers in its place.
    """
    encoding = _recognize_encoding(start)
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    text = decoder.decode(start, final=is_complete).lstrip("\ufeff")
    lines = text.splitlines()
    if not is_complete and len(lines) > 1:
        lines.pop()  # it may be a part of one
    header_line = next((index for index, line in enumerate(lines) if line.strip()), None)
    if header_line is None:
        raise ValueError("is empty, expected a header and a row for each block group")
    separator_line = SEPARATOR_LINE_PATTERN.fullmatch(lines[header_line])
    header_line += bool(separator_line)
    lines = [line for line in lines[header_line : header_line + MAX_SAMPLE_ROWS] if line.strip()]
    separator = separator_line[1] if separator_line else _recognize_separator(lines)
    header, *rows = csv.reader(lines, delimiter=separator)
    if separator != " ":  # else it would join the separators
        header = next(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    if all(NUMBER_PATTERN.fullmatch(field) for field in header):
        raise ValueError(
            f"has numbers in its first line ({lines[0][:60]}), expected the names of the columns: "
            "put a line with the names before it"
        )
    return CsvDialect(
        encoding,
        separator,
        _recognize_decimal(rows) if separator != "," or '"' in text else ".",
        _name_columns(header, rows),
        header_line + 1,
        bool(rows) or not is_complete,
    )


def code_unit_bytes(encoding: str) -> int:
    """Return how many bytes a character of an encoding has at least."""
    return 4 if "32" in encoding else 2 if "16" in encoding else 1


def _recognize_encoding(start: bytes) -> str:
    mark, encoding = find_byte_order_mark(start)
    if mark:  # without the byte order in its name, an encoding's decoder skips the mark
        return encoding.removesuffix("-le").removesuffix("-be")
    for offset, encoding in enumerate(("utf-16-be", "utf-16-le")):
        characters = start[offset:1_000:2]
        if characters.count(0) > MIN_ZERO_SHARE * len(characters):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _recognize_separator(lines: list[str]) -> str:
    """Return the separator by which the header has fields for most rows, and the most of them."""

    def rank(separator: str) -> tuple[float, int]:
        header, *rows = csv.reader(lines, delimiter=separator)
        matching_rows = sum(len(row) - len(header) in (0, 1) for row in rows)
        share = matching_rows / len(rows) if rows else 1.0
        return (round(share, 1) if len(header) > 1 else -1.0, len(header))

    return max(SEPARATORS, key=rank)  # the first of equals


def _recognize_decimal(rows: list[list[str]]) -> str:
    """Return the decimal mark: a comma where numbers have commas and none has a point."""
    numbers = [field for row in rows for field in row if NUMBER_PATTERN.fullmatch(field)]
    has_commas = any("," in number for number in numbers)
    has_points = any("." in number for number in numbers)
    return "," if has_commas and not has_points else "."


def _name_columns(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return a name for each field that most rows have.

    Some programs name no column for the row's number, which comes first (R), others end each row
    with a separator.
    """
    field_counts = Counter(len(row) for row in rows)
    if field_counts.most_common(1)[:1] != [(len(header) + 1, field_counts[len(header) + 1])]:
        return header
    is_last_empty = all(row[-1] == "" for row in rows if len(row) == len(header) + 1)
    return [*header, ""] if is_last_empty else ["", *header]
