"""CSV bodies of block groups. pyarrow parses a good one; Python's csv finds the problems of others.

Where no comma separates the columns, decimals may have one.
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np

from app.codecs import columns, csv_text, value_checks
from app.codecs.columns import FEATURE_COLUMNS
from app.codecs.csv_text import CsvHeader
from app.codecs.value_checks import ParsedTable
from app.problem_details import MAX_REPORTED_ERRORS, check_row_count, shorten
from housing.schema import COORDINATE_INDICES, FEATURE_NAMES

NUMBER_PATTERN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def decode_csv(body: bytes, max_rows: int, allow_extra_columns: bool) -> np.ndarray:
    """Return the rows of a CSV body, as `tables.decode_table` does. Raises RequestError."""
    body = csv_text.convert_to_utf8(body)
    header = csv_text.read_header(body, FEATURE_NAMES)
    columns.check_columns(
        [(name, "") for name in header.names], FEATURE_COLUMNS, allow_extra_columns
    )
    line_count = csv_text.check_line_count(body, header, max_rows)
    # the slow parser counts rows without keeping more than it may
    rows = _parse_fast(body, header) if line_count <= max_rows else None
    if rows is None or value_checks.has_invalid_values(rows):
        table = _parse_precisely(body, header, max_rows)
        value_checks.check_values(table)
        rows = table.rows
    check_row_count(len(rows), max_rows)
    return rows


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
    select_features = itemgetter(*[header.names.index(name) for name in FEATURE_NAMES])
    cells: list[str] = []
    malformed_rows: dict[int, str] = {}
    line_numbers: list[int] = []
    for number, row in enumerate(csv_text.read_rows(body, header, max_rows)):
        line_numbers.append(row.line_number)
        if row.problem:
            malformed_rows[number] = row.problem
            cells += ["0"] * len(FEATURE_NAMES)  # in the place of values, which are not checked
        else:
            cells += select_features(row.cells)
    rows, cell_texts = _parse_cells(cells, header.delimiter)
    return ParsedTable(rows, cell_texts, malformed_rows, line_numbers)


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
