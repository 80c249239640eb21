"""The pictures of the reports: one style, dollars on the axes, colours safe for colour-blind eyes.

Each function takes data, labels itself with units, and returns its Axes.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.ticker import FuncFormatter

from housing.models import FAMILIES
from housing.schema import CAP, FEATURES, HOUSE_VALUE, TARGET, USD

CLIPPED_AT = 0.99  # the share of values a histogram shows; a few block groups lie far outside


def use_style() -> None:
    """Makes the house style the notebook's: figures crisp at 2x, tables with 12,345.6 numbers."""
    pd.options.display.float_format = "{:,.6g}".format
    plt.style.use(Path(__file__).with_name("housing.mplstyle"))
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("retina")


def value_map(frame: pd.DataFrame) -> Axes:
    """Where houses are dear: a dot a block group, colour the house value, area its people."""
    axes = _california()
    dots = axes.scatter(
        frame.Longitude, frame.Latitude, c=frame[TARGET] * USD, s=frame.Population / 400, alpha=0.6,
        linewidths=0, rasterized=True,
    )  # fmt: skip
    axes.figure.colorbar(dots, label="median house value", format=_dollars(), shrink=0.8)
    axes.set_title("House values are high along the coast")
    return axes


def error_map(frame: pd.DataFrame, error: pd.Series) -> Axes:
    """Where the model is wrong: a dot a block group, colour the error (n,) in dollars."""
    axes = _california()
    limit = float(np.quantile(np.abs(error), 0.98)) or 1.0
    order = np.argsort(np.abs(error))  # the largest errors on top
    dots = axes.scatter(
        frame.Longitude.iloc[order], frame.Latitude.iloc[order], c=error.iloc[order], s=7,
        cmap="RdBu_r", norm=TwoSlopeNorm(0, -limit, limit), linewidths=0, rasterized=True,
    )  # fmt: skip
    label = "guess minus truth (red: too high)"
    bar = axes.figure.colorbar(dots, label=label, format=_dollars(), shrink=0.8, extend="both")
    bar.ax.axhline(0, color="#333a48", linewidth=0.8)
    axes.set_title("Where the guesses are off")
    return axes


def _california() -> Axes:
    axes = plt.figure(figsize=(7.2, 6.2)).gca()
    axes.set_aspect(1 / np.cos(np.radians(37)))  # a degree of longitude is shorter up north
    axes.set(xlabel="longitude, degrees east", ylabel="latitude, degrees north")
    axes.set_facecolor("#eef1f5")
    axes.grid(color="white")
    return axes


def histograms(frame: pd.DataFrame) -> np.ndarray:
    """How each feature is spread: one small histogram each, the last percent cut off."""
    _, axes = plt.subplots(2, 4, figsize=(10.5, 4.8))
    for axis, (name, feature) in zip(axes.flat, FEATURES.items(), strict=True):
        values = frame[name]
        axis.hist(values[values <= values.quantile(CLIPPED_AT)], bins=40)
        axis.set_title(name, fontsize=11)
        axis.set_xlabel(feature.unit)
    for axis in axes[:, 0]:
        axis.set_ylabel("block groups")
    return axes


def cap(frame: pd.DataFrame) -> Axes:
    """The wall at $500,000: how many block groups stand at each house value."""
    axes = plt.figure().gca()
    axes.hist(frame[TARGET] * USD, bins=np.arange(0, 5.2, 0.1) * USD)
    count = int((frame[TARGET] >= CAP).sum())
    axes.annotate(
        f"{count:,} block groups\nstand at the cap", (5.05 * USD, count), (3.5 * USD, count * 0.9),
        arrowprops={"arrowstyle": "->", "color": "#5d6778"}, va="center",
    )  # fmt: skip
    axes.xaxis.set_major_formatter(_dollars())
    axes.set(xlabel=HOUSE_VALUE.meaning, ylabel="block groups")
    axes.set_title("The census wrote no value above $500,000")
    return axes


def comparison(table: pd.DataFrame) -> Axes:
    """Which family guesses best: two bars a family, from `evaluate.compare`'s table."""
    axes = plt.figure(figsize=(7.2, 3.2)).gca()
    rmse = table[["cross-validation RMSE, $", "test RMSE, $"]].iloc[::-1]
    rmse.columns = ["cross-validation", "test"]
    rmse.rename(index=lambda one: FAMILIES[one].title).plot.barh(ax=axes, width=0.7)
    for bars in axes.containers:
        axes.bar_label(bars, fmt="${:,.0f}", padding=4)
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter(_dollars())
    axes.set(xlabel="RMSE (lower is better)", ylabel="")
    axes.grid(axis="y", visible=False)
    _legend_above(axes, "How far off each family is")
    return axes


def search_progress(trials: dict[str, pd.DataFrame]) -> Axes:
    """What the search brought: each family's best RMSE so far, trial by trial."""
    axes = plt.figure(figsize=(7.2, 3.4)).gca()
    for family, table in trials.items():
        best = (table.rmse * USD).cummin().ffill()
        [line] = axes.plot(best.index + 1, best, drawstyle="steps-post", linewidth=2)
        line.set_label(FAMILIES[family].title)
        axes.plot(table.index + 1, table.rmse * USD, "o", ms=4, alpha=0.5, color=line.get_color())
    axes.yaxis.set_major_formatter(_dollars())
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="trial", ylabel="cross-validated RMSE")
    _legend_above(axes, "The search: best so far, and each trial")
    return axes


def guess_against_truth(truth: pd.Series, guess: np.ndarray) -> Axes:
    """How guesses follow the truth: (n,) each, in $100,000; on the line they would agree."""
    axes = plt.figure(figsize=(6.2, 5.4)).gca()
    shade = axes.hexbin(truth * USD, guess * USD, gridsize=45, bins="log", mincnt=1)
    axes.axline((0, 0), slope=1, color="#d1782e", linewidth=1.2)
    axes.figure.colorbar(shade, label="block groups", shrink=0.8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_dollars())
    axes.set(xlabel="true house value", ylabel="guess")
    axes.set_title("Guess against truth, test part")
    return axes


def group_errors(table: pd.DataFrame) -> Axes:
    """Where errors are large: the typical error of each group, `evaluate.by_group`'s table."""
    axes = plt.figure(figsize=(7.2, 3.2)).gca()
    bars = axes.bar(table.index.astype(str), table["typical error, $"], width=0.65)
    axes.bar_label(bars, fmt="${:,.0f}", padding=3, fontsize=9)
    axes.yaxis.set_major_formatter(_dollars())
    axes.set(xlabel=table.index.name, ylabel="typical error")
    axes.tick_params(axis="x", labelsize=8.5)
    axes.grid(axis="x", visible=False)
    axes.set_title(f"Typical error by {table.index.name}")
    return axes


def _legend_above(axes: Axes, title: str) -> None:
    """Title, then legend, then the plot: the legend hides no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2)
    axes.set_title(title, pad=32)


def _dollars() -> FuncFormatter:
    """$85k, $1.2M."""
    return FuncFormatter(lambda value, _: f"{'-' if value < 0 else ''}${abs(value) / 1000:,.0f}k")
