"""The gate: what a candidate must show before it may become champion."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin, clone
from sklearn.metrics import root_mean_squared_error

from housing import evaluate, graph, registry
from housing.schema import NAMES, TARGET, USD
from housing.split import Split

SAME = 1e-9  # the largest relative difference between the graph's answers and the model's


class Check(NamedTuple):
    """One question the gate asked, and the answer."""

    check: str
    value: float
    limit: float
    passed: bool


def to_beat(champion: registry.Version | None, split: Split) -> RegressorMixin | None:
    """The champion's model; None if there is no champion.

    A champion that learnt from another split may have seen today's test rows: then its recipe is
    trained again on today's training part.
    """
    if champion is None:
        return None
    model = registry.load_version(champion)
    if champion.tags["train_sha256"] == split.manifest["sha256"]["train"]:
        return model
    return clone(model).fit(split.train[NAMES], split.train[TARGET])


def slices(model: RegressorMixin, champion: RegressorMixin | None, split: Split) -> pd.DataFrame:
    """A row a price band of the test part: the candidate's errors, and the champion's RMSE."""
    bands = evaluate.price_band(split.test)
    guess = model.predict(split.test[NAMES])
    table = evaluate.by_group(split.test[TARGET], guess, bands)
    if champion is not None:
        before = evaluate.by_group(split.test[TARGET], champion.predict(split.test[NAMES]), bands)
        table["champion's RMSE, $"] = before["RMSE, $"]
    return table


def judge(
    model: RegressorMixin,
    served: bytes,
    split: Split,
    champion: RegressorMixin | None,
    min_gain: float,
) -> list[Check]:
    """The gate's checks, all asked even if one fails.

    served: the candidate's graph. champion: the model to beat on the same test rows; None to beat
    the mean of the training part. min_gain: dollars of test RMSE the candidate must gain.
    """
    guess = model.predict(split.test[NAMES])
    if champion is None:
        beaten, to_beat = "the training mean", np.full(len(guess), split.train[TARGET].mean())
    else:
        beaten, to_beat = "the champion", champion.predict(split.test[NAMES])
    finite = float(np.isfinite(guess).mean())
    difference = _difference(model, served, split)
    gain = _rmse_usd(split, to_beat) - _rmse_usd(split, guess)
    return [
        Check("share of finite predictions", finite, 1.0, finite == 1),
        Check("served graph differs from the model by", difference, SAME, difference <= SAME),
        Check(f"test RMSE gained on {beaten}, $", round(gain, 2), min_gain, gain > min_gain),
    ]


def verdict(checks: list[Check]) -> tuple[bool, str]:
    """Is the candidate promoted, and the reason in a sentence."""
    failed = [one for one in checks if not one.passed]
    if failed:
        return False, "; ".join(
            f"{one.check}: {one.value:,g} (limit {one.limit:,g})" for one in failed
        )
    last = checks[-1]
    return True, f"all {len(checks)} checks passed; {last.check}: {last.value:,.0f}"


def rmse_usd(model: RegressorMixin | None, split: Split) -> float | None:
    """The model's RMSE on the test part in dollars; None for no model."""
    return None if model is None else _rmse_usd(split, model.predict(split.test[NAMES]))


def _difference(model: RegressorMixin, served: bytes, split: Split) -> float:
    """The largest difference, relative above $100,000, on train, test and 10,000 random rows."""
    rows = np.vstack([split.train[NAMES], split.test[NAMES], graph.random_rows(10_000)])
    expected = model.predict(pd.DataFrame(rows, columns=NAMES))
    answers = graph.predict(graph.session(served), rows)
    return float(np.max(np.abs(answers - expected) / np.maximum(1, np.abs(expected))))


def _rmse_usd(split: Split, guess: np.ndarray) -> float:
    """In dollars; infinite if a guess is not finite."""
    if not np.isfinite(guess).all():
        return float("inf")
    return float(root_mean_squared_error(split.test[TARGET], guess)) * USD
