"""Models on disk: as skops, of types that we trust. No pickle is loaded anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import yaml

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

SERIALIZATION_FORMAT = "skops"


def load_model(folder: Path) -> RegressorMixin:
    """The scikit-learn model of an MLflow model's folder.

    MLflow itself trusts the types that the folder names, and loads a pickle if the folder says so:
    whoever may write there could run anything. Here our own list decides. Raises ValueError for
    another format, and for a file that is damaged or holds a type that is not on the list.
    """
    told = yaml.safe_load((folder / "MLmodel").read_text())["flavors"].get("sklearn", {})
    kind = told.get("serialization_format", "pickle")
    if kind != SERIALIZATION_FORMAT:
        raise ValueError(
            f"the model in {folder} is stored as {kind}, expected {SERIALIZATION_FORMAT}: to load it could run "
            "any code, so it is left alone; train it again"
        )
    return load_skops_file(folder / Path(told["pickled_model"]).name)


def load_skops_file(path: Path) -> Any:
    """What a skops file holds. Raises ValueError as `load` does."""
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    from housing.models.families import TRUSTED_TYPES  # the service has no scikit-learn

    try:
        return skops.io.load(path, trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as found:
        raise ValueError(
            f"{path} holds what no model of ours needs, and is left alone: {found}. The types that "
            "are trusted stand in housing/models/families.py"
        ) from None
    except (BadZipFile, KeyError, TypeError, AttributeError, ImportError) as broken:
        raise ValueError(f"{path} is no model that can be read: {broken}") from broken
