"""What a cell printed, as a terminal would leave it: one text instead of thousands of pieces."""

from itertools import groupby
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
