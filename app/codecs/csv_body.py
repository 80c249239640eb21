"""CSV bodies. pyarrow parses a good one; Python's csv finds every problem of another.

Columns are separated by commas, semicolons, tabs or bars. Where no comma separates them, decimals
may have one. An empty line is no row.
"""

from __future__ import annotations

import csv
import io
import re
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from app.codecs import columns, value_checks
from app.codecs.value_checks import ParsedTable
from app.problem_details import MAX_REPORTED_ERRORS, check_row_count, request_error, shorten
from housing.schema import COORDINATE_INDICES, FEATURE_NAMES
from housing.text import count_text, find_byte_order_mark

DELIMITERS = ",;\t|"
LINE_END_PATTERN = re.compile(rb"\r\n|\r|\n")
BLANK_LINE_PATTERN = re.compile(rb"\n[ \t\r]*\n|\r[ \t]*\r")
# the longer marks first: that of UTF-32 begins as that of UTF-16 does
NUMBER_PATTERN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


class CsvHeader(NamedTuple):
    """The first line of a CSV body that is not blank."""

    names: list[str]
    delimiter: str
    end: int  # where the body goes on after it, in bytes
    line_number: int  # from 1


def decode_csv(body: bytes, max_rows: int, allow_extra_columns: bool) -> np.ndarray:
    """Return the rows of a CSV body, as `tables.decode_table` does. Raises RequestError."""
    body = _to_utf8(body)
    header = _read_header(body)
    columns.check_columns([(name, "") for name in header.names], allow_extra_columns)
    line_count = _count_lines(body, header)
    if line_count > max_rows and not _may_have_fewer_rows(body, header):
        check_row_count(line_count, max_rows)
    # the slow parser counts rows without keeping more than it may
    rows = _parse_fast(body, header) if line_count <= max_rows else None
    if rows is None or value_checks.has_invalid_values(rows):
        table = _parse_precisely(body, header, max_rows)
        value_checks.check_values(table)
        rows = table.rows
    check_row_count(len(rows), max_rows)
    return rows


def _to_utf8(body: bytes) -> bytes:
    mark, encoding = find_byte_order_mark(body)
    text = body[len(mark) :]
    is_utf_8 = encoding in ("", "utf-8")
    return text if is_utf_8 else text.decode(encoding, errors="replace").encode()


def _read_header(body: bytes) -> CsvHeader:
    """Return the header. Raises RequestError for one that names none of the eight columns."""
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
        key=lambda candidate: len(set(candidate[1]) & set(FEATURE_NAMES)),
    )
    if not set(names) & set(FEATURE_NAMES):
        way_out = "; it has NUL characters: send UTF-8" if "\0" in line else ""
        raise request_error(
            422,
            f"the first line is {shorten(line)}, expected a header with "
            f"{', '.join(FEATURE_NAMES)}{way_out}",
        )
    end = line_end.end() if line_end else len(body)
    return CsvHeader(names, delimiter, end, 1 + len(LINE_END_PATTERN.findall(body, 0, start)))


def _count_lines(body: bytes, header: CsvHeader) -> int:
    """Return how many lines follow the header, blank ones at the end left out."""
    end = len(body.rstrip())
    return max(body.count(b"\n", header.end, end), body.count(b"\r", header.end, end)) + 1


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


def _parse_fast(body: bytes, header: CsvHeader) -> np.ndarray | None:
    """Return the rows, or None if there is a problem; NaN is a missing value."""
    import pyarrow as pa
    import pyarrow.csv

    has_decimal_commas = header.delimiter != "," and body.find(b",", header.end) >= 0
    convert_options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(FEATURE_NAMES, pa.float64()),
        include_columns=FEATURE_NAMES,
        null_values=[""],
        decimal_point="," if has_decimal_commas else ".",
    )
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(memoryview(body)[header.end :]),
            pyarrow.csv.ReadOptions(use_threads=False, column_names=header.names),
            pyarrow.csv.ParseOptions(
                delimiter=header.delimiter, newlines_in_values=body.find(b'"', header.end) >= 0
            ),
            convert_options,
        )
    except pa.ArrowException:
        return None
    rows = np.column_stack([table[name].to_numpy() for name in FEATURE_NAMES])
    if has_decimal_commas and not (rows[:, COORDINATE_INDICES] % 1).any():
        return None  # the commas may separate thousands
    return rows


def _parse_precisely(body: bytes, header: CsvHeader, max_rows: int) -> ParsedTable:
    """Return the rows, and what is wrong with each that has a problem.

    Raises RequestError for too many rows, or what is no CSV.
    """
    text = body[header.end :].decode("utf-8", errors="replace")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=header.delimiter, skipinitialspace=True
    )
    select_features = itemgetter(*[header.names.index(name) for name in FEATURE_NAMES])
    cells: list[str] = []
    malformed_rows: dict[int, str] = {}
    line_numbers: list[int] = []
    row_count, line_number = 0, header.line_number
    try:
        for fields in reader:
            row_line, line_number = line_number + 1, header.line_number + reader.line_num
            if _is_blank(fields):
                continue
            row_count += 1
            if row_count > max_rows:
                continue
            line_numbers.append(row_line)
            if len(fields) == len(header.names):
                cells += select_features(fields)
            else:
                malformed_rows[row_count - 1] = _describe_field_count(
                    len(fields), line_number - row_line + 1, header
                )
                cells += ["0"] * len(FEATURE_NAMES)  # in the place of values, which are not checked
    except csv.Error as error:
        raise request_error(
            400, f"the body is not CSV that can be read: row {row_count}, which begins at line "
            f"{line_number + 1:,}: {error}; a quote may not be closed"
        ) from None  # fmt: skip
    check_row_count(row_count, max_rows)
    rows, cell_texts = _parse_cells(cells, header.delimiter)
    return ParsedTable(rows, cell_texts, malformed_rows, line_numbers)


def _is_blank(fields: list[str]) -> bool:
    return not fields or (len(fields) == 1 and not fields[0].strip())


def _describe_field_count(count: int, line_count: int, header: CsvHeader) -> str:
    if count < len(header.names) and line_count > 1:
        hint = "; a quote may not be closed"
    elif count > len(header.names) and header.delimiter == ",":
        hint = "; a value with a comma in it needs quotes"
    else:
        hint = ""
    return f"{count_text(count, 'field')}, expected {len(header.names)} as in the header{hint}"


def _parse_cells(cells: list[str], delimiter: str) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Return the (n, 8) numbers in cells, and what stands at the first NaN of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(pa.array(cells, pa.string()))
    decimal_mark = "." if delimiter == "," else _find_decimal_mark(cells)
    numbers = texts
    if decimal_mark == ",":
        numbers = pc.replace_substring(pc.replace_substring(texts, ".", "?"), ",", ".")
    is_number = pc.match_substring_regex(numbers, NUMBER_PATTERN)
    values = pc.if_else(is_number, numbers, None).cast("float64")
    rows = values.to_numpy(zero_copy_only=False).reshape(-1, len(FEATURE_NAMES))
    cell_texts = {}
    for row, column in np.argwhere(np.isnan(rows))[:MAX_REPORTED_ERRORS].tolist():
        text = texts[row * len(FEATURE_NAMES) + column].as_py()
        cell_texts[row, column] = _describe_cell(text, delimiter, decimal_mark)
    return rows, cell_texts


def _find_decimal_mark(cells: list[str]) -> str:
    """Return what most coordinates have: none is so large that a mark separates thousands."""
    coordinates = [
        cell for index in COORDINATE_INDICES for cell in cells[index :: len(FEATURE_NAMES)]
    ]
    return max(".,", key=lambda mark: sum(mark in cell for cell in coordinates))


def _describe_cell(text: str, delimiter: str, decimal_mark: str) -> str:
    if not text:
        return "missing"
    if decimal_mark == "," and "." in text:
        hint = " (the other decimals have a comma)"
    elif decimal_mark == "." and "," in text:
        hint = " (numbers have a point and no comma)"
        if delimiter == ",":
            hint = " (numbers have a point and no comma; or separate the columns by semicolons)"
    else:
        hint = ""
    return shorten(text) + hint
