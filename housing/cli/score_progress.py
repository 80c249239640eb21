"""Show on the terminal how far batch scoring is, within large files too."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn

from housing.batch_scoring.progress import read_progress

if TYPE_CHECKING:
    from housing.batch_scoring.partitions import Partition

POLL_SECONDS = 0.5
STATE_TEXT = "{task.fields[done]}/{task.fields[files]} files  {task.fields[rows]:,} rows"


@contextmanager
def show_progress(partitions: Sequence[Partition], folder: Path) -> Iterator[list[Path | None]]:
    """Show on stderr, if it is a terminal, how far partitions are.

    Yields for each partition the file in the folder that its worker is to write its progress to;
    None if nothing is shown.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield [None] * len(partitions)
        return
    files = [folder / f"{number}.progress" for number in range(len(partitions))]
    sizes = [partition.source.stat().st_size for partition in partitions]
    is_over = threading.Event()
    columns = (TextColumn(STATE_TEXT + ", time left:"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=sum(sizes), done=0, files=len(files), rows=0)

        def update() -> None:
            states = read_progress(files)
            progress.update(
                task,
                completed=sum(
                    size * state.share_read for size, state in zip(sizes, states, strict=True)
                ),
                done=sum(state.share_read >= 1 for state in states),
                rows=sum(state.rows for state in states),
            )

        def poll() -> None:
            while not is_over.wait(POLL_SECONDS):
                update()

        poller = threading.Thread(target=poll, daemon=True)
        poller.start()
        try:
            yield list(files)
        finally:
            is_over.set()
            poller.join()
            update()
