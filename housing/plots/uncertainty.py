"""How far a guess can be trusted: far from known places, with more data, and within its interval.

Each function takes data, labels itself with units, and returns its Axes. The pictures are narrow:
on a phone their text shrinks by a third, not by half.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from housing.evaluation.metrics import rmse_drop_per_doubling
from housing.plots.style import (
    MISSED_COLOR,
    MUTED_COLOR,
    ZERO_LINE_COLOR,
    add_legend_above,
    dollar_formatter,
)
from housing.schema import USD_PER_UNIT

FIGURE_WIDTH_INCHES = 6.0  # inches
DISTANCE_BANDS_KM = {
    "0": 0.1,
    "to 1": 1,
    "to 2": 2,
    "to 5": 5,
    "to 10": 10,
    "to 20": 20,
    "to 50": 50,
}
MIN_BAND_ROWS = 30  # block groups that a point of `by_distance` stands for
Z_SCORE_90 = 1.645  # standard deviations to either side that hold 90% of a normal distribution


def plot_error_by_distance(
    y_true: pd.Series, predictions: Mapping[str, np.ndarray], distances_km: Mapping[str, np.ndarray]
) -> Axes:
    """How errors grow with the distance to the nearest training row: a colour a kind of folds.

    truth: (n,) in $100,000. guesses, distance_km: what to call a kind of folds, and its (n,)
    out-of-fold guesses and kilometres (`folds.distance_km`). Bands of less than 30 block groups
    are left out.
    """
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 4.2)).gca()
    names, last = [*DISTANCE_BANDS_KM, "above"], 0
    for number, (kind, guess) in enumerate(predictions.items()):
        error = np.abs(guess - y_true.to_numpy()) * USD_PER_UNIT
        band = pd.cut(distances_km[kind], [-1, *DISTANCE_BANDS_KM.values(), np.inf], labels=False)
        by = pd.Series(error).groupby(band)
        enough = by.size()[by.size() >= MIN_BAND_ROWS].index
        rmse = by.apply(lambda one: np.sqrt((one**2).mean()))[enough]
        color = f"C{number}"
        axes.plot(enough, rmse, "o-", color=color, linewidth=2.2, label=f"RMSE, {kind}")
        axes.plot(enough, by.median()[enough], "s--", ms=5, color=color, label=f"typical, {kind}")
        last = max([last, *enough])
    axes.set_xticks(range(last + 1), names[: last + 1])
    axes.yaxis.set_major_formatter(dollar_formatter())
    axes.set_ylim(bottom=0)
    axes.set(xlabel="km to the nearest training row", ylabel="error")
    axes.grid(axis="x", visible=False)
    add_legend_above(axes, "Error by distance to what was learnt from", 2, 2, marker_scale=1.2)
    return axes


def plot_learning_curve(curve: pd.DataFrame) -> Axes:
    """What more data brings: RMSE by training rows, from `evaluate.learning_curve`'s table."""
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 3.8)).gca()
    rmse, spread = curve["RMSE, $"], curve["spread, $"]
    if spread.any():
        axes.fill_between(
            curve.index, rmse - spread, rmse + spread, color="C0", alpha=0.2, linewidth=0,
            label="standard deviation over the folds",
        )  # fmt: skip
        axes.legend(loc="upper right", fontsize=9.5)
    axes.plot(curve.index, rmse, "o-", color="C0", linewidth=2.2)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(curve.index)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    crowded = len(curve) > 1 and np.diff(np.log2(curve.index)).min() < 0.6
    axes.tick_params(axis="x", rotation=35 if crowded else 0)
    gain = rmse_drop_per_doubling(curve)
    way = "less" if gain >= 0 else "more"
    end = f"${rmse.iloc[-1]:,.0f}, and ${abs(gain):,.0f}\n{way} per doubling"
    bold = {"textcoords": "offset points", "weight": "bold", "color": "C0", "parse_math": False}
    axes.annotate(f"${rmse.iloc[0]:,.0f}", (curve.index[0], rmse.iloc[0]), (6, 5), **bold)
    axes.annotate(end, (curve.index[-1], rmse.iloc[-1]), (2, -12), ha="right", va="top", **bold)
    axes.set_ylim(rmse.min() - 0.35 * np.ptp(rmse), rmse.max() + 0.15 * np.ptp(rmse))
    axes.yaxis.set_major_formatter(dollar_formatter(1 if np.ptp(rmse) < 5_000 else 0))
    axes.set(xlabel="training rows (log scale)", ylabel="RMSE on held-out rows")
    axes.set_title("What more data brings")
    return axes


def plot_coverage(table: pd.DataFrame, target_coverage: float = 0.9) -> Axes:
    """Do intervals hold what they promise: a dot a group, from `evaluate.coverage`'s table.

    The thin lines are what chance allows the share of so few block groups: 90% intervals of
    Wilson (1927). Groups that surely fall short of the wanted share are vermilion. How wide the
    intervals are stands on the right.
    """
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.4 + 0.4 * len(table))).gca()
    share, count = table["inside, %"] / 100, table["block groups"]
    low, high = _wilson_interval(share, count)
    for place, name in enumerate(table.index):
        color = MISSED_COLOR if high[name] < target_coverage else "C0"
        axes.plot([low[name] * 100, high[name] * 100], [place, place], color=color, linewidth=1.6)
        axes.plot(share[name] * 100, place, "o", ms=9 if place == 0 else 7, color=color)
    axes.axvline(target_coverage * 100, color=ZERO_LINE_COLOR, linewidth=1.2, linestyle="--")
    labels = [f"{name}  ({n:,.0f})" for name, n in count.items()]
    axes.set_yticks(range(len(table)), labels, parse_math=False)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(table)), [dollar_formatter()(one) for one in table["mean width, $"]])
    right.tick_params(length=0)
    right.set_ylabel("mean width", rotation=-90, va="bottom")
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter("{x:.0f}%")
    axes.set(xlabel=f"true values inside their interval; promised: {target_coverage:.0%}")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"Intervals by {table.index.name} (block groups)")
    return axes


def plot_intervals(
    y_true: pd.Series, y_pred: np.ndarray, low: np.ndarray, high: np.ndarray,
    max_rows: int = 60, seed: int = 0,
) -> Axes:  # fmt: skip
    """Guesses with their intervals, and what was true: some block groups, the cheapest guess first.

    truth, guess, low, high: (n,) each, in $100,000; at most `rows` of them are drawn at random.
    """
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 4.4)).gca()
    table = pd.DataFrame({"truth": y_true.to_numpy(), "guess": y_pred, "low": low, "high": high})
    table = (
        table.sample(min(max_rows, len(table)), random_state=seed).sort_values("guess")
        * USD_PER_UNIT
    )
    place = np.arange(len(table))
    inside = (table.low <= table.truth) & (table.truth <= table.high)
    ends = np.stack([table.low, table.high, np.full(len(table), np.nan)], axis=1)  # one light path
    axes.plot(
        np.repeat(place, 3), ends.ravel(), color=MUTED_COLOR, linewidth=3.4, solid_capstyle="butt",
        label="interval",
    )  # fmt: skip
    axes.plot(place, table.guess, "_", color="C0", ms=6, mew=2, label="guess")
    for chosen, mark, color, label in (
        (inside, "o", "C0", "true value inside"), (~inside, "D", MISSED_COLOR, "true value outside"),
    ):  # fmt: skip
        axes.plot(place[chosen], table.truth[chosen], mark, ms=4.5, color=color, label=label)
    axes.yaxis.set_major_formatter(dollar_formatter())
    axes.set_ylim(bottom=min(0, table.low.min()))
    axes.set_xticks([])
    axes.set(xlabel=f"{len(table)} block groups, by their guess", ylabel="house value")
    add_legend_above(
        axes, f"{inside.sum()} of {len(table)} true values lie inside", 4, marker_scale=1.4
    )
    return axes


def _wilson_interval(share: pd.Series, count: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Between which shares the true one lies with 90% certainty, of `share` of `count` found."""
    square = Z_SCORE_90**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = np.sqrt(share * (1 - share) / count + square / (4 * count**2)) * Z_SCORE_90
    half = half / (1 + square / count)
    return middle - half, middle + half
