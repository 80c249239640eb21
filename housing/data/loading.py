"""Load the data set from where it is available: DVC, scikit-learn, a file, or a sample."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from housing import paths
from housing.data import data_versions, known_forms
from housing.data.errors import DataError, MissingDataError
from housing.data.files import table_files
from housing.data.synthetic import generate_sample
from housing.data.validation import RowFault

CALIFORNIA_SOURCE, SAMPLE_SOURCE, FILE_SOURCE = "california", "sample", "file"
DVC_TIMEOUT_SECONDS = 60
SKLEARN_TIMEOUT_SECONDS = 14  # scikit-learn's own download has no time limit
SKLEARN_FETCH_CODE = (
    "import sys; from sklearn.datasets import fetch_california_housing as fetch; "
    "fetch(as_frame=True).frame.to_csv(sys.argv[1], index=False, lineterminator='\\r\\n')"
)


class Dataset(NamedTuple):
    """A frame and where it comes from."""

    frame: pd.DataFrame  # as it was read: `cleaning.clean` makes it (n, 9), float64, valid
    source: str  # CALIFORNIA_SOURCE, SAMPLE_SOURCE or FILE_SOURCE
    description: str  # one sentence: where the rows came from, and what was tried first
    sha256: str  # of the CSV or Parquet bytes
    md5: str = ""  # of the raw file, as DVC has it; empty for data that DVC does not hold
    is_modified: bool = False  # the raw file is not the one that its DVC pointer records
    source_names: Mapping[str, str] = MappingProxyType({})  # of `known_forms.Conversion`
    read_faults: Sequence[RowFault] = ()  # what was found while the rows were read
    dropped_rows: Mapping[str, int] = MappingProxyType({})  # why -> rows left out; by `cleaning`
    label: str = "the data"  # in messages


def load_dataset(source: str = "auto", n_rows: int = 20_640, seed: int = 0) -> Dataset:
    """Load the data set.

    source: "california" is the real data or an error; "sample" is generated (`n_rows`, `seed`);
    "auto" is the real data where it is available, else the sample; anything else is the path of a
    CSV or Parquet file (`table_files`), in this project's columns or a form that `known_forms`
    converts. Raises MissingDataError if the data is not available, with the ways out, and DataError
    if it cannot be read. A raw file that is not the one its DVC pointer records is a DataError for
    "california"; "auto" takes it, and says so in the description.
    """
    if source == SAMPLE_SOURCE:
        return _generate_dataset(n_rows, seed, "generated on request")
    if source not in ("auto", CALIFORNIA_SOURCE):
        return _load_file(source)
    failed_attempts: list[str] = []
    for load in (_load_raw_file, _load_from_dvc, _load_from_sklearn):
        try:
            dataset = load()
        except LookupError as error:
            failed_attempts.append(str(error))
            continue
        if dataset.is_modified and source == CALIFORNIA_SOURCE:
            raise DataError(
                f"{dataset.description}; to use it as it is once, give its path as the source"
            )
        return dataset
    if source == "auto":
        reason = "the real data could not be had: " + "; ".join(failed_attempts)
        return _generate_dataset(n_rows, seed, reason)
    raise MissingDataError(
        "the California Housing data could not be had",
        failed_attempts,
        "Ways out: name a DVC remote that answers (dvc remote add -d NAME URL); set "
        "SCIKIT_LEARN_DATA to a folder with cal_housing_py3.pkz; put the file at "
        f"{paths.raw_data()}; or go on with generated rows: source=sample.",
    )


def source_files(source: str) -> list[Path]:
    """Return the files, existing or not, whose change makes `load_dataset(source)` give others."""
    if source == SAMPLE_SOURCE:
        return []
    if source in ("auto", CALIFORNIA_SOURCE):
        return [paths.raw_data()]
    return [_source_path(source)]


def _load_raw_file() -> Dataset:
    path = paths.raw_data()
    if not path.exists():
        raise MissingDataError(f"{path} is missing")
    file_md5 = data_versions.md5(path.read_bytes())
    recorded_md5 = data_versions.recorded_md5()
    is_modified = file_md5 != recorded_md5

    def describe(rows: int) -> str:
        if not is_modified:
            return f"The real data, {rows:,} block groups"
        return (
            f"CHANGED DATA, not what its DVC pointer says: {path.name} has {rows:,} rows and md5 "
            f"{file_md5[:12]}, recorded is {recorded_md5[:12]} (to record it: dvc add data/raw/"
            f"{path.name}; to take it back: dvc checkout --force)"
        )

    try:
        dataset = _read_dataset(path, describe)
    except DataError as error:
        raise DataError(
            f"{path} is no CSV file ({error}): dvc checkout --force brings the recorded one back"
        ) from error
    return dataset._replace(source=CALIFORNIA_SOURCE, md5=file_md5, is_modified=is_modified)


def _load_from_dvc() -> Dataset:
    folder = paths.home()
    if not (folder / ".dvc").exists():
        raise MissingDataError(f"dvc pull: {folder} has no DVC configuration")
    dvc = ["-m", "dvc", "--cd", str(folder)]
    pointer_folder = data_versions.pointer_file().parent
    # without this setting DVC fails outside of git
    if not data_versions.run_git(pointer_folder, "rev-parse", "--git-dir"):
        _run_python([*dvc, "config", "--local", "core.no_scm", "true"], DVC_TIMEOUT_SECONDS)
    pull = [*dvc, "pull", "--quiet", f"{paths.raw_data()}.dvc"]
    failure = _run_python(pull, DVC_TIMEOUT_SECONDS)
    if failure is None and paths.raw_data().exists():
        return _load_raw_file()
    raise MissingDataError(f"dvc pull: {failure or 'it brought nothing'}")


def _load_from_sklearn() -> Dataset:
    """Load scikit-learn's copy, downloaded if need be, in a subprocess that has a time limit."""
    download = paths.raw_data().with_name(".fetched.csv")
    download.parent.mkdir(parents=True, exist_ok=True)
    failure = _run_python(["-c", SKLEARN_FETCH_CODE, str(download)], SKLEARN_TIMEOUT_SECONDS)
    if failure is None:
        file_md5 = data_versions.md5(download.read_bytes())
        recorded_md5 = data_versions.recorded_md5()
        if file_md5 == recorded_md5:
            download.replace(paths.raw_data())
            return _load_raw_file()
        failure = f"its copy has md5 {file_md5}, expected {recorded_md5}"
    download.unlink(missing_ok=True)
    raise MissingDataError(f"scikit-learn's cache or download: {failure}")


def _run_python(arguments: list[str], timeout_seconds: int) -> str | None:
    """Run Python with some arguments; return None, or in one line why it failed."""
    try:
        completed = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {timeout_seconds} s"
    if completed.returncode == 0:
        return None
    lines = (completed.stderr or completed.stdout).strip().splitlines()
    if not lines:
        return f"exit code {completed.returncode}"
    return next((line for line in lines if "ERROR" in line), lines[-1])


def _source_path(source: str) -> Path:
    return paths.invocation_folder() / Path(source).expanduser()


def _load_file(source: str) -> Dataset:
    path = _source_path(source)
    if "://" in source:
        raise MissingDataError(f"source is {source!r}, an address: download it, and give the file")
    if not path.exists():
        raise MissingDataError(
            f"source is {source!r}: neither auto, california nor sample, and there is no {path}"
        )
    return _read_dataset(path, lambda rows: f"The file {path.name}, {rows:,} rows")


def _read_dataset(path: Path, describe: Callable[[int], str]) -> Dataset:
    """Read a file and convert its columns. describe: begins the description; gets the row count."""
    table = table_files.read_table(path)
    conversion = known_forms.convert_columns(table.frame)
    notes = "".join(f"; {note}" for note in conversion.notes)
    format_text = f" ({table.file_format.describe()})" if table.file_format.describe() else ""
    return Dataset(
        conversion.frame,
        FILE_SOURCE,
        f"{describe(len(table.frame))}{format_text}{notes}",
        _file_sha256(path),
        source_names=conversion.source_names,
        read_faults=_list_faults(table, conversion),
        label=f"The file {path.name}",
    )


def _list_faults(
    table: table_files.TableChunk, conversion: known_forms.Conversion
) -> list[RowFault]:
    """Return what the reader and the conversion found wrong in rows; ragged rows have no gaps."""
    ragged_rows = pd.Series(table.ragged_rows, dtype=object)
    gaps = [
        RowFault(f"{name} is empty", pd.Series("", rows.difference(ragged_rows.index)), is_gap=True)
        for name, rows in conversion.gaps.items()
    ]
    row_problems = pd.Series(conversion.row_problems, dtype=object)
    faults = [
        RowFault("the number of values is wrong", ragged_rows),
        *gaps,
        RowFault("no average per household can be taken", row_problems),
    ]
    return [fault for fault in faults if len(fault.values)]


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _generate_dataset(n_rows: int, seed: int, reason: str) -> Dataset:
    frame = generate_sample(n_rows, seed)
    digest = _sha256(frame.to_csv(index=False).encode())
    description = f"A GENERATED SAMPLE, not real data: {n_rows:,} rows, seed {seed} ({reason})"
    return Dataset(frame, SAMPLE_SOURCE, description, digest)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
