"""Deleting old runs: records, executed notebooks and reports, but none that is still needed."""

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.runs import records
from pipeline.runs.strict_json import decode_json
from pipeline.workspace import Workspace

PinnedRuns = Callable[[], dict[str, str]]  # run id -> why it matters, e.g. what of it is in use


class PrunePlan(NamedTuple):
    """Which of the old runs can be deleted."""

    deletable_runs: list[str]  # run ids
    retained_runs: dict[str, str]  # run id -> why the run must be kept though it is old


def plan_pruning(workspace: Workspace, keep_count: int, pinned_runs: PinnedRuns) -> PrunePlan:
    """Return which runs older than the newest `keep_count` can be deleted.

    The runs of the pipeline and of each on-demand step are counted apart: a report a day does not
    push the last training out.

    pinned_runs: returns run id -> what the run produced that is in use. Raises ValueError if it
    fails, or if the record of a run that stays is damaged: without knowing which runs are in use,
    none may be deleted.
    """
    if keep_count < 1:
        raise ValueError(f"--keep is {keep_count}, expected at least 1")
    try:
        pinned = pinned_runs()
    except Exception as error:  # of any kind, as it may ask a server
        raise ValueError(
            f"it cannot be determined which runs are in use, so none was deleted: {error}"
        ) from None
    recent_runs, old_runs = _split_by_age(workspace, keep_count)
    reasons = _runs_with_current_results(workspace) | {
        run_id: f"it made {product}" for run_id, product in pinned.items()
    }
    for run_id in [*recent_runs, *reasons]:
        # without reading a run that stays it is not known which older ones it shows
        with suppress(LookupError):
            for step in records.load(workspace.run_folder(run_id)).steps:
                if step.reused:
                    reasons.setdefault(step.reused, f"run {run_id} shows its {step.name}")
    return PrunePlan(
        [run_id for run_id in old_runs if run_id not in reasons],
        {run_id: reasons[run_id] for run_id in old_runs if run_id in reasons},
    )


def _split_by_age(workspace: Workspace, keep_count: int) -> tuple[list[str], list[str]]:
    """Return the newest `keep_count` runs of each kind, and the others; newest first."""
    recent_runs: list[str] = []
    old_runs: list[str] = []
    counts = Counter[str]()
    for run_id in workspace.run_ids():
        on_demand_step = records.load_on_demand_step(workspace.run_folder(run_id))
        counts[on_demand_step] += 1
        (recent_runs if counts[on_demand_step] <= keep_count else old_runs).append(run_id)
    return recent_runs, old_runs


def _runs_with_current_results(workspace: Workspace) -> dict[str, str]:
    """Return run id -> reason for the runs whose results the next run starts from."""
    reasons: dict[str, str] = {}
    for path in workspace.states_folder.glob("*.json"):
        with suppress(ValueError, KeyError, TypeError, OSError):
            run_id = decode_json(path.read_bytes())["run"]
            reasons[run_id] = f"{path.stem} is up to date since this run"
    return reasons


def delete_runs(workspace: Workspace, run_ids: list[str]) -> int:
    """Delete runs and the comparisons with them; return the number of bytes freed."""
    n_freed_bytes = 0
    for run_id in run_ids:
        comparisons = workspace.comparisons_folder.glob(f"*{run_id}*.html")
        folders = workspace.report_folder(run_id), workspace.run_folder(run_id)
        # the record goes last: a run is listed as long as anything of it is left
        for path in (*comparisons, *folders):
            n_freed_bytes += _size_bytes(path)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return n_freed_bytes


def _size_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a folder; links count nothing."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())
