"""Figures that compare traffic with held-out rows: distributions, and means by group.

Each function takes tables of numbers that are already summed up, labels itself with units, and
returns its Axes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from housing.plots.monitoring import CHANGE_COLOR, NO_TRAFFIC, NO_TRUE_VALUES, draw_note
from housing.plots.style import (
    MUTED_COLOR,
    ZERO_LINE_COLOR,
    add_legend_above,
    finish_horizontal_plot,
)

FIGURE_WIDTH_INCHES = 6.6
MIN_DENSITY_LIMIT = 2.0  # of a panel's axis, so that noise looks small
PANELS_PER_ROW = 3


def plot_distributions(
    densities: pd.DataFrame, held_out_densities: pd.DataFrame, tick_labels: pd.DataFrame
) -> np.ndarray:
    """Draw a panel for each quantity: its rows now, beside the held-out rows.

    densities, held_out_densities: by quantity, the density of the rows in each class of ranks; of
    held-out rows it is about 1. tick_labels: by quantity, the values at some ranks, which are its
    columns (0 to 1), as text.
    """
    if densities.empty:
        return np.array([draw_note(NO_TRAFFIC)])
    n_rows = -(-len(densities) // PANELS_PER_ROW)
    figure, panels = plt.subplots(
        n_rows, PANELS_PER_ROW, figsize=(FIGURE_WIDTH_INCHES, 0.6 + 1.7 * n_rows), squeeze=False
    )
    edges = np.linspace(0, 1, densities.shape[1] + 1)
    for panel in panels.flat[len(densities) :]:
        panel.set_axis_off()
    for panel, name in zip(panels.flat, densities.index, strict=False):
        panel.stairs(held_out_densities.loc[name], edges, fill=True, color=MUTED_COLOR)
        panel.stairs(densities.loc[name], edges, color="C0", linewidth=1.8)
        panel.set_title(str(name), fontsize=10.5)
        panel.set_xticks(tick_labels.columns.to_list(), tick_labels.loc[name], fontsize=8)
        panel.set_yticks([])
        panel.set_xlim(0, 1)
        panel.set_ylim(0, max(MIN_DENSITY_LIMIT, densities.loc[name].max() * 1.1))
        panel.grid(visible=False)
    figure.suptitle(
        "Rows now (line) and held-out rows (filled)", x=0.01, ha="left", weight="bold", fontsize=12
    )
    return panels.ravel()[: len(densities)]


def plot_segments(table: pd.DataFrame, xlabel: str, title: str) -> Axes:
    """Draw the mean of each group with its interval, and a tick for that of the held-out rows.

    table: from `segments.segment_errors`, by (dimension, group), in $.
    """
    if table.empty:
        return draw_note(NO_TRUE_VALUES)
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.5 + 0.25 * len(table))).gca()
    rows = np.arange(len(table))
    has_alarm = table.alarm.to_numpy(bool)
    for is_drawn, color, label in (
        (~has_alarm, "C0", "mean (95%)"),
        (has_alarm, CHANGE_COLOR, "mean with an alarm"),
    ):
        groups = table[is_drawn]
        axes.hlines(rows[is_drawn], groups.low, groups.high, color=color, linewidth=1.8)
        axes.plot(groups.shrunk, rows[is_drawn], "o", ms=6, color=color, label=label)
    axes.plot(
        table["held out"], rows, "|", ms=11, mew=2, color=ZERO_LINE_COLOR, label="held-out rows"
    )
    labels = [f"{group}  ({count:,})" for (_, group), count in table.rows.items()]
    axes.set_yticks(rows, labels, fontsize=9, parse_math=False)
    dimensions = table.index.get_level_values(0)
    for row in np.flatnonzero(dimensions[1:] != dimensions[:-1]):
        axes.axhline(row + 0.5, color="#cccccc", linewidth=0.8)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    finish_horizontal_plot(axes, xlabel)
    add_legend_above(axes, title, 2, 2, marker_scale=1)
    return axes
