"""The command `run_pipeline.py score`: batch scoring of CSV and Parquet files. It prints."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from housing.cli import stop_signals
from housing.text import count_text

if TYPE_CHECKING:
    from housing.batch_scoring.bookkeeping import RowCounts
    from housing.batch_scoring.formats import TableFormat
    from housing.batch_scoring.partitions import ScoringPlan
    from housing.registry.versions import ModelVersion

SCORE_DESCRIPTION = """
Scores CSV and Parquet files with the registered champion, compressed ones too. A file in gives a
file out, a folder a folder:

  score new.csv scored.csv          score new.csv.gz scored.parquet
  score new.csv folder/             score folder other-folder --format csv.gz

OUT has the rows and columns of IN and four more: prediction ($100,000), prediction_usd, problem and
warnings. A row with a value that is missing, no number or outside the accepted ranges gets no
prediction, and its problem says why. The warnings say how a row is unlike those that the model
learnt from, as the service does. IN needs the eight columns; the house value may be missing.
The columns of Géron's and Kaggle's housing.csv (total_rooms, households, ...) are converted. A file
that lacks a column is refused before anything starts.

The ending of OUT says what it is: .parquet; .csv (commas, UTF-8) or .tsv, also .gz, .bz2, .xz,
.zst, .lz4. In a folder each file has the format of its input, or --format. Columns of CSV keep
their text; in Parquet those that are all numbers become numbers.

Which model predicted which input is kept in the metadata of Parquet (housing.model,
housing.model_version, housing.run_id), for CSV in a hidden file beside it (.NAME.score.json), and a
folder has the model in OUT/_model. Run the same command again after a stop or with new files in IN:
a file that is there already, for the same input (its size and modification time) and the same
version, is left as it is. A new champion scores all files again.
"""


def add_command(add_parser: Callable[[str, Callable[..., int]], ArgumentParser]) -> None:
    """Add the command by a function that takes its name and function and returns its parser."""
    parser = add_parser("score", score_files)
    parser.description = SCORE_DESCRIPTION
    add = parser.add_argument
    add("source", metavar="IN", type=Path, help="a CSV or Parquet file, or a folder of them")
    add(
        "target",
        metavar="OUT",
        help="the file for the predictions, or the folder; created if it is missing",
    )
    add(
        "--format",
        dest="format_name",
        metavar="FORMAT",
        help="of the files in a folder: parquet, csv, csv.gz, tsv ...; by default as each input",
    )
    add(
        "--dask",
        metavar="ADDRESS",
        help="a Dask scheduler (tcp://host:8786) whose workers see IN and OUT at the same paths; "
        "by default HOUSING_DASK, else this machine",
    )
    add("--model", metavar="NAME", help="the registered model; by default the one that serves")
    add(
        "--jobs",
        metavar="N",
        type=int,
        default=2,
        help="processes on this machine, which share the files (default: %(default)s)",
    )


def score_files(
    source: Path,
    target: str | Path,
    dask: str | None = None,
    model: str | None = None,
    jobs: int = 2,
    format_name: str | None = None,
) -> int:
    """Score CSV and Parquet files of any size with the champion."""
    from housing.batch_scoring import formats

    if jobs < 1:
        raise ValueError(f"--jobs is {jobs}, expected at least 1")
    table_format = formats.parse_format(format_name) if format_name else None
    try:
        with stop_signals.raise_stop_signals():
            _score(source, target, table_format, dask, model, jobs)
    except RuntimeError as error:
        message = f"{error}\nWhat is done stays: run the same command again to go on."
        raise RuntimeError(message) from error
    except KeyboardInterrupt as stop:
        reason = stop if isinstance(stop, stop_signals.StopSignal) else "Ctrl-C"
        print(f"\nstopped by {reason}; run the same command again to go on", file=sys.stderr)
        return getattr(stop, "exit_code", stop_signals.CTRL_C_EXIT_CODE)
    return 0


def _score(
    source: Path,
    target: str | Path,
    table_format: "TableFormat | None",
    dask: str | None,
    model: str | None,
    jobs: int,
) -> None:
    started_at = time.perf_counter()
    from housing.batch_scoring import partitions
    from housing.registry import versions

    champion = versions.current_champion(model)
    if champion is None:
        name = model or versions.MODEL_NAMES["california"]
        raise LookupError(f"no version of {name} is champion yet: `run_pipeline.py` makes one")
    plan = partitions.plan_scoring(source, target, champion, table_format)
    for conversion, files in plan.conversions.items():
        names = files[0].name if len(files) == 1 else count_text(len(files), "file")
        print(f"converted: {names}, with the columns of Géron's and Kaggle's housing.csv")
        print(f"  {conversion}")
    new_counts = _score_pending(plan, champion, dask, jobs) if plan.pending else []
    elapsed_seconds = time.perf_counter() - started_at
    print(f"model: {champion.name} version {champion.version}")
    if champion.tags["data_source"] == "sample":
        print("NOTE: it learnt from a generated sample, not from real data")
    print(_summary_text(plan, new_counts, elapsed_seconds))
    print(f"predictions: {plan.target}")


def _score_pending(
    plan: "ScoringPlan", champion: "ModelVersion", dask: str | None, jobs: int
) -> "list[RowCounts]":
    from housing.batch_scoring import scoring
    from housing.batch_scoring.target_lock import target_lock
    from housing.cli import score_progress
    from housing.training.executors import executor

    with (
        executor(dask, min(jobs, len(plan.pending))) as run,
        target_lock(plan.target, plan.is_folder) as work_folder,
    ):
        model_folder = work_folder  # a single file has no folder of its own for it
        if plan.is_folder:
            folder_name = f"{champion.name}-{champion.version}-{champion.run_id[:8]}"
            model_folder = plan.target.resolve() / "_model" / folder_name
        _export_model(champion, model_folder)
        with score_progress.show_progress(plan.pending, work_folder) as progress_files:
            tasks = [
                (*partition, model_folder / "model.onnx", progress_file)
                for partition, progress_file in zip(plan.pending, progress_files, strict=True)
            ]
            return list(run(scoring.score_partition, tasks))


def _export_model(champion: "ModelVersion", folder: Path) -> None:
    from housing.registry import versions

    try:
        versions.export_for_serving(champion, folder)
    except OSError as error:
        if error.errno and error.filename is None:  # as of a full disk: the folder is to be named
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise


def _summary_text(
    plan: "ScoringPlan", new_counts: "list[RowCounts]", elapsed_seconds: float
) -> str:
    lines = []
    if new_counts:
        rows = sum(count.rows for count in new_counts)
        speed = f"{elapsed_seconds:.1f} s, {rows / elapsed_seconds:,.0f} rows/s"
        lines.append(f"scored: {rows:,} rows of {count_text(len(new_counts), 'file')} in {speed}")
    if plan.completed:
        rows = sum(count.rows for count in plan.completed)
        lines.append(f"there already: {rows:,} rows of {count_text(len(plan.completed), 'file')}")
    refused_rows = sum(count.refused_rows for count in [*new_counts, *plan.completed])
    hint = ", each with its problem" if refused_rows else ""
    lines.append(f"refused: {count_text(refused_rows, 'row')}{hint}")
    if plan.orphans:
        names = ", ".join(file.name for file in plan.orphans[:3])
        file_count = count_text(len(plan.orphans), "file")
        lines.append(f"NOTE: OUT has {file_count} without an input in IN: {names}")
    return "\n".join(lines)
