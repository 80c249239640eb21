"""Print lines and tables: coloured on a terminal, plain in a pipe."""

import shutil
import sys
from collections.abc import Sequence

COLUMN_GAP = 2
MIN_LAST_COLUMN_WIDTH = 20  # on a narrower terminal, lines go on at the left edge
STATUS_STYLES = {
    "done": "green",
    "running": "yellow",
    "failed": "red",
    "killed": "red",
    "timed out": "red",
    "stopped": "red",
    "up to date": "dim",
}


def print_line(text: str, status: str) -> None:
    """Print a text, on a terminal in the colour of a status."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().out(text, style=STATUS_STYLES.get(status), highlight=False)
    else:
        print(text)


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, its heads first, whose last column is the long one; a terminal wraps that."""
    widths = [max(map(len, column)) + COLUMN_GAP for column in zip(*rows, strict=True)]
    space = shutil.get_terminal_size().columns - sum(widths[:-1])
    if not sys.stdout.isatty() or space < MIN_LAST_COLUMN_WIDTH:
        print("\n".join(align_columns(rows)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, COLUMN_GAP, 0, 0))
    for _ in widths[:-1]:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        cells = [Text(cell, STATUS_STYLES.get(cell, "")) for cell in row]
        table.add_row(*cells, style="bold" if row is rows[0] else "")
    Console().print(table)


def align_columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a line for each row of a table, with all columns but the last of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (" " * COLUMN_GAP)
        .join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        .rstrip()
        for row in rows
    ]
