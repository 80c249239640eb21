"""What a cell printed: all of it, as a terminal would leave it, as one text, not thousands."""

import os
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from nbformat import NotebookNode


def coalesce_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs, neighbouring pieces of one stream joined, overwritten lines left out.

    In linear time: nbclient's own `coalesce_streams` needs minutes for a line of some megabytes.
    """
    found: list[NotebookNode] = []
    for name, group in groupby(outputs, _stream_name):
        pieces = list(group)
        if name is None:
            found += pieces
        else:
            text = "".join(one.text for one in pieces)
            found.append(NotebookNode({**pieces[0], "text": _apply_carriage_returns(text)}))
    return found


def _stream_name(output: Any) -> str | None:
    return output.name if output.output_type == "stream" else None


def _apply_carriage_returns(text: str) -> str:
    """A carriage return starts the line again, as progress bars do."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(one.rstrip("\r").rpartition("\r")[2] for one in lines)


class OutputCapture:
    """What a kernel printed, whether its messages arrived or not.

    Two files that only the kernel and we hold open: they have no name any more once it runs, so
    that nothing printed is left on a disk, however all ends.
    """

    STREAM_NAMES = ("stdout", "stderr")

    def __init__(self, parent_folder: Path) -> None:
        self.folder = Path(mkdtemp(dir=parent_folder))
        flags = os.O_RDWR | os.O_CREAT
        self.descriptors = {
            one: os.open(self.folder / one, flags, 0o600) for one in self.STREAM_NAMES
        }
        self.cell_start_offsets = dict.fromkeys(self.STREAM_NAMES, 0)

    def unlink_files(self) -> None:
        """The kernel has its own descriptors: takes the names away."""
        for name in self.STREAM_NAMES:
            (self.folder / name).unlink()
        self.folder.rmdir()

    def mark_cell_start(self) -> None:
        """A cell starts here."""
        self.cell_start_offsets = {
            name: os.fstat(file).st_size for name, file in self.descriptors.items()
        }

    def missing_outputs(self, outputs: list[NotebookNode]) -> list[NotebookNode]:
        """What the cell printed since `mark`, but for what its outputs say already."""
        found = []
        for name, file in self.descriptors.items():
            size = os.fstat(file).st_size - self.cell_start_offsets[name]
            printed = os.pread(file, size, self.cell_start_offsets[name]).decode(errors="replace")
            told = "".join(one.text for one in outputs if _stream_name(one) == name)
            if printed.startswith(told) and len(printed) > len(told):
                text = printed[len(told) :]
                found.append(NotebookNode(output_type="stream", name=name, text=text))
        return found

    def close(self) -> None:
        """Gone for good."""
        for file in self.descriptors.values():
            os.close(file)
