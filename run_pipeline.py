"""The front door: `python run_pipeline.py` prepares the data, trains, and registers the best."""

import sys

from housing import paths
from housing.cli import champion, logs, score
from housing.tracking import probe
from pipeline import Option, Step, main
from pipeline.staleness import fingerprint

NOTEBOOK_FOLDER = paths.PROJECT_ROOT / "notebooks"
# MLflow writes a note into a model's folder when it is loaded, the registration the served graph;
# the store itself, and what a search keeps for the next one, are no results; the lock is only noted
IGNORED_OUTPUTS = ("registered_model_meta", "MLmodel", "requirements.txt", "*.db", "searches/*")
STEPS = [
    Step("prep", NOTEBOOK_FOLDER / "01_prep.ipynb"),
    Step(
        "train",
        NOTEBOOK_FOLDER / "02_train.ipynb",
        retries=1,
        external_state=probe.store_identity,
        ignore=IGNORED_OUTPUTS,
    ),
    Step(
        "register",
        NOTEBOOK_FOLDER / "03_register.ipynb",
        retries=1,
        external_state=probe.registry_state,
        ignore=IGNORED_OUTPUTS,
    ),
]
DASK_OPTION = Option("HOUSING_DASK", "ADDRESS", "where the search's trials run: a Dask scheduler "
              "(tcp://host:8786), or local; the results are the same")  # fmt: skip

if __name__ == "__main__":
    sys.exit(
        main(
            STEPS,
            home=paths.home(),
            commands={
                "score": score.score_files,
                "champions": champion.show_champions,
                "promote": champion.promote,
                "rollback": champion.rollback,
                "trace": champion.make_trace_command(fingerprint.notebook_digest),
                "logs": logs.logs,
            },
            environment=probe.MLFLOW_ENVIRONMENT,
            pinned_runs=probe.pinned_runs,
            options={"--dask": DASK_OPTION},
        )
    )
