"""Load the data set from where it is available: DVC, scikit-learn, a file, or a sample."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from housing import paths
from housing.data import data_versions
from housing.data.synthetic import generate_sample

CALIFORNIA_SOURCE, SAMPLE_SOURCE, FILE_SOURCE = "california", "sample", "file"
DVC_TIMEOUT_SECONDS = 60
SKLEARN_TIMEOUT_SECONDS = 14  # scikit-learn's own download has no time limit
SKLEARN_FETCH_CODE = (
    "import sys; from sklearn.datasets import fetch_california_housing as fetch; "
    "fetch(as_frame=True).frame.to_csv(sys.argv[1], index=False, lineterminator='\\r\\n')"
)


class Dataset(NamedTuple):
    """A frame and where it comes from."""

    frame: pd.DataFrame  # (n, 9), float64, columns as in `schema.COLUMNS`, not yet validated
    source: str  # CALIFORNIA_SOURCE, SAMPLE_SOURCE or FILE_SOURCE
    description: str  # one sentence: where the rows came from, and what was tried first
    sha256: str  # of the CSV or Parquet bytes
    md5: str = ""  # of the raw file, as DVC has it; empty for data that DVC does not hold
    is_modified: bool = False  # the raw file is not the one that its DVC pointer records


def load_dataset(source: str = "auto", n_rows: int = 20_640, seed: int = 0) -> Dataset:
    """Load the data set.

    source: "california" is the real data or an error; "sample" is generated (`n_rows`, `seed`);
    "auto" is the real data where it is available, else the sample; anything else is the path of a
    CSV or Parquet file. Raises LookupError if the data is not available, with the ways out. A raw
    file that is not the one its DVC pointer records is a ValueError for "california"; "auto" takes
    it, and says so in the description.
    """
    if source == SAMPLE_SOURCE:
        return _generate_dataset(n_rows, seed, "generated on request")
    if source not in ("auto", CALIFORNIA_SOURCE):
        return _load_file(paths.invocation_folder() / source)
    failed_attempts: list[str] = []
    for load in (_load_raw_file, _load_from_dvc, _load_from_sklearn):
        try:
            dataset = load()
        except LookupError as error:
            failed_attempts.append(str(error))
            continue
        if dataset.is_modified and source == CALIFORNIA_SOURCE:
            raise ValueError(
                f"{dataset.description}; to use it as it is once, give its path as the source"
            )
        return dataset
    if source == "auto":
        reason = "the real data could not be had: " + "; ".join(failed_attempts)
        return _generate_dataset(n_rows, seed, reason)
    raise LookupError(
        "the California Housing data could not be had:\n"
        + "".join(f"- {attempt}\n" for attempt in failed_attempts)
        + "Ways out: name a DVC remote that answers (dvc remote add -d NAME URL); set "
        "SCIKIT_LEARN_DATA to a folder with cal_housing_py3.pkz; put the file at "
        f"{paths.raw_data()}; or go on with generated rows: source=sample."
    )


def source_files(source: str) -> list[Path]:
    """Return the files, existing or not, whose change makes `load_dataset(source)` give others."""
    if source == SAMPLE_SOURCE:
        return []
    if source in ("auto", CALIFORNIA_SOURCE):
        return [paths.raw_data()]
    return [paths.invocation_folder() / source]


def _load_raw_file() -> Dataset:
    path = paths.raw_data()
    if not path.exists():
        raise LookupError(f"{path} is missing")
    content = path.read_bytes()
    file_md5, recorded_md5 = data_versions.md5(content), data_versions.recorded_md5()
    try:
        frame = _integers_to_floats(pd.read_csv(path))
    except ValueError as error:  # pandas' own parser errors are of this kind
        raise ValueError(
            f"{path} is no CSV file ({error}): dvc checkout --force brings the recorded one back"
        ) from error
    description = f"The real data, {len(frame):,} block groups"
    is_modified = file_md5 != recorded_md5
    if is_modified:
        description = (
            f"CHANGED DATA, not what its DVC pointer says: {path.name} has {len(frame):,} rows and "
            f"md5 {file_md5[:12]}, recorded is {recorded_md5[:12]} (to record it: dvc add data/raw/"
            f"{path.name}; to take it back: dvc checkout --force)"
        )
    return Dataset(frame, CALIFORNIA_SOURCE, description, _sha256(content), file_md5, is_modified)


def _load_from_dvc() -> Dataset:
    folder = paths.home()
    if not (folder / ".dvc").exists():
        raise LookupError(f"dvc pull: {folder} has no DVC configuration")
    dvc = ["-m", "dvc", "--cd", str(folder)]
    pointer_folder = data_versions.pointer_file().parent
    # without this setting DVC fails outside of git
    if not data_versions.run_git(pointer_folder, "rev-parse", "--git-dir"):
        _run_python([*dvc, "config", "--local", "core.no_scm", "true"], DVC_TIMEOUT_SECONDS)
    pull = [*dvc, "pull", "--quiet", f"{paths.raw_data()}.dvc"]
    failure = _run_python(pull, DVC_TIMEOUT_SECONDS)
    if failure is None and paths.raw_data().exists():
        return _load_raw_file()
    raise LookupError(f"dvc pull: {failure or 'it brought nothing'}")


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
    raise LookupError(f"scikit-learn's cache or download: {failure}")


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


def _load_file(path: Path) -> Dataset:
    if not path.exists():
        raise LookupError(
            f"source is {path.name!r}: neither auto, california nor sample, and there is no {path}"
        )
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix not in readers:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected .csv or .parquet")
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{path} is empty, expected a header and a row for each block group")
    frame = _integers_to_floats(readers[path.suffix](path))
    description = f"The file {path.name}, {len(frame):,} rows"
    return Dataset(frame, FILE_SOURCE, description, _sha256(content))


def _integers_to_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert integer columns to float64: a CSV file writes 41.0 as 41."""
    return frame.astype(dict.fromkeys(frame.select_dtypes("integer").columns, float))


def _generate_dataset(n_rows: int, seed: int, reason: str) -> Dataset:
    frame = generate_sample(n_rows, seed)
    digest = _sha256(frame.to_csv(index=False).encode())
    description = f"A GENERATED SAMPLE, not real data: {n_rows:,} rows, seed {seed} ({reason})"
    return Dataset(frame, SAMPLE_SOURCE, description, digest)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
