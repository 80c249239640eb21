"""A service that commit a728a4f ran: today's app goes on with its champion, log and API keys."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from app.model import registry_sync
from tests.artifacts.before_packages.former_home import copy_home
from tests.support.commands import run_command

NAME = "california-housing-sample"
# fields of a response that each request has anew
NEWER_FIELDS = {"interval_calibrated", "truth", "truth_usd", "feedback", "shadow"}
FIELDS_OF_A_REQUEST = {"id", "instance"}
N_ROWS = 16
REQUESTS_PER_MINUTE = 3  # of the key dashboard


@pytest.fixture
def former_home(home):
    return copy_home("service_home", home)


@pytest.fixture
def api_keys(former_home):
    """The API keys by name."""
    return json.loads((former_home.expected / "api_keys.json").read_text())


@pytest.fixture
def start_former_api(former_home, start_api):
    """Return a function that starts the API in the former home."""
    return lambda: start_api(SERVING=former_home.home / "var" / "serving")


def recorded_requests(former_home, version):
    """Return the requests that a version answered then, with the responses."""
    return json.loads((former_home.expected / "answers.json").read_text())[version]


def without_ids(content):
    """Return a response without the fields that are new in each."""
    if isinstance(content, list):
        return [without_ids(item) for item in content]
    if not isinstance(content, dict):
        return content
    return {
        name: without_ids(value)
        for name, value in content.items()
        if name not in FIELDS_OF_A_REQUEST
    }


def assert_same_response(response, recorded):
    """Fail unless both have the same fields and texts, and numbers that are equal but for 1e-9.

    A response may have newer fields too.
    """
    assert type(response) is type(recorded)
    if isinstance(recorded, dict):
        assert [name for name in response if name not in NEWER_FIELDS] == list(recorded)
        for name, value in recorded.items():
            assert_same_response(response[name], value)
    elif isinstance(recorded, list):
        assert len(response) == len(recorded)
        for item, recorded_item in zip(response, recorded, strict=True):
            assert_same_response(item, recorded_item)
    elif isinstance(recorded, float):
        assert response == pytest.approx(recorded, rel=1e-9, abs=1e-9)
    else:
        assert response == recorded


def assert_predicts_as_recorded(client, former_home, api_keys, version):
    for request in recorded_requests(former_home, version):
        response = client.post(
            request["path"], json=request["request"], headers={"X-API-Key": api_keys["ann"]}
        )
        assert response.status_code == 200
        assert_same_response(without_ids(response.json), without_ids(request["response"]))


def logged_rows(former_home):
    """Return the rows of the log by id, in the order they were written."""
    with closing(sqlite3.connect(former_home.home / "var" / "logs.db")) as database:
        database.row_factory = sqlite3.Row
        query = "SELECT * FROM prediction ORDER BY rowid"
        return {row["id"]: dict(row) for row in database.execute(query)}


def test_the_copy_of_the_champion_predicts_and_explains_without_the_registry(
    former_home, start_former_api, api_keys
):
    shutil.rmtree(former_home.home / "var" / "artifacts")
    (former_home.home / "var" / "mlflow.db").unlink()
    client = start_former_api()
    assert client.get("/ready").status_code == 200
    assert_predicts_as_recorded(client, former_home, api_keys, "2")


def test_the_champion_is_copied_again_and_a_rollback_is_followed(
    former_home, start_former_api, api_keys, capsys
):
    serving_folder = former_home.home / "var" / "serving"
    shutil.rmtree(serving_folder)
    registry_sync.sync_once(serving_folder)
    assert_predicts_as_recorded(start_former_api(), former_home, api_keys, "2")
    assert run_command("rollback", ["--reason", "too dear in Fresno"]) == 0
    assert registry_sync.sync_once(serving_folder).startswith(f"{NAME}-1-")
    assert_predicts_as_recorded(start_former_api(), former_home, api_keys, "1")


def test_predictions_are_appended_to_the_log(former_home, start_former_api, api_keys):
    rows_before = logged_rows(former_home)
    assert len(rows_before) == N_ROWS
    lines_before = (former_home.home / "var" / "api.log").read_text().splitlines()
    api, headers = start_former_api(), {"X-API-Key": api_keys["ann"]}
    [request, *_] = recorded_requests(former_home, "2")
    prediction = api.post("/predict", json=request["request"], headers=headers).json
    problem = api.post("/predict", json={"MedInc": -1}, headers=headers).json
    rows = logged_rows(former_home)
    assert list(rows) == [*rows_before, prediction["id"], problem["id"]]
    assert {row_id: rows[row_id] for row_id in rows_before} == rows_before
    former_row, row = rows_before[next(iter(rows_before))], rows[prediction["id"]]
    same_columns = (
        "status",
        "input",
        "model_name",
        "model_version",
        "run_id",
        "warnings",
        "caller",
    )
    assert [row[name] for name in same_columns] == [former_row[name] for name in same_columns]
    lines = (former_home.home / "var" / "api.log").read_text().splitlines()
    assert lines[: len(lines_before)] == lines_before
    new_fields = {"client", "method", "path"}
    former_fields = {tuple(json.loads(line)) for line in lines_before}
    assert {
        tuple(name for name in line if name not in new_fields) for line in api.log_lines()
    } == former_fields


def test_the_log_is_looked_up_as_before(former_home, start_former_api, api_keys):
    client, headers = start_former_api(), {"X-API-Key": api_keys["ann"]}
    recorded = json.loads((former_home.expected / "predictions.json").read_text())
    for path, response in recorded.items():
        assert_same_response(client.get(path, headers=headers).json, response)


def test_the_former_access_log_is_left_as_it_is(former_home, start_former_api):
    file = former_home.home / "var" / "access.log"
    bytes_before = file.read_bytes()
    start_former_api().get("/health")
    assert file.read_bytes() == bytes_before


def test_the_api_keys_hold(start_former_api, api_keys, block_group):
    client = start_former_api()
    statuses = [
        client.post("/predict", json=block_group, headers={"X-API-Key": key}).status_code
        for key in ("unknown", *[api_keys["dashboard"]] * (REQUESTS_PER_MINUTE + 1))
    ]
    assert statuses == [401, *[200] * REQUESTS_PER_MINUTE, 429]
    assert client.post("/predict", json=block_group).status_code == 401
