"""Make a home of the service: tracking store, registered models, prediction log and API keys.

Run it at commit a728a4f, in that checkout and with its own environment:

    PYTHONPATH=. .venv/bin/python path/to/make_service_home.py

It writes the folder service_home/ beside itself. var/ is as a user would have it, but for
mlflow.sql, the text of mlflow.db, and without what is only a cache. expected/ has what the commands
and the service said. {HOME} and {HOME_URI} stand for the home's path.
"""

import contextlib
import io
import json
import os
import shutil
import sqlite3
from pathlib import Path

ARTIFACTS = Path(__file__).parent / "service_home"
HOME = Path("/tmp/a728a4f/a home")  # the space is quoted in a URI
NAME = "california-housing-sample"
TRAINING_ROWS = (600, 660, 720)  # of the versions 1, 2 and 3
FAR_AWAY = {"Latitude": 41.9, "Longitude": -124.3}  # from all training rows
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
KEYS = {"ann": 0, "dashboard": 3}  # name -> requests a minute, 0 for any number
STORED_NAMES = (
    "artifacts", "serving", "archive", "logs.db", "api.log", "access.log", "keys.json",
)  # fmt: skip


def main():
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    os.environ["HOUSING_HOME"] = str(HOME)
    keys = make_keys()
    register(1, who="ann")
    answers = {"1": ask(keys["ann"])}
    run_command("archive", "logs", ["--archive", "0s"])
    register(2, who="ann")
    promote_by_hand("2", who="ben")
    register(3, who="ann")
    move_back_and_forth()
    answers["2"] = ask(keys["ann"])
    ask_what_is_refused(keys)
    expected = HOME / "expected"
    (expected / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")
    (expected / "api_keys.json").write_text(json.dumps(keys, indent=1) + "\n")
    (expected / "predictions.json").write_text(json.dumps(look_up(keys), indent=1) + "\n")
    shutil.rmtree(HOME / "data")  # it is not stored
    write_command_texts()
    store()


def run_command(name, command, arguments):
    """Run a command of run_pipeline.py; write to expected/ what it printed."""
    from housing import logs, operate

    commands = {
        "logs": logs.logs,
        "champions": operate.champions,
        "promote": operate.promote,
        "rollback": operate.rollback,
        "trace": operate.tracing(),
    }
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exit_code = commands[command](arguments)
    assert exit_code == (command == "trace"), (command, arguments, output.getvalue())
    file = HOME / "expected" / f"{name}.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text(output.getvalue())


def make_keys():
    from app import keys

    secrets = {}
    for name, limit in KEYS.items():
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            keys.main(["add", name, "--per-minute", str(limit)])
        secrets[name] = output.getvalue().strip()
    return secrets


def register(number, who):
    """Train a small linear model as a run of the pipeline does, and register it."""
    from housing import intervals, models, tracking
    from tests import conftest

    # small files: their accuracy does not matter
    intervals.PARAMS["max_iter"] = 3
    linear = models.FAMILIES["linear"]
    models.FAMILIES["linear"] = linear._replace(first={"degree": 1, "alpha": 1.0})
    run = f"20261128-08{number:02}00-000{number}"
    environment = {
        "HOUSING_WHO": who,
        "PIPELINE_RUN_ID": run,
        "PIPELINE_REPORT": f"reports/{run}/03_register.html",
        "PIPELINE_NOTEBOOK": "03_register_small.ipynb",
        "PIPELINE_CODE": f"{number:064x}",
        "PIPELINE_COMMAND": "python run_pipeline.py -p prep.source=sample",
    }
    os.environ.update(environment)
    log_candidates = tracking.log_candidates
    tracking.log_candidates = lambda searches, split, _training, evidence: log_candidates(
        searches, split, run, evidence
    )
    split = conftest.log_candidates(["linear"], rows=TRAINING_ROWS[number - 1], trials=2)
    tracking.log_candidates = log_candidates
    conftest.promote(split, "linear", examples=5)
    for variable in environment:
        del os.environ[variable]


def promote_by_hand(version, who):
    os.environ["HOUSING_WHO"] = who
    arguments = [version, "--reason", "asked by the county", "--against-the-gate"]
    run_command("promote", "promote", arguments)


def move_back_and_forth():
    os.environ["HOUSING_WHO"] = "ann"
    run_command("rollback", "rollback", ["--reason", "too dear in Fresno"])
    run_command("promote", "promote", ["2", "--reason", "it was the map", "--against-the-gate"])


def ask(key):
    """Ask the service for predictions; return request -> response, without what differs by time."""
    from app import create_app, follow
    from housing.schema import FEATURES

    example = {name: feature.example for name, feature in FEATURES.items()}
    cheap = example | {"MedInc": 1.5, "HouseAge": 40, "Latitude": 36.75, "Longitude": -119.78}
    split = {"columns": list(example), "data": [list(example.values()), list(cheap.values())]}
    requests = [
        ("/predict", example, {"X-Request-ID": "order-17", "traceparent": TRACEPARENT}),
        ("/predict", [example, cheap, example | FAR_AWAY], {}),
        ("/predict?explain=true", cheap, {"X-Request-ID": "order-18"}),
        ("/invocations", {"dataframe_split": split}, {}),
        ("/invocations", {"inputs": [cheap]}, {"X-Request-ID": "order-19"}),
    ]
    follow.refresh(HOME / "var" / "serving")
    client = create_app().test_client()
    answers = []
    for path, body, headers in requests:
        response = client.post(path, json=body, headers={"X-API-Key": key, **headers})
        assert response.status_code == 200, response.text
        answers.append({"path": path, "request": body, "response": response.json})
    return answers


def ask_what_is_refused(keys):
    """Send requests that are refused, and more than a key allows."""
    from app import create_app
    from housing.schema import FEATURES

    example = {name: feature.example for name, feature in FEATURES.items()}
    client, headers = create_app().test_client(), {"X-API-Key": keys["ann"]}
    statuses = [
        client.post("/predict", json=example | {"MedInc": -1}, headers=headers).status_code,
        client.post("/predict", json=[example, {"MedInc": 3}], headers=headers).status_code,
        client.post(
            "/predict", data=b"{", headers=headers | {"Content-Type": "application/json"}
        ).status_code,
        client.post(
            "/predict", data=b"<a/>", headers=headers | {"Content-Type": "text/xml"}
        ).status_code,
        client.post("/invocations", json={"rows": []}, headers=headers).status_code,
        client.post("/predict", json=example).status_code,  # not logged
    ]
    assert statuses == [422, 422, 400, 415, 400, 401], statuses
    dashboard = {"X-API-Key": keys["dashboard"]}
    statuses = [
        client.post("/predict", json=example, headers=dashboard).status_code for _ in "1234"
    ]
    assert statuses == [200, 200, 200, 429], statuses
    client.application.extensions["log"].tend()


def look_up(keys):
    """Return path -> what the service says of its log."""
    from app import create_app

    client, headers = create_app().test_client(), {"X-API-Key": keys["ann"]}
    recent = client.get("/predictions", headers=headers).json
    paths = [f"/predictions/{row['id']}" for row in recent["predictions"][::5]]
    answers = {path: client.get(path, headers=headers).json for path in paths}
    return {"/predictions": recent, **answers}


def write_command_texts():
    with contextlib.closing(sqlite3.connect(HOME / "var" / "logs.db")) as database:
        rows = database.execute("SELECT id, status FROM prediction ORDER BY rowid").fetchall()
    with contextlib.closing(sqlite3.connect(archive())) as database:
        [[archived]] = database.execute("SELECT id FROM prediction ORDER BY rowid LIMIT 1")
    refused = next(row_id for row_id, status in rows if status == 422)
    texts = {
        "logs": [],
        "logs_errors": ["--problem"],
        "logs_warnings": ["--warned"],
        "logs_place": ["--place", "36.7,-119.8,50"],
        "logs_dear": ["--min-usd", "300000", "--version", "2"],
        "logs_request": ["--request", "order-18"],
        "logs_archived": ["--from", str(archive())],
        "logs_json": ["--json"],
        "logs_summary": ["--summary"],
        "logs_summary_json": ["--summary", "--json"],
    }
    for name, arguments in texts.items():
        run_command(name, "logs", arguments)
    run_command("champions", "champions", ["--all"])
    traced = {
        "prediction": rows[0][0],
        "refused": refused,
        "archived": archived,
        "champion": "champion",
        "report": "20261128-080300-0003",
    }
    for name, identifier in traced.items():
        run_command(f"trace_{name}", "trace", [identifier])
    (HOME / "expected" / "traced.json").write_text(json.dumps(traced, indent=1) + "\n")


def archive():
    [file] = (HOME / "var" / "archive").glob("logs-*.db")
    return file


def store():
    """Copy the home beside this file, its path replaced by placeholders."""
    shutil.rmtree(ARTIFACTS, ignore_errors=True)
    var = HOME / "var"
    for name in STORED_NAMES:
        copy = shutil.copytree if (var / name).is_dir() else shutil.copy
        (ARTIFACTS / "var").mkdir(parents=True, exist_ok=True)
        copy(var / name, ARTIFACTS / "var" / name)
    shutil.copytree(HOME / "expected", ARTIFACTS / "expected")
    with contextlib.closing(sqlite3.connect(var / "mlflow.db")) as database:
        text = "\n".join(database.iterdump()) + "\n"
    (ARTIFACTS / "var" / "mlflow.sql").write_text(text)
    unread = ("wheels/*.whl", "conda.yaml", "python_env.yaml", "*.lock")
    for pattern in unread:
        for file in (ARTIFACTS / "var").rglob(pattern):
            file.unlink()
    for file in ARTIFACTS.rglob("*"):
        if file.suffix in (".db", ".skops", ".onnx") or file.is_dir():
            continue
        text = file.read_text().replace(HOME.as_uri(), "{HOME_URI}").replace(str(HOME), "{HOME}")
        file.write_text(text.replace(str(Path(__file__).parent), "."))


if __name__ == "__main__":
    main()
