"""Old runs deleted: records, executed notebooks, reports; never one that something rests on."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.report.live import PinnedRuns
from pipeline.runs import records


class PrunePlan(NamedTuple):
    """What is to be done."""

    deletable_runs: list[str]  # runs
    retained_runs: dict[str, str]  # runs that are as old, and why each stays


def plan(home: Path, keep_count: int, pinned_runs: PinnedRuns) -> PrunePlan:
    """Which runs are older than the newest `keep`, and which of them something rests on.

    keeps: run -> why it matters. ValueError if it cannot say so: then nothing may be deleted.
    """
    if keep_count < 1:
        raise ValueError(f"--keep is {keep_count}, expected at least 1")
    try:
        matters = pinned_runs()
    except Exception as failed:  # whatever it asks: not knowing is no reason to delete
        raise ValueError(
            f"it cannot be told which runs matter, so none was deleted: {failed}"
        ) from None
    runs = home / "var" / "runs"
    names = sorted((one.parent.name for one in runs.glob("*/run.json")), reverse=True)
    reasons = _runs_with_current_results(home) | {
        name: f"it made {why}" for name, why in matters.items()
    }
    for name in [*names[:keep_count], *reasons]:
        with suppress(LookupError, ValueError, KeyError, TypeError):
            for step in records.load(runs / name).steps:
                if step.reused:
                    reasons.setdefault(step.reused, f"run {name} shows its {step.name}")
    old = names[keep_count:]
    return PrunePlan(
        [one for one in old if one not in reasons],
        {one: reasons[one] for one in old if one in reasons},
    )


def _runs_with_current_results(home: Path) -> dict[str, str]:
    """The runs whose results are what the next run starts from."""
    found = {}
    for path in (home / "var" / "steps").glob("*.json"):
        with suppress(ValueError, KeyError, TypeError, OSError):
            found[json.loads(path.read_text())["run"]] = f"{path.stem} is up to date since"
    return found


def delete(home: Path, run_ids: list[str]) -> int:
    """Deletes the runs and the comparisons with them; gives the bytes that are free again."""
    freed = 0
    for name in run_ids:
        # the record goes last: a run is listed as long as anything of it is left
        compared = (home / "reports" / "compare").glob(f"*{name}*.html")
        for path in (*compared, home / "reports" / name, home / "var" / "runs" / name):
            freed += _size_bytes(path)
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return freed


def _size_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file() and not one.is_symlink())
