"""Whatever is written is JSON that any parser reads."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.runs.strict_json import decode_json, encode_json


class Colour(Enum):
    RED = 1


class Mood(StrEnum):
    GOOD = "good"


@dataclass
class Point:
    x: float


def parse_strictly(text):
    """Return the content of JSON; fail for what RFC 8259 does not know."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    assert text.isascii()
    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ({"a": [1.5, (math.inf,)]}, {"a": [1.5, ["Infinity"]]}),
        ({math.nan: 1, 2: 3, None: 4, True: 5, (1, 2): 6, Mood.GOOD: 7},
         {"NaN": 1, "2": 3, "null": 4, "true": 5, "[1, 2]": 6, "good": 7}),
        (np.float64(math.nan), "NaN"),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1.0, math.nan]), [1.0, "NaN"]),
        (np.datetime64("2026-03-01"), "2026-03-01"),
        (np.complex128(1 + 2j), "(1+2j)"),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Timestamp("2026-03-01"), "2026-03-01 00:00:00"),
        (pd.NA, "<NA>"),
        (pd.NaT, "NaT"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01 00:00:00+00:00"),
        (Path("a/b"), "a/b"),
        (b"a\xff", "a\\xff"),
        ({2, 1}, [1, 2]),
        (Colour.RED, 1),
        (Mood.GOOD, "good"),
        (Point(math.nan), {"x": "NaN"}),
        (10**30, 10**30),
        ({"n": 10**5000}, {"n": hex(10**5000)}),
        ("\ud800 \udcff", "\ud800 \udcff"),
        (1 + 2j, "(1+2j)"),
    ],
)  # fmt: skip
def test_each_value_has_a_form_in_strict_json(value, content):
    assert parse_strictly(encode_json(value)) == content
    assert parse_strictly(encode_json({"value": value, "other": math.nan}))["value"] == content


@settings(max_examples=30, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda items: st.lists(items) | st.dictionaries(st.text() | st.integers(), items),
))  # fmt: skip
def test_all_that_is_written_is_read_back(content):
    text = encode_json(content)
    parse_strictly(text)
    assert encode_json(decode_json(text)) == text


def test_what_is_json_is_not_changed():
    content = {"b": [1, 2.5, True, None, "x"], "a": {"y": 10**20}}
    assert encode_json(content) == json.dumps(content)
    assert list(decode_json(encode_json(content))) == ["b", "a"]


def test_files_of_earlier_versions_are_read():
    assert decode_json('{"x": [NaN, Infinity, -Infinity]}') == {
        "x": ["NaN", "Infinity", "-Infinity"]
    }


def test_content_that_contains_itself_is_an_error():
    content = []
    content.append(content)
    with pytest.raises(ValueError, match="contains itself"):
        encode_json(content)
    with pytest.raises(ValueError, match="nested too deeply"):
        decode_json("[" * 1_000_000)
