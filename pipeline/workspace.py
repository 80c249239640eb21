"""Every path of the runner below a project's home, and paths that hold after the home has moved."""

import sys
from pathlib import Path
from typing import NamedTuple

from pipeline.secret_marks import SecretMarks

RUN_RECORD_NAME = "run.json"  # in the folder of each run
RUN_PAGE_NAME = "index.html"  # in the folder of the pages of each run, and of all runs


class TaskFiles(NamedTuple):
    """The files of a task in the folder of a run."""

    notebook: Path  # the executed one
    results: Path  # what the notebook published
    access_log: Path  # of the files that its kernel opened
    stderr: Path  # what its kernel process wrote to stderr

    def attempt(self, number: int) -> Path:
        """Return the executed notebook of an attempt that was followed by another one."""
        return self.notebook.with_suffix(f".attempt-{number}.ipynb")


class Workspace:
    """The folders of a project, as absolute paths.

    home: has var/ and reports/, which the runner writes. project: has the code; default home.
    """

    def __init__(self, home: Path, project: Path | None = None) -> None:
        self.home, self.project = home.resolve(), (project or home).resolve()
        self.secrets = SecretMarks()  # that no stored path contains

        self.var_folder = self.home / "var"  # what is generated and is no report
        self.secret_key_file = self.var_folder / "secret.key"  # of the hashes of secrets
        self.lock_file = self.var_folder / "pipeline.lock"  # whose lock a run holds
        self.cold_starts_file = self.var_folder / "cold_starts.json"  # steps that need one, and why
        self.states_folder = self.var_folder / "steps"  # the steps' states
        self.runs_folder = self.var_folder / "runs"  # the runs' records and executed notebooks

        self.reports_folder = self.home / "reports"  # all pages
        self.run_index_page = self.reports_folder / RUN_PAGE_NAME  # lists all runs
        self.assets_folder = self.reports_folder / "assets"  # style and script of all pages
        # a link to the pages of the newest run of the pipeline
        self.latest_report = self.reports_folder / "latest"
        self.comparisons_folder = self.reports_folder / "compare"  # pages that compare two runs

        # the folders that only the runner writes
        self.runner_folders = (self.states_folder, self.runs_folder, self.reports_folder)
        roots = {
            "{project}": str(self.project),
            "{home}": str(self.home),
            "{environment}": sys.prefix,
        }
        # (mark in a portable path, folder), the innermost folder first
        self._roots = sorted(roots.items(), key=lambda root: len(root[1]), reverse=True)

    def run_ids(self) -> list[str]:
        """Return the ids of the recorded runs, newest first."""
        record_files = self.runs_folder.glob(f"*/{RUN_RECORD_NAME}")
        return sorted((path.parent.name for path in record_files), reverse=True)

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run's record and executed notebooks."""
        return self.runs_folder / run_id

    def runner_log(self, run_id: str) -> Path:
        """Return the file that gets what the runner's processes print."""
        return self.run_folder(run_id) / "runner.log"

    def task_files(self, run_id: str, file_stem: str) -> TaskFiles:
        """Return the files of a task in a run."""
        folder = self.run_folder(run_id)
        return TaskFiles(
            notebook=folder / f"{file_stem}.ipynb",
            results=folder / f"{file_stem}.json",
            access_log=folder / f"{file_stem}.trace",
            stderr=folder / f"{file_stem}.stderr",
        )

    def executed_notebook(self, run_id: str, file_stem: str) -> Path:
        """Return the executed notebook of a task in a run."""
        return self.task_files(run_id, file_stem).notebook

    def report_folder(self, run_id: str) -> Path:
        """Return the folder of a run's pages."""
        return self.reports_folder / run_id

    def comparison_page(self, old_run_id: str, new_run_id: str) -> Path:
        """Return the path of the page that compares two runs."""
        return self.comparisons_folder / f"{old_run_id}..{new_run_id}.html"

    def latest_report_of(self, on_demand_step: str) -> Path:
        """Return the link to the newest pages of an on-demand step; empty: of the pipeline."""
        if not on_demand_step:
            return self.latest_report
        return self.reports_folder / f"latest-{on_demand_step}"

    def to_portable(self, path: str) -> str:
        """Return a path in the form that is stored: relative to project, home or environment.

        A path elsewhere stays absolute. Secrets are replaced by marks.
        """
        path = self.secrets.hide(path)
        for mark, folder in self._roots:
            if path == folder or path.startswith(f"{folder}/"):
                return mark + path[len(folder) :]
        return path

    def from_portable(self, stored: str) -> str:
        """Return the absolute path of a stored one, with secrets in place of their marks."""
        stored = self.secrets.reveal(stored)
        for mark, folder in self._roots:
            if stored == mark or stored.startswith(f"{mark}/"):
                return folder + stored[len(mark) :]
        return stored
