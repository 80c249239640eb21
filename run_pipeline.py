"""Run the pipeline: prepare the data, train, and register the best model if it passes the gate."""

import os
import sys
from functools import partial
from pathlib import Path

from pipeline import startup

try:
    from housing import paths
    from housing.cli import champion, feedback, logs, score
    from housing.data import dvc_changes
    from housing.monitoring.notification.notifier import notify_finished_step
    from housing.monitoring.verdict import Verdict
    from housing.retraining import feedback_state
    from housing.tracking import probe
    from pipeline import FollowUp, Option, Step, main
    from pipeline.staleness.source_code import notebook_digest
except Exception as error:  # a missing package, or the syntax of a newer Python
    startup.explain_import_error(error)

NOTEBOOK_FOLDER = paths.PROJECT_ROOT / "notebooks"
# neither inputs nor outputs: MLflow adds a note to a model's folder when the model is loaded, and
# registration adds the served graph; the store, a search's cache and DVC's are not results either
IGNORED_FILES = (
    "registered_model_meta", "MLmodel", "requirements.txt", "*.db", "searches", ".dvc",
)  # fmt: skip
STEPS = [
    Step(
        "prep",
        NOTEBOOK_FOLDER / "01_prep.ipynb",
        source_state=feedback_state.read_feedback_state,
        # of the service's log, its true values alone count; the champion is shown, not used
        ignore=(".dvc", "*.db", *feedback_state.log_file_patterns()),
    ),
    Step(
        "train",
        NOTEBOOK_FOLDER / "02_train.ipynb",
        retries=1,
        external_state=probe.store_identity,
        # the package is stored beside the model; of its modules, those that are imported count
        ignore=(*IGNORED_FILES, "*.py"),
    ),
    Step(
        "register",
        NOTEBOOK_FOLDER / "03_register.ipynb",
        retries=1,
        external_state=probe.registry_state,
        ignore=IGNORED_FILES,
    ),
    Step(
        "monitor",
        NOTEBOOK_FOLDER / "04_monitor.ipynb",
        ignore=IGNORED_FILES,
        on_demand=True,
        verdicts=tuple(Verdict),
        on_finish=notify_finished_step,
        follow_up=FollowUp(
            "--retrain-on",
            {"labelled": "yes"},
            "train on the labelled rows too, and register if the gate passes, if the verdict is "
            "this or worse",
        ),
    ),
]
DASK_OPTION = Option(
    "HOUSING_DASK",
    "ADDRESS",
    "run the search's trials on a Dask scheduler (tcp://host:8786), or local; the results are the "
    "same",
)
COMMANDS = [
    score.add_command,
    partial(champion.add_commands, hash_notebook=notebook_digest),
    feedback.add_command,
    lambda add_command: logs.add_arguments(add_command("logs", logs.logs)),
]

if __name__ == "__main__":
    # a relative path is meant from here, although the notebooks run in their own folder
    os.environ["HOUSING_STARTED_IN"] = str(Path.cwd())
    sys.exit(
        main(
            STEPS,
            home=paths.home(),
            project_folder=paths.PROJECT_ROOT,
            commands=COMMANDS,
            environment=probe.MLFLOW_ENVIRONMENT,
            options={"--dask": DASK_OPTION},
            pinned_runs=probe.pinned_runs,
            grouping_fact="data",
            compare_commits=dvc_changes.compare_data_files,
            variables=("HOUSING_HOME",),
        )
    )
