"""A notebook of a public test suite, its shape in cells, and what its step and report must say."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from pipeline import Step
from pipeline.runs.status import StepStatus

# the folder of its notebooks in a suite's source package
TEST_FOLDERS = {
    "papermill": "papermill/tests/notebooks",
    "nbclient": "tests/files",
    "nbconvert": "tests",
    "reported": "tests",
}
PYTHON_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@dataclass(frozen=True)
class PublicNotebook:
    """A notebook, how its step must end, and what its report must show.

    The failing cell is named by a text in its source, as its number differs from shape to shape.
    """

    suite: str
    path: str  # below the TEST_FOLDERS
    cells: tuple[NotebookNode, ...]  # of the notebook of the same shape
    status: StepStatus = StepStatus.DONE
    stops_at: str = ""  # a text in the source of the last cell that started, if others follow it
    failure: str = ""  # how the sentence about the failure begins
    refused: tuple[str, ...] = ()  # texts of the sentence that refuses it before anything starts
    shows: tuple[str, ...] = ()  # texts that its report shows outside the code
    hides: tuple[str, ...] = ()  # texts that its report does not show outside the code
    elements: tuple[str, ...] = ()  # CSS selectors of elements of its report
    parameters: Mapping[str, str] = field(default_factory=dict)
    kernelspec: Mapping[str, str] | None = field(default_factory=PYTHON_KERNEL.copy)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # text files beside it
    time_limit: float | None = 30  # seconds
    edit: Callable[[NotebookNode], None] | None = None  # changes its shape before it is written

    @property
    def step_name(self) -> str:
        """The name of its step: letters, digits and dashes."""
        return re.sub(r"\W+", "-", f"{self.suite}-{self.path.removesuffix('.ipynb')}")

    def locate(self, folder: Path) -> Path:
        """Return the path of the notebook. folder: of the suites' source packages, by suite."""
        return folder / self.suite / TEST_FOLDERS[self.suite] / self.path

    def as_step(self, folder: Path) -> Step:
        """Return its step. folder: as for `locate`."""
        return Step(self.step_name, self.locate(folder), (), self.time_limit)

    def parameter_arguments(self) -> list[str]:
        """Return the arguments that set its parameters."""
        values = [f"{self.step_name}.{name}={value}" for name, value in self.parameters.items()]
        return [argument for value in values for argument in ("-p", value)]

    def write_shape(self, folder: Path) -> None:
        """Write the notebook of the same shape, where it is looked for."""
        notebook = nbformat.v4.new_notebook(cells=list(self.cells), metadata=dict(self.metadata))
        if self.kernelspec is not None:
            notebook.metadata["kernelspec"] = dict(self.kernelspec)
        if self.edit:
            self.edit(notebook)
        path = self.locate(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.v4.writes(notebook), encoding="utf-8")

    def write_files(self, folder: Path) -> None:
        """Write the text files beside the notebook."""
        for name, text in self.files.items():
            path = self.locate(folder).parent / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def code(source: str, *tags: str, **metadata: Any) -> NotebookNode:
    """Return a code cell."""
    if tags:
        metadata["tags"] = list(tags)
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def markdown(source: str, **metadata: Any) -> NotebookNode:
    """Return a markdown cell."""
    return nbformat.v4.new_markdown_cell(source, metadata=metadata)


def raw(source: str, mime_type: str = "") -> NotebookNode:
    """Return a raw cell, for the given mime type only."""
    metadata = {"raw_mimetype": mime_type} if mime_type else {}
    return nbformat.v4.new_raw_cell(source, metadata=metadata)
