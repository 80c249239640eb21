"""What a cell printed: all of it, as a terminal would leave it, as one text, not thousands."""

import os
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from nbformat import NotebookNode


def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs, neighbouring pieces of one stream joined, overwritten lines left out.

    In linear time: nbclient's own `coalesce_streams` needs minutes for a line of some megabytes.
    """
    found: list[NotebookNode] = []
    for name, group in groupby(outputs, _stream):
        pieces = list(group)
        if name is None:
            found += pieces
        else:
            text = "".join(one.text for one in pieces)
            found.append(NotebookNode({**pieces[0], "text": _overwritten(text)}))
    return found


def _stream(output: Any) -> str | None:
    return output.name if output.output_type == "stream" else None


def _overwritten(text: str) -> str:
    """A carriage return starts the line again, as progress bars do."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(one.rstrip("\r").rpartition("\r")[2] for one in lines)


class Tee:
    """What a kernel printed, whether its messages arrived or not.

    Two files that only the kernel and we hold open: they have no name any more once it runs, so
    that nothing printed is left on a disk, however all ends.
    """

    NAMES = ("stdout", "stderr")

    def __init__(self, place: Path) -> None:
        self.folder = Path(mkdtemp(dir=place))
        flags = os.O_RDWR | os.O_CREAT
        self.files = {one: os.open(self.folder / one, flags, 0o600) for one in self.NAMES}
        self.starts = dict.fromkeys(self.NAMES, 0)

    def opened(self) -> None:
        """The kernel has its own descriptors: takes the names away."""
        for name in self.NAMES:
            (self.folder / name).unlink()
        self.folder.rmdir()

    def mark(self) -> None:
        """A cell starts here."""
        self.starts = {name: os.fstat(file).st_size for name, file in self.files.items()}

    def missing(self, outputs: list[NotebookNode]) -> list[NotebookNode]:
        """What the cell printed since `mark`, but for what its outputs say already."""
        found = []
        for name, file in self.files.items():
            size = os.fstat(file).st_size - self.starts[name]
            printed = os.pread(file, size, self.starts[name]).decode(errors="replace")
            told = "".join(one.text for one in outputs if _stream(one) == name)
            if printed.startswith(told) and len(printed) > len(told):
                text = printed[len(told) :]
                found.append(NotebookNode(output_type="stream", name=name, text=text))
        return found

    def close(self) -> None:
        """Gone for good."""
        for file in self.files.values():
            os.close(file)
