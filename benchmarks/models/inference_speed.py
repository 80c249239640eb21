"""How fast the served form of each family answers on one core, and how equal it is to the model.

.venv/bin/python -m benchmarks.models.inference_speed [--families blend ...]

Each family with its first settings, and with those of `budget=thorough` where they are others,
trained on the real data. One row: 4,000 calls, another row each. Many: 100,000 rows drawn from the
accepted ranges, the best of three.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before any library starts its threads

import argparse
import time
from collections.abc import Iterator

import numpy as np

from housing.data import loading, splitting
from housing.export import onnx_export
from housing.inference import served_model
from housing.models.families import FAMILIES, Family
from housing.schema import FEATURE_NAMES, TARGET
from housing.training.search import BUDGETS

MANY = 100_000
LARGER = BUDGETS["thorough"].param_overrides


def main() -> None:
    """Prints a Markdown table: a row a family."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    train, test = splitting.split_train_test(loading.load_dataset("california").frame)
    rows, many = test[FEATURE_NAMES].to_numpy(), served_model.random_rows(MANY)
    print(
        "| family | a row: least, median, p99 | by onnxruntime, median | by the model, median "
        "| 100,000 rows | by onnxruntime | differs by | MB |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for title, family, params in _asked(parser.parse_args().families):
        model = family.build(params, 42).fit(train[FEATURE_NAMES], train[TARGET])
        content = onnx_export.to_onnx(model)
        served, other = served_model.load(content), served_model.load(content, use_native=False)
        calls, others = (
            timed(lambda at, form=form: served_model.predict(form, rows[at : at + 1]), 4_000)
            for form in (served, other)
        )
        plain = timed(lambda at, model=model: model.predict(test[at : at + 1][FEATURE_NAMES]), 100)
        best, others_best = (
            timed(lambda _, form=form: served_model.predict(form, many), 3).min() / 1e3
            for form in (served, other)
        )
        off = np.abs(
            served_model.predict(served, rows) / model.predict(test[FEATURE_NAMES]) - 1
        ).max()
        three = calls.min(), np.median(calls), np.percentile(calls, 99)
        said = ", ".join(f"{one:.3f}" for one in three)
        print(
            f"| {title} | {said} ms | {np.median(others):.3f} ms "
            f"| {np.median(plain):.1f} ms "
            f"| {best:.2f} s | {others_best:.2f} s | {off:.0e} | {len(content) / 1e6:.1f} |",
            flush=True,
        )


def _asked(names: list[str]) -> Iterator[tuple[str, Family, dict]]:
    for family, larger in ((FAMILIES[one], LARGER.get(one)) for one in names):
        yield family.title, family, family.initial_params
        if larger:
            yield f"{family.title}, thorough", family, family.initial_params | larger


def timed(call, count: int) -> np.ndarray:
    """Milliseconds of each call, which is told its number."""
    call(0)
    took = np.empty(count)
    for at in range(count):
        started = time.perf_counter()
        call(at)
        took[at] = time.perf_counter() - started
    return took * 1e3


if __name__ == "__main__":
    main()
