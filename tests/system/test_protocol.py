"""A client of `mlflow models serve` moves by changing the address: same paths, bodies, answers."""

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
from tests.system.conftest import free_port, managed_process, running_service, wait_for_response

pytestmark = pytest.mark.slow
JSON = "application/json"


@pytest.fixture(scope="module")
def both(pipeline_home):
    """The addresses of MLflow's own server and of ours, with the same model."""
    port = free_port()
    environment = {**os.environ, "HOUSING_HOME": str(pipeline_home)}
    uri = subprocess.run(
        [sys.executable, "-c", "from housing.tracking import store; print(store.tracking_uri())"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    with (
        managed_process(
            Path(sys.executable).with_name("mlflow"), "models", "serve", "--env-manager", "local",
            "-m", "models:/california-housing-sample@champion", "-p", str(port),
            env=environment | {"MLFLOW_TRACKING_URI": uri, "PATH": f"{Path(sys.executable).parent}:"
                               f"{os.environ['PATH']}"},
        ),
        running_service(pipeline_home) as ours,
    ):  # fmt: skip
        theirs = f"http://127.0.0.1:{port}"
        wait_for_response(f"{theirs}/ping")
        wait_for_response(f"{ours}/ready")
        yield theirs, ours


@pytest.fixture(scope="module")
def rows(pipeline_home):
    os.environ["HOUSING_HOME"] = str(pipeline_home)
    try:
        return splitting.read_split().test[FEATURE_NAMES].head(20)
    finally:
        del os.environ["HOUSING_HOME"]


def post(address, body, kind):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/invocations", content, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def forms(rows):
    more = rows.assign(note="new")[[*reversed(FEATURE_NAMES), "note"]]
    return {
        "split": ({"dataframe_split": rows.to_dict("split")}, JSON),
        "split in another order, with a column more":
            ({"dataframe_split": more.to_dict("split")}, JSON),
        "records": ({"dataframe_records": rows.to_dict("records")}, JSON),
        "instances": ({"instances": rows.to_dict("records")}, JSON),
        "inputs by row": ({"inputs": rows.to_dict("records")}, JSON),
        "inputs by column": ({"inputs": rows.to_dict("list")}, JSON),
        "inputs, one": ({"inputs": rows.iloc[0].to_dict()}, JSON),
        "csv": (rows.to_csv(index=False).encode(), "text/csv"),
        "parquet": (rows.to_parquet(), "application/vnd.apache.parquet"),
    }  # fmt: skip


def test_every_form_gets_the_same_answer(both, rows):
    for name, (body, kind) in forms(rows).items():
        (status, theirs), (our_status, ours) = (post(one, body, kind) for one in both)
        assert (status, our_status) == (200, 200), (name, theirs, ours)
        assert list(json.loads(ours)) == list(json.loads(theirs)) == ["predictions"], name
        expected, found = (json.loads(one)["predictions"] for one in (theirs, ours))
        assert found == pytest.approx(expected, rel=1e-12), name


def test_what_is_refused_there_is_refused_here_in_the_same_form(both, rows):
    record = rows.to_dict("records")[0]
    for body in (
        [record], {}, {"dataframe_records": []}, {"dataframe_records": 3}, {"nothing": 1},
        {"dataframe_records": [{name: it for name, it in record.items() if name != "MedInc"}]},
        {"dataframe_records": [record | {"MedInc": "a lot"}]}, b"{", b"\xff",
    ):  # fmt: skip
        (status, theirs), (our_status, ours) = (post(one, body, JSON) for one in both)
        assert our_status == 400, (body, ours)
        assert set(json.loads(ours)) == {"error_code", "message"}
        assert status >= 400, (body, theirs)
    for one in both:
        assert post(one, b"x", "text/plain")[0] == 415


def test_health_and_version_are_said_as_there(both):
    for path in ("/ping", "/version"):
        theirs, ours = (wait_for_response(f"{one}{path}") for one in both)
        assert theirs == ours
