"""Why a step must run."""

import os
from enum import StrEnum
from typing import NamedTuple

from pipeline.runs.records import FORCED_REASON


class ReasonKind(StrEnum):
    """What has changed since a step last ran; the values begin the sentences."""

    FORCED = "forced"
    ON_DEMAND = "on demand"
    UNFINISHED = "unfinished"  # it has no results, or not all of them
    CELL = "cell"
    PARAMETER = "parameter"
    MODULE = "module"
    PACKAGE = "package"
    INPUT = "input"
    OUTPUT = "output"
    FOLDER = "folder"
    UPSTREAM = "upstream"
    EXTERNAL_STATE = "external state"


PATH_KINDS = (ReasonKind.MODULE, ReasonKind.INPUT, ReasonKind.OUTPUT, ReasonKind.FOLDER)
SENTENCE_KINDS = (
    ReasonKind.FORCED,
    ReasonKind.ON_DEMAND,
    ReasonKind.UNFINISHED,
    ReasonKind.CELL,
)


class Reason(NamedTuple):
    """A reason to run; `str` makes the sentence that users read."""

    kind: ReasonKind
    name: str  # of the parameter or package, the path, the location of the cell; may be empty
    change: str  # such as "1 -> 2" or "was edited"

    def __str__(self) -> str:
        if self.kind in SENTENCE_KINDS:
            return f"{self.name} {self.change}".strip()
        if self.kind in PATH_KINDS:
            return f"{self.kind} {display_path(self.name)} {self.change}"
        return f"{self.kind} {self.name}: {self.change}"


ON_DEMAND = Reason(ReasonKind.ON_DEMAND, "", "it is run on demand")
FORCED = Reason(ReasonKind.FORCED, "", FORCED_REASON)


def display_path(path: str) -> str:
    """Return the path relative to the current folder, if that is shorter."""
    relative_path = os.path.relpath(path)
    return relative_path if len(relative_path) < len(path) else path
