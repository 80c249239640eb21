"""The command `run_pipeline.py score`: batch scoring of Parquet files. It prints."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from housing.text import count_text

if TYPE_CHECKING:
    from housing.batch_scoring.partitions import RowCounts, ScoringPlan

SCORE_DESCRIPTION = """
Scores Parquet files with the registered champion: each file of IN gets one of the same name in OUT,
with its columns and three more: prediction ($100,000), prediction_usd, and problem. A row with a
value that is missing or outside the accepted ranges gets no prediction (null), and its problem says
why. A file that lacks one of the eight columns, or has text in one, is refused before anything
starts.

The metadata of each file names the model, version and run (housing.model, housing.model_version,
housing.run_id); the model itself is put into OUT/_model. Run the same command again after a stop or
with new files in IN: a file that is there already, for the same input (its size and modification
time) and the same version, is left as it is. A new champion scores all files again.
"""


def add_command(add_parser: Callable[[str, Callable[..., int]], ArgumentParser]) -> None:
    """Add the command by a function that takes its name and function and returns its parser."""
    parser = add_parser("score", score_files)
    parser.description = SCORE_DESCRIPTION
    add = parser.add_argument
    add("source", metavar="IN", type=Path, help="a Parquet file, or a folder of them")
    add(
        "target",
        metavar="OUT",
        type=Path,
        help="the folder for the predictions; created if it is missing",
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
        help="processes on this machine (default: %(default)s)",
    )


def score_files(
    source: Path, target: Path, dask: str | None = None, model: str | None = None, jobs: int = 2
) -> int:
    """Score Parquet files of any size with the champion."""
    if jobs < 1:
        raise ValueError(f"--jobs is {jobs}, expected at least 1")
    try:
        _score(source, target, dask, model, jobs)
    except RuntimeError as error:
        message = f"{error}\nWhat is done stays: run the same command again to go on."
        raise RuntimeError(message) from error
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def _score(source: Path, target: Path, dask: str | None, model: str | None, jobs: int) -> None:
    started_at = time.perf_counter()
    from housing.batch_scoring import partitions, scoring
    from housing.registry import versions
    from housing.training.executors import executor

    champion = versions.current_champion(model)
    if champion is None:
        name = model or versions.MODEL_NAMES["california"]
        raise LookupError(f"no version of {name} is champion yet: `run_pipeline.py` makes one")
    plan = partitions.plan_scoring(source, target, champion)
    new_counts: list[RowCounts] = []
    if plan.pending:
        with executor(dask, jobs) as run, partitions.target_lock(target):
            folder_name = f"{champion.name}-{champion.version}-{champion.run_id[:8]}"
            folder = target.resolve() / "_model" / folder_name
            versions.export_for_serving(champion, folder)
            tasks = [(*partition, folder / "model.onnx") for partition in plan.pending]
            results = run(scoring.score_partition, tasks)
            new_counts = list(_show_progress(results, len(tasks)))
    elapsed_seconds = time.perf_counter() - started_at
    print(f"model: {champion.name} version {champion.version}")
    if champion.tags["data_source"] == "sample":
        print("NOTE: it learnt from a generated sample, not from real data")
    print(_summary_text(plan, new_counts, elapsed_seconds))
    print(f"predictions: {target.resolve()}")


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
    lines.append(f"refused: {refused_rows:,} rows{hint}")
    if plan.orphans:
        names = ", ".join(file.name for file in plan.orphans[:3])
        file_count = count_text(len(plan.orphans), "file")
        lines.append(f"NOTE: OUT has {file_count} without an input in IN: {names}")
    return "\n".join(lines)


def _show_progress(results: "Iterable[RowCounts]", total_files: int) -> "Iterator[RowCounts]":
    """Yield the results, showing on stderr, if it is a terminal, how far they are."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, rows = Console(stderr=True), 0
    rows_column = TextColumn("files  {task.fields[rows]:,} rows, time left:")
    columns = (MofNCompleteColumn(), rows_column, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total_files, rows=0)
        for counts in results:
            rows += counts.rows
            progress.update(task, advance=1, rows=rows)
            yield counts
