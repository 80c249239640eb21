"""The routes that tell an operator and other programs about the service."""

import json
import os
import re

from app import create_app
from app.model import registry_sync
from housing.data import splitting
from housing.tracking import store
from tests.conftest import register_candidate


def check_for_champion_now(app):
    """Make the app's next request look for a new champion, without the usual wait."""
    app.extensions["champion"]._next_check_at = 0


def test_without_a_champion_the_service_is_alive_but_not_ready(
    client_without_champion, block_group
):
    assert client_without_champion.get("/health").json == {"status": "alive"}
    for response in (
        client_without_champion.get("/ready"),
        client_without_champion.get("/model"),
        client_without_champion.post("/predict", json=block_group),
    ):
        assert response.status_code == 503
        assert "`make run` trains and registers one" in response.json["detail"]
    assert "make run" in client_without_champion.get("/").text
    assert client_without_champion.get("/metrics").status_code == 200


def test_a_champion_that_is_registered_later_is_loaded(champion_home, block_group):
    app = create_app()
    client = app.test_client()
    assert client.get("/ready").status_code == 503
    registry_sync.sync_once(champion_home / "var" / "serving")
    check_for_champion_now(app)
    assert client.get("/ready").json == {
        "status": "ready",
        "model": "california-housing-sample",
        "model_version": "1",
    }


def test_the_alias_is_followed(app, champion_home, block_group):
    client = app.test_client()
    assert client.post("/predict", json=block_group).json["model_version"] == "1"
    version = register_candidate(splitting.read_split(), "linear")
    store.client().set_registered_model_alias(version.name, "champion", version.version)
    registry_sync.sync_once(champion_home / "var" / "serving")
    check_for_champion_now(app)
    assert client.post("/predict", json=block_group).json["model_version"] == "2"


def test_a_champion_that_does_not_reproduce_its_examples_is_not_served(
    app, champion_home, block_group
):
    client = app.test_client()
    serving = champion_home / "var" / "serving"
    folder = serving / registry_sync.sync_once(serving)
    examples = json.loads((folder / "examples.json").read_text())
    examples["predictions"][0] += 0.1
    (folder / "examples.json").write_text(json.dumps(examples))
    os.utime(serving / "current.json", (1, 1))
    check_for_champion_now(app)
    assert client.post("/predict", json=block_group).status_code == 200
    assert "does not answer its recorded examples" in client.get("/ready").json["problem"]


def test_a_champion_whose_graph_cannot_be_read_is_not_served(app, champion_home, block_group):
    client = app.test_client()
    serving = champion_home / "var" / "serving"
    (serving / registry_sync.sync_once(serving) / "model.onnx").write_bytes(b"no graph")
    os.utime(serving / "current.json", (1, 1))
    check_for_champion_now(app)
    assert client.post("/predict", json=block_group).status_code == 200
    assert "could not be loaded" in client.get("/ready").json["problem"]
    assert create_app().test_client().get("/ready").status_code == 503  # it starts all the same


def test_with_a_log_that_cannot_be_written_the_service_is_not_ready(champion_home):
    registry_sync.sync_once(champion_home / "var" / "serving")
    client = create_app({"DATABASE": str(champion_home / "var")}).test_client()  # a folder
    response = client.get("/ready")
    assert response.status_code == 503
    assert "the log cannot be written" in response.json["detail"]


def test_the_model_says_where_it_comes_from(client):
    model_info = client.get("/model").json
    assert model_info["name"] == "california-housing-sample"
    assert model_info["alias"] == "champion"
    assert model_info["source"] == "sample"
    assert {"version", "run_id", "metrics", "report", "commit", "data_sha256"} <= set(model_info)
    assert model_info["metrics"]["test_rmse"] > 0


def test_metrics_count_requests_and_predictions(client, block_group):
    client.post("/predict", json=[block_group] * 3)
    client.post("/predict", json={})
    text = client.get("/metrics").text
    assert 'housing_requests_total{endpoint="/predict",status="200"} 1.0' in text
    assert 'housing_requests_total{endpoint="/predict",status="422"} 1.0' in text
    assert re.search(
        r'prediction_usd_count\{model="california-housing-sample",version="1"\} 3.0', text
    )
    assert (
        'housing_model_info{model="california-housing-sample",source="sample",version="1"}' in text
    )


def test_the_openapi_document_has_units_ranges_and_an_example(client):
    document = client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    income = document["components"]["schemas"]["BlockGroup"]["properties"]["MedInc"]
    assert (income["minimum"], income["maximum"]) == (0, 20)
    assert income["description"] == "median household income, $10,000 a year"
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.post("/predict", json=body["example"]).status_code == 200
