"""What else a user of this project types: `run_pipeline.py score`. It prints."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from housing.batch_scoring import RowCounts, ScoringPlan

SCORE_DESCRIPTION = """
Scores with the registered champion: each Parquet file of IN gets one of the same name in OUT, with
its columns and three more: prediction ($100,000), prediction_usd, and problem. A row with a value
that is missing or outside the accepted ranges gets no prediction (null), and its problem says why.
A file that lacks one of the eight columns, or has text in it, is refused before anything starts.

Each file's metadata names the model, version and run (housing.model, housing.model_version,
housing.run_id); the model itself is put into OUT/_model. Type the same again after a stop or with
new files in IN: what is there already, for the same file (its size and time of change) and the
same version, is left as it is. A new champion scores all again.
"""


def score_files(arguments: list[str]) -> int:
    """Parquet files of any size get the champion's answers."""
    parser = argparse.ArgumentParser(
        "run_pipeline.py score",
        description=SCORE_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", metavar="IN", type=Path, help="a Parquet file, or a folder of them")
    add("target", metavar="OUT", type=Path, help="the folder of the answers; made if it is missing")
    add("--dask", metavar="ADDRESS", help="a Dask scheduler (tcp://host:8786) whose workers see "
        "IN and OUT at the same paths; by default HOUSING_DASK, else this machine")  # fmt: skip
    add("--model", metavar="NAME", help="the registered model; by default the one that is served")
    add("--jobs", metavar="N", type=int, default=2, help="processes here (default: %(default)s)")
    asked = parser.parse_args(arguments)
    if asked.jobs < 1:
        raise ValueError(f"--jobs is {asked.jobs}, expected at least 1")
    try:
        return _run_score(asked)
    except RuntimeError as stopped:
        print(f"{stopped}\nWhat is done stays: type the same again to go on.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C; type the same again to go on", file=sys.stderr)
        return 130


def _run_score(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    from housing import batch_scoring
    from housing.registry import versions
    from housing.training.executors import executor

    found = versions.current_champion(options.model)
    if found is None:
        name = options.model or versions.MODEL_NAMES["california"]
        raise LookupError(f"no version of {name} is champion yet: `run_pipeline.py` makes one")
    planned, fresh = batch_scoring.plan_scoring(options.source, options.target, found), []
    if planned.pending:
        with executor(options.dask, options.jobs) as run, batch_scoring.target_lock(options.target):
            folder = f"{found.name}-{found.version}-{found.run_id[:8]}"
            model = options.target.resolve() / "_model" / folder / "model.onnx"
            versions.export_for_serving(found, model.parent)
            fresh = batch_scoring.score(planned, model, run, _ProgressLine(len(planned.pending)))
    took = time.perf_counter() - started
    print(f"model: {found.name} version {found.version}")
    if found.tags["data_source"] == "sample":
        print("NOTE: it learnt from a generated sample, not from real data")
    print(_summary_text(planned, fresh, took))
    print(f"answers: {options.target.resolve()}")
    return 0


def _summary_text(
    plan: "ScoringPlan", new_counts: "list[RowCounts]", elapsed_seconds: float
) -> str:
    lines, rows = [], sum(one.rows for one in new_counts)
    if new_counts:
        speed = f"{elapsed_seconds:.1f} s, {rows / elapsed_seconds:,.0f} rows/s"
        lines.append(f"scored: {rows:,} rows of {_file_count_text(new_counts)} in {speed}")
    if plan.completed:
        known = sum(one.rows for one in plan.completed)
        lines.append(f"there already: {known:,} rows of {_file_count_text(plan.completed)}")
    refused = sum(one.refused_rows for one in [*new_counts, *plan.completed])
    lines.append(f"refused: {refused:,} rows" + (", each says its problem" if refused else ""))
    if plan.orphans:
        names = ", ".join(one.name for one in plan.orphans[:3])
        lines.append(
            f"NOTE: of {_file_count_text(plan.orphans)} IN has nothing (any more): {names}"
        )
    return "\n".join(lines)


def _file_count_text(files: list) -> str:
    return "1 file" if len(files) == 1 else f"{len(files):,} files"


class _ProgressLine:
    """A line on stderr that keeps up, where that is a terminal."""

    def __init__(self, total_files: int) -> None:
        self.total_files, self.finished_files, self.scored_rows, self.started_at = (
            total_files,
            0,
            0,
            time.perf_counter(),
        )

    def __call__(self, count: "RowCounts") -> None:
        self.finished_files, self.scored_rows = (
            self.finished_files + 1,
            self.scored_rows + count.rows,
        )
        if not sys.stderr.isatty():
            return
        took = time.perf_counter() - self.started_at
        left = took / self.finished_files * (self.total_files - self.finished_files)
        said = f"{self.finished_files:,}/{self.total_files:,} files  {self.scored_rows:,} rows  about {left:.0f} s left"
        end = "\n" if self.finished_files == self.total_files else ""
        print(f"\r\x1b[K{said}", end=end, file=sys.stderr, flush=True)
