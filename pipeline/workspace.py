"""Every path of the runner below a project's home, and paths that hold after the home has moved."""

import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

HOME_PREFIX, PROJECT_PREFIX, ENVIRONMENT_PREFIX = "{home}/", "{project}/", "{environment}/"


@dataclass(frozen=True)
class Workspace:
    """The folders of a project.

    home: absolute; has var/ and reports/, which the runner writes. project: absolute; has the code.
    """

    home: Path
    project: Path = field(default=Path())

    @classmethod
    def at(cls, home: Path, project: Path | None = None) -> "Workspace":
        """Return the workspace with absolute paths. project: default home."""
        return cls(home.resolve(), (project or home).resolve())

    @property
    def lock_file(self) -> Path:
        """The file whose lock a run holds."""
        return self.home / "var" / "pipeline.lock"

    @property
    def states_folder(self) -> Path:
        """The folder of the steps' states."""
        return self.home / "var" / "steps"

    @property
    def runs_folder(self) -> Path:
        """The folder of the runs' records and executed notebooks."""
        return self.home / "var" / "runs"

    @property
    def run_index_cache(self) -> Path:
        """The file that caches the rows of the index page."""
        return self.runs_folder / "index.json"

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run's record and executed notebooks."""
        return self.runs_folder / run_id

    def run_ids(self) -> list[str]:
        """Return the ids of the recorded runs, newest first."""
        record_files = self.runs_folder.glob("*/run.json")
        return sorted((path.parent.name for path in record_files), reverse=True)

    @property
    def reports_folder(self) -> Path:
        """The folder of all pages."""
        return self.home / "reports"

    @property
    def latest_report(self) -> Path:
        """The link to the folder of the newest run's pages."""
        return self.reports_folder / "latest"

    @property
    def comparisons_folder(self) -> Path:
        """The folder of the pages that compare two runs."""
        return self.reports_folder / "compare"

    def report_folder(self, run_id: str) -> Path:
        """Return the folder of a run's pages."""
        return self.reports_folder / run_id

    @property
    def runner_folders(self) -> tuple[Path, ...]:
        """The folders that only the runner writes."""
        return self.states_folder, self.runs_folder, self.reports_folder

    @cached_property
    def _roots(self) -> list[tuple[str, str]]:
        """Return (prefix in a portable path, folder with a slash), the innermost folder first."""
        roots = [
            (PROJECT_PREFIX, f"{self.project}/"),
            (HOME_PREFIX, f"{self.home}/"),
            (ENVIRONMENT_PREFIX, f"{Path(sys.prefix)}/"),
        ]
        return sorted(roots, key=lambda root: len(root[1]), reverse=True)

    def to_portable(self, path: str) -> str:
        """Return a path in the form that is stored: relative to project, home or environment.

        A path elsewhere stays absolute.
        """
        for prefix, folder in self._roots:
            if path.startswith(folder):
                return prefix + path[len(folder) :]
        return path

    def from_portable(self, stored: str) -> str:
        """Return the absolute path of a stored one."""
        for prefix, folder in self._roots:
            if stored.startswith(prefix):
                return folder + stored[len(prefix) :]
        return stored
