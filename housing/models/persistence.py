"""Load models from disk: skops files of types that this project trusts, never a pickle."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile, ZipFile

import yaml

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

SERIALIZATION_FORMAT = "skops"
SCHEMA_FILE = "schema.json"  # in a skops archive: the classes, and each object's attributes by name

# the only classes beyond skops' own list that a stored model of this project may hold
TRUSTED_TYPES = [
    "collections.OrderedDict",
    "housing.inference.neighbors.DistanceSpace",
    "housing.models.blend.Blend",
    "housing.models.features.LocationFeatures",
    "housing.models.features.NeighborFeatures",
    "housing.models.mlp.ClippedMLPRegressor",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMRegressor",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]


class ClassAlias(NamedTuple):
    """Today's name of a class that stored models know by a former one."""

    module: str
    name: str
    attributes: dict[str, str]  # former attribute name -> today's; the others have kept theirs


# (former module, former name) -> today's class. An entry stays as long as a registered version may
# hold the former name; tests/artifacts/ has files of each generation
CLASS_ALIASES = {
    ("housing.blend", "Blend"): ClassAlias(
        "housing.models.blend",
        "Blend",
        {
            "wide": "near_models",
            "narrow": "far_models",
            "near": "near_weights",
            "far": "far_weights",
            "columns": "n_far_columns",
            "distance": "distance_column",
            "reach": "crossover_distance",
        },
    ),
    ("housing.features", "Neighbours"): ClassAlias(
        "housing.models.features",
        "NeighborFeatures",
        {
            "nearest": "neighbor_counts",
            "nearest_": "neighbor_counts_",
            "twins_": "duplicate_ids_",
            "first_": "first_column_",
            "values_": "targets_",
        },
    ),
    ("housing.features", "Places"): ClassAlias("housing.models.features", "LocationFeatures", {}),
    # a named tuple, stored by position: it has no attribute names
    ("housing.neighbours", "Space"): ClassAlias("housing.inference.neighbors", "DistanceSpace", {}),
    ("housing.network", "Network"): ClassAlias(
        "housing.models.mlp",
        "ClippedMLPRegressor",
        {
            "units": "hidden_layer_sizes",
            "batch": "batch_size",
            "low_": "clip_min_",
            "high_": "clip_max_",
        },
    ),
}


def load_model(folder: Path) -> RegressorMixin:
    """Load the scikit-learn model of an MLflow model's folder.

    MLflow itself trusts the types that the folder names, and loads a pickle if the folder says so:
    a writer of the folder could run any code. Here the project's own list decides. Raises
    ValueError for another format, and for a file that is damaged or holds a type that is not in
    `TRUSTED_TYPES`.
    """
    flavor = yaml.safe_load((folder / "MLmodel").read_text())["flavors"].get("sklearn", {})
    serialization_format = flavor.get("serialization_format", "pickle")
    if serialization_format != SERIALIZATION_FORMAT:
        raise ValueError(
            f"the model in {folder} is stored as {serialization_format}, expected "
            f"{SERIALIZATION_FORMAT}: loading it could run any code, so it was not loaded; "
            "train the model again"
        )
    return load_skops_file(folder / Path(flavor["pickled_model"]).name)


def load_skops_file(path: Path) -> Any:
    """Return the object in a skops file, of today's classes. Raises ValueError as `load_model`."""
    import skops.io  # not at the top: the service has no scikit-learn
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        content = rename_stored_classes(path.read_bytes())
        return skops.io.loads(content, trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as error:
        raise ValueError(
            f"{path} was not loaded: it holds types that no model of this project needs: {error}. "
            "The trusted types are listed in housing/models/persistence.py"
        ) from None
    except (BadZipFile, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ValueError(f"{path} is not a readable model: {error}") from error


def rename_stored_classes(content: bytes) -> bytes:
    """Return a skops archive in which former classes and their attributes have today's names.

    content: the archive's bytes; returned unchanged if it names no former class. Only the schema
    is rewritten, and the trusted types are checked afterwards, so an alias can lead to nothing
    that is not trusted. Raises BadZipFile, KeyError or ValueError for a damaged archive.
    """
    with ZipFile(BytesIO(content)) as archive:
        schema_text = archive.read(SCHEMA_FILE)
        if not any(f'"{module}"'.encode() in schema_text for module, _ in CLASS_ALIASES):
            return content
        schema = json.loads(schema_text, object_hook=_rename_class)
        renamed = BytesIO()
        with ZipFile(renamed, "w") as renamed_archive:
            for member in archive.infolist():
                is_schema = member.filename == SCHEMA_FILE
                renamed_archive.writestr(
                    member, json.dumps(schema) if is_schema else archive.read(member)
                )
    return renamed.getvalue()


def _rename_class(node: dict[str, Any]) -> dict[str, Any]:
    """Return an object of the schema; one of a former class has today's class and attributes.

    Its attributes are the keys of the dictionary that it holds.
    """
    alias = CLASS_ALIASES.get((str(node.get("__module__")), str(node.get("__class__"))))
    if alias:
        node |= {"__module__": alias.module, "__class__": alias.name}
        state = node.get("content")
        if alias.attributes and isinstance(state, dict) and isinstance(state.get("content"), dict):
            state["content"] = {
                alias.attributes.get(name, name): value for name, value in state["content"].items()
            }
    return node
