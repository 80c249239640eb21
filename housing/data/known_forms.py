"""Convert the well-known forms of the data set to this project's columns.

The form of Géron's book, of Kaggle's housing.csv and of R's mlr3data has counts of rooms, bedrooms,
people and households per block group and the house value in dollars. scikit-learn, and this
project, have averages per household and the value in $100,000.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from housing.data.errors import DataError
from housing.data.files.number_parsing import find_texts
from housing.schema import TARGET, USD_PER_UNIT

CENSUS_COLUMNS = {  # our column -> the one that it is made of
    "MedInc": "median_income",
    "HouseAge": "housing_median_age",
    "AveRooms": "total_rooms",
    "AveBedrms": "total_bedrooms",
    "Population": "population",
    "AveOccup": "population",
    "Latitude": "latitude",
    "Longitude": "longitude",
}
AVERAGE_NAMES = ("AveRooms", "AveBedrms", "AveOccup")
HOUSEHOLDS, CENSUS_TARGET = "households", "median_house_value"
UNUSED_PREFIX = "oceanproximity"  # of a text, or of a column for each of its values
CENSUS_NAMES = [*dict.fromkeys([*CENSUS_COLUMNS.values(), HOUSEHOLDS])]
# no other form has these; where most of them are, the form is meant
DISTINCTIVE_NAMES = {"housing_median_age", "total_rooms", "total_bedrooms", "households",
                     "median_income"}  # fmt: skip
MIN_DISTINCTIVE_NAMES = 3
MIN_USD_MEDIAN = 1_000  # of house values in dollars; in $100,000 the largest is 5
ROW_NUMBER_PATTERN = re.compile(r"|unnamed\d*|index|level0|id|rownames?|rownumber", re.ASCII)


class Conversion(NamedTuple):
    """A frame in this project's columns, and what was done for it."""

    frame: pd.DataFrame  # same rows and index; columns that are not known stand at the end
    notes: list[str]  # one sentence each
    row_problems: dict[int, str]  # index of a row whose averages cannot be computed -> why
    gaps: dict[str, pd.Index]  # column of a converted file -> its rows without a value
    source_names: dict[str, str]  # our column -> how it was made; empty if nothing was converted


def convert_columns(frame: pd.DataFrame) -> Conversion:
    """Convert a frame of a known form to this project's columns; leave other frames as they are.

    frame: as `table_files` reads it. The form is recognized by its columns, in any order and
    spelling (`total_rooms`, `totalRooms`, `Total Rooms`). A row without households gets infinite
    averages, and a problem. Text in the place of a number stays text, with a problem too where it
    would be divided. Of a column that is missing, so is what would be made of it. Columns that only
    number the rows are left out. Raises DataError for a column of the form that is there twice.
    """
    frame, notes = _drop_row_numbers(frame)
    names = _find_census_names(frame.columns)
    if len(DISTINCTIVE_NAMES & names.keys()) < MIN_DISTINCTIVE_NAMES:
        return Conversion(frame, notes, {}, {}, {})
    for name, count in Counter(frame.columns).items():
        if count > 1 and name in names.values():
            raise DataError(f"the column {name} is there {count} times, expected once")
    counts = {name: frame[column] for name, column in names.items()}
    columns, source_names = {}, {}
    households = counts.get(HOUSEHOLDS)
    for name, count_name in CENSUS_COLUMNS.items():
        if count_name not in counts:
            continue
        if name not in AVERAGE_NAMES:
            columns[name], source_names[name] = counts[count_name], names[count_name]
        elif households is not None:
            columns[name] = _divide(counts[count_name], households)
            source_names[name] = f"{names[count_name]} / {names[HOUSEHOLDS]}"
    notes = [
        "the columns are those of Géron's and Kaggle's housing.csv: rooms, bedrooms and people "
        "were divided by households",
        *notes,
    ]
    if CENSUS_TARGET in counts:
        columns[TARGET], source_names[TARGET], note = _convert_value(
            counts[CENSUS_TARGET], names[CENSUS_TARGET]
        )
        notes.append(note)
    unused = [name for name in frame if normalize_name(name).startswith(UNUSED_PREFIX)]
    notes += [f"{name} was left out" for name in unused]
    others = frame.drop(columns=[*names.values(), *unused])
    converted = pd.concat([pd.DataFrame(columns, frame.index), others], axis=1)
    gaps = {
        names[name]: values.index[values.isna()]
        for name, values in counts.items()
        if values.isna().any()
    }
    return Conversion(converted, notes, _find_row_problems(counts), gaps, source_names)


def normalize_name(name: str) -> str:
    """Return a name without case, spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", str(name).casefold())


def _find_census_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the names of the form that the columns have -> the columns, spelt as they are."""
    spellings = {normalize_name(name): name for name in (*CENSUS_NAMES, CENSUS_TARGET)}
    found_names: dict[str, str] = {}
    for column in columns:
        name = spellings.get(normalize_name(column))
        if name is not None and name not in found_names:
            found_names[name] = column
    return found_names


def _drop_row_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out columns that number the rows, and nameless columns without a value."""
    is_dropped, notes = [], []
    for number, name in enumerate(frame.columns):
        values = frame.iloc[:, number]
        is_candidate = bool(ROW_NUMBER_PATTERN.fullmatch(normalize_name(name)))
        is_empty = is_candidate and bool(values.isna().all())
        is_numbering = is_candidate and not is_empty and _numbers_rows(values, bool(name))
        is_dropped.append(is_empty or is_numbering)
        if is_numbering:
            label = f"the column {name}" if name else "the column without a name"
            notes.append(f"{label}, which numbers the rows, was left out")
    return frame.loc[:, ~np.array(is_dropped, bool)], notes


def _numbers_rows(values: pd.Series, must_be_unique: bool) -> bool:
    """Return whether the values are whole numbers, and each of them is there once."""
    numbers = pd.to_numeric(values, errors="coerce")
    is_whole = bool((numbers % 1 == 0).all())
    return is_whole and (numbers.is_unique or not must_be_unique)


def _divide(counts: pd.Series, households: pd.Series) -> pd.Series:
    """Return counts / households, infinite without households; text stays text."""
    is_text = pd.Series(False, counts.index)
    is_text[find_texts(counts).index.union(find_texts(households).index)] = True
    divisors = _to_numbers(households)
    averages = _to_numbers(counts) / divisors
    averages = averages.mask(divisors <= 0, np.inf)
    if not is_text.any():
        return averages
    texts = find_texts(households).combine_first(find_texts(counts))
    return averages.astype(object).mask(is_text, texts.reindex(counts.index))


def _convert_value(values: pd.Series, column: str) -> tuple[pd.Series, str, str]:
    """Return house values in $100,000, how they were made, and a note."""
    median = _to_numbers(values).median()
    if not median >= MIN_USD_MEDIAN:
        return values, column, f"{column} was taken as it is, in units of {USD_PER_UNIT:,} dollars"
    converted = _divide(values, pd.Series(float(USD_PER_UNIT), values.index))
    note = f"{column} was converted from dollars to units of {USD_PER_UNIT:,} dollars"
    return converted, f"{column} / {USD_PER_UNIT:,}", note


def _find_row_problems(counts: dict[str, pd.Series]) -> dict[int, str]:
    """Return the rows whose averages cannot be computed -> why. counts: by name of the form."""
    problems: dict[int, str] = {}
    divided_names = {CENSUS_COLUMNS[name] for name in AVERAGE_NAMES}
    for name in [HOUSEHOLDS, *sorted(divided_names)]:
        values = counts.get(name, pd.Series(dtype=float))
        for row, value in find_texts(values).items():
            problems.setdefault(row, f"{values.name} is {value!r}, expected a number")
        if name == HOUSEHOLDS:
            numbers = _to_numbers(values)
            for row, number in numbers[numbers <= 0].items():
                problems[row] = f"{values.name} is {number:g}, expected at least 1"
    return problems


def _to_numbers(values: pd.Series) -> pd.Series:
    """Return float64, NaN for what is no number."""
    return pd.to_numeric(values, errors="coerce").astype(float)
