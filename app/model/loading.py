"""A model that answers requests: loaded from a version's files, and verified by its examples."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from app.model import local_copy
from app.model.local_copy import ModelInfo
from housing.inference import served_files, served_model, shapley, training_domain
from housing.inference.training_domain import TrainingDomain
from housing.schema import USD_PER_UNIT


class Champion(NamedTuple):
    """A model that answers requests."""

    model: served_model.ServedModel
    model_info: ModelInfo
    training_domain: TrainingDomain | None  # None for a version that was registered without one

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, 1) house values in $100,000 for (n, 8) rows, or (n, 3) with low and high."""
        return served_files.predict_all(self.model, rows)

    def warnings(self, rows: np.ndarray) -> list[list[str]]:
        """Return for each row how it is unlike the training rows."""
        if self.training_domain is None:
            return [[] for _ in rows]
        return training_domain.out_of_domain_warnings(self.training_domain, rows)

    def contributions(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Return (n, 7) dollars that each of `shapley.FEATURE_GROUPS` adds, and the base value.

        Raises ValueError for a version that was registered without a training domain.
        """
        if self.training_domain is None:
            raise ValueError(f"version {self.model_info.version} has no training domain")
        predict = partial(served_model.predict, self.model)
        values, base = shapley.shapley_values(
            predict, rows, self.training_domain.reference_row[None]
        )
        return values * USD_PER_UNIT, base * USD_PER_UNIT


def load_champion(folder_name: str, files: dict[str, bytes]) -> Champion:
    """Load the graph and verify it on its recorded examples. Raises ValueError if either fails."""
    if local_copy.MODEL_INFO_FILE_NAME not in files:
        raise ValueError(f"{folder_name} lacks {local_copy.MODEL_INFO_FILE_NAME}")
    model_info = local_copy.parse_model_info(files[local_copy.MODEL_INFO_FILE_NAME])
    model, domain = served_files.load(folder_name, files)
    return Champion(model, model_info, domain)
