"""Find a quotation mark in a CSV file that is not closed: rows would get lost in its value."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from housing.data.files.csv_dialect import CsvDialect
from housing.text import count_text

MAX_QUOTED_CHARS = 40  # of a value that an error repeats


class UnclosedQuotationError(ValueError):
    """Raised if a quotation mark is not closed; its text names row and column, not the file."""


def check_quotations(texts: list[pa.Array], rows: np.ndarray, dialect: CsvDialect) -> None:
    """Raise UnclosedQuotationError if a value holds whole rows.

    It does if a quotation mark stays open. texts: the columns. rows: (n,) their rows' numbers.
    """
    separators_per_row = len(texts) - 1
    for name, column in zip(dialect.column_names, texts, strict=True):
        has_lines = pc.or_(pc.match_substring(column, "\n"), pc.match_substring(column, "\r"))
        for index in np.flatnonzero(has_lines.to_numpy(zero_copy_only=False)):
            first_line, *next_lines = column[index].as_py().splitlines()
            if any(line.count(dialect.separator) >= separators_per_row for line in next_lines):
                raise UnclosedQuotationError(
                    f"row {rows[index] + 1}, column {name}: the quotation mark before "
                    f"{first_line[:MAX_QUOTED_CHARS]!r} is not closed, so that "
                    f"{count_text(len(next_lines), 'line')} after it would be one value with it: "
                    "close or remove it"
                )
