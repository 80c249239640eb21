"""How time and memory grow with the rows: prepare, train the default family, predict the test part.

.venv/bin/python -m benchmarks.models.scaling [--rows 20000 200000 2000000]

Each size is made up, and has a process of its own. The exponent is that of the power of the number
of rows by which the time has grown since the size before: 1 is in proportion.
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

from housing.data import loading, splitting
from housing.export import onnx_export
from housing.inference import served_model
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET

FAMILY = "blend"  # what wins by default
KEYS = ("prepare", "train", "predict")


def main() -> None:
    """Prints a Markdown table: a row a size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    parser.add_argument("--one", type=int, help="measure that many rows in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one)))
        return
    print("| rows | prepare | train | predict | together | exponent | peak memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    before = None
    for rows in options.rows:
        found = in_a_process(rows)
        total = sum(found[one] for one in KEYS)
        grown = f"{log(total / before[1]) / log(rows / before[0]):.2f}" if before else ""
        each = " | ".join(f"{found[one]:.1f} s" for one in KEYS)
        memory = f"{found['memory'] / 1e3:.1f} GB"
        print(f"| {rows:,} | {each} | {total:.1f} s | {grown} | {memory} |", flush=True)
        before = rows, total


def in_a_process(rows: int) -> dict[str, float]:
    """What `measured` finds in a process of its own, in a home that is thrown away."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, __file__, "--one", str(rows)]
        environment = os.environ | {"HOUSING_HOME": home}
        said = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, check=True, text=True
        )
    return json.loads(said.stdout)


def measured(rows: int) -> dict[str, float]:
    """Seconds of each step, and the most memory that the process held, in MB."""
    times = [time.perf_counter()]
    splitting.write_split(loading.load_dataset("sample", n_rows=rows))
    train, test, _ = splitting.read_split()
    times.append(time.perf_counter())
    family = FAMILIES[FAMILY]
    model = family.build(family.initial_params, 42).fit(train[FEATURE_NAMES], train[TARGET])
    times.append(time.perf_counter())
    served_model.predict(
        served_model.load(onnx_export.to_onnx(model)), test[FEATURE_NAMES].to_numpy()
    )
    times.append(time.perf_counter())
    seconds = [after - start for start, after in pairwise(times)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return dict(zip(KEYS, seconds, strict=True)) | {"memory": peak}


if __name__ == "__main__":
    main()
