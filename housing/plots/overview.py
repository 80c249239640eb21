"""Figures of data, search and errors: one style, dollar axes, colors safe for color blindness.

Each function takes data, labels itself with units, and returns its Axes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.ticker import MaxNLocator

from housing.models.families import FAMILIES
from housing.plots.style import (
    CAPPED_COLOR,
    MUTED_COLOR,
    ZERO_LINE_COLOR,
    add_legend_above,
    dollar_formatter,
    finish_horizontal_plot,
    format_dollars,
)
from housing.schema import FEATURES, HOUSE_VALUE, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT

FIGURE_WIDTH_INCHES = 7.2
HISTOGRAM_MAX_QUANTILE = 0.99  # a few block groups have values far above the others


def plot_histograms(frame: pd.DataFrame) -> np.ndarray:
    """Draw a histogram of each feature, without the highest percent of its values."""
    _, axes = plt.subplots(2, 4, figsize=(9.6, 4.8))
    for panel, (name, feature) in zip(axes.flat, FEATURES.items(), strict=True):
        values = frame[name]
        most_values = values[values <= values.quantile(HISTOGRAM_MAX_QUANTILE)]
        panel.stairs(*np.histogram(most_values, 40), fill=True)
        panel.set_title(name, fontsize=11)
        panel.set_xlabel(feature.unit)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.yaxis.set_major_locator(MaxNLocator(4))
        panel.yaxis.set_major_formatter("{x:,.0f}")
        panel.grid(visible=False)
    for panel in axes[:, 0]:
        panel.set_ylabel("block groups")
    return axes


def plot_value_cap(frame: pd.DataFrame) -> Axes:
    """Draw a histogram of the house values, with one bar for the block groups at the cap."""
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 3.8)).gca()
    is_capped = frame[TARGET] >= HOUSE_VALUE_CAP
    edges = np.arange(0, 5.2, 0.1) * USD_PER_UNIT
    axes.stairs(*np.histogram(frame[TARGET][~is_capped] * USD_PER_UNIT, edges), fill=True)
    n_capped = int(is_capped.sum())
    axes.stairs([n_capped], [5 * USD_PER_UNIT, 5.1 * USD_PER_UNIT], fill=True, color=CAPPED_COLOR)
    axes.annotate(
        f"{n_capped:,} block groups\nstand at the cap",
        (4.98 * USD_PER_UNIT, n_capped * 0.9),
        (4.5 * USD_PER_UNIT, n_capped * 0.9),
        va="center",
        ha="right",
        color=CAPPED_COLOR,
        weight="bold",
        arrowprops={"arrowstyle": "->", "color": CAPPED_COLOR},
    )
    axes.xaxis.set_major_formatter(dollar_formatter())
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel=f"{HOUSE_VALUE.meaning}, steps of $10k", ylabel="block groups")
    axes.set_title("The census wrote no value above $500,000")
    return axes


def plot_family_comparison(table: pd.DataFrame) -> Axes:
    """Draw the RMSE of each family, two bars a family. table: from `metrics.compare_families`."""
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.4 + 0.6 * len(table))).gca()
    rmse = table[["cross-validation RMSE, $", "test RMSE, $"]].iloc[::-1]
    rmse.columns = ["cross-validation", "test"]
    rmse = rmse.rename(index=lambda family: FAMILIES[family].title)
    rmse.plot.barh(ax=axes, width=0.72, color=[MUTED_COLOR, "C0"])
    for bars in axes.containers:
        if isinstance(bars, BarContainer):
            axes.bar_label(bars, fmt="${:,.0f}", padding=4)
    axes.margins(x=0.15)
    finish_horizontal_plot(axes, "RMSE (lower is better)")
    add_legend_above(axes, "How far off each family is")
    return axes


def plot_search_progress(trials: dict[str, pd.DataFrame]) -> np.ndarray:
    """Draw a panel a family, with the RMSE of its trials and the best so far.

    trials: the table of each family (`SearchResult.trials`). Each panel shows the better half of
    its trials; the others are triangles at its upper edge.
    """
    n_rows = -(-len(trials) // 3)
    figure, panels = plt.subplots(
        n_rows,
        min(len(trials), 3),
        figsize=(7.6, 0.5 + 2.6 * n_rows),
        squeeze=False,
        layout="constrained",
    )
    for panel in panels.flat[len(trials) :]:
        panel.set_axis_off()
    for panel, (family, table) in zip(panels.flat, trials.items(), strict=False):
        _draw_trials(panel, FAMILIES[family].title, table)
    for panel in panels[:, 0]:
        panel.set_ylabel("cross-validated RMSE")
    figure.suptitle(
        "Best so far (line), trials (●), given up (×), off the axis (▲)",
        x=0.01,
        ha="left",
        weight="bold",
        fontsize=12,
    )
    return panels.ravel()[: len(trials)]


def _draw_trials(axes: Axes, title: str, trials: pd.DataFrame) -> None:
    """Draw the trials of one family: a dot each, a cross if it was pruned after its first fold."""
    rmse, first_fold = trials.rmse * USD_PER_UNIT, trials.first_fold * USD_PER_UNIT
    best_so_far = rmse.cummin().ffill()
    low, high = best_so_far.min(), max(best_so_far.max(), rmse.median())
    margin = max(0.1 * (high - low), 0.002 * low)
    axes.plot(best_so_far.index + 1, best_so_far, drawstyle="steps-post", linewidth=2.2)
    for values, marker in ((rmse, "o"), (first_fold[rmse.isna()], "x")):
        inside = values[values <= high + margin]
        axes.plot(inside.index + 1, inside, marker, ms=5, color=CAPPED_COLOR)
    drawn = rmse.fillna(first_fold)
    outside = drawn.index[drawn > high + margin]
    axes.plot(outside + 1, [high + margin] * len(outside), "^", ms=6, color=CAPPED_COLOR)
    axes.set_ylim(low - margin, high + 1.4 * margin)
    axes.set_xlim(0.7, len(trials) + 0.3 if len(trials) > 1 else 1.3)
    axes.yaxis.set_major_formatter("${x:,.0f}")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_title(f"{title}\nbest: ${low:,.0f}", fontsize=9.5)
    axes.set_xlabel("trial")


def plot_residuals(y_true: pd.Series, y_pred: np.ndarray) -> Axes:
    """Draw the errors by the height of the prediction: a dot a block group, median, and bands.

    y_true, y_pred: (n,) each, in $100,000. The bands hold half and 80% of the block groups.
    """
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 4.4)).gca()
    error = y_pred - y_true.to_numpy()
    table = pd.DataFrame({"prediction": y_pred, "error": error}) * USD_PER_UNIT
    is_capped = y_true.to_numpy() >= HOUSE_VALUE_CAP
    by_height = table.groupby(pd.qcut(table.prediction, 20, labels=False, duplicates="drop"))
    medians = by_height.median()
    axes.plot(*medians.to_numpy().T, color="C0", linewidth=2.2, label="median", zorder=3)
    for low, high, alpha, label in ((0.25, 0.75, 0.3, "half of all"), (0.1, 0.9, 0.2, "80%")):
        band = by_height.error.quantile(low), by_height.error.quantile(high)
        axes.fill_between(
            medians.prediction, *band, color="C0", alpha=alpha, linewidth=0, label=label
        )
    for in_group, color, legend_label in (
        (~is_capped, MUTED_COLOR, None),
        (is_capped, CAPPED_COLOR, "true value at the cap"),
    ):
        axes.scatter(
            table.prediction[in_group],
            table.error[in_group],
            s=2.2,
            color=color,
            linewidths=0,
            label=legend_label,
            zorder=1,
            antialiased=False,
            rasterized=True,
        )
    axes.axhline(0, color=ZERO_LINE_COLOR, linewidth=1)
    limit = 5 * USD_PER_UNIT
    axes.set_ylim(*np.clip(table.error.quantile([0.001, 0.999]) * 1.4, -limit, limit))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(dollar_formatter())
    axes.set(xlabel="prediction", ylabel="prediction minus true value")
    add_legend_above(axes, "How far off, by how high the prediction is", n_columns=4)
    return axes


def plot_importance(table: pd.DataFrame) -> Axes:
    """Draw the importance of each feature, a bar each. table: from `metrics.feature_importance`."""
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 3.6)).gca()
    rmse_lost, spread = table["RMSE lost, $"].iloc[::-1], table["spread, $"].iloc[::-1]
    names = [FEATURES[name].meaning for name in rmse_lost.index]
    error_style = {"ecolor": "#444444", "elinewidth": 1.2, "capsize": 3}
    bars = axes.barh(names, rmse_lost, 0.66, xerr=spread, error_kw=error_style)
    labels = [format_dollars(usd) for usd in rmse_lost]
    axes.bar_label(bars, labels, padding=5, fontsize=9.5)
    axes.margins(x=0.13)
    xlabel = "test RMSE lost when the feature is shuffled"
    finish_horizontal_plot(axes, xlabel, "What the model leans on")
    return axes


def plot_group_errors(table: pd.DataFrame) -> Axes:
    """Draw the typical error and the bias of each group. table: from `slices.errors_by_group`."""
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 3.6)).gca()
    positions = np.arange(len(table))
    typical = axes.bar(positions - 0.14, table["typical error, $"], 0.46, color=MUTED_COLOR)
    axes.bar_label(typical, fmt="${:,.0f}", padding=3, fontsize=8.5)
    bias = axes.bar(positions + 0.22, table["bias, $"], 0.22, color=CAPPED_COLOR)
    typical.set_label("typical (median) error")
    bias.set_label("bias: mean of prediction minus true value")
    axes.axhline(0, color=ZERO_LINE_COLOR, linewidth=1)
    labels = [f"{name}\n{count:,.0f}" for name, count in table["block groups"].items()]
    axes.set_xticks(positions, labels, fontsize=8.5)
    axes.yaxis.set_major_formatter(dollar_formatter())
    axes.set(xlabel=f"{table.index.name}, and how many block groups", ylabel="error")
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.12)
    axes.grid(axis="x", visible=False)
    add_legend_above(axes, f"Typical error and bias by {table.index.name}")
    return axes
