"""Make numbers of columns of text, and find what is none.

In the frames a column of numbers is float64. One in which a value is no number has dtype object:
its numbers are floats, the other values text.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# what pandas.read_csv takes for empty too
EMPTY_WORDS = pa.array(
    ["", "NA", "N/A", "#N/A", "n/a", "<NA>", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None"]
)
NUMBER_PATTERN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"


def parse_frame(frame: pd.DataFrame, decimal: str = ".") -> pd.DataFrame:
    """Return a frame as `iter_tables` yields it from one that it yielded with `as_text`."""
    arrays = [pa.array(frame.iloc[:, number]) for number in range(frame.shape[1])]
    columns = [parse_values(array, decimal) for array in arrays]
    return build_frame(list(frame.columns), columns, frame.index)


def parse_values(column: pa.Array, decimal: str = ".") -> pd.Series:
    """Return the numbers of a column of any type: float64, or object if a value is no number."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return parse_numbers(column, decimal)
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    if not any(check(column.type) for check in checks):
        return column.to_pandas().astype(object)
    return _cast_to_floats(column)


def parse_numbers(texts: pa.Array, decimal: str = ".") -> pd.Series:
    """Return the numbers of a column of text: float64, or object if a text is no number."""
    texts = pc.utf8_trim_whitespace(texts)
    is_empty = pc.is_in(texts, EMPTY_WORDS.cast(texts.type))
    texts = pc.if_else(is_empty, pa.scalar(None, texts.type), texts)
    candidates = texts
    if decimal == ",":  # a point is no part of a number then
        candidates = pc.replace_substring(pc.replace_substring(texts, ".", "?"), ",", ".")
    try:
        return _cast_to_floats(candidates)
    except pa.ArrowInvalid:
        is_number = pc.fill_null(pc.match_substring_regex(candidates, NUMBER_PATTERN), True)
    unsigned = pc.replace_substring_regex(candidates, r"^\+", "")
    values = _cast_to_floats(pc.if_else(is_number, unsigned, pa.scalar(None, unsigned.type)))
    is_text = ~is_number.to_numpy(zero_copy_only=False)
    if not is_text.any():
        return values
    return values.astype(object).mask(is_text, texts.to_pandas().astype(object))


def _cast_to_floats(array: pa.Array) -> pd.Series:
    return pd.Series(pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False))


def find_texts(values: pd.Series) -> pd.Series:
    """Return the values of a column that are no numbers; empty for a column of numbers."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values[:0]
    is_number = [
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
    ]
    return values[values.notna() & ~np.array(is_number, bool)]


def build_frame(names: list[str], columns: list[pd.Series], index: pd.Index) -> pd.DataFrame:
    """Build a frame; names may be there twice."""
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    return frame.set_axis(names, axis=1).set_axis(index)
