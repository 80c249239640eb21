"""Figures of trust in predictions: distance to training rows, more data, and intervals.

Each function takes data, labels itself with units, and returns its Axes. The figures are narrow: on
a phone their text shrinks by a third, not by half.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from scipy.stats import binomtest

from housing.evaluation.learning_curves import rmse_drop_per_doubling
from housing.plots.style import (
    MISSED_COLOR,
    MUTED_COLOR,
    ZERO_LINE_COLOR,
    add_legend_above,
    dollar_formatter,
)
from housing.schema import USD_PER_UNIT

FIGURE_WIDTH_INCHES = 6.0
DISTANCE_BANDS_KM = {  # the label of each band and its upper end
    "0": 0.1,
    "to 1": 1,
    "to 2": 2,
    "to 5": 5,
    "to 10": 10,
    "to 20": 20,
    "to 50": 50,
}
MIN_BAND_ROWS = 30  # block groups that a point of `plot_error_by_distance` stands for


def plot_error_by_distance(
    y_true: pd.Series, predictions: Mapping[str, np.ndarray], distances_km: Mapping[str, np.ndarray]
) -> Axes:
    """Draw the errors by the distance to the nearest training row, a color for each kind of folds.

    y_true: (n,) in $100,000. predictions, distances_km: by the label of a kind of folds, its (n,)
    out-of-fold predictions and kilometres (`folds.distance_to_training_km`). Bands of less than 30
    block groups are left out.
    """
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 4.2)).gca()
    band_labels, last_band = [*DISTANCE_BANDS_KM, "above"], 0
    for number, (label, y_pred) in enumerate(predictions.items()):
        error = np.abs(y_pred - y_true.to_numpy()) * USD_PER_UNIT
        band = pd.cut(distances_km[label], [-1, *DISTANCE_BANDS_KM.values(), np.inf], labels=False)
        by_band = pd.Series(error).groupby(band)
        bands = by_band.size()[by_band.size() >= MIN_BAND_ROWS].index
        rmse = by_band.apply(lambda errors: np.sqrt((errors**2).mean()))[bands]
        median, color = by_band.median()[bands], f"C{number}"
        axes.plot(bands, rmse, "o-", color=color, linewidth=2.2, label=f"RMSE, {label}")
        axes.plot(bands, median, "s--", ms=5, color=color, label=f"typical, {label}")
        last_band = max([last_band, *bands])
    axes.set_xticks(range(last_band + 1), band_labels[: last_band + 1])
    axes.yaxis.set_major_formatter(dollar_formatter())
    axes.set_ylim(bottom=0)
    axes.set(xlabel="km to the nearest training row", ylabel="error")
    axes.grid(axis="x", visible=False)
    add_legend_above(axes, "Error by distance to the training rows", 2, 2, marker_scale=1.2)
    return axes


def plot_learning_curve(curve: pd.DataFrame) -> Axes:
    """Draw RMSE by the number of training rows. curve: from `learning_curves.learning_curve`."""
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 3.8)).gca()
    rmse, spread = curve["RMSE, $"], curve["spread, $"]
    if spread.any():
        axes.fill_between(
            curve.index,
            rmse - spread,
            rmse + spread,
            color="C0",
            alpha=0.2,
            linewidth=0,
            label="standard deviation over the folds",
        )
        axes.legend(loc="upper right", fontsize=9.5)
    axes.plot(curve.index, rmse, "o-", color="C0", linewidth=2.2)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(curve.index)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    is_crowded = len(curve) > 1 and np.diff(np.log2(curve.index)).min() < 0.6
    axes.tick_params(axis="x", rotation=35 if is_crowded else 0)
    _annotate_curve_ends(axes, curve)
    axes.set_ylim(rmse.min() - 0.35 * np.ptp(rmse), rmse.max() + 0.15 * np.ptp(rmse))
    axes.yaxis.set_major_formatter(dollar_formatter(1 if np.ptp(rmse) < 5_000 else 0))
    axes.set(
        title="What more data brings",
        xlabel="training rows (log scale)",
        ylabel="RMSE on held-out rows",
    )
    return axes


def _annotate_curve_ends(axes: Axes, curve: pd.DataFrame) -> None:
    """Write the first and the last RMSE beside the curve, and what a doubling brings."""
    rmse, drop = curve["RMSE, $"], rmse_drop_per_doubling(curve)
    direction = "less" if drop >= 0 else "more"
    start_text = f"${rmse.iloc[0]:,.0f}"
    end_text = f"${rmse.iloc[-1]:,.0f}, and ${abs(drop):,.0f}\n{direction} per doubling"
    bold: dict[str, Any] = {
        "textcoords": "offset points",
        "weight": "bold",
        "color": "C0",
        "parse_math": False,
    }
    axes.annotate(start_text, (curve.index[0], rmse.iloc[0]), (6, 5), **bold)
    axes.annotate(
        end_text, (curve.index[-1], rmse.iloc[-1]), (2, -12), ha="right", va="top", **bold
    )


def plot_coverage(table: pd.DataFrame, target_coverage: float = 0.9) -> Axes:
    """Draw the share of true values inside their intervals, a dot a group.

    table: from `metrics.interval_coverage`. The thin lines are the range in which chance can leave
    the share of so few block groups: 90% intervals of Wilson (1927). Groups that clearly miss the
    target coverage are vermilion. The right axis has the mean width of the intervals.
    """
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.4 + 0.4 * len(table))).gca()
    share, count = table["inside, %"] / 100, table["block groups"]
    for row, name in enumerate(table.index):
        n_inside = round(share[name] * count[name])
        low, high = binomtest(n_inside, int(count[name])).proportion_ci(0.9, "wilson")
        color = MISSED_COLOR if high < target_coverage else "C0"
        axes.plot([low * 100, high * 100], [row, row], color=color, linewidth=1.6)
        axes.plot(share[name] * 100, row, "o", ms=9 if row == 0 else 7, color=color)
    axes.axvline(target_coverage * 100, color=ZERO_LINE_COLOR, linewidth=1.2, linestyle="--")
    labels = [f"{name}  ({n_rows:,.0f})" for name, n_rows in count.items()]
    axes.set_yticks(range(len(table)), labels, parse_math=False)
    width_axis, format_dollars = axes.secondary_yaxis("right"), dollar_formatter()
    width_labels = [format_dollars(width) for width in table["mean width, $"]]
    width_axis.set_yticks(range(len(table)), width_labels)
    width_axis.tick_params(length=0)
    width_axis.set_ylabel("mean width", rotation=-90, va="bottom")
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter("{x:.0f}%")
    axes.set(xlabel=f"true values inside their interval; promised: {target_coverage:.0%}")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"Intervals by {table.index.name} (block groups)")
    return axes


def plot_intervals(
    y_true: pd.Series, y_pred: np.ndarray, low: np.ndarray, high: np.ndarray, max_rows: int = 60
) -> Axes:
    """Draw predictions with their intervals and the true values, the lowest prediction first.

    y_true, y_pred, low, high: (n,) each, in $100,000; at most `max_rows` of them are drawn, chosen
    at random.
    """
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 4.4)).gca()
    table = pd.DataFrame({"true": y_true.to_numpy(), "predicted": y_pred, "low": low, "high": high})
    table = table.sample(min(max_rows, len(table)), random_state=0)
    table = table.sort_values("predicted") * USD_PER_UNIT
    ranks = np.arange(len(table))
    is_inside = (table.low <= table.true) & (table.true <= table.high)
    axes.vlines(ranks, table.low, table.high, MUTED_COLOR, linewidth=3.4, label="interval")
    axes.plot(ranks, table.predicted, "_", color="C0", ms=6, mew=2, label="prediction")
    for in_group, marker, color, label in (
        (is_inside, "o", "C0", "true value inside"),
        (~is_inside, "D", MISSED_COLOR, "outside"),
    ):
        axes.plot(ranks[in_group], table.true[in_group], marker, ms=4.5, color=color, label=label)
    axes.yaxis.set_major_formatter(dollar_formatter())
    axes.set_ylim(bottom=min(0, table.low.min()))
    axes.set_xticks([])
    axes.set(xlabel=f"{len(table)} block groups, by their prediction", ylabel="house value")
    title = f"{is_inside.sum()} of {len(table)} true values lie inside"
    add_legend_above(axes, title, 4, marker_scale=1.4)
    return axes
