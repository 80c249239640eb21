"""The pictures of the reports: one style, dollars on the axes, colours safe for colour-blind eyes.

Each function takes data, labels itself with units, and returns its Axes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from housing.models.families import FAMILIES
from housing.plots.contributions import plot_contribution_spread, plot_contributions
from housing.plots.style import (
    CAPPED_COLOR,
    MUTED_COLOR,
    add_legend_above,
    dollar_formatter,
    finish_horizontal_plot,
    use_style,
)
from housing.plots.uncertainty import (
    plot_coverage,
    plot_error_by_distance,
    plot_intervals,
    plot_learning_curve,
)
from housing.schema import FEATURES, HOUSE_VALUE, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT

__all__ = [
    "dollar_formatter",
    "plot_contribution_spread",
    "plot_contributions",
    "plot_coverage",
    "plot_error_by_distance",
    "plot_family_comparison",
    "plot_group_errors",
    "plot_histograms",
    "plot_importance",
    "plot_intervals",
    "plot_learning_curve",
    "plot_residuals",
    "plot_search_progress",
    "plot_value_cap",
    "use_style",
]  # fmt: skip
HISTOGRAM_MAX_QUANTILE = (
    0.99  # the share of values a histogram shows; a few block groups lie far outside
)


def plot_histograms(frame: pd.DataFrame) -> np.ndarray:
    """How each feature is spread: one small histogram each, the last percent cut off."""
    _, axes = plt.subplots(2, 4, figsize=(9.6, 4.8))
    for axis, (name, feature) in zip(axes.flat, FEATURES.items(), strict=True):
        values = frame[name]
        axis.stairs(
            *np.histogram(values[values <= values.quantile(HISTOGRAM_MAX_QUANTILE)], 40), fill=True
        )
        axis.set_title(name, fontsize=11)
        axis.set_xlabel(feature.unit)
        axis.xaxis.set_major_locator(MaxNLocator(3))
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.grid(visible=False)
    for axis in axes[:, 0]:
        axis.set_ylabel("block groups")
    return axes


def plot_value_cap(frame: pd.DataFrame) -> Axes:
    """The wall at $500,000: how many block groups stand at each house value."""
    axes = plt.figure(figsize=(7.2, 3.8)).gca()
    capped = frame[TARGET] >= HOUSE_VALUE_CAP
    edges = np.arange(0, 5.2, 0.1) * USD_PER_UNIT
    axes.stairs(*np.histogram(frame[TARGET][~capped] * USD_PER_UNIT, edges), fill=True)
    count = int(capped.sum())
    axes.stairs([count], [5 * USD_PER_UNIT, 5.1 * USD_PER_UNIT], fill=True, color=CAPPED_COLOR)
    axes.annotate(
        f"{count:,} block groups\nstand at the cap", (4.98 * USD_PER_UNIT, count * 0.9),
        (4.5 * USD_PER_UNIT, count * 0.9), va="center", ha="right", color=CAPPED_COLOR, weight="bold",
        arrowprops={"arrowstyle": "->", "color": CAPPED_COLOR},
    )  # fmt: skip
    axes.xaxis.set_major_formatter(dollar_formatter())
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel=f"{HOUSE_VALUE.meaning}, steps of $10k", ylabel="block groups")
    axes.set_title("The census wrote no value above $500,000")
    return axes


def plot_family_comparison(table: pd.DataFrame) -> Axes:
    """Which family guesses best: two bars a family, from `evaluate.compare`'s table."""
    axes = plt.figure(figsize=(7.2, 1.4 + 0.6 * len(table))).gca()
    rmse = table[["cross-validation RMSE, $", "test RMSE, $"]].iloc[::-1]
    rmse.columns = ["cross-validation", "test"]
    names = rmse.rename(index=lambda one: FAMILIES[one].title)
    names.plot.barh(ax=axes, width=0.72, color=[MUTED_COLOR, "C0"])
    for bars in axes.containers:
        axes.bar_label(bars, fmt="${:,.0f}", padding=4)
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter(dollar_formatter())
    axes.set(xlabel="RMSE (lower is better)", ylabel="")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    add_legend_above(axes, "How far off each family is")
    return axes


def plot_search_progress(trials: dict[str, pd.DataFrame]) -> np.ndarray:
    """What the search brought: a panel a family, with its trials and the best RMSE so far.

    Each panel shows the better half of its trials; the others are triangles at its upper edge.
    """
    rows = -(-len(trials) // 3)
    size = {"figsize": (7.6, 0.5 + 2.6 * rows), "squeeze": False, "layout": "constrained"}
    figure, panels = plt.subplots(rows, min(len(trials), 3), **size)
    for axes in panels.flat[len(trials) :]:
        axes.set_axis_off()
    for axes, (family, table) in zip(panels.flat, trials.items(), strict=False):
        rmse, first = table.rmse * USD_PER_UNIT, table.first_fold * USD_PER_UNIT
        best = rmse.cummin().ffill()
        low, high = best.min(), max(best.max(), rmse.median())
        margin = max(0.1 * (high - low), 0.002 * low)
        axes.plot(best.index + 1, best, drawstyle="steps-post", linewidth=2.2)
        for value, marker in ((rmse, "o"), (first[rmse.isna()], "x")):
            inside = value[value <= high + margin]
            axes.plot(inside.index + 1, inside, marker, ms=5, color=CAPPED_COLOR)
        seen = rmse.fillna(first)
        outside = seen.index[seen > high + margin]
        axes.plot(outside + 1, [high + margin] * len(outside), "^", ms=6, color=CAPPED_COLOR)
        axes.set_ylim(low - margin, high + 1.4 * margin)
        axes.set_xlim(0.7, len(table) + 0.3 if len(table) > 1 else 1.3)
        axes.yaxis.set_major_formatter("${x:,.0f}")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_title(f"{FAMILIES[family].title}\nbest: ${low:,.0f}", fontsize=9.5)
        axes.set_xlabel("trial")
    for axes in panels[:, 0]:
        axes.set_ylabel("cross-validated RMSE")
    figure.suptitle(
        "Best so far (line), trials (●), given up (×), off the axis (▲)",
        x=0.01, ha="left", weight="bold", fontsize=12,
    )  # fmt: skip
    return panels.ravel()[: len(trials)]


def plot_residuals(y_true: pd.Series, y_pred: np.ndarray) -> Axes:
    """How far off guesses are, by how high they are: a dot a block group, median, and bands.

    truth, guess: (n,) each, in $100,000. The bands hold half and 80% of the block groups.
    """
    axes = plt.figure(figsize=(7.2, 4.4)).gca()
    table = pd.DataFrame(
        {"guess": y_pred * USD_PER_UNIT, "error": (y_pred - y_true.to_numpy()) * USD_PER_UNIT}
    )
    capped = y_true.to_numpy() >= HOUSE_VALUE_CAP
    by = table.groupby(pd.qcut(table.guess, 20, labels=False, duplicates="drop"))
    middle = by.median()
    axes.plot(*middle.to_numpy().T, color="C0", linewidth=2.2, label="median", zorder=3)
    for low, high, alpha, label in ((0.25, 0.75, 0.3, "half of all"), (0.1, 0.9, 0.2, "80%")):
        band = by.error.quantile(low), by.error.quantile(high)
        axes.fill_between(middle.guess, *band, color="C0", alpha=alpha, linewidth=0, label=label)
    for chosen, color, label in (
        (~capped, MUTED_COLOR, None),
        (capped, CAPPED_COLOR, "true value at the cap"),
    ):
        axes.scatter(
            *table[chosen].to_numpy().T, s=2.2, color=color, linewidths=0, label=label, zorder=1,
            antialiased=False, rasterized=True,
        )  # fmt: skip
    axes.axhline(0, color="#666666", linewidth=1)
    axes.set_ylim(
        *np.clip(table.error.quantile([0.001, 0.999]) * 1.4, -5 * USD_PER_UNIT, 5 * USD_PER_UNIT)
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(dollar_formatter())
    axes.set(xlabel="guess", ylabel="guess minus true value")
    add_legend_above(axes, "How far off, by how high the guess is", n_columns=4)
    return axes


def plot_importance(table: pd.DataFrame) -> Axes:
    """What the model leans on: a bar a feature, from `evaluate.importance`'s table."""
    axes = plt.figure(figsize=(7.2, 3.6)).gca()
    lost = table["RMSE lost, $"].iloc[::-1]
    names = [FEATURES[one].meaning for one in lost.index]
    spread = {"ecolor": "#444444", "elinewidth": 1.2, "capsize": 3}
    bars = axes.barh(names, lost, 0.66, xerr=table["spread, $"].iloc[::-1], error_kw=spread)
    labels = [f"{'−' if one < 0 else ''}${abs(one):,.0f}" for one in lost]
    axes.bar_label(bars, labels, padding=5, fontsize=9.5)
    axes.margins(x=0.13)
    finish_horizontal_plot(
        axes, "What the model leans on", "test RMSE lost when the feature is shuffled"
    )
    return axes


def plot_group_errors(table: pd.DataFrame) -> Axes:
    """Where errors are large: typical error and bias of each group, `evaluate.by_group`'s table."""
    axes = plt.figure(figsize=(7.2, 3.6)).gca()
    place = np.arange(len(table))
    bars = axes.bar(place - 0.14, table["typical error, $"], 0.46, color=MUTED_COLOR)
    axes.bar_label(bars, fmt="${:,.0f}", padding=3, fontsize=8.5)
    bias = axes.bar(place + 0.22, table["bias, $"], 0.22, color=CAPPED_COLOR)
    bars.set_label("typical (median) error")
    bias.set_label("bias: mean of guess minus truth")
    axes.axhline(0, color="#666666", linewidth=1)
    counts = table["block groups"].items()
    axes.set_xticks(place, [f"{name}\n{count:,.0f}" for name, count in counts], fontsize=8.5)
    axes.yaxis.set_major_formatter(dollar_formatter())
    axes.set(xlabel=f"{table.index.name}, and how many block groups", ylabel="error")
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.12)
    axes.grid(axis="x", visible=False)
    add_legend_above(axes, f"Typical error and bias by {table.index.name}")
    return axes
