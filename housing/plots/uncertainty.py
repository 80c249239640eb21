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

from housing.evaluation.metrics import per_doubling
from housing.plots.style import MISSED, QUIET, ZERO, dollars, legend_above
from housing.schema import USD

WIDTH = 6.0  # inches
BANDS = {"0": 0.1, "to 1": 1, "to 2": 2, "to 5": 5, "to 10": 10, "to 20": 20, "to 50": 50}
LEAST = 30  # block groups that a point of `by_distance` stands for
CERTAIN = 1.645  # standard deviations to either side that hold 90% of a normal distribution


def by_distance(
    truth: pd.Series, guesses: Mapping[str, np.ndarray], distance_km: Mapping[str, np.ndarray]
) -> Axes:
    """How errors grow with the distance to the nearest training row: a colour a kind of folds.

    truth: (n,) in $100,000. guesses, distance_km: what to call a kind of folds, and its (n,)
    out-of-fold guesses and kilometres (`folds.distance_km`). Bands of less than 30 block groups
    are left out.
    """
    axes = plt.figure(figsize=(WIDTH, 4.2)).gca()
    names, last = [*BANDS, "above"], 0
    for number, (kind, guess) in enumerate(guesses.items()):
        error = np.abs(guess - truth.to_numpy()) * USD
        band = pd.cut(distance_km[kind], [-1, *BANDS.values(), np.inf], labels=False)
        by = pd.Series(error).groupby(band)
        enough = by.size()[by.size() >= LEAST].index
        rmse = by.apply(lambda one: np.sqrt((one**2).mean()))[enough]
        color = f"C{number}"
        axes.plot(enough, rmse, "o-", color=color, linewidth=2.2, label=f"RMSE, {kind}")
        axes.plot(enough, by.median()[enough], "s--", ms=5, color=color, label=f"typical, {kind}")
        last = max([last, *enough])
    axes.set_xticks(range(last + 1), names[: last + 1])
    axes.yaxis.set_major_formatter(dollars())
    axes.set_ylim(bottom=0)
    axes.set(xlabel="km to the nearest training row", ylabel="error")
    axes.grid(axis="x", visible=False)
    legend_above(axes, "Error by distance to what was learnt from", 2, 2, markerscale=1.2)
    return axes


def learning_curve(table: pd.DataFrame) -> Axes:
    """What more data brings: RMSE by training rows, from `evaluate.learning_curve`'s table."""
    axes = plt.figure(figsize=(WIDTH, 3.8)).gca()
    rmse, spread = table["RMSE, $"], table["spread, $"]
    if spread.any():
        axes.fill_between(
            table.index, rmse - spread, rmse + spread, color="C0", alpha=0.2, linewidth=0,
            label="standard deviation over the folds",
        )  # fmt: skip
        axes.legend(loc="upper right", fontsize=9.5)
    axes.plot(table.index, rmse, "o-", color="C0", linewidth=2.2)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(table.index)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")
    crowded = len(table) > 1 and np.diff(np.log2(table.index)).min() < 0.6
    axes.tick_params(axis="x", rotation=35 if crowded else 0)
    gain = per_doubling(table)
    way = "less" if gain >= 0 else "more"
    end = f"${rmse.iloc[-1]:,.0f}, and ${abs(gain):,.0f}\n{way} per doubling"
    bold = {"textcoords": "offset points", "weight": "bold", "color": "C0", "parse_math": False}
    axes.annotate(f"${rmse.iloc[0]:,.0f}", (table.index[0], rmse.iloc[0]), (6, 5), **bold)
    axes.annotate(end, (table.index[-1], rmse.iloc[-1]), (2, -12), ha="right", va="top", **bold)
    axes.set_ylim(rmse.min() - 0.35 * np.ptp(rmse), rmse.max() + 0.15 * np.ptp(rmse))
    axes.yaxis.set_major_formatter(dollars(1 if np.ptp(rmse) < 5_000 else 0))
    axes.set(xlabel="training rows (log scale)", ylabel="RMSE on held-out rows")
    axes.set_title("What more data brings")
    return axes


def coverage(table: pd.DataFrame, wanted: float = 0.9) -> Axes:
    """Do intervals hold what they promise: a dot a group, from `evaluate.coverage`'s table.

    The thin lines are what chance allows the share of so few block groups: 90% intervals of
    Wilson (1927). Groups that surely fall short of the wanted share are vermilion. How wide the
    intervals are stands on the right.
    """
    axes = plt.figure(figsize=(WIDTH, 1.4 + 0.4 * len(table))).gca()
    share, count = table["inside, %"] / 100, table["block groups"]
    low, high = _wilson(share, count)
    for place, name in enumerate(table.index):
        color = MISSED if high[name] < wanted else "C0"
        axes.plot([low[name] * 100, high[name] * 100], [place, place], color=color, linewidth=1.6)
        axes.plot(share[name] * 100, place, "o", ms=9 if place == 0 else 7, color=color)
    axes.axvline(wanted * 100, color=ZERO, linewidth=1.2, linestyle="--")
    labels = [f"{name}  ({n:,.0f})" for name, n in count.items()]
    axes.set_yticks(range(len(table)), labels, parse_math=False)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(table)), [dollars()(one) for one in table["mean width, $"]])
    right.tick_params(length=0)
    right.set_ylabel("mean width", rotation=-90, va="bottom")
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter("{x:.0f}%")
    axes.set(xlabel=f"true values inside their interval; promised: {wanted:.0%}")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"Intervals by {table.index.name} (block groups)")
    return axes


def intervals(
    truth: pd.Series, guess: np.ndarray, low: np.ndarray, high: np.ndarray,
    rows: int = 60, seed: int = 0,
) -> Axes:  # fmt: skip
    """Guesses with their intervals, and what was true: some block groups, the cheapest guess first.

    truth, guess, low, high: (n,) each, in $100,000; at most `rows` of them are drawn at random.
    """
    axes = plt.figure(figsize=(WIDTH, 4.4)).gca()
    table = pd.DataFrame({"truth": truth.to_numpy(), "guess": guess, "low": low, "high": high})
    table = table.sample(min(rows, len(table)), random_state=seed).sort_values("guess") * USD
    place = np.arange(len(table))
    inside = (table.low <= table.truth) & (table.truth <= table.high)
    ends = np.stack([table.low, table.high, np.full(len(table), np.nan)], axis=1)  # one light path
    axes.plot(
        np.repeat(place, 3), ends.ravel(), color=QUIET, linewidth=3.4, solid_capstyle="butt",
        label="interval",
    )  # fmt: skip
    axes.plot(place, table.guess, "_", color="C0", ms=6, mew=2, label="guess")
    for chosen, mark, color, label in (
        (inside, "o", "C0", "true value inside"), (~inside, "D", MISSED, "true value outside"),
    ):  # fmt: skip
        axes.plot(place[chosen], table.truth[chosen], mark, ms=4.5, color=color, label=label)
    axes.yaxis.set_major_formatter(dollars())
    axes.set_ylim(bottom=min(0, table.low.min()))
    axes.set_xticks([])
    axes.set(xlabel=f"{len(table)} block groups, by their guess", ylabel="house value")
    legend_above(axes, f"{inside.sum()} of {len(table)} true values lie inside", 4, markerscale=1.4)
    return axes


def _wilson(share: pd.Series, count: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Between which shares the true one lies with 90% certainty, of `share` of `count` found."""
    square = CERTAIN**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = np.sqrt(share * (1 - share) / count + square / (4 * count**2)) * CERTAIN
    half = half / (1 + square / count)
    return middle - half, middle + half
