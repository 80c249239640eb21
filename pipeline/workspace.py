"""Every path of the runner below a project's home, and paths that hold after the home has moved."""

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

RUN_RECORD_NAME = "run.json"  # in the folder of each run
RUN_PAGE_NAME = "index.html"  # in the folder of the pages of each run, and of all runs
HOME_MARK, PROJECT_MARK, ENVIRONMENT_MARK = "{home}", "{project}", "{environment}"


class TaskFiles(NamedTuple):
    """The files of a task in the folder of a run."""

    folder: Path
    stem: str

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.folder / f"{self.stem}.ipynb"

    @property
    def results(self) -> Path:
        """What the notebook published."""
        return self.folder / f"{self.stem}.json"

    @property
    def access_log(self) -> Path:
        """The log of the files that its kernel opened."""
        return self.folder / f"{self.stem}.trace"

    @property
    def stderr(self) -> Path:
        """What its kernel process wrote to stderr."""
        return self.folder / f"{self.stem}.stderr"

    def attempt(self, number: int) -> Path:
        """Return the executed notebook of an attempt that was followed by another one."""
        return self.folder / f"{self.stem}.attempt-{number}.ipynb"


@dataclass(frozen=True)
class Workspace:
    """The folders of a project.

    home: absolute; has var/ and reports/, which the runner writes. project: absolute; has the code.
    """

    home: Path
    project: Path

    @classmethod
    def at(cls, home: Path, project: Path | None = None) -> "Workspace":
        """Return the workspace with absolute paths. project: default home."""
        return cls(home.resolve(), (project or home).resolve())

    @property
    def var_folder(self) -> Path:
        """The folder of what is generated and is no report."""
        return self.home / "var"

    @property
    def lock_file(self) -> Path:
        """The file whose lock a run holds."""
        return self.var_folder / "pipeline.lock"

    @property
    def states_folder(self) -> Path:
        """The folder of the steps' states."""
        return self.var_folder / "steps"

    @property
    def runs_folder(self) -> Path:
        """The folder of the runs' records and executed notebooks."""
        return self.var_folder / "runs"

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run's record and executed notebooks."""
        return self.runs_folder / run_id

    def runner_log(self, run_id: str) -> Path:
        """Return the file that gets what the runner's processes print."""
        return self.run_folder(run_id) / "runner.log"

    def run_ids(self) -> list[str]:
        """Return the ids of the recorded runs, newest first."""
        record_files = self.runs_folder.glob(f"*/{RUN_RECORD_NAME}")
        return sorted((path.parent.name for path in record_files), reverse=True)

    def task_files(self, run_id: str, file_stem: str) -> TaskFiles:
        """Return the files of a task in a run."""
        return TaskFiles(self.run_folder(run_id), file_stem)

    def executed_notebook(self, run_id: str, file_stem: str) -> Path:
        """Return the executed notebook of a task in a run."""
        return self.task_files(run_id, file_stem).notebook

    @property
    def reports_folder(self) -> Path:
        """The folder of all pages."""
        return self.home / "reports"

    @property
    def run_index_page(self) -> Path:
        """The page that lists all runs."""
        return self.reports_folder / RUN_PAGE_NAME

    @property
    def assets_folder(self) -> Path:
        """The folder of the style sheet and the script that all pages share."""
        return self.reports_folder / "assets"

    @property
    def latest_report(self) -> Path:
        """The link to the folder of the newest run's pages."""
        return self.reports_folder / "latest"

    @property
    def comparisons_folder(self) -> Path:
        """The folder of the pages that compare two runs."""
        return self.reports_folder / "compare"

    def comparison_page(self, old_run_id: str, new_run_id: str) -> Path:
        """Return the path of the page that compares two runs."""
        return self.comparisons_folder / f"{old_run_id}..{new_run_id}.html"

    def report_folder(self, run_id: str) -> Path:
        """Return the folder of a run's pages."""
        return self.reports_folder / run_id

    @property
    def runner_folders(self) -> tuple[Path, ...]:
        """The folders that only the runner writes."""
        return self.states_folder, self.runs_folder, self.reports_folder

    @cached_property
    def _roots(self) -> list[tuple[str, str]]:
        """Return (mark in a portable path, folder), the innermost folder first."""
        roots = [
            (PROJECT_MARK, str(self.project)),
            (HOME_MARK, str(self.home)),
            (ENVIRONMENT_MARK, sys.prefix),
        ]
        return sorted(roots, key=lambda root: len(root[1]), reverse=True)

    def to_portable(self, path: str) -> str:
        """Return a path in the form that is stored: relative to project, home or environment.

        A path elsewhere stays absolute.
        """
        for mark, folder in self._roots:
            if path == folder or path.startswith(f"{folder}/"):
                return mark + path[len(folder) :]
        return path

    def from_portable(self, stored: str) -> str:
        """Return the absolute path of a stored one."""
        for mark, folder in self._roots:
            if stored == mark or stored.startswith(f"{mark}/"):
                return folder + stored[len(mark) :]
        return stored
