"""How fast the served form of each family predicts on one core, and how much it differs.

.venv/bin/python -m benchmarks.models.inference_speed [--families blend ...]

Each family is trained on the real data with its initial parameters, and with those of
`budget=thorough` if they differ. One row: 4,000 calls, each with another row. Many: 100,000 rows
drawn from the accepted ranges, the best of three. The difference is that to the model itself.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before any library starts its threads

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np

from housing.data import loading, splitting
from housing.export import onnx_export
from housing.inference import served_model
from housing.models.families import FAMILIES, Family
from housing.schema import FEATURE_NAMES, TARGET
from housing.training.search import BUDGETS

LARGE_BATCH = 100_000  # rows
SERVED_CALLS, MODEL_CALLS, BATCH_CALLS = 4_000, 100, 3
THOROUGH_PARAMS = BUDGETS["thorough"].param_overrides


def main() -> None:
    """Print a Markdown table with a row per family."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    train, test = splitting.split_train_test(loading.load_dataset("california").frame)
    rows, batch = test[FEATURE_NAMES].to_numpy(), served_model.random_rows(LARGE_BATCH)
    print(
        "| family | a row: least, median, p99 | by onnxruntime, median | by the model, median "
        "| 100,000 rows | by onnxruntime | differs by | MB |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for title, family, params in _list_variants(options.families):
        model = family.build(params, 42).fit(train[FEATURE_NAMES], train[TARGET])
        content = onnx_export.to_onnx(model)
        native = served_model.load(content)
        onnxruntime = served_model.load(content, use_native=False)
        native_row, onnx_row = (
            time_calls(
                lambda call, form=form: served_model.predict(form, rows[call : call + 1]),
                SERVED_CALLS,
            )
            for form in (native, onnxruntime)
        )
        model_row = time_calls(
            lambda call, model=model: model.predict(test[call : call + 1][FEATURE_NAMES]),
            MODEL_CALLS,
        )
        native_batch, onnx_batch = (
            time_calls(lambda _, form=form: served_model.predict(form, batch), BATCH_CALLS).min()
            for form in (native, onnxruntime)
        )
        ratios = served_model.predict(native, rows) / model.predict(test[FEATURE_NAMES])
        difference = np.abs(ratios - 1).max()
        quantiles = native_row.min(), np.median(native_row), np.percentile(native_row, 99)
        native_cell = ", ".join(f"{milliseconds:.3f}" for milliseconds in quantiles)
        print(
            f"| {title} | {native_cell} ms | {np.median(onnx_row):.3f} ms "
            f"| {np.median(model_row):.1f} ms | {native_batch / 1e3:.2f} s "
            f"| {onnx_batch / 1e3:.2f} s | {difference:.0e} | {len(content) / 1e6:.1f} |",
            flush=True,
        )


def _list_variants(names: list[str]) -> Iterator[tuple[str, Family, dict]]:
    """Yield (title, family, parameters), once or twice for each family."""
    for name in names:
        family, overrides = FAMILIES[name], THOROUGH_PARAMS.get(name)
        yield family.title, family, family.initial_params
        if overrides:
            yield f"{family.title}, thorough", family, family.initial_params | overrides


def time_calls(function: Callable[[int], object], count: int) -> np.ndarray:
    """Return the milliseconds of each call, (count,); the argument is the call's number."""
    function(0)  # warm-up
    seconds = np.empty(count)
    for call in range(count):
        start = time.perf_counter()
        function(call)
        seconds[call] = time.perf_counter() - start
    return seconds * 1e3


if __name__ == "__main__":
    main()
