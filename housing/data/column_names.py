"""What is wrong with the names of a frame's columns, with the nearest name that the file has."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence

from housing.data.known_forms import (
    AVERAGE_NAMES,
    CENSUS_COLUMNS,
    CENSUS_TARGET,
    HOUSEHOLDS,
    normalize_name,
)
from housing.schema import COLUMNS, FEATURES, HOUSE_VALUE, TARGET
from housing.text import omission_text

MAX_LISTED_NAMES = 12
MAX_NAME_CHARS = 40
MAX_EXPLAINED_NAMES = 3  # of missing columns; more are listed without what they are
MIN_PREFIX_CHARS = 3  # "lat" is the start of Latitude
MIN_SIMILARITY = 0.7
# what others call the columns, without spaces and in small letters
SYNONYMS = {
    **{name: [normalize_name(count_name)] for name, count_name in CENSUS_COLUMNS.items()},
    "MedInc": ["medianincome", "income"],
    "HouseAge": ["housingmedianage", "age"],
    "Longitude": ["lng", "x"],
    "Latitude": ["y"],
    TARGET: ["medianhousevalue", "target", "price", "medv", "value", "housevalue"],
}


def find_column_problems(names: Sequence[str], source_names: Mapping[str, str]) -> list[str]:
    """Return one sentence for each column that is missing, there twice, or not expected.

    source_names: of `known_forms.Conversion`; empty if the file was not converted.
    """
    expected_names = _expected_names(names, source_names)
    extra_names = [name for name in dict.fromkeys(names) if name not in COLUMNS]
    problems, nameless = [], []
    for expected_name in expected_names:
        near_name = find_near_name(expected_name, extra_names)
        if near_name is None:
            nameless.append(expected_name)
            continue
        extra_names.remove(near_name)
        problems.append(
            f"column {expected_name} is missing (the file has {_quote(near_name)}: rename it)"
        )
    if len(nameless) <= MAX_EXPLAINED_NAMES:
        problems += [f"column {name} is missing ({expected_names[name]})" for name in nameless]
    else:
        problems.append(f"{_columns_are(nameless)} missing")
    problems += [
        f"column {name} is there {count} times, expected once"
        for name, count in Counter(names).items()
        if count > 1
    ]
    if extra_names:
        pronoun = "it" if len(extra_names) == 1 else "them"
        listed = _columns_are(list(map(_quote, extra_names)))
        problems.append(f"{listed} not expected: remove {pronoun}")
    return problems


def _expected_names(names: Sequence[str], source_names: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that the file lacks, in the file's own form -> what they are.

    source_names: of `known_forms.Conversion`.
    """
    missing_names = [name for name in COLUMNS if name not in names]
    if not source_names:
        return {name: _describe(name) for name in missing_names}
    if {"AveRooms", "AveOccup"} <= set(missing_names):
        missing_names = [name for name in missing_names if name not in AVERAGE_NAMES]
        return _name_counts(missing_names) | {HOUSEHOLDS: "the divisor of the averages"}
    return _name_counts(missing_names)


def _name_counts(missing_names: Sequence[str]) -> dict[str, str]:
    count_names = {**CENSUS_COLUMNS, TARGET: CENSUS_TARGET}
    return {count_names[name]: f"for the {_describe(name)}" for name in missing_names}


def _describe(name: str) -> str:
    feature = {**FEATURES, TARGET: HOUSE_VALUE}[name]
    return f"{feature.meaning}, {feature.unit}"


def find_near_name(expected_name: str, names: Sequence[str]) -> str | None:
    """Return the name that is meant by the expected one as it seems; None if there is none."""
    expected = normalize_name(expected_name)
    spellings = {normalize_name(name): name for name in reversed(names)}
    for spelling in (expected, *SYNONYMS.get(expected_name, ())):
        if spelling in spellings:
            return spellings[spelling]
    for spelling, name in spellings.items():
        if len(spelling) >= MIN_PREFIX_CHARS and expected.startswith(spelling):
            return name
    near_spellings = difflib.get_close_matches(expected, spellings, 1, MIN_SIMILARITY)
    return spellings[near_spellings[0]] if near_spellings else None


def _columns_are(names: Sequence[str]) -> str:
    listed = ", ".join(names[:MAX_LISTED_NAMES])
    omission = omission_text(len(names), MAX_LISTED_NAMES, "columns")
    verb = "column {} is" if len(names) == 1 else "columns {} are"
    return verb.format(f"{listed} {omission}".strip())


def _quote(name: str) -> str:
    """Return a name for a sentence, in quotes if its spaces would not be seen; shortened."""
    shown_name = name if len(name) <= MAX_NAME_CHARS else f"{name[:MAX_NAME_CHARS]}…"
    return shown_name if shown_name.isidentifier() else repr(shown_name)
