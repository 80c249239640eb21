"""POST /predict with JSON: predictions, refused bodies, and what is logged of both."""

import gzip
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from housing.evaluation import calibration
from housing.inference.shapley import FEATURE_GROUPS
from housing.schema import FEATURE_NAMES
from tests.support.served_champion import MODEL_DETAILS


def logged_ids(api):
    return [row["id"] for row in api.log_rows()]


def logged_statuses(api):
    return [row["status"] for row in api.log_rows()]


def problems(response):
    assert response.content_type == "application/problem+json"
    assert "Traceback" not in response.text
    return [error["problem"] for error in response.json["errors"]]


def test_one_block_group_gets_one_prediction(api, block_group):
    response = api.post("/predict", json=block_group)
    assert response.status_code == 200
    answer = response.json
    assert answer["prediction_usd"] == round(answer["prediction"] * 100_000, 2)
    assert 0.1 < answer["prediction"] < 5.1
    assert answer["model"] == "california-housing-sample"
    assert answer["model_version"] == "1"
    assert "GENERATED SAMPLE" in answer["notice"]


def test_the_app_returns_what_the_model_predicts(api, served_champion):
    test = served_champion.test[FEATURE_NAMES]
    response = api.post("/predict", json=test.to_dict("records"))
    predictions = [row["prediction"] for row in response.json["predictions"]]
    np.testing.assert_array_equal(predictions, served_champion.model.predict(test))


def test_a_prediction_has_the_interval_of_the_model(api, served_champion):
    _, low, high = calibration.predict_with_interval(
        served_champion.model, served_champion.interval_model, served_champion.test
    )
    rows = served_champion.test[FEATURE_NAMES].to_dict("records")
    predictions = api.post("/predict", json=rows).json["predictions"]
    np.testing.assert_allclose([row["low"] for row in predictions], low, rtol=1e-12)
    np.testing.assert_allclose([row["high"] for row in predictions], high, rtol=1e-12)
    assert all(row["low_usd"] <= row["prediction_usd"] <= row["high_usd"] for row in predictions)


def test_a_block_group_unlike_the_training_rows_gets_warnings(api, block_group, served_champion):
    answer = api.post("/predict", json=block_group | {"MedInc": 19.5}).json
    [warning] = [text for text in answer["warnings"] if text.startswith("MedInc")]
    assert warning.startswith("MedInc is 19.5, and the model has seen ")
    assert f"{served_champion.train.MedInc.max():,.6g} ($10,000 a year)" in warning
    answer = api.post("/predict", json=block_group | {"Latitude": 32.1, "Longitude": -124.9}).json
    assert any("the nearest block group that the model learnt from is" in text
               for text in answer["warnings"])  # fmt: skip
    row = api.log_rows()[-1]
    assert json.loads(row["warnings"]) == answer["warnings"]
    assert (row["low"], row["high"]) == (answer["low"], answer["high"])


def test_an_interval_counts_as_calibrated_unless_there_are_warnings(api, block_group):
    far_away = block_group | {"Latitude": 32.1, "Longitude": -124.9}
    answers = api.post("/predict", json=[block_group, far_away]).json["predictions"]
    assert [row["interval_calibrated"] for row in answers] == [True, False]
    assert [bool(row["warnings"]) for row in answers] == [False, True]
    assert answers[1]["low"] < answers[1]["prediction"] < answers[1]["high"]
    for answer in answers:
        logged = api.get(f"/predictions/{answer['id']}").json
        assert logged["interval_calibrated"] is answer["interval_calibrated"]
    refused = api.post("/predict", json={}).json
    assert api.get(f"/predictions/{refused['id']}").json["interval_calibrated"] is None


def test_contradictory_numbers_get_a_warning_that_names_them(api, block_group):
    answer = api.post("/predict", json=block_group | {"AveRooms": 1, "AveBedrms": 40}).json
    assert any("40 bedrooms per room" in text for text in answer["warnings"])
    assert answer["interval_calibrated"] is False


def test_a_prediction_can_be_explained_in_dollars(api, block_group):
    plain = api.post("/predict?explain=false", json=block_group).json
    assert "contributions_usd" not in plain
    answer = api.post("/predict?explain=true", json=block_group).json
    contributions = answer["contributions_usd"]
    assert list(contributions) == list(FEATURE_GROUPS)
    total = answer["base_usd"] + sum(contributions.values())
    assert total == pytest.approx(plain["prediction"] * 100_000, rel=1e-9)
    assert sum(abs(value) for value in contributions.values()) > 1_000
    answers = api.post("/predict?explain=true", json=[block_group] * 3).json["predictions"]
    assert [row["contributions_usd"] for row in answers] == [pytest.approx(contributions)] * 3


def test_the_first_hundred_rows_of_a_long_list_are_explained(api, block_group):
    response = api.post("/predict?explain=true", json=[block_group] * 101)
    explained = ["contributions_usd" in row for row in response.json["predictions"]]
    assert explained == [True] * 100 + [False]


def test_an_explain_flag_other_than_true_or_false_is_refused(api, block_group):
    response = api.post("/predict?explain=maybe", json=block_group)
    assert response.status_code == 422
    assert problems(response) == ["explain is 'maybe', expected true or false"]


def test_a_prediction_is_looked_up_with_its_lineage(api, block_group):
    answer = api.post("/predict", json=block_group).json
    logged = api.get(f"/predictions/{answer['id']}").json
    assert logged["input"] == block_group
    for name in ("prediction", "prediction_usd", "low", "low_usd", "high_usd", "warnings"):
        assert logged[name] == answer[name]
    assert logged["run_id"] == MODEL_DETAILS["run_id"]
    assert logged["lineage"] == MODEL_DETAILS


def test_a_refused_request_is_looked_up_too(api):
    refused = api.post("/predict", data=b"[nonsense", content_type="application/json").json
    logged = api.get(f"/predictions/{refused['id']}").json
    assert (logged["input"], logged["status"], logged["lineage"]) == ("[nonsense", 400, None)
    missing = api.get("/predictions/unknown")
    assert missing.status_code == 404
    assert problems(missing) == ["no answer 'unknown' is in the log"]


def test_a_log_of_an_earlier_version_is_continued(start_api, home, block_group):
    with sqlite3.connect(home / "var" / "logs.db") as database:
        database.execute(
            "CREATE TABLE prediction (id TEXT PRIMARY KEY, request_id TEXT NOT NULL, "
            "asked_at TEXT NOT NULL, status INTEGER NOT NULL, input TEXT, prediction REAL, "
            "model_name TEXT, model_version TEXT, latency_ms REAL NOT NULL, problem TEXT)"
        )
        database.execute("INSERT INTO prediction VALUES ('old', 'o', '2026', 200, '{}', 1.0, 'm', "
                         "'1', 1.0, NULL)")  # fmt: skip
    api = start_api()
    answer = api.post("/predict", json=block_group).json
    recent = api.get("/predictions").json["predictions"]
    assert [prediction["id"] for prediction in recent] == [answer["id"], "old"]
    assert api.get("/predictions/old").json["low"] is None


def test_a_prediction_is_in_the_database_and_the_file(api, block_group):
    answer = api.post("/predict", json=block_group).json
    [row] = api.log_rows()
    assert row["id"] == answer["id"]
    assert json.loads(row["input"]) == block_group
    assert (row["prediction"], row["status"]) == (answer["prediction"], 200)
    assert (row["model_name"], row["model_version"]) == (answer["model"], answer["model_version"])
    assert row["latency_ms"] > 0
    assert row["asked_at"].endswith("+00:00")
    [line] = api.log_lines()
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


def test_each_prediction_of_a_list_has_its_row(api, block_group):
    answers = api.post("/predict", json=[block_group] * 3).json["predictions"]
    assert logged_ids(api) == [answer["id"] for answer in answers]
    assert len({row["request_id"] for row in api.log_rows()}) == 1


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
def test_an_invalid_value_is_named_in_one_sentence(api, block_group, change, message):
    response = api.post("/predict", json=block_group | change)
    assert response.status_code == 422
    [problem] = problems(response)
    assert problem.startswith(message)
    [row] = api.log_rows()
    assert (row["status"], row["prediction"], row["problem"]) == (422, None, problem)
    assert row["id"] == response.json["id"]


def test_a_missing_field_is_named(api, block_group):
    del block_group["Population"]
    response = api.post("/predict", json=block_group)
    assert problems(response)[0].startswith("Population is missing, expected a number from 1 to")
    assert response.json["errors"][0]["field"] == "Population"


def test_an_invalid_row_of_a_list_is_numbered_and_nothing_is_predicted(api, block_group):
    response = api.post("/predict", json=[block_group, block_group | {"MedInc": -1}, 4])
    assert problems(response) == [
        "row 1: MedInc is -1, expected a number from 0 to 20 (median household income; "
        "$10,000 a year)",
        "row 2: 4 is not an object with the fields of a block group",
    ]
    assert logged_statuses(api) == [422]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is empty"),
        (b"   ", 400, "the body is empty"),
        (b'{"MedInc": ', 400, "the body is not JSON"),
        (b"\xff\xfe{", 400, "the body is no text in UTF-16-LE"),
        (b"\xff{", 400, "the body starts with '\ufffd{', expected a JSON object or a list"),
        (gzip.compress(b"{}"), 400, "is gzip data without the header Content-Encoding: gzip"),
        (b"{\xff}", 400, "the body is not JSON"),
        (b"4", 400, "expected a JSON object or a list of them"),
        (b"[]", 422, "the list has 0 rows, expected 1 to 10,000"),
        (b"[" * 5_000 + b"]" * 5_000, 400, "the body is not JSON"),
    ],
)
def test_a_body_without_a_block_group_is_refused(api, body, status, message):
    response = api.post("/predict", data=body, content_type="application/json")
    assert response.status_code == status
    assert message in problems(response)[0]
    assert logged_statuses(api) == [status]


def test_another_content_type_is_refused(api, block_group):
    response = api.post(
        "/predict", data=json.dumps(block_group).encode(), content_type="text/plain"
    )
    assert response.status_code == 415
    [problem] = problems(response)
    assert problem.startswith(
        "the content type is 'text/plain', expected one of application/json, "
    )
    assert json.loads(api.log_rows()[0]["input"]) == block_group


def test_rows_and_bytes_of_a_request_are_limited(start_api, block_group):
    api = start_api(MAX_ROWS=2, MAX_CONTENT_LENGTH=1_000)
    response = api.post("/predict", json=[block_group] * 3)
    assert response.status_code == 422
    assert problems(response) == ["the list has 3 rows, expected 1 to 2"]
    response = api.post("/predict", json=[block_group] * 30)
    assert response.status_code == 413
    assert "larger than 1,000 bytes" in problems(response)[0]
    assert logged_statuses(api) == [422, 413]


def test_ten_thousand_rows_are_predicted(api, block_group):
    response = api.post("/predict", json=[block_group] * 10_000)
    assert len(response.json["predictions"]) == 10_000
    assert len(api.log_rows()) == 10_000


def test_a_long_list_of_problems_is_truncated(api, block_group):
    response = api.post("/predict", json=[{}] * 1_000)
    sentences = problems(response)
    assert len(sentences) == 101
    assert sentences[-1] == "and 7,900 more problems"


def test_no_response_leaves_unlogged(start_api, home, block_group):
    api = start_api()
    assert api.post("/predict", json=block_group).status_code == 200
    with closing(sqlite3.connect(home / "var" / "logs.db")) as writer:
        writer.execute("BEGIN IMMEDIATE")  # and holds the lock
        for body in (block_group, {}):
            response = api.post("/predict", json=body)
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "1"
            assert "the log cannot be written" in problems(response)[0]
        writer.rollback()
    answer = api.post("/predict", json=block_group).json
    assert logged_ids(api)[1:] == [answer["id"]]


def test_responses_leave_unlogged_only_if_the_settings_allow_it(start_api, home, block_group):
    database = home / "a folder"
    database.mkdir()
    api = start_api(DATABASE=str(database), LOG_POLICY="available")
    response = api.post("/predict", json=block_group)
    assert response.status_code == 200
    assert response.headers["X-Logged"] == "no"
    assert "housing_unlogged_answers_total 1.0" in api.get("/metrics").text


def test_a_log_that_is_moved_away_is_created_anew(start_api, home, block_group):
    api = start_api()
    api.post("/predict", json=block_group)
    for name in ("logs.db", "api.log"):
        (home / "var" / name).rename(home / "var" / f"old-{name}")
    answer = api.post("/predict", json=block_group).json
    assert logged_ids(api) == [answer["id"]]
    [line] = api.log_lines()
    assert f"{line['request_id']}-0" == answer["id"]


def test_a_full_disk_for_the_file_keeps_the_row_out_until_there_is_room(
    start_api, home, block_group
):
    file = home / "api.log"
    file.symlink_to("/dev/full")
    api = start_api(LOG_FILE=str(file))
    response = api.post("/predict", json=block_group)
    assert response.status_code == 503
    assert "no answer leaves unlogged" in problems(response)[0]
    assert api.log_rows() == []
    file.unlink()
    answer = api.post("/predict", json=block_group).json
    assert logged_ids(api) == [answer["id"]]
    refused, answered = (line for line in api.log_lines() if line["path"] == "/predict")
    assert (refused["status"], "answers" in refused) == (503, False)
    assert f"{answered['request_id']}-0" == answer["id"]
