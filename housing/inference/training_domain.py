"""The domain a model was trained on, and warnings for rows outside it.

Needs numpy and pykdtree only, as the service uses it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from housing.geography import KM_PER_DEGREE, LONGITUDE_SCALE
from housing.inference import conditional_ranges
from housing.inference.conditional_ranges import ConditionalRanges
from housing.inference.neighbors import ROWS_PER_CHUNK, DistanceSpace, NeighborIndex, project
from housing.inference.shapley import reference_row
from housing.schema import COORDINATE_INDICES, FEATURE_NAMES, FEATURES

if TYPE_CHECKING:
    import pandas as pd

# of the real block groups held back, 1 in 200 is as far from those the model was trained on
MAX_DISTANCE_KM = 20.0
LOCATION_SPACE = DistanceSpace(COORDINATE_INDICES, np.array([1.0, LONGITUDE_SCALE]))


class Ratio(NamedTuple):
    """A quotient of two features that has a meaning, and so a range, of its own."""

    numerator: str
    denominator: str
    unit: str


RATIOS = [
    Ratio("AveBedrms", "AveRooms", "bedrooms per room"),
    Ratio("Population", "AveOccup", "households"),
    Ratio("AveRooms", "AveOccup", "rooms per person"),
]
NUMERATORS = [FEATURE_NAMES.index(ratio.numerator) for ratio in RATIOS]
DENOMINATORS = [FEATURE_NAMES.index(ratio.denominator) for ratio in RATIOS]


class TrainingDomain(NamedTuple):
    """The ranges and locations of the training rows. Older versions lack the last ones."""

    feature_min: np.ndarray  # (8,)
    feature_max: np.ndarray  # (8,)
    reference_row: np.ndarray  # (8,) an ordinary block group: `shapley.reference_row`
    location_index: NeighborIndex  # their locations, longitude scaled
    deciles: np.ndarray | None = None  # (9, 8) edges between tenths of the training values
    ratio_ranges: np.ndarray | None = None  # (2, 3) smallest and largest of each of `RATIOS`
    conditional_ranges: ConditionalRanges | None = None


def fit(train: pd.DataFrame) -> bytes:
    """Return the domain of some training rows, as JSON that `from_json` reads."""
    rows = train[FEATURE_NAMES].to_numpy(float)
    places = np.unique(rows[:, COORDINATE_INDICES], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # no range holds what is divided by 0
        ratios = rows[:, NUMERATORS] / rows[:, DENOMINATORS]
    finite_ratios = np.where(np.isfinite(ratios), ratios, np.nan)
    arrays = {
        "low": rows.min(0),
        "high": rows.max(0),
        "typical": reference_row(train)[0],
        "deciles": np.quantile(rows, np.arange(1, 10) / 10, axis=0),
        "places": places,
        "ratio_ranges": np.stack(
            [np.nanmin(finite_ratios, 0) * (1 - 1e-9), np.nanmax(finite_ratios, 0) * (1 + 1e-9)]
        ),
    }
    fields: dict[str, Any] = {name: array.tolist() for name, array in arrays.items()}
    if len(rows) >= conditional_ranges.MIN_ROWS:
        points = project(rows, LOCATION_SPACE)
        fields["conditional_ranges"] = conditional_ranges.fit(
            rows, points, places * LOCATION_SPACE.scales
        )
    return json.dumps(fields).encode()


def from_json(content: bytes) -> TrainingDomain:
    """Read what `fit` has written. Raises ValueError or KeyError for anything else."""
    fields = json.loads(content)
    newer_fields = {
        name: np.array(fields[name]) for name in ("deciles", "ratio_ranges") if name in fields
    }
    ranges = fields.get("conditional_ranges")
    return TrainingDomain(
        np.array(fields["low"]),
        np.array(fields["high"]),
        np.array(fields["typical"]),
        NeighborIndex(np.array(fields["places"]) * LOCATION_SPACE.scales),
        **newer_fields,
        conditional_ranges=conditional_ranges.from_fields(ranges) if ranges else None,
    )


def out_of_domain_warnings(domain: TrainingDomain, rows: np.ndarray) -> list[list[str]]:
    """Return for each of (n, 8) rows a sentence for each way in which it differs from training.

    A row whose numbers are all ordinary gets one about the number that goes least with the others.
    """
    warnings: list[list[str]] = [[] for _ in rows]
    for start in range(0, len(rows), ROWS_PER_CHUNK):
        chunk = slice(start, start + ROWS_PER_CHUNK)
        _add_warnings(domain, rows[chunk], warnings[chunk])
    return warnings


def is_interval_calibrated(warnings: list[str]) -> bool:
    """Return whether nine of ten true values can be expected in the interval of a prediction.

    Any warning says that the row is unlike those that the intervals were calibrated on.
    """
    return not warnings


def _add_warnings(domain: TrainingDomain, rows: np.ndarray, warnings: list[list[str]]) -> None:
    """Append the warnings of some rows to their lists."""
    is_outside = (rows < domain.feature_min) | (rows > domain.feature_max)
    if is_outside.any():
        for row, column in np.argwhere(is_outside).tolist():
            warnings[row].append(_range_warning(domain, column, rows[row, column]))
    nearest = domain.location_index.query(project(rows, LOCATION_SPACE), 1)
    degrees, place_numbers = nearest.distances[:, 0], nearest.indices[:, 0]
    for row in np.flatnonzero(degrees > MAX_DISTANCE_KM / KM_PER_DEGREE).tolist():
        distance_km = degrees[row] * KM_PER_DEGREE
        warnings[row].append(
            f"the nearest block group that the model learnt from is {distance_km:.0f} km away"
        )
    if domain.ratio_ranges is not None:
        _add_ratio_warnings(domain.ratio_ranges, rows, warnings)
    if domain.conditional_ranges is not None:
        _add_combination_warnings(
            domain, domain.conditional_ranges, rows, place_numbers, degrees, warnings
        )


def _add_ratio_warnings(
    ratio_ranges: np.ndarray, rows: np.ndarray, warnings: list[list[str]]
) -> None:
    numerators, denominators = rows.take(NUMERATORS, 1), rows.take(DENOMINATORS, 1)
    # not divided: a denominator may be 0
    is_below = numerators < denominators * ratio_ranges[0]
    is_outside = is_below | (numerators > denominators * ratio_ranges[1])
    if is_outside.any():
        for row, number in np.argwhere(is_outside & (denominators > 0)).tolist():
            values = numerators[row, number], denominators[row, number]
            warnings[row].append(_ratio_warning(RATIOS[number], *values, ratio_ranges[:, number]))


def _add_combination_warnings(
    domain: TrainingDomain,
    ranges: ConditionalRanges,
    rows: np.ndarray,
    place_numbers: np.ndarray,
    degrees: np.ndarray,
    warnings: list[list[str]],
) -> None:
    """Name the number that goes least with the others, of rows without another warning."""
    residuals = conditional_ranges.relative_residuals(ranges, rows, place_numbers, degrees)
    is_unlikely = residuals > 1
    if not is_unlikely.any():
        return
    unlikely_rows = np.flatnonzero(is_unlikely.any(1)).tolist()
    selected = [row for row in unlikely_rows if not warnings[row]]
    features = residuals[selected].argmax(1)
    ends = conditional_ranges.bounds(
        ranges, rows[selected], place_numbers[selected], degrees[selected]
    )
    for number, (row, feature) in enumerate(zip(selected, features.tolist(), strict=True)):
        low, high = ends[:, number, feature].tolist()
        warnings[row].append(_combination_warning(domain, feature, rows[row, feature], low, high))


def _range_warning(domain: TrainingDomain, column: int, value: float) -> str:
    feature = FEATURE_NAMES[column]
    trained_range = f"{domain.feature_min[column]:,.6g} to {domain.feature_max[column]:,.6g}"
    unit = FEATURES[feature].unit
    return f"{feature} is {value:,.6g}, and the model has seen {trained_range} ({unit})"


def _ratio_warning(
    ratio: Ratio, numerator: float, denominator: float, trained_range: np.ndarray
) -> str:
    actual, low, high = map(_format_short, (numerator / denominator, *trained_range))
    return (
        f"{ratio.numerator} is {numerator:,.6g} and {ratio.denominator} is {denominator:,.6g}: "
        f"{actual} {ratio.unit}, and the model has seen {low} to {high}"
    )


def _combination_warning(
    domain: TrainingDomain, column: int, value: float, low: float, high: float
) -> str:
    """low, high: what goes with the other numbers, cut off at the training values."""
    feature = FEATURE_NAMES[column]
    smallest, largest = domain.feature_min[column], domain.feature_max[column]
    low, high = max(min(low, largest), smallest), min(max(high, smallest), largest)
    return (
        f"{feature} is {value:,.6g}, and block groups that are otherwise like this one have about "
        f"{_format_short(low)} to {_format_short(high)} ({FEATURES[feature].unit})"
    )


def _format_short(value: float) -> str:
    """Format a number with three digits, a large one without a power of ten."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
