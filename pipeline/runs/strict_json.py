"""The JSON that the runner writes and reads: strict, as RFC 8259 has it, whatever the values are.

NaN and infinity are the texts NaN, Infinity and -Infinity; what is no JSON at all is a text, a list
or a dictionary.
"""

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any

# the texts of the floats that JSON has not; `float` reads them
NON_FINITE_TEXTS = ("NaN", "Infinity", "-Infinity")


def encode_json(content: Any, indent: int | None = None) -> str:
    """Return content as strict JSON in ASCII. Raises ValueError if it contains itself."""
    try:
        return json.dumps(content, indent=indent, allow_nan=False, default=to_json_content)
    except (TypeError, ValueError):  # a float, key or number that JSON has not: rare
        pass
    try:
        return json.dumps(to_json_content(content), indent=indent, allow_nan=False)
    except RecursionError:
        raise ValueError("it contains itself, or is nested too deeply for JSON") from None


def decode_json(text: str | bytes) -> Any:
    """Return the content of JSON; NaN and infinity of earlier versions as their texts.

    Raises ValueError.
    """
    try:
        return json.loads(text, parse_constant=str)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def to_json_content(value: Any) -> Any:
    """Return a value as dictionaries, lists, texts, numbers, booleans and None only.

    Scalars and arrays of numpy and pandas become numbers and lists; a value of another type is its
    text.
    """
    match value:
        case None | bool() | str() | int() | float():
            return _to_json_scalar(value)
        case Mapping():
            return {_to_key(key): to_json_content(item) for key, item in value.items()}
        case list() | tuple():
            return [to_json_content(item) for item in value]
        case set() | frozenset():
            return sorted(map(to_json_content, value), key=repr)
        case bytes() | bytearray():
            return value.decode(errors="backslashreplace")
        case Enum():
            return to_json_content(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        entries = dataclasses.fields(value)
        return {entry.name: to_json_content(getattr(value, entry.name)) for entry in entries}
    return _from_array(value)


def _to_json_scalar(value: bool | str | int | float | None) -> bool | str | int | float | None:
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)  # of an enumeration, too
        case int():
            return int(value) if _is_short(value) else hex(value)
    return float(value) if math.isfinite(value) else _non_finite_text(value)


def _from_array(value: Any) -> Any:
    """Return the content of an array or a scalar of numpy; the text of any other value."""
    to_list = getattr(value, "tolist", None)
    if callable(to_list) and not isinstance(value, type):
        plain_value = to_list()
        if type(plain_value) is not type(value):
            return to_json_content(plain_value)
    return str(value)


def _to_key(key: Any) -> str:
    """Return a dictionary's key as `json.dumps` writes it, or as its text."""
    content = to_json_content(key)
    return content if isinstance(content, str) else json.dumps(content, allow_nan=False)


def _is_short(value: int) -> bool:
    """Return whether Python writes a number in decimal digits, which it limits."""
    max_digits = sys.get_int_max_str_digits() or math.inf
    return value.bit_length() < 3 * max_digits  # log2(10) is 3.3


def _non_finite_text(value: float) -> str:
    if math.isnan(value):
        return NON_FINITE_TEXTS[0]
    return NON_FINITE_TEXTS[1] if value > 0 else NON_FINITE_TEXTS[2]
