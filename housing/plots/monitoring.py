"""Figures of the traffic over time: error, coverage, track record, evidence, load.

Each function takes tables of numbers that are already summed up, so that a figure is as small for
ten million rows as for ten thousand; it labels itself with units, and returns its Axes. Where there
is nothing to draw it says so. The figures are narrow, as those of `uncertainty`.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from housing.plots.style import (
    MISSED_COLOR,
    MUTED_COLOR,
    ZERO_LINE_COLOR,
    add_legend_above,
    dollar_formatter,
)

FIGURE_WIDTH_INCHES = 6.0
CHANGE_COLOR = MISSED_COLOR
MIN_EVIDENCE, MAX_EVIDENCE = 1e-3, 100.0  # shares of the threshold; beyond them it is not drawn
NO_TRAFFIC = "no traffic yet"
NO_TRUE_VALUES = "no true values yet"
PERCENT = FuncFormatter(lambda share, _: f"{share * 100:.0f}%")
MILLISECONDS = FuncFormatter(lambda value, _: f"{value:g} ms")


def plot_error_over_time(
    table: pd.DataFrame, held_out_usd: float, change_days: Sequence[Any] = ()
) -> Axes:
    """Draw the mean absolute error of labelled rows, by parts of the period and of all rows so far.

    table: by the first day of each part: mean, low and high of the part, and "low so far" and "high
    so far" of the mean of all rows up to its end (confidence sequences), in $. held_out_usd: the
    error on held-out rows. change_days: on which changes began.
    """
    if table.empty:
        return draw_note(NO_TRUE_VALUES)
    label = f"held out: ${held_out_usd:,.0f}"
    axes = _plot_means(table, label, held_out_usd, change_days, dollar_formatter())
    axes.set_ylim(bottom=0)
    axes.set_ylabel("mean absolute error")
    add_legend_above(axes, "Error on true values", 2, 2, marker_scale=1)
    return axes


def plot_coverage_over_time(
    table: pd.DataFrame, held_out_coverage: float, change_days: Sequence[Any] = ()
) -> Axes:
    """Draw the share of true values inside of their intervals, as `plot_error_over_time` does.

    table: as there, shares from 0 to 1.
    """
    if table.empty:
        return draw_note(NO_TRUE_VALUES)
    label = f"held out: {held_out_coverage:.1%}"
    axes = _plot_means(table, label, held_out_coverage, change_days, PERCENT)
    axes.set_ylim(top=1.01)
    axes.set_ylabel("inside of their interval")
    add_legend_above(axes, "Coverage of the intervals", 2, 2, marker_scale=1)
    return axes


def _plot_means(
    table: pd.DataFrame,
    level_label: str,
    level: float,
    change_days: Sequence[Any],
    formatter: FuncFormatter,
) -> Axes:
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 3.5)).gca()
    band = table["low so far"], table["high so far"]
    axes.fill_between(
        table.index, *band, color="C0", alpha=0.2, linewidth=0, label="all rows so far (95%)"
    )
    axes.vlines(table.index, table.low, table.high, color="C0", linewidth=1.3)
    axes.plot(table.index, table["mean"], "o", ms=5, color="C0", label="each part (95%)")
    axes.axhline(level, color=ZERO_LINE_COLOR, linewidth=1.2, linestyle="--", label=level_label)
    for number, day in enumerate(change_days):
        label = None if number else "a change began"
        axes.axvline(day, color=CHANGE_COLOR, linewidth=1.4, label=label)
    axes.yaxis.set_major_formatter(formatter)
    _format_days(axes)
    return axes


def draw_note(text: str) -> Axes:
    """Draw a figure that only says why there is none."""
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 0.7)).gca()
    axes.set_axis_off()
    axes.text(0, 0.5, text, va="center", fontsize=12, style="italic")
    return axes


def _format_days(axes: Axes) -> None:
    locator = mdates.AutoDateLocator(minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    axes.grid(axis="x", visible=False)


def plot_track_record(table: pd.DataFrame, held_out_usd: float) -> Axes:
    """Draw the estimated error beside the true one, as far as that is known by now.

    table: by the first day of each part of the period: all rows (their estimate), labelled rows
    (their estimate), true error (of the labelled rows); mean absolute errors in $. held_out_usd:
    that of the held-out rows.
    """
    if table.isna().all(axis=None):
        return draw_note(NO_TRAFFIC)
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 3.5)).gca()
    styles = {
        "all rows": ("estimated, all rows", "-", "C2"),
        "labelled rows": ("estimated, labelled rows", "s--", "C2"),
        "true error": ("true, labelled rows", "o-", "C0"),
    }
    for column, (label, style, color) in styles.items():
        if table[column].notna().any():
            axes.plot(table.index, table[column], style, ms=4, color=color, label=label)
    label = f"held out: ${held_out_usd:,.0f}"
    axes.axhline(held_out_usd, color=ZERO_LINE_COLOR, linewidth=1.2, linestyle="--", label=label)
    axes.yaxis.set_major_formatter(dollar_formatter())
    axes.set_ylim(bottom=0)
    axes.set_ylabel("mean absolute error")
    _format_days(axes)
    add_legend_above(axes, "Estimated and true error", 2, 2, marker_scale=1)
    return axes


def plot_evidence(table: pd.DataFrame) -> Axes:
    """Draw the evidence of some streams by day, up to the first alarm of each.

    table: by the name of a stream, a column for each day: the evidence as a share of the threshold.
    """
    if table.empty:
        return draw_note(NO_TRAFFIC)
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 2.8 + 0.25 * len(table))).gca()
    for number, (name, evidence) in enumerate(table.iterrows()):
        values = np.clip(evidence.to_numpy(float), MIN_EVIDENCE, MAX_EVIDENCE)
        alarms = np.flatnonzero(values >= 1)
        end = alarms[0] + 1 if len(alarms) else len(values)
        color = f"C{number}"
        axes.plot(table.columns[:end], values[:end], color=color, linewidth=1.8, label=str(name))
        if len(alarms):
            axes.plot(table.columns[end - 1], values[end - 1], "D", ms=7, color=color)
    axes.axhline(1, color=ZERO_LINE_COLOR, linewidth=1.2, linestyle="--")
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(MIN_EVIDENCE, MAX_EVIDENCE * 2)
    axes.set_xlim(table.columns[0], table.columns[-1] + np.timedelta64(1, "D"))
    axes.set_ylabel("share of the threshold (log)")
    _format_days(axes)
    n_rows = round(0.8 * len(table))  # in the height that the legend reckons with
    add_legend_above(axes, "Evidence of a change, up to an alarm (◆)", 1, n_rows, marker_scale=1)
    return axes


def plot_traffic(requests: pd.DataFrame, latencies: pd.DataFrame) -> np.ndarray:
    """Draw the rows of each part of the period, and below them how long the answers took.

    requests: by the first day of each part: answered and refused (rows). latencies: by the same
    days, one column for each line, in milliseconds.
    """
    if not requests.to_numpy().any():
        return np.array([draw_note(NO_TRAFFIC)])
    _, panels = plt.subplots(2, 1, figsize=(FIGURE_WIDTH_INCHES, 4.6), sharex=True)
    days = requests.index
    width = (days[1] - days[0] if len(days) > 1 else pd.Timedelta(days=1)) * 0.85
    panels[0].bar(days, requests.answered, width, color=MUTED_COLOR, label="answered")
    panels[0].bar(
        days, requests.refused, width, requests.answered, color=CHANGE_COLOR, label="refused"
    )
    panels[0].yaxis.set_major_formatter("{x:,.0f}")
    panels[0].set_ylabel("rows")
    add_legend_above(panels[0], "Traffic", 2, marker_scale=1)
    for number, column in enumerate(latencies):
        color = f"C{number}"
        panels[1].plot(latencies.index, latencies[column], "o-", ms=4, color=color, label=column)
    panels[1].set_yscale("log")
    if latencies.notna().any(axis=None):
        decades = np.log10(latencies.min(axis=None)), np.log10(latencies.max(axis=None))
        panels[1].set_ylim(10 ** np.floor(decades[0]), 10 ** np.ceil(decades[1] + 0.01))
    panels[1].yaxis.set_major_formatter(MILLISECONDS)
    panels[1].yaxis.set_minor_formatter(NullFormatter())
    _format_days(panels[1])
    add_legend_above(panels[1], "Time to the answer (log scale)", 2, marker_scale=1)
    return panels
