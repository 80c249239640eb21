"""The data set, from where it can be had: DVC, scikit-learn, a file, or the generated sample."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from housing import paths
from housing.data import dvc as data_versions
from housing.data.synthetic import generate_sample

CALIFORNIA_SOURCE, SAMPLE_SOURCE, FILE_SOURCE = "california", "sample", "file"


class Dataset(NamedTuple):
    """A frame and where it comes from."""

    frame: pd.DataFrame  # (n, 9), float64, columns as in `schema.COLUMNS`, not yet checked
    source: str  # REAL, SAMPLE or FILE
    description: str  # one sentence: where the rows came from, and what was tried before
    sha256: str  # of the CSV or Parquet bytes
    md5: str = ""  # of the raw file, as DVC has it; empty for what DVC does not hold
    is_modified: bool = False  # the raw file is not the one that its DVC pointer names


def load_dataset(source: str = "auto", n_rows: int = 20_640, seed: int = 0) -> Dataset:
    """The data set.

    source: "california" is the real data or an error; "sample" is generated (`rows`, `seed`);
    "auto" is the real data where it can be had, else the sample; anything else is the path of a
    CSV or Parquet file. Raises LookupError if the data cannot be had, with the ways out. A raw
    file that is not the one its DVC pointer names is a ValueError for "california"; "auto" takes
    it, and says so.
    """
    if source == SAMPLE_SOURCE:
        return _generate_dataset(n_rows, seed, "generated on request")
    if source not in ("auto", CALIFORNIA_SOURCE):
        return _load_file(paths.invocation_folder() / source)
    tried: list[str] = []
    for way in (_load_raw_file, _load_from_dvc, _load_from_sklearn):
        found = way(tried)
        if found and found.is_modified and source == CALIFORNIA_SOURCE:
            raise ValueError(
                f"{found.description}; to use it as it is once, give its path as the source"
            )
        if found:
            return found
    if source == "auto":
        return _generate_dataset(
            n_rows, seed, "the real data could not be had: " + "; ".join(tried)
        )
    raise LookupError(
        "the California Housing data could not be had:\n"
        + "".join(f"- {one}\n" for one in tried)
        + "Ways out: name a DVC remote that answers (dvc remote add -d NAME URL); set "
        "SCIKIT_LEARN_DATA to a folder with cal_housing_py3.pkz; put the file at "
        f"{paths.raw_data()}; or go on with made-up rows: source=sample."
    )


def source_files(source: str) -> list[Path]:
    """The files that decide what `load(source)` gives, there or not: if one comes, load again."""
    if source == SAMPLE_SOURCE:
        return []
    return [
        paths.raw_data()
        if source in ("auto", CALIFORNIA_SOURCE)
        else paths.invocation_folder() / source
    ]


def _load_raw_file(failed_attempts: list[str]) -> Dataset | None:
    path = paths.raw_data()
    if not path.exists():
        failed_attempts.append(f"{path} is missing")
        return None
    content = path.read_bytes()
    found, expected = data_versions.md5(content), data_versions.recorded_md5()
    try:
        frame = _integers_to_floats(pd.read_csv(path))
    except ValueError as broken:  # pandas' own are of this kind
        raise ValueError(
            f"{path} is no CSV file ({broken}): dvc checkout --force brings the recorded one back"
        ) from broken
    said = f"The real data, {len(frame):,} block groups"
    if found != expected:
        said = (
            f"CHANGED DATA, not what its DVC pointer says: {path.name} has {len(frame):,} rows and "
            f"md5 {found[:12]}, recorded is {expected[:12]} (to record it: dvc add data/raw/"
            f"{path.name}; to take it back: dvc checkout --force)"
        )
    return Dataset(frame, CALIFORNIA_SOURCE, said, _sha256(content), found, found != expected)


def _load_from_dvc(failed_attempts: list[str]) -> Dataset | None:
    if not (paths.home() / ".dvc").exists():
        failed_attempts.append(f"dvc pull: {paths.home()} has no DVC configuration")
        return None
    dvc, environment = [sys.executable, "-m", "dvc"], {**os.environ, "DVC_NO_ANALYTICS": "1"}
    there = {"cwd": paths.home(), "env": environment}
    if not data_versions.has_git():  # DVC wants to be told
        _run_command([*dvc, "config", "--local", "core.no_scm", "true"], 60, **there)
    reason = _run_command([*dvc, "pull", "--quiet", f"{paths.raw_data()}.dvc"], 60, **there)
    if reason is None and paths.raw_data().exists():
        return _load_raw_file(failed_attempts)
    failed_attempts.append(f"dvc pull: {reason or 'it brought nothing'}")
    return None


def _load_from_sklearn(failed_attempts: list[str]) -> Dataset | None:
    """scikit-learn's own copy, downloaded if need be; in a process, as it has no time limit."""
    aside = paths.raw_data().with_name(".fetched.csv")
    aside.parent.mkdir(parents=True, exist_ok=True)
    fetch = (
        "import sys; from sklearn.datasets import fetch_california_housing as fetch; "
        "fetch(as_frame=True).frame.to_csv(sys.argv[1], index=False, lineterminator='\\r\\n')"
    )
    reason = _run_command([sys.executable, "-c", fetch, str(aside)], 14)
    if reason is None:
        found, expected = data_versions.md5(aside.read_bytes()), data_versions.recorded_md5()
        if found == expected:
            aside.replace(paths.raw_data())
            return _load_raw_file(failed_attempts)
        reason = f"its copy has md5 {found}, expected {expected}"
    aside.unlink(missing_ok=True)
    failed_attempts.append(f"scikit-learn's cache or download: {reason}")
    return None


def _run_command(command: list[str], timeout_seconds: int, **options) -> str | None:
    """Why the command failed, in a line; None if it did not."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_seconds, **options
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {timeout_seconds} s"
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
    return (
        None if done.returncode == 0 else next((one for one in lines if "ERROR" in one), lines[-1])
    )


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
    return Dataset(
        frame, FILE_SOURCE, f"The file {path.name}, {len(frame):,} rows", _sha256(content)
    )


def _integers_to_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """A CSV of whole numbers means the same floats."""
    return frame.astype(dict.fromkeys(frame.select_dtypes("integer").columns, float))


def _generate_dataset(n_rows: int, seed: int, reason: str) -> Dataset:
    frame = generate_sample(n_rows, seed)
    digest = _sha256(frame.to_csv(index=False).encode())
    said = f"A GENERATED SAMPLE, not real data: {n_rows:,} rows, seed {seed} ({reason})"
    return Dataset(frame, SAMPLE_SOURCE, said, digest)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
