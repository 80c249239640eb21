"""The routes that tell an operator and other programs about the service."""

import html
import json

import pytest

from app.model import local_copy
from app.model.local_copy import RegistryStatus
from app.model.states import ModelState, explain_absence
from benchmarks.support.local_service import sum_metric
from tests.support.served_champion import (
    MODEL_DETAILS,
    MODEL_NAME,
    copy_serving_folder,
    serve_version,
    version_files,
)

IS_READY = {
    "status": "ready",
    "state": "baked",
    "model": MODEL_NAME,
    "model_version": "1",
    "registry": "not followed: the model came with the image",
}


@pytest.fixture
def serving_folder(served_champion, tmp_path):
    """A copy of the champion's files that a test may change."""
    return copy_serving_folder(served_champion, tmp_path / "serving")


def test_without_a_champion_the_service_is_alive_but_not_ready(
    start_api, serving_folder, block_group
):
    (serving_folder / "current.json").unlink()
    api = start_api(SERVING=serving_folder)
    assert api.get("/health").json == {"status": "alive"}
    assert api.get("/ping").status_code == 404
    for response in (api.get("/ready"), api.get("/model"), api.post("/predict", json=block_group)):
        assert (response.status_code, response.json["state"]) == (503, "baked")
        assert "this image has no model" in response.json["detail"]
    assert "This image has no model" in api.get("/").text
    assert api.get("/metrics").status_code == 200


def write_status(serving_folder, state, reason=""):
    """Write what the process that follows the registry writes, without a copy of a champion."""
    serving_folder.mkdir(exist_ok=True)
    status = local_copy.encode_status(RegistryStatus(state=state, reason=reason))
    (serving_folder / local_copy.STATUS_FILE_NAME).write_text(status)


FOLLOWED_STATES = [state for state in ModelState if not state.startswith(("baked", "damaged"))]


@pytest.mark.parametrize("api_host", ["flask"], indirect=True)
@pytest.mark.parametrize("state", FOLLOWED_STATES)
def test_each_state_without_a_model_is_named_by_every_route(
    start_api, tmp_path, block_group, state
):
    write_status(tmp_path / "serving", state, "what is known")
    api = start_api(SERVING=tmp_path / "serving")
    expected_state = ModelState.LOADING if state == ModelState.CURRENT else state
    absence = explain_absence(expected_state, "what is known")
    invocation = api.post("/invocations", json={"dataframe_records": [block_group]})
    assert invocation.json == {
        "error_code": "TEMPORARILY_UNAVAILABLE", "message": absence.sentence
    }  # fmt: skip
    responses = [api.get("/ready"), api.get("/model"), api.post("/predict", json=block_group)]
    for response in responses:
        assert response.json["detail"] == absence.sentence
        assert response.json["state"] == expected_state
    for response in [*responses, invocation]:
        assert response.status_code == 503
        assert response.headers["retry-after"] == str(absence.retry_after_seconds)
    ping = api.get("/ping")
    assert (ping.status_code, ping.text) == (404, f"{absence.sentence}\n")
    assert absence.sentence[1:] in html.unescape(api.get("/").text)
    assert [row["status"] for row in api.log_rows()] == [503, 503]


@pytest.mark.parametrize("api_host", ["flask"], indirect=True)
def test_a_copy_whose_registry_is_away_or_refuses_its_champion_says_which(
    start_api, serving_folder
):
    api = start_api(SERVING=serving_folder)
    write_status(serving_folder, ModelState.LOGIN_REFUSED)
    assert api.get("/ready").json["state"] == "login_refused"
    assert "it refuses the login" in api.get("/ready").json["registry"]
    status = RegistryStatus(1.0, refusal="no", state="refused", refused_version="x version 7")
    (serving_folder / "registry.json").write_text(local_copy.encode_status(status))
    report = api.get("/ready").json
    assert (report["state"], report["refused_version"]) == ("refused", "x version 7")
    assert report["problem"] == "a new champion could not be loaded: no"
    assert "registry" not in report


def test_a_problem_that_is_no_missing_model_has_no_state(api):
    assert "state" not in api.post("/predict", json={}).json


def test_a_champion_that_is_registered_later_is_loaded(start_api, serving_folder):
    pointer = serving_folder / "current.json"
    pointer.rename(serving_folder / "later.json")
    api = start_api(SERVING=serving_folder)
    assert api.get("/ready").status_code == 503
    (serving_folder / "later.json").rename(pointer)
    api.wait_until_files_are_read()
    assert api.get("/ready").json == IS_READY


def test_the_served_version_is_followed(start_api, serving_folder, block_group):
    api = start_api(SERVING=serving_folder)
    assert api.post("/predict", json=block_group).json["model_version"] == "1"
    serve_version(serving_folder, "2", version_files(serving_folder))
    api.wait_until_files_are_read()
    assert api.post("/predict", json=block_group).json["model_version"] == "2"


def test_a_champion_that_does_not_reproduce_its_examples_is_not_served(
    start_api, serving_folder, block_group
):
    api = start_api(SERVING=serving_folder)
    files = version_files(serving_folder)
    examples = json.loads(files["examples.json"])
    examples["predictions"][0] += 0.1
    serve_version(serving_folder, "2", files | {"examples.json": json.dumps(examples).encode()})
    api.wait_until_files_are_read()
    assert api.post("/predict", json=block_group).json["model_version"] == "1"
    assert "does not answer its recorded examples" in api.get("/ready").json["problem"]


def test_a_champion_whose_graph_cannot_be_read_is_not_served(
    start_api, serving_folder, block_group
):
    api = start_api(SERVING=serving_folder)
    serve_version(serving_folder, "2", version_files(serving_folder) | {"model.onnx": b"no graph"})
    api.wait_until_files_are_read()
    assert api.post("/predict", json=block_group).json["model_version"] == "1"
    assert "could not be loaded" in api.get("/ready").json["problem"]
    assert start_api(SERVING=serving_folder).get("/ready").status_code == 503  # it starts anyway


def test_with_a_log_that_cannot_be_written_the_service_is_not_ready(start_api, home):
    response = start_api(DATABASE=home / "var").get("/ready")  # a folder
    assert response.status_code == 503
    assert "the log cannot be written" in response.json["detail"]


def test_the_model_says_where_it_comes_from(api):
    assert api.get("/model").json == MODEL_DETAILS


def test_metrics_count_requests_and_predictions(api, block_group):
    before = api.get("/metrics").data
    api.post("/predict", json=[block_group] * 3)
    api.post("/predict", json={})
    after = api.get("/metrics").data

    def count(name, **labels):
        return sum_metric(after, name, **labels) - sum_metric(before, name, **labels)

    assert count("housing_requests_total", endpoint="/predict", status="200") == 1
    assert count("housing_requests_total", endpoint="/predict", status="422") == 1
    assert count("housing_request_seconds_count", endpoint="/predict") == 2
    version_labels = {"model": MODEL_NAME, "version": "1"}
    assert count("housing_prediction_usd_count", **version_labels) == 3
    assert sum_metric(after, "housing_model_info", source="sample", **version_labels) == 1


def test_the_openapi_document_has_units_ranges_and_an_example(api):
    document = api.get("/openapi.json").json
    assert document["openapi"].startswith("3.0")
    income = document["components"]["schemas"]["BlockGroup"]["properties"]["MedInc"]
    assert (income["minimum"], income["maximum"]) == (0, 20)
    assert income["description"] == "median household income, $10,000 a year"
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert api.post("/predict", json=body["example"]).status_code == 200
