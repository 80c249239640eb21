"""Tables over the whole period: refusals, distributions, places, callers, changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from housing.monitoring.analysis.signals import Analysis
from housing.monitoring.counts import DailyCounts
from housing.monitoring.quantities import (
    QUANTITIES_BY_NAME,
    RANK_VALUES,
    Dimension,
    HistogramKey,
    Quantity,
)
from housing.monitoring.reference import row_counts
from housing.monitoring.report.series import OK_STATUS
from housing.schema import COORDINATE_NAMES, FEATURE_NAMES

RECENT_DAYS = 28  # whose rows the distributions show
RANK_WIDTH = RANK_VALUES[1] - RANK_VALUES[0]
CLASS_COUNTS = {1_000: 20, 200: 10, 0: 5}  # of the distributions, by the least number of rows
TICK_RANKS = [0.1, 0.5, 0.9]
FAR_KM = 20.0  # from the middle of a cell, which is up to 18 km from its corners
NO_CALLER = "without a key"
DISTRIBUTION_QUANTITIES = ["prediction", *FEATURE_NAMES]


def refusals(counts: DailyCounts, max_rows: int = 12) -> pd.DataFrame:
    """Return why rows were refused, by caller: the most frequent problems, and their last day."""
    table = counts.refusals.assign(caller=_caller_names(counts.refusals))
    grouped = table.groupby(["problem", "caller"], as_index=False).agg(
        rows=("rows", "sum"), last=("day", "max")
    )
    return grouped.sort_values("rows", ascending=False).head(max_rows).set_index("problem")


def _caller_names(table: pd.DataFrame) -> pd.Series:
    return table.caller.astype(str).replace("", NO_CALLER)


def callers(counts: DailyCounts, max_rows: int = 12) -> pd.DataFrame:
    """Return the rows of each caller, answered and refused, and the share of warnings."""
    table = counts.requests.assign(caller=_caller_names(counts.requests))
    answered = table[table.status == OK_STATUS].groupby("caller").rows.sum()
    rows = table.groupby("caller").rows.sum()
    columns = {"rows": rows, "refused": rows - answered.reindex(rows.index, fill_value=0)}
    warned = {
        name: _warned_share(counts, "" if name == NO_CALLER else str(name)) for name in rows.index
    }
    frame = pd.DataFrame(columns).assign(**{"with a warning, %": pd.Series(warned, dtype=float)})
    return frame.sort_values("rows", ascending=False).head(max_rows)


def _warned_share(counts: DailyCounts, caller: str) -> float:
    histogram = counts.histograms.get(HistogramKey("warned", Dimension.CALLER, caller))
    if histogram is None or not histogram.sum():
        return float("nan")
    return float(histogram[:, 1].sum() / histogram.sum() * 100)


def features(analysis: Analysis) -> pd.DataFrame:
    """Return the means of the prediction and of each feature in the last 28 days.

    The columns are now and held out (in the unit of the quantity), mean rank (0.5 if nothing has
    changed), and effect, $: how much a feature's new distribution moves the mean prediction, if the
    others stay as they are; for the prediction itself, how much it has moved.
    """
    rows = {}
    for name in DISTRIBUTION_QUANTITIES:
        key = HistogramKey(name)
        histogram = _recent_sum(analysis.counts.histograms, key)
        if not histogram.any():
            continue
        mean, held_out_mean = (
            sums[1] / sums[0]
            for sums in (_recent_sum(analysis.counts.moments, key), analysis.held_out.moments[key])
        )
        held_out = analysis.held_out.histograms[key]
        shares, held_out_shares = histogram / histogram.sum(), held_out / held_out.sum()
        effect_usd = mean - held_out_mean
        if name in analysis.reference.prediction_by_value:
            predictions = analysis.reference.prediction_by_value[name]
            effect_usd = (shares - held_out_shares) @ predictions
        rank = shares @ RANK_VALUES
        rows[name] = [mean, held_out_mean, round(rank, 3), np.round(effect_usd)]
    columns = ["now", "held out", "mean rank", "effect, $"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _recent_sum(by_day: Mapping[HistogramKey, np.ndarray], key: HistogramKey) -> np.ndarray:
    """Return the sum over the last 28 days; zeros if there is nothing of this key."""
    return by_day.get(key, np.zeros((1, len(RANK_VALUES))))[-RECENT_DAYS:].sum(axis=0)


def change_days(analysis: Analysis, quantity: str) -> list[date]:
    """Return the days on which changes of a quantity of all rows began."""
    stream = analysis.find_stream(quantity)
    return [change.first_day for change in stream.changes] if stream else []


def distributions(analysis: Analysis) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return what `plot_distributions` draws: of the last 28 days, of the held-out rows, ticks.

    Of quantities without rows there is nothing.
    """
    sums = {
        name: _recent_sum(analysis.counts.histograms, HistogramKey(name))
        for name in DISTRIBUTION_QUANTITIES
    }
    recent = {name: histogram for name, histogram in sums.items() if histogram.any()}
    held_out = {name: analysis.held_out.histograms[HistogramKey(name)] for name in recent}
    ticks = {
        name: [
            _tick_label(QUANTITIES_BY_NAME[name], value)
            for value in analysis.reference.rank_scales[name].values(np.array(TICK_RANKS))
        ]
        for name in recent
    }
    n_rows = max((histogram.sum() for histogram in recent.values()), default=0)
    n_classes = next(n for least, n in CLASS_COUNTS.items() if n_rows >= least)
    return (
        _densities(recent, n_classes),
        _densities(held_out, n_classes),
        pd.DataFrame.from_dict(ticks, orient="index", columns=TICK_RANKS),
    )


def _densities(histograms: dict[str, np.ndarray], n_classes: int) -> pd.DataFrame:
    """Return the density of the ranks by quantity: 1 where there are as many rows as held out.

    The columns are the middles of the classes.
    """
    edges = np.linspace(0, 1, n_classes + 1)
    # each of RANK_VALUES stands for the ranks around it
    ends = np.clip([RANK_VALUES - RANK_WIDTH / 2, RANK_VALUES + RANK_WIDTH / 2], 0, 1)
    overlaps = np.minimum(ends[1][:, None], edges[1:]) - np.maximum(ends[0][:, None], edges[:-1])
    parts = np.maximum(overlaps, 0) / (ends[1] - ends[0])[:, None]
    table = pd.DataFrame.from_dict(histograms, orient="index").astype(float)
    if table.empty:
        return table
    shares = table.div(table.sum(axis=1), axis=0).to_numpy() @ parts
    return pd.DataFrame(shares * n_classes, table.index, (edges[1:] + edges[:-1]) / 2)


def _tick_label(quantity: Quantity, value: float) -> str:
    return f"${value / 1000:,.0f}k" if quantity.unit == "$" else f"{value:,.4g}"


def cells(analysis: Analysis) -> pd.DataFrame:
    """Return the cells that requests came from: latitude, longitude, rows, km, is_far.

    km: from the middle of the cell to the nearest training row.
    """
    grouped = analysis.counts.cells.groupby(["latitude", "longitude"], as_index=False).rows.sum()
    index = row_counts.index_places(analysis.reference.training_places)
    places = pd.DataFrame(
        grouped[["latitude", "longitude"]].to_numpy(float), columns=COORDINATE_NAMES
    )
    distances = row_counts.distances_km(index, places) if len(places) else np.zeros(0)
    return grouped.assign(km=distances, is_far=distances > FAR_KM)


def evidence(analysis: Analysis, n_signals: int = 5) -> pd.DataFrame:
    """Return the strongest evidence of each signal, as a share of what raises an alarm.

    By the name of the stream, a column for each day; the signals with the strongest come first.
    """
    table = analysis.evidence(len(analysis.streams))
    days = [day.isoformat() for day in analysis.counts.days]
    if table.empty:
        return pd.DataFrame(columns=pd.DatetimeIndex(days))
    table = table.drop_duplicates("signal").head(n_signals)
    shares = table[days].astype(float).div(table.threshold.astype(float), axis=0)
    shares.columns = pd.DatetimeIndex(days)
    names = [_stream_name(*row) for row in table[NAME_COLUMNS].itertuples(index=False)]
    return shares.set_axis(names)


NAME_COLUMNS = ["quantity", "aspect", "group"]


def _stream_name(quantity: str, aspect: str, group: str) -> str:
    what = f"spread of {quantity}" if aspect == "spread" else quantity
    return f"{what} ({group})" if group else what


def changes(analysis: Analysis, max_rows: int = 8) -> pd.DataFrame:
    """Return the changes that were seen, large or not: those that last and matter come first."""
    rows = [
        {
            "signal": str(stream.quantity.signal),
            "change": ": ".join(filter(None, [stream.group, change.effect.text])),
            "from": change.first_day,
            "to": change.last_day or "it lasts",
            "seen on": change.alarm_day,
            "matters": "yes" if change.effect.is_large else "no",
        }
        for stream in sorted(analysis.streams, key=lambda stream: bool(stream.group))
        for change in sorted(stream.changes, key=lambda change: change.first_day, reverse=True)
    ]
    rows.sort(key=lambda row: (row["matters"], row["to"] == "it lasts"), reverse=True)
    columns = ["signal", "change", "from", "to", "seen on", "matters"]
    return pd.DataFrame(rows[:max_rows], columns=columns).set_index("signal")


def joint_drift(analysis: Analysis, max_rows: int = 8) -> pd.DataFrame:
    """Return by which features the classifier tells requests from held-out rows, most first."""
    importances = analysis.joint_drift.importances.sort_values(ascending=False)
    return importances.head(max_rows).rename("importance").to_frame()
