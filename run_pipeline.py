"""The front door: `python run_pipeline.py` prepares the data, trains, and registers the best."""

import sys

from housing import paths
from housing.cli import champion, logs, score
from housing.tracking import probe
from pipeline import Option, Step, main
from pipeline.staleness import fingerprint

NOTEBOOKS = paths.CHECKOUT / "notebooks"
# MLflow writes a note into a model's folder when it is loaded, the registration the served graph;
# the store itself, and what a search keeps for the next one, are no results; the lock is only noted
NOTES = ("registered_model_meta", "MLmodel", "requirements.txt", "*.db", "searches/*")
STEPS = [
    Step("prep", NOTEBOOKS / "01_prep.ipynb"),
    Step("train", NOTEBOOKS / "02_train.ipynb", retries=1, watch=probe.store, ignore=NOTES),
    Step(
        "register", NOTEBOOKS / "03_register.ipynb", retries=1, watch=probe.champions, ignore=NOTES
    ),
]
DASK = Option("HOUSING_DASK", "ADDRESS", "where the search's trials run: a Dask scheduler "
              "(tcp://host:8786), or local; the results are the same")  # fmt: skip

if __name__ == "__main__":
    sys.exit(
        main(
            STEPS,
            home=paths.home(),
            commands={
                "score": score.score,
                "champions": champion.champions,
                "promote": champion.promote,
                "rollback": champion.rollback,
                "trace": champion.tracing(fingerprint.digest),
                "logs": logs.logs,
            },
            environment=probe.MLFLOW,
            keeps=probe.runs_in_use,
            options={"--dask": DASK},
        )
    )
