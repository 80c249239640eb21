"""A client of `mlflow models serve` moves here by changing the address alone.

Paths, bodies and answers are the same.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from housing.data import splitting
from housing.schema import FEATURE_NAMES
from tests.support.processes import free_port, managed_process, running_service, wait_for_response

pytestmark = pytest.mark.slow
JSON = "application/json"


@pytest.fixture(scope="module")
def servers(pipeline_home):
    """Yield the addresses of MLflow's own server and of our service, with the same model."""
    port = free_port()
    environment = {**os.environ, "HOUSING_HOME": str(pipeline_home)}
    uri = subprocess.run(
        [sys.executable, "-c", "from housing.tracking import store; print(store.tracking_uri())"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    with (
        managed_process(
            Path(sys.executable).with_name("mlflow"),
            "models",
            "serve",
            "--env-manager",
            "local",
            "-m",
            "models:/california-housing-sample@champion",
            "-p",
            str(port),
            env=environment
            | {
                "MLFLOW_TRACKING_URI": uri,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
        ),
        running_service(pipeline_home) as our_address,
    ):
        mlflow_address = f"http://127.0.0.1:{port}"
        wait_for_response(f"{mlflow_address}/ping")
        wait_for_response(f"{our_address}/ready")
        yield mlflow_address, our_address


@pytest.fixture(scope="module")
def rows(pipeline_home):
    """Return twenty block groups of the test set, (20, 8)."""
    os.environ["HOUSING_HOME"] = str(pipeline_home)
    try:
        return splitting.read_split().test[FEATURE_NAMES].head(20)
    finally:
        del os.environ["HOUSING_HOME"]


def post(address, body, media_type):
    """Return the status and the body of POST /invocations."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{address}/invocations", content, {"Content-Type": media_type}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def request_bodies(rows):
    """Return name -> (body, media type) of every form of request that MLflow's server takes."""
    extra_column = rows.assign(note="new")[[*reversed(FEATURE_NAMES), "note"]]
    return {
        "split": ({"dataframe_split": rows.to_dict("split")}, JSON),
        "split in another order, with an extra column": (
            {"dataframe_split": extra_column.to_dict("split")},
            JSON,
        ),
        "records": ({"dataframe_records": rows.to_dict("records")}, JSON),
        "instances": ({"instances": rows.to_dict("records")}, JSON),
        "inputs by row": ({"inputs": rows.to_dict("records")}, JSON),
        "inputs by column": ({"inputs": rows.to_dict("list")}, JSON),
        "inputs, a single row": ({"inputs": rows.iloc[0].to_dict()}, JSON),
        "csv": (rows.to_csv(index=False).encode(), "text/csv"),
        "parquet": (rows.to_parquet(), "application/vnd.apache.parquet"),
    }


def test_every_form_gets_the_same_answer(servers, rows):
    for name, (body, media_type) in request_bodies(rows).items():
        mlflow_response, our_response = (post(server, body, media_type) for server in servers)
        (mlflow_status, mlflow_body), (our_status, our_body) = mlflow_response, our_response
        assert (mlflow_status, our_status) == (200, 200), (name, mlflow_body, our_body)
        assert list(json.loads(our_body)) == list(json.loads(mlflow_body)) == ["predictions"], name
        expected, predictions = (
            json.loads(body)["predictions"] for body in (mlflow_body, our_body)
        )
        assert predictions == pytest.approx(expected, rel=1e-12), name


def test_a_request_that_mlflow_refuses_is_refused_in_the_same_form(servers, rows):
    record = rows.to_dict("records")[0]
    for body in (
        [record],
        {},
        {"dataframe_records": []},
        {"dataframe_records": 3},
        {"nothing": 1},
        {
            "dataframe_records": [
                {name: value for name, value in record.items() if name != "MedInc"}
            ]
        },
        {"dataframe_records": [record | {"MedInc": "a lot"}]},
        b"{",
        b"\xff",
    ):
        (mlflow_status, mlflow_body), (our_status, our_body) = (
            post(server, body, JSON) for server in servers
        )
        assert our_status == 400, (body, our_body)
        assert set(json.loads(our_body)) == {"error_code", "message"}
        assert mlflow_status >= 400, (body, mlflow_body)
    for server in servers:
        assert post(server, b"x", "text/plain")[0] == 415


def test_health_and_version_are_the_same_as_mlflow_s(servers):
    for path in ("/ping", "/version"):
        mlflow_body, our_body = (wait_for_response(f"{server}{path}") for server in servers)
        assert mlflow_body == our_body
