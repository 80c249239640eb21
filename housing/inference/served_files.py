"""Load what the service answers with from the files of a version, and check it on its examples."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from housing.inference import served_model, training_domain
from housing.inference.served_model import ServedModel
from housing.inference.training_domain import TrainingDomain

GRAPH_FILE_NAME, EXAMPLES_FILE_NAME = "model.onnx", "examples.json"
DOMAIN_FILE_NAME = "domain.json"
EXAMPLE_TOLERANCE = 1e-9  # relative and absolute, of a prediction from its recorded example


class ServedFiles(NamedTuple):
    """What the files of a version hold, ready to answer."""

    model: ServedModel
    training_domain: TrainingDomain | None  # None for a version that was registered without one


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a version by name, without those that are still being written."""
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def load(label: str, files: Mapping[str, bytes]) -> ServedFiles:
    """Load graph and training domain; check that the graph answers its examples as recorded.

    label: what an error calls the version. Raises ValueError if a file is missing or damaged, or if
    an answer differs.
    """
    for name in (GRAPH_FILE_NAME, EXAMPLES_FILE_NAME):
        if name not in files:
            raise ValueError(f"{label} has no {name}")
    domain = None
    try:
        if DOMAIN_FILE_NAME in files:
            domain = training_domain.from_json(files[DOMAIN_FILE_NAME])
        model = served_model.load(files[GRAPH_FILE_NAME])
    except ImportError as error:
        raise ValueError(f"{label} cannot be run here: {error}") from error
    except Exception as error:  # onnxruntime's errors have no base class of their own
        raise ValueError(f"{label} holds no graph that can be read") from error
    _check_examples(label, model, files[EXAMPLES_FILE_NAME])
    return ServedFiles(model, domain)


def _check_examples(label: str, model: ServedModel, content: bytes) -> None:
    try:
        examples = json.loads(content)
        names = [name for name in ("predictions", "lows", "highs") if name in examples]
        expected = np.stack([np.array(examples[name], float) for name in names], 1)
        predictions = predict_all(model, np.array(examples["rows"]))[:, : len(names)]
    except Exception as error:  # the file may hold anything
        raise ValueError(f"{label} cannot answer its recorded examples: {error}") from error
    if predictions.shape != expected.shape:
        raise ValueError(f"{label} does not answer its recorded examples as recorded")
    is_close = np.isclose(predictions, expected, rtol=EXAMPLE_TOLERANCE, atol=EXAMPLE_TOLERANCE)
    wrong_rows = np.flatnonzero(~is_close.all(axis=1))
    if len(wrong_rows):
        row = wrong_rows[0]
        column = np.flatnonzero(~is_close[row])[0]
        raise ValueError(
            f"{label} does not answer its recorded examples as recorded: its graph predicts "
            f"{predictions[row, column]:.9f} for example row {row + 1}, expected "
            f"{expected[row, column]:.9f} ({len(wrong_rows)} of {len(expected)} rows differ)"
        )


def predict_all(model: ServedModel, rows: np.ndarray) -> np.ndarray:
    """Return (n, 1) house values in $100,000 for (n, 8) rows, or (n, 3) with low and high."""
    outputs = served_model.raw_outputs(model, rows)
    return model.compute_intervals(outputs) if model.compute_intervals else outputs
