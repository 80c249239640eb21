"""The columns of a CSV file as they are written again: the same text, or numbers in Parquet.

A column is one of numbers if all its values are. A number with leading zeros, such as an
identifier, is text.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from housing.batch_scoring import conversion
from housing.data.files import table_files
from housing.data.files.number_parsing import EMPTY_WORDS, parse_numbers

INTEGER_PATTERN = r"^-?(0|[1-9]\d{0,17})$"  # fits in 64 bits
# no leading zeros and no more digits than a float has: those are identifiers
FLOAT_PATTERN = r"^-?((0|[1-9]\d{0,14})(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
DECIMAL_COMMA_PATTERN = r"^([+-]?\d*),(\d+([eE][+-]?\d+)?)$"
TYPE_PATTERNS = {pa.int64(): INTEGER_PATTERN, pa.float64(): FLOAT_PATTERN}


def infer_schema(path: Path, schema: pa.Schema, decimal: str) -> pa.Schema:
    """Read a whole CSV file and return its columns with the types of their values.

    schema: its columns, as text. The columns of the features are numbers in any case: a value that
    is none has its problem.
    """
    candidates = {index: list(TYPE_PATTERNS) for index in range(len(schema))}
    feature_indices = conversion.needed_columns(schema.names)
    for index in feature_indices:
        del candidates[index]
    filled_columns: set[int] = set()
    for chunk in table_files.iter_tables(path, as_text=True):
        for index, data_types in candidates.items():
            texts = _clean_texts(pa.array(chunk.frame.iloc[:, index], pa.string()), decimal)
            candidates[index] = [
                data_type for data_type in data_types if _all_match(texts, TYPE_PATTERNS[data_type])
            ]
            if texts.null_count < len(texts):
                filled_columns.add(index)
    types = dict.fromkeys(feature_indices, pa.float64()) | {
        index: data_types[0]
        for index, data_types in candidates.items()
        if data_types and index in filled_columns
    }
    return pa.schema(
        [(name, types.get(index, pa.string())) for index, name in enumerate(schema.names)]
    )


def convert_column(
    texts: pa.Array, data_type: pa.DataType, decimal: str, keeps_empty_text: bool
) -> pa.Array:
    """Return a column of text in another type, null for what has no value of it.

    Text stays as it is, except that a number with a decimal comma gets a point.
    """
    if pa.types.is_string(data_type):
        if not keeps_empty_text:
            texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)
        return _replace_decimal_commas(texts) if decimal == "," else texts
    if pa.types.is_floating(data_type):
        numbers = pd.to_numeric(parse_numbers(texts, decimal), errors="coerce")
        return pa.array(numbers.astype(float), pa.float64())
    texts = _clean_texts(texts, decimal)
    is_integer = pc.match_substring_regex(texts, INTEGER_PATTERN)  # false in ragged rows alone
    return pc.if_else(is_integer, texts, pa.scalar(None, texts.type)).cast(data_type)


def _all_match(texts: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def _clean_texts(texts: pa.Array, decimal: str) -> pa.Array:
    """Return the texts without white space around them, null for words that stand for no value."""
    texts = pc.utf8_trim_whitespace(texts)
    is_empty = pc.is_in(texts, EMPTY_WORDS)
    texts = pc.if_else(is_empty, pa.scalar(None, texts.type), texts)
    return _replace_decimal_commas(texts) if decimal == "," else texts


def _replace_decimal_commas(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, DECIMAL_COMMA_PATTERN, r"\1.\2")
