"""Evidently and NannyML beside our monitoring, on the same simulated weeks.

.venv/bin/python -m benchmarks.monitoring.peers [--weeks 200] [--weeks-after 13] [--seeds 0]
  [--volumes 50 500 5000] [--changes labels-10 ...] [--reuse]

Each of the peers runs as its documentation shows, with its defaults, in an environment of its own
in var/peers/. Tables: of clean weeks, the share that is flagged, and false alarms a year; of weeks
after a planted change, the share that is flagged, and weeks until the first flag.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.monitoring import traffic
from benchmarks.monitoring.changes import ALL_CHANGES, CHANGES
from benchmarks.monitoring.deployment import deploy
from benchmarks.monitoring.traffic import OK_STATUS, VOLUMES, Plan
from benchmarks.support import peer_environments
from housing import paths
from housing.schema import FEATURE_NAMES

FOLDER = Path(__file__).parent
TOOLS = ("evidently", "nannyml")
# what a tool flags weeks for; "any" stands for any of it
ALERTS = {
    "evidently": {
        "column drift": {"column drift"},
        "dataset drift": {"dataset drift"},
        "performance": {"performance"},
        "any": {"column drift", "dataset drift", "performance"},
    },
    "nannyml": {
        "univariate drift": {"univariate drift"},
        "multivariate drift": {"multivariate drift"},
        "estimated performance": {"estimated performance"},
        "performance": {"performance"},
        "any": {
            "univariate drift",
            "multivariate drift",
            "estimated performance",
            "performance",
        },
    },
}
WEEKS_PER_YEAR = 365.25 / 7


class Job(NamedTuple):
    """A simulated traffic that all tools are to judge, and the folder of its files."""

    change: str  # a key of ALL_CHANGES
    rows_per_week: int
    seed: int
    n_weeks: int

    @property
    def folder(self) -> Path:
        """Where the weeks and the tools' answers lie."""
        name = f"{self.change}-{self.rows_per_week}-{self.seed}"
        return paths.var() / "benchmarks" / "monitoring" / name

    def is_answered(self) -> bool:
        """Return whether both tools have answered a job like this one."""
        plan = self.folder / "plan.json"
        return (
            plan.exists()
            and json.loads(plan.read_text()) == self.summary()
            and all(self.answer(tool).exists() for tool in TOOLS)
        )

    def answer(self, tool: str) -> Path:
        """Return the file of a tool's answer."""
        return self.folder / f"{tool}.json"

    def summary(self) -> dict[str, int]:
        """Return what the tools need to know of the plan."""
        return {"rows_per_week": self.rows_per_week, "n_weeks": self.n_weeks}

    @property
    def plan(self) -> Plan:
        """All weeks are clean, or all are changed."""
        return Plan(self.rows_per_week, self.n_weeks, self.change, 0, seed=self.seed)


def main() -> None:
    """Print a Markdown table of clean weeks, one of changes, and one of costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=200, help="clean ones")
    parser.add_argument("--weeks-after", type=int, default=13, help="after each planted change")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the splits")
    parser.add_argument("--volumes", type=int, nargs="+", default=VOLUMES, help="rows a week")
    parser.add_argument("--changes", nargs="*", default=list(CHANGES), choices=list(CHANGES))
    parser.add_argument("--reuse", action="store_true", help="answers that are there already")
    options = parser.parse_args()
    jobs = [
        Job(change, volume, seed, options.weeks if change == "clean" else options.weeks_after)
        for seed in options.seeds
        for volume in options.volumes
        for change in ["clean", *options.changes]
    ]
    for job in jobs:
        if not (options.reuse and job.is_answered()):
            write_weeks(job)
    judge(jobs)
    weeks = pd.DataFrame([record for job in jobs for record in read_weeks(job)])
    print_clean_weeks(weeks[weeks.change == "clean"])
    for volume in options.volumes:
        print_changes(weeks[weeks.volume == volume], volume)
    print_costs(jobs)


def write_weeks(job: Job) -> None:
    """Write the files that the tools read: what a week's traffic and arrived labels are."""
    deployment = deploy(job.seed)
    rows = traffic.simulate(deployment, job.plan)
    rows = rows[rows.status == OK_STATUS]
    job.folder.mkdir(parents=True, exist_ok=True)
    columns = [*FEATURE_NAMES, "prediction"]
    deployment.held_out[[*columns, "truth"]].to_parquet(job.folder / "reference.parquet")
    _dated(rows, rows.day)[[*columns, "week", "timestamp"]].to_parquet(
        job.folder / "predictions.parquet"
    )
    labelled = rows[rows.label_day < job.plan.n_days]
    _dated(labelled, labelled.label_day)[[*columns, "truth", "week", "timestamp"]].to_parquet(
        job.folder / "labelled.parquet"
    )
    for tool in TOOLS:  # of other weeks
        job.answer(tool).unlink(missing_ok=True)
    (job.folder / "plan.json").write_text(json.dumps(job.summary()))


def _dated(rows: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
    """Return rows with the week and time of a day, sorted by it."""
    start = pd.Timestamp(traffic.FIRST_DAY)
    dated = rows.assign(week=day // 7, timestamp=start + pd.to_timedelta(day, "D"))
    return dated.sort_values("timestamp").reset_index(drop=True).astype({"week": int})


def judge(jobs: list[Job]) -> None:
    """Run each tool on all jobs, in two processes at a time."""
    programs = {}
    for tool in TOOLS:
        requirements = FOLDER / f"{tool}.txt"
        arguments = ["-r", requirements.name]
        programs[tool] = peer_environments.install(
            tool, requirements.read_text(), arguments, FOLDER
        )

    def run(tool: str, tool_jobs: list[Job]) -> None:
        folders = [job.folder for job in tool_jobs]
        command = [programs[tool] / "python", FOLDER / f"{tool}_weeks.py", *folders]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    with ThreadPoolExecutor(2) as pool:
        new_jobs = {tool: [job for job in jobs if not job.answer(tool).exists()] for tool in TOOLS}
        halves = [(tool, new_jobs[tool][start::2]) for tool in TOOLS for start in (0, 1)]
        for future in [pool.submit(run, *half) for half in halves if half[1]]:
            future.result()


def read_weeks(job: Job) -> Iterator[dict[str, object]]:
    """Return a record for each tool, kind of alert and week."""
    for tool in TOOLS:
        answer = json.loads(job.answer(tool).read_text())
        for week in answer["weeks"]:
            record = {"change": job.change, "volume": job.rows_per_week, "seed": job.seed}
            for alert, names in ALERTS[tool].items():
                kind = {"tool": answer["tool"], "alert": alert, "week": week["week"]}
                yield record | kind | {"is_flagged": bool(names & set(week["alerts"]))}


def print_clean_weeks(weeks: pd.DataFrame) -> None:
    """Print how many clean weeks are flagged."""
    volumes = sorted(weeks.volume.unique())
    columns = " | ".join(f"{volume:,} rows a week" for volume in volumes)
    print(f"\n| clean weeks flagged; false alarms a year | {columns} |")
    print("|---" * (len(volumes) + 1) + "|")
    for (tool, alert), group in weeks.groupby(["tool", "alert"], sort=False):
        shares = group.groupby("volume").is_flagged.mean()
        cells = [f"{share:.0%}; {share * WEEKS_PER_YEAR:.1f}" for share in shares]
        print(f"| {tool}, {alert} | {' | '.join(cells)} |", flush=True)


def print_changes(weeks: pd.DataFrame, volume: int) -> None:
    """Print how many weeks are flagged without and with each change, and when the first is.

    A row a change, a column a tool and kind of alert.
    """
    kinds = list(weeks.groupby(["tool", "alert"], sort=False).groups)
    print(f"\n| {volume:,} rows a week: weeks flagged after the change; first one | ", end="")
    print(" | ".join(f"{tool}, {alert}" for tool, alert in kinds), end=" |\n")
    print("|---" * (len(kinds) + 1) + "|")
    for change, changed in weeks.groupby("change", sort=False):
        by_kind = dict(iter(changed.groupby(["tool", "alert"], sort=False)))
        cells = [_describe(by_kind[kind], change == "clean") for kind in kinds]
        print(f"| {ALL_CHANGES[str(change)].title} | {' | '.join(cells)} |", flush=True)


def _describe(weeks: pd.DataFrame, is_clean: bool) -> str:
    """Return the share of weeks that are flagged, and the median first one of all splits."""
    share = weeks.is_flagged.mean()
    if is_clean:
        return f"{share:.0%}"
    first_weeks = [
        np.argmax(flags) + 1 if flags.any() else np.inf
        for flags in (group.is_flagged.to_numpy() for _, group in weeks.groupby("seed"))
    ]
    first_week = np.median(first_weeks)
    return f"{share:.0%}; " + (f"{first_week:.0f}" if np.isfinite(first_week) else "never")


def print_costs(jobs: list[Job]) -> None:
    """Print the time of a week and the size of its page."""
    print("\n| | rows a week | seconds a week | page |\n|---|---|---|---|")
    for tool in TOOLS:
        for job in jobs:
            if job.change == "clean":
                answer = json.loads(job.answer(tool).read_text())
                seconds = answer["seconds"] / job.n_weeks
                size = answer["weeks"][0]["page_bytes"] / 1e6
                name, rows = answer["tool"], f"{job.rows_per_week:,}"
                print(f"| {name} | {rows} | {seconds:.2f} | {size:.1f} MB |", flush=True)


if __name__ == "__main__":
    main()
