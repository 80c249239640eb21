"""POST /predict with JSON: predictions, refused bodies, and what is logged of both."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from app import create_app
from app.model import registry_sync
from housing.data import splitting
from housing.evaluation import calibration
from housing.inference.shapley import FEATURE_GROUPS
from housing.models.intervals import IntervalModel
from housing.registry import artifacts, versions
from housing.schema import FEATURE_NAMES


def logged_rows(home):
    with sqlite3.connect(home / "var" / "logs.db") as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM prediction ORDER BY rowid")]


def logged_ids(home):
    return [row["id"] for row in logged_rows(home)]


def logged_statuses(home):
    return [row["status"] for row in logged_rows(home)]


def problems(response):
    assert response.content_type == "application/problem+json"
    assert "Traceback" not in response.text
    return [error["problem"] for error in response.json["errors"]]


def test_one_block_group_gets_one_prediction(client, block_group):
    response = client.post("/predict", json=block_group)
    assert response.status_code == 200
    answer = response.json
    assert answer["prediction_usd"] == round(answer["prediction"] * 100_000, 2)
    assert 0.1 < answer["prediction"] < 5.1
    assert answer["model"] == "california-housing-sample"
    assert answer["model_version"] == "1"
    assert "GENERATED SAMPLE" in answer["notice"]


def test_the_app_returns_what_the_registered_model_predicts(client, champion_home):
    test = splitting.read_split().test[FEATURE_NAMES]
    expected = versions.load_model(versions.get_champion("california-housing-sample")).predict(test)
    response = client.post("/predict", json=test.to_dict("records"))
    predictions = [row["prediction"] for row in response.json["predictions"]]
    np.testing.assert_array_equal(predictions, expected)


def test_a_prediction_has_the_interval_of_the_model(client, champion_home):
    champion, test = versions.get_champion("california-housing-sample"), splitting.read_split().test
    folder = artifacts.download(champion, champion_home / "model")
    interval_model = IntervalModel.loads((folder / "intervals.skops").read_bytes())
    _, low, high = calibration.predict_with_interval(
        versions.load_model(champion), interval_model, test
    )
    response = client.post("/predict", json=test[FEATURE_NAMES].to_dict("records"))
    predictions = response.json["predictions"]
    np.testing.assert_allclose([row["low"] for row in predictions], low, rtol=1e-12)
    np.testing.assert_allclose([row["high"] for row in predictions], high, rtol=1e-12)
    assert all(row["low_usd"] <= row["prediction_usd"] <= row["high_usd"] for row in predictions)


def test_a_block_group_unlike_the_training_rows_gets_warnings(client, block_group, champion_home):
    train = splitting.read_split().train
    answer = client.post("/predict", json=block_group | {"MedInc": 19.5}).json
    [warning] = [text for text in answer["warnings"] if text.startswith("MedInc")]
    assert warning.startswith("MedInc is 19.5, and the model has seen ")
    assert f"{train.MedInc.max():,.6g} ($10,000 a year)" in warning
    answer = client.post(
        "/predict", json=block_group | {"Latitude": 32.1, "Longitude": -124.9}
    ).json
    assert any("the nearest block group that the model learnt from is" in text
               for text in answer["warnings"])  # fmt: skip
    row = logged_rows(champion_home)[-1]
    assert json.loads(row["warnings"]) == answer["warnings"]
    assert (row["low"], row["high"]) == (answer["low"], answer["high"])


def test_a_prediction_can_be_explained_in_dollars(client, block_group):
    plain = client.post("/predict?explain=false", json=block_group).json
    assert "contributions_usd" not in plain
    answer = client.post("/predict?explain=true", json=block_group).json
    contributions = answer["contributions_usd"]
    assert list(contributions) == list(FEATURE_GROUPS)
    total = answer["base_usd"] + sum(contributions.values())
    assert total == pytest.approx(plain["prediction"] * 100_000, rel=1e-9)
    assert sum(abs(value) for value in contributions.values()) > 1_000
    answers = client.post("/predict?explain=true", json=[block_group] * 3).json["predictions"]
    assert [row["contributions_usd"] for row in answers] == [pytest.approx(contributions)] * 3


def test_the_first_hundred_rows_of_a_long_list_are_explained(client, block_group):
    response = client.post("/predict?explain=true", json=[block_group] * 101)
    explained = ["contributions_usd" in row for row in response.json["predictions"]]
    assert explained == [True] * 100 + [False]


def test_an_explain_flag_other_than_true_or_false_is_refused(client, block_group):
    response = client.post("/predict?explain=maybe", json=block_group)
    assert response.status_code == 422
    assert problems(response) == ["explain is 'maybe', expected true or false"]


def test_a_prediction_is_looked_up_with_its_lineage(client, block_group):
    answer = client.post("/predict", json=block_group).json
    logged = client.get(f"/predictions/{answer['id']}").json
    assert logged["input"] == block_group
    for name in ("prediction", "prediction_usd", "low", "low_usd", "high_usd", "warnings"):
        assert logged[name] == answer[name]
    champion = versions.get_champion("california-housing-sample")
    assert logged["run_id"] == logged["lineage"]["run_id"] == champion.run_id
    assert logged["lineage"]["data_sha256"] == champion.tags["raw_sha256"]


def test_a_refused_request_is_looked_up_too(client):
    refused = client.post("/predict", data="[nonsense", content_type="application/json").json
    logged = client.get(f"/predictions/{refused['id']}").json
    assert (logged["input"], logged["status"], logged["lineage"]) == ("[nonsense", 400, None)
    missing = client.get("/predictions/unknown")
    assert missing.status_code == 404
    assert problems(missing) == ["no answer 'unknown' is in the log"]


def test_a_log_of_an_earlier_version_is_continued(champion_home, block_group):
    registry_sync.sync_once(champion_home / "var" / "serving")
    with sqlite3.connect(champion_home / "var" / "logs.db") as database:
        database.execute(
            "CREATE TABLE prediction (id TEXT PRIMARY KEY, request_id TEXT NOT NULL, "
            "asked_at TEXT NOT NULL, status INTEGER NOT NULL, input TEXT, prediction REAL, "
            "model_name TEXT, model_version TEXT, latency_ms REAL NOT NULL, problem TEXT)"
        )
        database.execute("INSERT INTO prediction VALUES ('old', 'o', '2026', 200, '{}', 1.0, 'm', "
                         "'1', 1.0, NULL)")  # fmt: skip
    client = create_app().test_client()
    answer = client.post("/predict", json=block_group).json
    assert logged_ids(champion_home) == ["old", answer["id"]]
    assert client.get("/predictions/old").json["low"] is None


def test_a_prediction_is_in_the_database_and_the_file(client, block_group, champion_home):
    answer = client.post("/predict", json=block_group).json
    [row] = logged_rows(champion_home)
    assert row["id"] == answer["id"]
    assert json.loads(row["input"]) == block_group
    assert (row["prediction"], row["status"]) == (answer["prediction"], 200)
    assert (row["model_name"], row["model_version"]) == (answer["model"], answer["model_version"])
    assert row["latency_ms"] > 0
    assert row["asked_at"].endswith("+00:00")
    [line] = map(json.loads, (champion_home / "var" / "api.log").read_text().splitlines())
    [logged_features] = line.pop("input")
    assert dict(zip(FEATURE_NAMES, logged_features, strict=True)) == block_group
    assert line.pop("answers") == [[row["prediction"], row["low"], row["high"]]]
    assert line.pop("warnings") == [json.loads(row["warnings"])]
    assert [line.pop(name) for name in ("client", "method", "path")] == [
        "127.0.0.1",
        "POST",
        "/predict",
    ]
    assert line == {name: row[name] for name in line}
    assert {"request_id", "asked_at", "status", "model_version", "run_id", "caller"} <= set(line)


def test_each_prediction_of_a_list_has_its_row(client, block_group, champion_home):
    answers = client.post("/predict", json=[block_group] * 3).json["predictions"]
    assert logged_ids(champion_home) == [answer["id"] for answer in answers]
    assert len({row["request_id"] for row in logged_rows(champion_home)}) == 1


INVALID_FIELDS = [
    ({"MedInc": None}, "MedInc is null, expected a number from 0 to 20 (median household income"),
    ({"MedInc": "8.3"}, "MedInc is '8.3', expected a number from 0 to 20"),
    ({"HouseAge": True}, "HouseAge is true, expected a number from 0 to 100"),
    ({"Latitude": 9999}, "Latitude is 9999, expected a number from 32 to 42.5"),
    ({"Longitude": 122.23}, "Longitude is 122.23, expected a number from -125 to -114"),
    ({"MedInc": float("nan")}, "MedInc is nan, expected a number"),
    ({"MedInc": float("inf")}, "MedInc is inf, expected a number"),
    ({"MedInc": 10**400}, "MedInc is "),
    ({"MedInc": [1]}, "MedInc is [1], expected a number"),
    ({"HouseAg": 4}, "'HouseAg' is not a field of a block group; did you mean HouseAge?"),
]


@pytest.mark.parametrize(("change", "message"), INVALID_FIELDS)
def test_an_invalid_value_is_named_in_one_sentence(
    client, block_group, champion_home, change, message
):
    response = client.post("/predict", json=block_group | change)
    assert response.status_code == 422
    [problem] = problems(response)
    assert problem.startswith(message)
    [row] = logged_rows(champion_home)
    assert (row["status"], row["prediction"], row["problem"]) == (422, None, problem)
    assert row["id"] == response.json["id"]


def test_a_missing_field_is_named(client, block_group):
    del block_group["Population"]
    response = client.post("/predict", json=block_group)
    assert problems(response)[0].startswith("Population is missing, expected a number from 1 to")
    assert response.json["errors"][0]["field"] == "Population"


def test_an_invalid_row_of_a_list_is_numbered_and_nothing_is_predicted(
    client, block_group, champion_home
):
    response = client.post("/predict", json=[block_group, block_group | {"MedInc": -1}, 4])
    assert problems(response) == [
        "row 1: MedInc is -1, expected a number from 0 to 20 (median household income; "
        "$10,000 a year)",
        "row 2: 4 is not an object with the fields of a block group",
    ]
    assert logged_statuses(champion_home) == [422]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is empty"),
        (b"   ", 400, "the body is empty"),
        (b'{"MedInc": ', 400, "the body is not JSON"),
        (b"\xff\xfe{", 400, "the body is neither"),
        (b"{\xff}", 400, "the body is not JSON"),
        (b"4", 400, "expected a JSON object or a list of them"),
        (b"[]", 422, "the list has 0 rows, expected 1 to 10,000"),
        (b"[" * 5_000 + b"]" * 5_000, 400, "the body is not JSON"),
    ],
)
def test_a_body_without_a_block_group_is_refused(client, champion_home, body, status, message):
    response = client.post("/predict", data=body, content_type="application/json")
    assert response.status_code == status
    assert message in problems(response)[0]
    assert logged_statuses(champion_home) == [status]


def test_another_content_type_is_refused(client, block_group, champion_home):
    response = client.post("/predict", data=json.dumps(block_group), content_type="text/plain")
    assert response.status_code == 415
    [problem] = problems(response)
    assert problem.startswith(
        "the content type is 'text/plain', expected one of application/json, "
    )
    assert json.loads(logged_rows(champion_home)[0]["input"]) == block_group


def test_rows_and_bytes_of_a_request_are_limited(app, block_group, champion_home):
    client = create_app({"MAX_ROWS": 2, "MAX_CONTENT_LENGTH": 1_000}).test_client()
    response = client.post("/predict", json=[block_group] * 3)
    assert response.status_code == 422
    assert problems(response) == ["the list has 3 rows, expected 1 to 2"]
    response = client.post("/predict", json=[block_group] * 30)
    assert response.status_code == 413
    assert "larger than 1,000 bytes" in problems(response)[0]
    assert logged_statuses(champion_home) == [422, 413]


def test_ten_thousand_rows_are_predicted(client, block_group, champion_home):
    response = client.post("/predict", json=[block_group] * 10_000)
    assert len(response.json["predictions"]) == 10_000
    assert len(logged_rows(champion_home)) == 10_000


def test_a_long_list_of_problems_is_truncated(client, block_group):
    response = client.post("/predict", json=[{}] * 1_000)
    sentences = problems(response)
    assert len(sentences) == 101
    assert sentences[-1] == "and 7,900 more problems"


def test_no_response_leaves_unlogged(app, block_group, champion_home):
    client = app.test_client()
    assert client.post("/predict", json=block_group).status_code == 200
    with closing(sqlite3.connect(champion_home / "var" / "logs.db")) as writer:
        writer.execute("BEGIN IMMEDIATE")  # and holds the lock
        for body in (block_group, {}):
            response = client.post("/predict", json=body)
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "1"
            assert "the log cannot be written" in problems(response)[0]
        writer.rollback()
    answer = client.post("/predict", json=block_group).json
    assert logged_ids(champion_home)[1:] == [answer["id"]]


def test_responses_leave_unlogged_only_if_the_settings_allow_it(app, block_group, champion_home):
    database = champion_home / "a folder"
    database.mkdir()
    settings = {"DATABASE": str(database), "LOG_POLICY": "available"}
    client = create_app(settings).test_client()
    response = client.post("/predict", json=block_group)
    assert response.status_code == 200
    assert response.headers["X-Logged"] == "no"
    assert "housing_unlogged_answers_total 1.0" in client.get("/metrics").text


def test_a_log_that_is_moved_away_is_created_anew(client, block_group, champion_home):
    client.post("/predict", json=block_group)
    var = champion_home / "var"
    for name in ("logs.db", "api.log"):
        (var / name).rename(var / f"old-{name}")
    answer = client.post("/predict", json=block_group).json
    assert logged_ids(champion_home) == [answer["id"]]
    assert f"{json.loads((var / 'api.log').read_text())['request_id']}-0" == answer["id"]


def test_a_full_disk_for_the_file_keeps_the_row_out_until_there_is_room(
    app, block_group, champion_home
):
    file = champion_home / "api.log"
    file.symlink_to("/dev/full")
    client = create_app({"LOG_FILE": str(file)}).test_client()
    response = client.post("/predict", json=block_group)
    assert response.status_code == 503
    assert "no answer leaves unlogged" in problems(response)[0]
    assert logged_rows(champion_home) == []
    file.unlink()
    answer = client.post("/predict", json=block_group).json
    assert logged_ids(champion_home) == [answer["id"]]
    refused, answered = map(json.loads, file.read_text().splitlines())
    assert (refused["status"], "answers" in refused) == (503, False)
    assert f"{answered['request_id']}-0" == answer["id"]
