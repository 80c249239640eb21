"""Durations as text, and shortened lists."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runs.formatting import end_sentence, format_duration, join_limited, split_message

SECONDS_PER_UNIT = {"s": 1, "min": 60, "h": 3600}


def parse_duration(text):
    """Return the seconds that the text says, and those of its smallest step."""
    parts = re.findall(r"(\d+(?:\.\d)?) (s|min|h)", text)
    assert " ".join(f"{number} {unit}" for number, unit in parts) == text
    step = 0.1 if "." in text else SECONDS_PER_UNIT[parts[-1][1]]
    return sum(float(number) * SECONDS_PER_UNIT[unit] for number, unit in parts), step


@given(st.floats(0, 1e7))
def test_a_duration_says_the_seconds_to_its_last_digit(seconds):
    text_seconds, step = parse_duration(format_duration(seconds))
    assert abs(text_seconds - seconds) <= step / 2 * 1.0001
    assert not re.search(r"\b60(\.0)? (s|min)", format_duration(seconds))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.24, "4.2 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 0 s"),
        (72, "1 min 12 s"),
        (119.6, "2 min 0 s"),
        (3_599.4, "59 min 59 s"),
        (3_599.6, "1 h 0 min"),
        (3_600, "1 h 0 min"),
        (7_190, "2 h 0 min"),
        (7_500, "2 h 5 min"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds, text):
    assert format_duration(seconds) == text


@given(st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True)), st.integers(0, 5))
def test_a_shortened_list_counts_what_it_leaves_out(items, limit):
    shown, _, hidden = join_limited(items, limit, ", ").partition(" and ")
    assert shown.split(", ") == (items[:limit] or [""])
    assert (int(hidden.split()[0]) if hidden else 0) == max(0, len(items) - limit)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("it failed", "it failed."),
        ("too many requests.", "too many requests."),
        ("ValueError: really?", "ValueError: really?"),
        ("he said “no.”", "he said “no.”"),
        ("a long text…", "a long text…"),
        ("RuntimeError: f()", "RuntimeError: f()."),
    ],
)
def test_a_sentence_ends_once(text, sentence):
    assert end_sentence(text) == sentence


def test_an_error_that_renders_itself_is_a_message():
    assert split_message("a.csv cannot be used:\n- one\n- two") == [
        "a.csv cannot be used:", "- one", "- two",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "traceback",
    [
        "",
        "one line",
        "Traceback (most recent call last)\nCell In[1]\nValueError",
        "\x1b[31mSyntaxError\x1b[39m\n  ^",
    ],
)
def test_a_stack_and_a_single_line_are_none(traceback):
    assert split_message(traceback) == []
