"""The column `warnings` of scored rows: how each is unlike the rows the model was trained on."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from housing.inference import training_domain
from housing.inference.neighbors import ROWS_PER_CHUNK
from housing.inference.training_domain import TrainingDomain


@lru_cache(maxsize=1)
def load_domain(model_file: Path) -> TrainingDomain | None:
    """Return the training domain beside a graph; None for a version registered without one."""
    file = model_file.with_name("domain.json")
    return training_domain.from_json(file.read_bytes()) if file.exists() else None


def warning_column(
    domain: TrainingDomain | None, rows: np.ndarray, is_valid: np.ndarray
) -> pa.Array:
    """Return the warnings of each row as one text, null for a row without any.

    rows: (n, 8); those that are not valid get none.
    """
    texts = np.full(len(rows), None, object)
    if domain is None:
        return pa.array(texts, pa.string())
    for start in range(0, len(rows), ROWS_PER_CHUNK):
        numbers = start + np.flatnonzero(is_valid[start : start + ROWS_PER_CHUNK])
        warnings = training_domain.out_of_domain_warnings(domain, rows[numbers])
        for number, row_warnings in zip(numbers.tolist(), warnings, strict=True):
            if row_warnings:
                texts[number] = "; ".join(row_warnings)
    return pa.array(texts, pa.string())
