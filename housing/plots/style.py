"""The style of all figures: colors, dollar amounts, legends."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib_inline.backend_inline import set_matplotlib_formats

from housing.plots import svg

CAPPED_COLOR = "#d55e00"  # block groups at the cap
MISSED_COLOR = CAPPED_COLOR  # values outside of their interval
MUTED_COLOR = "#9db8cf"  # the background of the data to read
ZERO_LINE_COLOR = "#666666"  # the line of no error


def use_style() -> None:
    """Use the style in this process, and show a notebook's figures as SVG and as PNG at 2x."""
    pd.options.display.float_format = "{:,.6g}".format  # 12,345.6
    shell = get_ipython()
    if shell and plt.get_backend().endswith("inline"):
        set_matplotlib_formats("retina", metadata={"Software": None})
        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, svg.render)
    plt.style.use(Path(__file__).with_name("housing.mplstyle"))


def add_legend_above(
    axes: Axes, title: str, n_columns: int = 3, n_rows: int = 1, marker_scale: float = 3
) -> None:
    """Add a title and below it a legend of `n_rows` and `n_columns`, above the data."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=n_columns,
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=1.4,
        fontsize=9.5,
        markerscale=marker_scale,
    )
    axes.set_title(title, pad=14 + 18 * n_rows)


def dollar_formatter(decimals: int = 0) -> FuncFormatter:
    """Return the formatter of a dollar axis: $0, $85k, −$150k; decimals for close ticks."""
    return FuncFormatter(lambda value, _: _format_thousands(value, decimals))


def format_dollars(value: float, plus_sign: str = "") -> str:
    """Return an amount as text: $12,300, −$150; with `plus_sign` before an amount above 0."""
    sign = "−" if value < 0 else plus_sign if value > 0 else ""
    return f"{sign}${abs(value):,.0f}"


def _format_thousands(value: float, decimals: int) -> str:
    return f"{'−' if value < 0 else ''}${abs(value) / 1000:,.{decimals}f}k" if value else "$0"


def finish_horizontal_plot(axes: Axes, xlabel: str, title: str = "") -> None:
    """Finish a figure with one item on each row and dollars along the x axis."""
    axes.xaxis.set_major_formatter(dollar_formatter())
    axes.set(title=title, xlabel=xlabel, ylabel="")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
