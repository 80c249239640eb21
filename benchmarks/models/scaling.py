"""How time and memory grow with the rows: prepare, train the default family, predict the test part.

.venv/bin/python -m benchmarks.models.scaling [--rows 20000 200000 2000000]

The rows of each size are generated in a process of its own. The exponent is the power of the number
of rows by which the time has grown since the previous size: 1 is in proportion.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from math import log

from housing import paths
from housing.data import loading, splitting
from housing.export import onnx_export
from housing.inference import served_model
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET

FAMILY = "blend"  # the default winner
STEPS = ("prepare", "train", "predict")


def main() -> None:
    """Print a Markdown table with a row per size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    parser.add_argument("--one", type=int, help="measure that many rows in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    print("| rows | prepare | train | predict | together | exponent | peak memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    previous: tuple[int, float] | None = None  # rows and seconds of the size before
    for rows in options.rows:
        result = measure_in_subprocess(rows)
        total = sum(result[step] for step in STEPS)
        exponent = ""
        if previous:
            exponent = f"{log(total / previous[1]) / log(rows / previous[0]):.2f}"
        times = " | ".join(f"{result[step]:.1f} s" for step in STEPS)
        memory = f"{result['memory'] / 1e3:.1f} GB"
        print(f"| {rows:,} | {times} | {total:.1f} s | {exponent} | {memory} |", flush=True)
        previous = rows, total


def measure_in_subprocess(rows: int) -> dict[str, float]:
    """Return what `measure` does, from a process of its own with a temporary home."""
    with tempfile.TemporaryDirectory() as home:
        completed = subprocess.run(
            [sys.executable, "-m", "benchmarks.models.scaling", "--one", str(rows)],
            cwd=paths.PROJECT_ROOT,
            env=os.environ | {"HOUSING_HOME": home},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    return json.loads(completed.stdout)


def measure(rows: int) -> dict[str, float]:
    """Return the seconds of each step, and the peak memory of this process in MB ("memory")."""
    times = [time.perf_counter()]
    splitting.write_split(loading.load_dataset("sample", n_rows=rows))
    train, test, *_ = splitting.read_split()
    times.append(time.perf_counter())
    family = FAMILIES[FAMILY]
    model = family.build(family.initial_params, 42).fit(train[FEATURE_NAMES], train[TARGET])
    times.append(time.perf_counter())
    served = served_model.load(onnx_export.to_onnx(model))
    served_model.predict(served, test[FEATURE_NAMES].to_numpy())
    times.append(time.perf_counter())
    seconds = [end - start for start, end in pairwise(times)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return dict(zip(STEPS, seconds, strict=True)) | {"memory": peak}


if __name__ == "__main__":
    main()
