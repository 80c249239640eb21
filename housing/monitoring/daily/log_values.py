"""Values of the log as the service writes them, and what becomes of damaged ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson

from housing.schema import FEATURE_NAMES

NO_CALLER = ""

feature_values = itemgetter(*FEATURE_NAMES)


class ModelKey(NamedTuple):
    """A version of a registered model."""

    name: str
    version: str


def model_key(name: Any, version: Any) -> ModelKey | None:
    """Return the version that answered; None if the row does not say which."""
    return None if name is None or version is None else ModelKey(str(name), str(version))


def caller_name(caller: Any) -> str:
    """Return the name of an API key; empty if there was none."""
    return NO_CALLER if caller is None else str(caller)


def parse_numbers(values: Sequence[Any]) -> np.ndarray:
    """Return the (n,) numbers that a column has; NaN for what is missing or no number."""
    try:
        return np.array(values, float)
    except (TypeError, ValueError):
        return np.array([_parse_number(value) for value in values], float)


def _parse_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def parse_inputs(texts: Sequence[Any]) -> np.ndarray:
    """Return the (n, 8) features of logged inputs; NaN for those of a damaged one."""
    try:  # all at once takes half the time
        inputs = orjson.loads(f"[{','.join(texts)}]")
        features = np.array(list(map(feature_values, inputs)), float)
        if features.shape == (len(texts), len(FEATURE_NAMES)):
            return features
    except (TypeError, ValueError, KeyError):
        pass
    return np.array([_parse_input(text) for text in texts], float).reshape(-1, len(FEATURE_NAMES))


def _parse_input(text: Any) -> list[float]:
    try:
        return [float(value) for value in feature_values(orjson.loads(text))]
    except (TypeError, ValueError, KeyError):
        return [math.nan] * len(FEATURE_NAMES)
