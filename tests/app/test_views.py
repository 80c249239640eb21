import json
import os
import re

import pytest

from app import create_app, follow
from housing import split, store
from housing.schema import FEATURES
from tests.conftest import promote


def test_without_a_champion_it_lives_but_is_not_ready(empty, example):
    assert empty.get("/health").json == {"status": "alive"}
    for response in (
        empty.get("/ready"),
        empty.get("/model"),
        empty.post("/predict", json=example),
    ):
        assert response.status_code == 503
        assert "`make run` trains and registers one" in response.json["detail"]
    assert "make run" in empty.get("/").text
    assert empty.get("/metrics").status_code == 200


def test_a_champion_that_comes_later_is_picked_up(champion_home, example):
    app = create_app()
    client = app.test_client()
    assert client.get("/ready").status_code == 503
    follow.refresh(champion_home / "var" / "serving")
    app.extensions["champion"]._next_look = 0
    assert client.get("/ready").json == {
        "status": "ready",
        "model": "california-housing-sample",
        "model_version": "1",
    }


def test_the_alias_is_followed(app, champion_home, example):
    client = app.test_client()
    assert client.post("/predict", json=example).json["model_version"] == "1"
    made = promote(split.read(), "linear")
    store.client().set_registered_model_alias(made.name, "champion", made.version)
    follow.refresh(champion_home / "var" / "serving")
    app.extensions["champion"]._next_look = 0
    assert client.post("/predict", json=example).json["model_version"] == "2"


def test_a_copy_that_answers_wrong_is_not_taken(app, champion_home, example):
    client = app.test_client()
    serving = champion_home / "var" / "serving"
    folder = serving / follow.refresh(serving)
    recorded = json.loads((folder / "examples.json").read_text())
    recorded["predictions"][0] += 0.1
    (folder / "examples.json").write_text(json.dumps(recorded))
    os.utime(serving / "current.json", (1, 1))
    app.extensions["champion"]._next_look = 0
    assert client.post("/predict", json=example).status_code == 200
    assert "does not answer its recorded examples" in client.get("/ready").json["problem"]


def test_a_graph_that_cannot_be_read_is_not_taken(app, champion_home, example):
    client = app.test_client()
    serving = champion_home / "var" / "serving"
    (serving / follow.refresh(serving) / "model.onnx").write_bytes(b"no graph")
    os.utime(serving / "current.json", (1, 1))
    app.extensions["champion"]._next_look = 0
    assert client.post("/predict", json=example).status_code == 200
    assert "could not be loaded" in client.get("/ready").json["problem"]
    assert create_app().test_client().get("/ready").status_code == 503  # it starts all the same


def test_a_log_that_cannot_be_written_is_not_ready(champion_home):
    follow.refresh(champion_home / "var" / "serving")
    client = create_app({"DATABASE": str(champion_home / "var")}).test_client()  # a folder
    response = client.get("/ready")
    assert response.status_code == 503
    assert "the log cannot be written" in response.json["detail"]


def test_the_model_says_where_it_comes_from(client):
    about = client.get("/model").json
    assert about["name"] == "california-housing-sample"
    assert about["alias"] == "champion"
    assert about["source"] == "sample"
    assert {"version", "run_id", "metrics", "report", "commit", "data_sha256"} <= set(about)
    assert about["metrics"]["test_rmse"] > 0


def test_metrics_count_requests_and_predictions(client, example):
    client.post("/predict", json=[example] * 3)
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


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_name_every_feature_and_ask_nothing_outside(client, path):
    page = client.get(path).text
    for name, feature in FEATURES.items():
        assert name in page
        assert feature.meaning in page
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)


def test_a_sample_is_loud_on_the_page(client):
    assert "generated sample" in client.get("/").text


def test_the_document_has_units_ranges_and_an_example(client):
    document = client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    income = document["components"]["schemas"]["BlockGroup"]["properties"]["MedInc"]
    assert (income["minimum"], income["maximum"]) == (0, 20)
    assert income["description"] == "median household income, $10,000 a year"
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.post("/predict", json=body["example"]).status_code == 200


def test_unknown_pages_and_methods_are_problems_too(client):
    assert client.get("/nothing").status_code == 404
    assert client.get("/nothing").content_type == "application/problem+json"
    response = client.get("/predict")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_a_failure_of_ours_shows_no_traceback(app, example):
    app.extensions["champion"].champion = "broken"
    response = app.test_client().post("/predict", json=example)
    assert response.status_code == 500
    assert response.json["detail"].startswith("the service failed; its log has the reason under")
    assert "Traceback" not in response.text
