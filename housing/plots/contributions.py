"""Why a guess is what it is: what each feature adds to it, in dollars.

Each function takes data, labels itself with units, and returns its Axes.
"""

from collections.abc import Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from housing.plots.style import CAPPED_COLOR, MUTED_COLOR, ZERO_LINE_COLOR, finish_horizontal_plot
from housing.schema import FEATURES

FIGURE_WIDTH_INCHES = 6.0  # inches
MAX_STRIP_DOTS = 1_000  # block groups a strip shows
CLIPPED_TAIL_SHARE = 0.005  # of a feature's dots that may lie off the picture at either end


def plot_contributions(
    names: Sequence[str], contributions_usd: Sequence[float], base: float, prediction: float
) -> Axes:
    """From an ordinary guess to this one: a bar a feature, the weightiest first, in dollars.

    names: columns of `schema.FEATURES`, or words of your own. base: where the first bar starts,
    what the model guesses of the ordinary place compared with. Raises ValueError if base and
    contributions do not add up to the prediction.
    """
    amounts = np.asarray(contributions_usd, float)
    if abs(base + amounts.sum() - prediction) > 1:
        raise ValueError(
            f"base and contributions add up to ${base + amounts.sum():,.0f}, "
            f"the prediction is ${prediction:,.0f}"
        )
    order = np.argsort(-np.abs(amounts), kind="stable")
    amounts, labels = amounts[order], [_wrapped_label(names[one]) for one in order]
    start = base + np.concatenate([[0], np.cumsum(amounts)[:-1]])
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.5 + 0.5 * (len(amounts) + 2))).gca()
    place = np.arange(1, len(amounts) + 1)
    colors = [CAPPED_COLOR if one < 0 else "C0" for one in amounts]
    axes.barh(place, amounts, 0.6, left=start, color=colors)
    ends = np.concatenate([[base], start + amounts])
    for row, end in enumerate(ends):  # from the end of a bar to the start of the next one
        rows = [max(row - 0.3, 0), min(row + 1.3, len(place) + 1)]
        axes.plot([end, end], rows, color=ZERO_LINE_COLOR, linewidth=0.8)
    for row, value in ((0, base), (len(amounts) + 1, prediction)):
        axes.plot(value, row, "D", ms=8, color=ZERO_LINE_COLOR)
    said = [
        f"${base:,.0f}",
        *(_format_signed_dollars(one) for one in amounts),
        f"${prediction:,.0f}",
    ]
    right = np.concatenate([[base], np.maximum(start, start + amounts), [prediction]])
    for row, (text, x) in enumerate(zip(said, right, strict=True)):
        ends_row = row in (0, len(said) - 1)
        axes.annotate(
            text, (x, row), (9 if ends_row else 5, 0), textcoords="offset points", va="center",
            weight="bold" if ends_row else "normal",
        )  # fmt: skip
    labels = ["an ordinary place", *labels, "this guess"]
    axes.set_yticks(range(len(said)), labels, parse_math=False)
    axes.invert_yaxis()
    low, high = ends.min(), ends.max()
    axes.set_xlim(low - 0.06 * (high - low), high + 0.3 * (high - low))  # room for the numbers
    finish_horizontal_plot(axes, "What makes this guess", "house value")
    return axes


def plot_contribution_spread(contributions_usd: pd.DataFrame) -> Axes:
    """How much each feature moves guesses: a strip of dots a feature, the weightiest first.

    table: (n, features) dollars that each adds to each guess. A dot is a block group, of which at
    most 1,000 are shown; the number is the mean of the sizes, up or down, over all of them.
    """
    size = contributions_usd.abs().mean().sort_values(ascending=False)
    axes = plt.figure(figsize=(FIGURE_WIDTH_INCHES, 1.3 + 0.56 * len(size))).gca()
    rng = np.random.default_rng(0)
    shown = contributions_usd.sample(min(MAX_STRIP_DOTS, len(contributions_usd)), random_state=0)
    for place, name in enumerate(size.index):
        jitter = rng.uniform(-0.3, 0.3, len(shown))
        axes.scatter(
            shown[name], place + jitter, s=3, color=MUTED_COLOR, linewidths=0, rasterized=True
        )  # fmt: skip
        axes.plot(shown[name].quantile([0.1, 0.9]), [place, place], color="C0", linewidth=2.2)
    axes.axvline(0, color=ZERO_LINE_COLOR, linewidth=1)
    labels = [f"{_wrapped_label(name)}\n±${value:,.0f}" for name, value in size.items()]
    axes.set_yticks(range(len(size)), labels, parse_math=False)
    axes.invert_yaxis()
    low, high = (
        shown.quantile(CLIPPED_TAIL_SHARE).min(),
        shown.quantile(1 - CLIPPED_TAIL_SHARE).max(),
    )
    axes.set_xlim(min(1.1 * low, 0), max(1.1 * high, 0))
    finish_horizontal_plot(
        axes,
        "How much each feature moves a guess",
        "added to the guess\n(line: 80% of the block groups; ±: mean size)",
    )
    axes.xaxis.set_major_locator(MaxNLocator(6))  # as many as do not run into each other
    return axes


def _wrapped_label(name: str) -> str:
    """What a feature means, in lines short enough to stand beside a narrow picture."""
    return fill(FEATURES[name].meaning if name in FEATURES else name, 20)


def _format_signed_dollars(amount: float) -> str:
    return f"{'−' if amount < 0 else '+'}${abs(amount):,.0f}"
