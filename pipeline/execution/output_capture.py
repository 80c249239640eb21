"""What a cell printed: all of it, as a terminal would show it, joined into one text per stream."""

import os
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from nbformat import NotebookNode


def coalesce_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return the outputs with neighbouring pieces of one stream joined.

    Text that a carriage return overwrites is left out. Takes linear time: nbclient's own
    `coalesce_streams` needs minutes for a line of some megabytes.
    """
    coalesced: list[NotebookNode] = []
    for stream_name, group in groupby(outputs, _stream_name):
        pieces = list(group)
        if stream_name is None:
            coalesced += pieces
        else:
            text = "".join(piece.text for piece in pieces)
            coalesced.append(NotebookNode({**pieces[0], "text": _apply_carriage_returns(text)}))
    return coalesced


def _stream_name(output: Any) -> str | None:
    return output.name if output.output_type == "stream" else None


def _apply_carriage_returns(text: str) -> str:
    """Return the text without what carriage returns overwrite, as progress bars do."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


class OutputCapture:
    """What a kernel prints, whether its messages arrive or not.

    Two files, held open by the kernel and by this process. Once the kernel runs, their names are
    removed, so that nothing printed stays on the disk, however the run ends.
    """

    STREAM_NAMES = ("stdout", "stderr")

    def __init__(self, parent_folder: Path) -> None:
        self.folder = Path(mkdtemp(dir=parent_folder))
        flags = os.O_RDWR | os.O_CREAT
        self.descriptors = {
            name: os.open(self.folder / name, flags, 0o600) for name in self.STREAM_NAMES
        }
        self.cell_start_offsets = dict.fromkeys(self.STREAM_NAMES, 0)

    def unlink_files(self) -> None:
        """Remove the files' names, once the kernel has its own descriptors."""
        for name in self.STREAM_NAMES:
            (self.folder / name).unlink()
        self.folder.rmdir()

    def mark_cell_start(self) -> None:
        """Remember where the next cell's output starts."""
        self.cell_start_offsets = {
            name: os.fstat(descriptor).st_size for name, descriptor in self.descriptors.items()
        }

    def missing_outputs(self, outputs: list[NotebookNode]) -> list[NotebookNode]:
        """Return what was printed since `mark_cell_start` and is not in `outputs`.

        outputs: those of the cell, as they arrived in messages.
        """
        missing = []
        for name, descriptor in self.descriptors.items():
            start = self.cell_start_offsets[name]
            size = os.fstat(descriptor).st_size - start
            printed = os.pread(descriptor, size, start).decode(errors="replace")
            received = "".join(output.text for output in outputs if _stream_name(output) == name)
            if printed.startswith(received) and len(printed) > len(received):
                text = printed[len(received) :]
                missing.append(NotebookNode(output_type="stream", name=name, text=text))
        return missing

    def close(self) -> None:
        """Close the files, which deletes them."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)
