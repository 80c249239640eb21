"""Artifacts of a store whose folder was moved or copied: correct where MLflow expects them.

MLflow records an absolute URI for the artifacts of each experiment, run, model and version, and has
no command that changes them (mlflow/mlflow#3144): after `mv` they are lost, and after `cp -r` the
copy reads the files of the original. Only the sqlite file of this project is corrected, as no other
program should write to the tables of a database server.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from housing.tracking.probe import EXPERIMENT_NAME

# MLflow's tables that locate artifacts which exist as soon as the row does, by column
ARTIFACT_COLUMNS = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
# where the artifacts of later runs go
EXPERIMENT_COLUMN = ("experiments", "artifact_location")
BUSY_TIMEOUT_SECONDS = 20

logger = logging.getLogger(__name__)


class Correction(NamedTuple):
    """A location that MLflow has recorded, and the one that replaces it."""

    table: str
    column: str
    recorded: str
    corrected: str


def correct_artifact_locations(database: Path, folder: Path) -> list[Correction]:
    """Let the store look below `folder` for the artifacts that were moved or copied there.

    Only locations below a former folder of our experiment are changed. The store counts as moved if
    any artifact is at the same place below the present folder, or if the former folder is gone or
    belongs to another store. Artifacts that are only at the former place are still read there.
    Everything is changed in one transaction. Logs what it changes, and also if it may not.
    """
    try:
        with contextlib.closing(_connect(database)) as connection:
            corrections = _find_corrections(connection, database, folder)
            if corrections:
                _apply(connection, corrections)
    except sqlite3.OperationalError as error:  # read-only, or locked for long
        _log_once(f"the locations of artifacts in {database} could not be corrected: {error}")
        return []
    if corrections:
        _log_once(
            f"{database} was moved or copied: MLflow expected artifacts in "
            f"{', '.join(_former_folders(corrections, folder))}, and finds them in {folder} now; "
            f"locations changed: {_summary(corrections)}"
        )
    return corrections


@cache
def _log_once(message: str) -> None:
    """Log a message, but not again: lost files are looked for every few seconds."""
    logger.warning(message)


def _connect(database: Path) -> sqlite3.Connection:
    address = f"{database.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)


def _find_corrections(
    connection: sqlite3.Connection, database: Path, folder: Path
) -> list[Correction]:
    experiment_folders = {
        uri: path
        for uri, path in _local_paths(connection, *EXPERIMENT_COLUMN)
        if not _is_below(path, folder)
    }
    recorded_paths = {
        (table, column, uri): path
        for table, column in ARTIFACT_COLUMNS
        for uri, path in _local_paths(connection, table, column)
        if not _is_below(path, folder)
    }
    if not experiment_folders and not recorded_paths:
        return []
    former_folders = [
        path for path in _former_experiment_folders(connection) if not _is_below(path, folder)
    ]
    candidates = [
        (Correction(table, column, uri, present_path.as_uri()), path, present_path)
        for (table, column, uri), path in recorded_paths.items()
        if (present_path := _relocate(path, former_folders, folder))
    ]
    has_moved = any(present_path.exists() for _, _, present_path in candidates) or any(
        _is_abandoned(path, database, folder) for path in experiment_folders.values()
    )
    if not has_moved:
        return []
    corrections = [
        correction
        for correction, path, present_path in candidates
        if present_path.exists() or not path.exists()
    ]
    return corrections + [
        Correction(*EXPERIMENT_COLUMN, uri, present_path.as_uri())
        for uri, path in experiment_folders.items()
        if (present_path := _relocate(path, former_folders, folder))
    ]


def _local_paths(
    connection: sqlite3.Connection, table: str, column: str
) -> Iterator[tuple[str, Path]]:
    """Yield each distinct value of a column that is the absolute path or URI of a local file."""
    for (uri,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}"):
        path = local_path(uri or "")
        if path:
            yield uri, path


def local_path(uri: str) -> Path | None:
    """Return the path that a recorded location names; None if it is not on this machine."""
    split_uri = urlsplit(uri)
    if split_uri.scheme == "file" and split_uri.netloc in ("", "localhost"):
        return Path(unquote(split_uri.path))
    return Path(uri) if uri.startswith("/") else None


def _former_experiment_folders(connection: sqlite3.Connection) -> list[Path]:
    """Return the folders that our experiment has had: its own, and those of its runs and models.

    The highest come first. After a move that left some artifacts behind there are several.
    """
    query = f"""
        WITH ours AS (SELECT * FROM experiments WHERE name = '{EXPERIMENT_NAME}')
        SELECT artifact_location, '' FROM ours
        UNION SELECT artifact_uri, '/' || run_uuid || '/artifacts' FROM runs
        WHERE experiment_id IN (SELECT experiment_id FROM ours)
        UNION SELECT artifact_location, '/models/' || model_id || '/artifacts' FROM logged_models
        WHERE experiment_id IN (SELECT experiment_id FROM ours)
        """
    folders = {
        local_path(uri.removesuffix(suffix))
        for uri, suffix in connection.execute(query)
        if uri and uri.endswith(suffix)
    }
    return sorted(filter(None, folders), key=lambda folder: len(folder.parts))


def _relocate(path: Path, former_folders: list[Path], folder: Path) -> Path | None:
    """Return the path below the present folder; None if it is below none of the former ones."""
    for former_folder in former_folders:
        if path.is_relative_to(former_folder):
            return folder / path.relative_to(former_folder)
    return None


def _is_below(path: Path, folder: Path) -> bool:
    """Return whether a path is in the folder, under whichever name: var/ may be a link."""
    if path.is_relative_to(folder):
        return True
    return folder.exists() and path.resolve().is_relative_to(folder.resolve())


def _is_abandoned(former_folder: Path, database: Path, folder: Path) -> bool:
    """Return whether an experiment's folder is gone, or is that of another store's file.

    Only if it has the name that this project gives it: any other was chosen by somebody.
    """
    is_ours = former_folder.name == folder.name or former_folder.parent.name == folder.name
    root = former_folder if former_folder.name == folder.name else former_folder.parent
    return is_ours and (not root.exists() or (root.parent / database.name).exists())


def _apply(connection: sqlite3.Connection, corrections: list[Correction]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table, column, recorded, corrected in corrections:
            connection.execute(
                f"UPDATE {table} SET {column} = ? WHERE {column} = ?", [corrected, recorded]
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _former_folders(corrections: list[Correction], folder: Path) -> list[str]:
    """Return where the corrected locations were, without what both have in common at their end."""
    former_folders = set()
    for correction in corrections:
        recorded_path, corrected_path = map(local_path, (correction.recorded, correction.corrected))
        if recorded_path and corrected_path:
            levels = len(corrected_path.relative_to(folder).parts)
            former_folders.add(str(recorded_path.parents[levels - 1] if levels else recorded_path))
    return sorted(former_folders)


def _summary(corrections: list[Correction]) -> str:
    """Return how many locations were changed in which columns."""
    counts: dict[str, int] = {}
    for correction in corrections:
        name = f"{correction.table}.{correction.column}"
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name}: {count}" for name, count in counts.items())
