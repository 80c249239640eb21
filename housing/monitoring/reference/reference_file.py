"""The file of a reference: stored with the model version, and recomputed for one without it.

An archive of arrays that numpy reads without pickle.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from housing.data import splitting
from housing.data.splitting import TrainTestSplit
from housing.evaluation.calibration import IntervalPrediction
from housing.inference import served_files, training_domain
from housing.inference.served_files import ServedFiles
from housing.monitoring.counts import RowCounts
from housing.monitoring.quantities import Dimension, HistogramKey
from housing.monitoring.reference.estimated_error import ErrorTable
from housing.monitoring.reference.held_out import Reference, build_reference, fit_domain
from housing.monitoring.reference.rank_scale import RankScale
from housing.registry import artifacts
from housing.registry.artifacts import ModelVersion
from housing.schema import FEATURE_NAMES

FORMAT_VERSION = 1


def to_bytes(reference: Reference) -> bytes:
    """Return the content of a reference's file."""
    counts, table = reference.counts, reference.error_table
    header = {
        "format": FORMAT_VERSION,
        "model_name": reference.model_name,
        "model_version": reference.model_version,
        "row_count": reference.row_count,
        "histograms": [list(key) for key in counts.histograms],
        "moments": [list(key) for key in counts.moments],
    }
    arrays = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "histograms": np.concatenate([np.empty(0), *counts.histograms.values()]),
        "histogram_lengths": np.array([len(array) for array in counts.histograms.values()], int),
        "moments": np.array([*counts.moments.values()]).reshape(-1, 3),
        "error_widths": table.widths,
        "errors_usd": table.errors_usd,
        "training_places": reference.training_places,
        "sample": reference.sample.to_numpy(float),
        "sample_rows": reference.sample.index.to_numpy(int),
        **{f"factors/{number}": factors for number, factors in enumerate(table.factors)},
        **{f"prediction/{name}": array for name, array in reference.prediction_by_value.items()},
    }
    for name, scale in reference.rank_scales.items():
        arrays[f"ranks/{name}"] = np.stack([scale.edges, scale.below, scale.above])
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def from_bytes(content: bytes) -> Reference:
    """Return the reference that `to_bytes` wrote. Raises ValueError if it cannot be read."""
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            arrays = dict(archive)
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT_VERSION:
            raise ValueError(
                f"it has the format {header['format']}, and this version of the project reads "
                f"format {FORMAT_VERSION}"
            )
        return _from_arrays(header, arrays)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"the monitoring's reference cannot be read: {error}") from error


def _from_arrays(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Reference:
    ends = np.cumsum(arrays["histogram_lengths"])[:-1]
    histograms = np.split(arrays["histograms"], ends) if header["histograms"] else []
    factors = _arrays_below("factors/", arrays)
    return Reference(
        rank_scales={
            name: RankScale(*array) for name, array in _arrays_below("ranks/", arrays).items()
        },
        error_table=ErrorTable(
            arrays["error_widths"], arrays["errors_usd"], tuple(factors.values())
        ),
        training_places=arrays["training_places"],
        model_name=header["model_name"],
        model_version=header["model_version"],
        row_count=header["row_count"],
        counts=RowCounts(
            _by_key(header["histograms"], histograms), _by_key(header["moments"], arrays["moments"])
        ),
        prediction_by_value=_arrays_below("prediction/", arrays),
        sample=pd.DataFrame(
            arrays["sample"], arrays["sample_rows"], [*FEATURE_NAMES, "prediction"]
        ),
    )


def _arrays_below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names have a prefix, by the rest of their names, in their order."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _by_key(keys: list[list[str]], arrays: Any) -> dict[HistogramKey, np.ndarray]:
    return {
        HistogramKey(quantity, Dimension(dimension), group): array
        for (quantity, dimension, group), array in zip(keys, arrays, strict=True)
    }


def load_reference(version: ModelVersion) -> Reference:
    """Return the reference of a registered version.

    It was stored with the version. For a version that was registered before there were references
    it is computed again, from the split that the version was trained on and its served graph.
    Raises ValueError, with the way out, if the files are gone or changed, or if that split is not
    here; StoreUnreachableError if they cannot be fetched now.
    """
    content = artifacts.read_reference(version)
    if content is not None:
        return replace(from_bytes(content), model_version=version.version)
    held_out = load_held_out(version)
    outputs = held_out.predict(held_out.split.test[FEATURE_NAMES].to_numpy(float))
    return build_reference(
        held_out.split.test,
        outputs,
        held_out.split.train,
        version.name,
        version.version,
        held_out.served.training_domain,
    )


class HeldOut(NamedTuple):
    """The split that a version was trained on, and what the version answers."""

    split: TrainTestSplit
    served: ServedFiles

    def predict(self, rows: np.ndarray) -> IntervalPrediction:
        """Predict (n, 8) rows; without intervals the ends are NaN."""
        outputs = served_files.predict_all(self.served.model, rows)
        no_ends = np.full((len(outputs), 3 - outputs.shape[1]), np.nan)
        return IntervalPrediction(*np.column_stack([outputs, no_ends]).T)

    def answer(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows with what the service would add: prediction, low, high and warned."""
        features = rows[FEATURE_NAMES].to_numpy(float)
        domain = self.served.training_domain or fit_domain(self.split.train)
        warnings = training_domain.out_of_domain_warnings(domain, features)
        return rows.assign(
            **self.predict(features)._asdict(), warned=[bool(texts) for texts in warnings]
        )


def load_held_out(version: ModelVersion) -> HeldOut:
    """Return the split and the served graph of a registered version.

    Raises ValueError, with the way out, if the files are gone or changed, or if that split is not
    here; StoreUnreachableError if they cannot be fetched now.
    """
    split = _training_split(version)
    folder = version.tags.get("served") or "served"
    with TemporaryDirectory() as download_folder:
        model_folder = artifacts.download(version, Path(download_folder), folder)
        files = served_files.read_files(model_folder / folder)
    return HeldOut(split, served_files.load(version.label, files))


def _training_split(version: ModelVersion) -> TrainTestSplit:
    """Return the split that a version was trained on. Raises ValueError if it is not here."""
    problem = "and there is no split here"
    try:
        split = splitting.read_split()
    except (LookupError, ValueError) as error:
        problem = f"and the split cannot be read: {error}"
    else:
        digests = split.manifest["sha256"]
        if all(version.tags.get(f"{part}_sha256") == digests[part] for part in ("raw", "train")):
            return split
        problem = (
            f"and the split here is another than the one it was trained on: its training part has "
            f"sha256 {digests['train'][:12]}…, expected "
            f"{version.tags.get('train_sha256', 'unknown')[:12]}…"
        )
    raise ValueError(
        f"{version.label} was registered without the held-out rows that the monitoring compares "
        f"the traffic with, {problem}. Run `run_pipeline.py` to register a version with them, or "
        "bring its split back (`make data-pull` at the commit that `run_pipeline.py trace` names)"
    )
