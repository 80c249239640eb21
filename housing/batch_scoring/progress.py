"""How far the workers are: each writes it to a file of its own, which the command reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class PartitionProgress(NamedTuple):
    """How far a partition is."""

    rows: int = 0  # that have been predicted
    share_read: float = 0.0  # of the input, 0 to 1


def write_progress(file: Path | None, rows: int, share_read: float) -> None:
    """Write how far a partition is, if a file for it is given; a reader never finds a part."""
    if file:
        # not `atomic_path`: nothing is lost with it, so that it need not wait for the disk
        new_file = file.with_suffix(".new")
        new_file.write_text(json.dumps([rows, share_read]))
        new_file.replace(file)


def read_progress(files: Iterable[Path]) -> list[PartitionProgress]:
    """Return how far each partition is; one that has not been started is at zero."""
    states = []
    for file in files:
        try:
            states.append(PartitionProgress(*json.loads(file.read_bytes())))
        except FileNotFoundError:
            states.append(PartitionProgress())
    return states
