"""CSV bodies as text: the header, and the cells of each row.

Columns are separated by commas, semicolons, tabs or bars. An empty line is no row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from app.codecs import columns
from app.problem_details import check_row_count, request_error, shorten
from housing.text import count_text, find_byte_order_mark

DELIMITERS = ",;\t|"
LINE_END_PATTERN = re.compile(rb"\r\n|\r|\n")
BLANK_LINE_PATTERN = re.compile(rb"\n[ \t\r]*\n|\r[ \t]*\r")


class CsvHeader(NamedTuple):
    """The first line of a CSV body that is not blank."""

    names: list[str]
    delimiter: str
    end: int  # where the body goes on after it, in bytes
    line_number: int  # from 1


class CsvRow(NamedTuple):
    """The cells of a row, in the order of the header; none if their number is wrong."""

    cells: list[str]
    line_number: int  # of its first line, from 1
    problem: str = ""


def convert_to_utf8(body: bytes) -> bytes:
    """Return a body in UTF-8 without a byte order mark, which says what it is in."""
    mark, encoding = find_byte_order_mark(body)
    text = body[len(mark) :]
    is_utf_8 = encoding in ("", "utf-8")
    return text if is_utf_8 else text.decode(encoding, errors="replace").encode()


def read_header(body: bytes, expected_names: Collection[str]) -> CsvHeader:
    """Return the header. Raises RequestError for one that has none of the names."""
    blank_bytes = len(body) - len(body.lstrip())
    if blank_bytes == len(body):
        raise request_error(400, "the body is empty, expected CSV with a header")
    start = max(body.rfind(b"\n", 0, blank_bytes), body.rfind(b"\r", 0, blank_bytes)) + 1
    line_end = LINE_END_PATTERN.search(body, start)
    line_bytes = body[start : line_end.start() if line_end else len(body)]
    columns.check_column_count(max(line_bytes.count(mark.encode()) for mark in DELIMITERS) + 1)
    line = line_bytes.decode("utf-8", errors="replace")
    delimiter, names = max(
        ((delimiter, _split_names(line, delimiter)) for delimiter in DELIMITERS),
        key=lambda candidate: len(set(candidate[1]) & set(expected_names)),
    )
    if not set(names) & set(expected_names):
        way_out = "; it has NUL characters: send UTF-8" if "\0" in line else ""
        raise request_error(
            422,
            f"the first line is {shorten(line)}, expected a header with "
            f"{', '.join(expected_names)}{way_out}",
        )
    end = line_end.end() if line_end else len(body)
    return CsvHeader(names, delimiter, end, 1 + len(LINE_END_PATTERN.findall(body, 0, start)))


def check_line_count(body: bytes, header: CsvHeader, max_rows: int) -> int:
    """Return how many lines follow the header, blank ones at the end left out.

    Raises RequestError if there are so many that there must be too many rows.
    """
    end = len(body.rstrip())
    line_count = max(body.count(b"\n", header.end, end), body.count(b"\r", header.end, end)) + 1
    if line_count > max_rows and not _may_have_fewer_rows(body, header):
        check_row_count(line_count, max_rows)
    return line_count


def _may_have_fewer_rows(body: bytes, header: CsvHeader) -> bool:
    """Return whether some of the lines may be blank, or one row with the next."""
    end = len(body.rstrip())
    has_quotes = body.find(b'"', header.end) >= 0
    return has_quotes or BLANK_LINE_PATTERN.search(body, header.end - 1, end) is not None


def _split_names(line: str, delimiter: str) -> list[str]:
    try:
        [names] = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    except (csv.Error, ValueError):  # a name that is too long
        return []
    return [name.strip() for name in names]


def read_rows(body: bytes, header: CsvHeader, max_rows: int) -> Iterator[CsvRow]:
    """Yield the rows. Raises RequestError after too many of them, or at what is no CSV."""
    text = body[header.end :].decode("utf-8", errors="replace")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=header.delimiter, skipinitialspace=True
    )
    row_count, line_number = 0, header.line_number
    try:
        for cells in reader:
            row_line, line_number = line_number + 1, header.line_number + reader.line_num
            if _is_blank(cells):
                continue
            row_count += 1
            if row_count > max_rows:  # are counted, and not kept
                continue
            if len(cells) == len(header.names):
                yield CsvRow(cells, row_line)
            else:
                line_count = line_number - row_line + 1
                yield CsvRow([], row_line, _describe_cell_count(len(cells), line_count, header))
    except csv.Error as error:
        raise request_error(
            400, f"the body is not CSV that can be read: row {row_count}, which begins at line "
            f"{line_number + 1:,}: {error}; a quote may not be closed"
        ) from None  # fmt: skip
    check_row_count(row_count, max_rows)


def _is_blank(cells: list[str]) -> bool:
    return not cells or (len(cells) == 1 and not cells[0].strip())


def _describe_cell_count(count: int, line_count: int, header: CsvHeader) -> str:
    if count < len(header.names) and line_count > 1:
        hint = "; a quote may not be closed"
    elif count > len(header.names) and header.delimiter == ",":
        hint = "; a value with a comma in it needs quotes"
    else:
        hint = ""
    return f"{count_text(count, 'field')}, expected {len(header.names)} as in the header{hint}"
