"""The command `run_pipeline.py score`: batch scoring of Parquet files. It prints."""

import argparse
import sys
import time
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


def score_files(arguments: list[str]) -> int:
    """Score Parquet files of any size with the champion."""
    options = _make_parser().parse_args(arguments)
    if options.jobs < 1:
        raise ValueError(f"--jobs is {options.jobs}, expected at least 1")
    try:
        return _run_score(options)
    except RuntimeError as error:
        print(f"{error}\nWhat is done stays: run the same command again to go on.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C; run the same command again to go on", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "run_pipeline.py score",
        description=SCORE_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    return parser


def _run_score(options: argparse.Namespace) -> int:
    started_at = time.perf_counter()
    from housing.batch_scoring import partitions, scoring
    from housing.registry import versions
    from housing.training.executors import executor

    champion = versions.current_champion(options.model)
    if champion is None:
        name = options.model or versions.MODEL_NAMES["california"]
        raise LookupError(f"no version of {name} is champion yet: `run_pipeline.py` makes one")
    plan = partitions.plan_scoring(options.source, options.target, champion)
    new_counts: list[RowCounts] = []
    if plan.pending:
        with executor(options.dask, options.jobs) as run, partitions.target_lock(options.target):
            folder_name = f"{champion.name}-{champion.version}-{champion.run_id[:8]}"
            folder = options.target.resolve() / "_model" / folder_name
            versions.export_for_serving(champion, folder)
            show_progress = _ProgressLine(len(plan.pending))
            for counts in scoring.score_partitions(plan, folder / "model.onnx", run):
                new_counts.append(counts)
                show_progress(counts)
    elapsed_seconds = time.perf_counter() - started_at
    print(f"model: {champion.name} version {champion.version}")
    if champion.tags["data_source"] == "sample":
        print("NOTE: it learnt from a generated sample, not from real data")
    print(_summary_text(plan, new_counts, elapsed_seconds))
    print(f"predictions: {options.target.resolve()}")
    return 0


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


class _ProgressLine:
    """A line on stderr that is updated after each file, if stderr is a terminal."""

    def __init__(self, total_files: int) -> None:
        self.total_files = total_files
        self.finished_files = 0
        self.scored_rows = 0
        self.started_at = time.perf_counter()

    def __call__(self, count: "RowCounts") -> None:
        self.finished_files += 1
        self.scored_rows += count.rows
        if not sys.stderr.isatty():
            return
        elapsed_seconds = time.perf_counter() - self.started_at
        remaining_files = self.total_files - self.finished_files
        remaining_seconds = elapsed_seconds / self.finished_files * remaining_files
        text = (
            f"{self.finished_files:,}/{self.total_files:,} files  {self.scored_rows:,} rows  "
            f"about {remaining_seconds:.0f} s left"
        )
        line_end = "" if remaining_files else "\n"
        print(f"\r\x1b[K{text}", end=line_end, file=sys.stderr, flush=True)
