"""Figures that explain predictions: what each feature adds to them, in dollars.

Each function takes data, labels itself with units, and returns its Axes.
"""

from collections.abc import Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from housing.plots.style import (
    CAPPED_COLOR,
    MUTED_COLOR,
    ZERO_LINE_COLOR,
    finish_horizontal_plot,
    format_dollars,
)
from housing.schema import FEATURES

FIGURE_WIDTH_INCHES = 6.0
MAX_STRIP_DOTS = 1_000  # block groups shown in a strip
CLIPPED_TAIL_SHARE = 0.005  # of a feature's dots that may lie outside of the axes at either end
LABEL_WIDTH_CHARS = 20  # of the labels beside a narrow figure


def plot_contributions(
    names: Sequence[str], contributions_usd: Sequence[float], base: float, prediction: float
) -> Axes:
    """Draw the way from the base to the prediction: a bar a feature, the largest first, in dollars.

    names: columns of `schema.FEATURES`, or labels of your own. base: where the first bar starts,
    the model's prediction for the reference block group. Raises ValueError if base and
    contributions do not add up to the prediction.
    """
    amounts = np.asarray(contributions_usd, float)
    if abs(base + amounts.sum() - prediction) > 1:
        raise ValueError(
            f"base and contributions add up to ${base + amounts.sum():,.0f}, "
            f"the prediction is ${prediction:,.0f}"
        )
    order = np.argsort(-np.abs(amounts), kind="stable")
    amounts, labels = amounts[order], [_wrapped_label(names[index]) for index in order]
    starts = base + np.concatenate([[0], np.cumsum(amounts)[:-1]])
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.5 + 0.5 * (len(amounts) + 2))).gca()
    colors = [CAPPED_COLOR if amount < 0 else "C0" for amount in amounts]
    axes.barh(np.arange(1, len(amounts) + 1), amounts, 0.6, left=starts, color=colors)
    steps = np.concatenate([[base], starts + amounts])
    last_row = len(amounts) + 1
    for row, value in enumerate(steps):  # from the end of a bar to the start of the next one
        rows = [max(row - 0.3, 0), min(row + 1.3, last_row)]
        axes.plot([value, value], rows, color=ZERO_LINE_COLOR, linewidth=0.8)
    for row, value in ((0, base), (last_row, prediction)):
        axes.plot(value, row, "D", ms=8, color=ZERO_LINE_COLOR)
    right_ends = np.concatenate([[base], np.maximum(starts, starts + amounts), [prediction]])
    _annotate_amounts(axes, base, amounts, prediction, right_ends)
    labels = ["an ordinary place", *labels, "this prediction"]
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.invert_yaxis()
    low, high = steps.min(), steps.max()
    axes.set_xlim(low - 0.06 * (high - low), high + 0.3 * (high - low))  # room for the numbers
    finish_horizontal_plot(axes, "house value", "What makes this prediction")
    return axes


def _annotate_amounts(
    axes: Axes, base: float, amounts: np.ndarray, prediction: float, right_ends: np.ndarray
) -> None:
    """Write each amount to the right of its bar, the first and the last in bold."""
    texts = [format_dollars(amount, "+") for amount in amounts]
    texts = [format_dollars(base), *texts, format_dollars(prediction)]
    for row, (text, x) in enumerate(zip(texts, right_ends, strict=True)):
        is_total = row in (0, len(texts) - 1)
        axes.annotate(
            text,
            (x, row),
            (9 if is_total else 5, 0),
            textcoords="offset points",
            va="center",
            weight="bold" if is_total else "normal",
        )


def plot_contribution_spread(contributions_usd: pd.DataFrame) -> Axes:
    """Draw how much each feature moves predictions: a strip of dots a feature, the largest first.

    contributions_usd: (n, features) dollars that each feature adds to each prediction. A dot is a
    block group, of which at most 1,000 are shown; the number is the mean size, up or down, over all
    of them.
    """
    mean_sizes = contributions_usd.abs().mean().sort_values(ascending=False)
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.3 + 0.56 * len(mean_sizes))).gca()
    rng = np.random.default_rng(0)
    dots = contributions_usd.sample(min(MAX_STRIP_DOTS, len(contributions_usd)), random_state=0)
    for row, name in enumerate(mean_sizes.index):
        jitter = rng.uniform(-0.3, 0.3, len(dots))
        axes.scatter(
            dots[name], row + jitter, s=3, color=MUTED_COLOR, linewidths=0, rasterized=True
        )
        axes.plot(dots[name].quantile([0.1, 0.9]), [row, row], color="C0", linewidth=2.2)
    axes.axvline(0, color=ZERO_LINE_COLOR, linewidth=1)
    labels = [f"{_wrapped_label(name)}\n±${size:,.0f}" for name, size in mean_sizes.items()]
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.invert_yaxis()
    low = dots.quantile(CLIPPED_TAIL_SHARE).min()
    high = dots.quantile(1 - CLIPPED_TAIL_SHARE).max()
    axes.set_xlim(min(1.1 * low, 0), max(1.1 * high, 0))
    finish_horizontal_plot(
        axes,
        "added to the prediction\n(line: 80% of the block groups; ±: mean size)",
        "How much each feature moves a prediction",
    )
    axes.xaxis.set_major_locator(MaxNLocator(6))  # as many as do not overlap
    return axes


def _wrapped_label(name: str) -> str:
    """Return the meaning of a feature, in lines short enough for a narrow figure."""
    return fill(FEATURES[name].meaning if name in FEATURES else name, LABEL_WIDTH_CHARS)
