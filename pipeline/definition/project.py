"""What the runner knows of the project whose notebooks it runs, besides the steps."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from pipeline.runs.invocation import Invocation
from pipeline.runs.prune import PinnedRuns
from pipeline.runs.records import RunRecord
from pipeline.workspace import Workspace


class ComparisonTable(Protocol):
    """A table that a project adds to the page that compares two runs."""

    @property
    def title(self) -> str:
        """The heading of its section, such as Data files."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns; the cells of `before` and `now` are coloured."""

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        """The differences, a text for each column; empty if nothing differs."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences that stand below the table."""

    @property
    def command(self) -> str:
        """A command that prints the same; empty if there is none."""


# called with the folder of the project and two commits; returns None if there is nothing to compare
CommitComparison = Callable[[Path, str, str], ComparisonTable | None]


class Project(NamedTuple):
    """The folders of a project, and what it has passed to `pipeline.main`."""

    workspace: Workspace
    script: str  # the name of the script that users run
    environment: Mapping[str, str] = MappingProxyType({})  # defaults for the kernels
    pinned_runs: PinnedRuns = dict  # no run is pinned
    grouping_fact: str = ""  # only runs with the same value of this fact are compared by default
    compare_commits: CommitComparison | None = None
    invocation: Invocation | None = None  # how this process was started

    def command(self, *arguments: str) -> str:
        """Return the command line that users type, with these arguments."""
        return " ".join(["python", shlex.quote(self.script), *arguments])

    def command_of(self, run: RunRecord, *arguments: str) -> str:
        """Return the command line that starts the script as the run was started."""
        if run.invocation:
            return run.invocation.command_line(*arguments)
        return self.command(*map(shlex.quote, arguments))

    def start_folder(self, run: RunRecord) -> str:
        """Return the folder that the run was started in; empty if that is the project's."""
        folder = run.invocation.folder if run.invocation else ""
        return self.workspace.from_portable(folder) if folder else ""

    def group(self, run: RunRecord) -> str:
        """Return the run's group: its grouping fact up to the first comma; empty if unknown.

        "A sample" for "A sample, 5 rows".
        """
        return run.fact(self.grouping_fact).partition(",")[0]
