"""Write small model files whose classes have the names of before housing/ was split into packages.

Run it at commit a728a4f, with that checkout's own environment, from any folder:

    .venv/bin/python path/to/make_artifacts.py

It writes beside itself a skops file for each family of models, for the stand-in without LightGBM
and for an interval model, and expected.json: some rows, and each model's predictions for them.
tests/housing/models/test_persistence.py loads them with today's classes.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import skops.io

from housing import intervals, models
from housing.sample import sample
from housing.schema import NAMES, TARGET

FOLDER = Path(__file__).parent
N_TRAINING_ROWS = 120
N_PREDICTED_ROWS = 12
# few and small trees and layers: the files shall be small, their accuracy does not matter
SMALL_BOOSTING = {"trees": 3, "leaves": 5, "narrow_trees": 3}
PARAMS = {
    "linear": {"degree": 1},
    "tree": {"max_depth": 4},
    "forest": {"n_estimators": 3, "min_samples_leaf": 12},
    "boosting": SMALL_BOOSTING,
    "neighbours": SMALL_BOOSTING,
    "blend": SMALL_BOOSTING | {"networks": 2},
}
SMALL_LAYERS = (6, 4)
INTERVAL_ITERATIONS = 5


def main():
    train, rows = sample(N_TRAINING_ROWS), sample(N_PREDICTED_ROWS, seed=1)[NAMES]
    rows.loc[0, ["Latitude", "Longitude"]] = [41.9, -124.3]  # far from all training rows
    predictions = {}
    for name, model in fit_models(train).items():
        skops.io.dump(model, FOLDER / f"{name}.skops", compression=zipfile.ZIP_DEFLATED)
        predictions[name] = model.predict(rows).tolist()
    model = fit_intervals(train)
    (FOLDER / "intervals.skops").write_bytes(model.dumps())
    low, high = model.predict(rows.to_numpy(), np.array(predictions["linear"]))
    expected = {
        "rows": rows.to_numpy().tolist(),
        "predictions": predictions,
        "intervals": {"low": low.tolist(), "high": high.tolist()},  # of the linear predictions
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def fit_models(train):
    fitted = {}
    for name, params in PARAMS.items():
        family = models.FAMILIES[name]
        model = family.build(family.first | params, 0)
        shrink_networks(model)
        fitted[name] = model.fit(train[NAMES], train[TARGET])
    models.LGBMRegressor = None
    boosting = models.boosting(models.TREES | SMALL_BOOSTING, 0)
    fitted["boosting_without_lightgbm"] = boosting.fit(train[NAMES], train[TARGET])
    return fitted


def shrink_networks(model):
    blend = getattr(model, "named_steps", {}).get("blend")
    for member in [*blend.wide, *blend.narrow] if blend else []:
        if hasattr(member, "units"):
            member.set_params(units=SMALL_LAYERS, epochs=2)


def fit_intervals(train):
    intervals.PARAMS["max_iter"] = INTERVAL_ITERATIONS
    truth = train[TARGET].to_numpy()
    return intervals.calibrate(train[NAMES].to_numpy(), truth, np.full(len(train), truth.mean()))


if __name__ == "__main__":
    main()
