"""POST /feedback takes true values in each format, names wrong rows, and loses nothing."""

import fcntl
import gzip
import io
import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from app.auth.api_keys import hash_key
from app.codecs.tables import (
    ARROW_FILE_MEDIA_TYPE,
    ARROW_MEDIA_TYPE,
    CSV_MEDIA_TYPE,
    PARQUET_MEDIA_TYPE,
)
from housing.prediction_log import archive
from tests.support.logged_predictions import FIRST_LOG_SCHEMA, timed_row, write_log

API_KEY = "a key of 32 random bytes"
TAKEN = {"accepted": 0, "unchanged": 0, "corrected": 0, "refused": 0}


@pytest.fixture
def predict(api, block_group):
    """Return a function that asks for predictions and returns their ids."""

    def predict_rows(count=1, headers=None):
        response = api.post("/predict", json=[block_group] * count, headers=headers)
        return [prediction["id"] for prediction in response.json["predictions"]]

    return predict_rows


def counts(response):
    return {name: response.json[name] for name in TAKEN}


def problems(response):
    return [(error["row"], error["field"], error["problem"]) for error in response.json["errors"]]


def encode(table, media_type):
    file = io.BytesIO()
    if media_type == PARQUET_MEDIA_TYPE:
        pyarrow.parquet.write_table(table, file)
    elif media_type == ARROW_FILE_MEDIA_TYPE:
        pyarrow.feather.write_feather(table, file)
    else:
        with pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    return file.getvalue()


def test_a_true_value_is_in_the_log_with_its_prediction(api, predict):
    [prediction_id] = predict()
    row = {"id": prediction_id, "truth": 4.526, "observed_at": "2024-11-29T10:00:00+02:00"}
    response = api.post("/feedback", json=row)
    assert (response.status_code, response.json) == (202, TAKEN | {"accepted": 1, "errors": []})
    logged = api.get(f"/predictions/{prediction_id}").json
    assert (logged["truth"], logged["truth_usd"]) == (4.526, 452_600)
    [value] = logged["feedback"]
    assert value["observed_at"] == "2024-11-29T08:00:00.000+00:00"
    assert value["superseded_at"] is None
    recent = api.get("/predictions?limit=1").json["predictions"][0]
    assert (recent["id"], recent["truth_usd"]) == (prediction_id, 452_600)


def test_a_correction_has_its_history(api, predict):
    [prediction_id] = predict()
    for truth_usd, outcome in ((450_000, "accepted"), (450_000, "unchanged"), (5e5, "corrected")):
        response = api.post("/feedback", json=[{"id": prediction_id, "truth_usd": truth_usd}])
        assert counts(response) == TAKEN | {outcome: 1}
    logged = api.get(f"/predictions/{prediction_id}").json
    assert logged["truth"] == 5
    older, current = logged["feedback"]
    assert (older["truth_usd"], current["truth_usd"]) == (450_000, 500_000)
    assert older["superseded_at"] == current["received_at"]


def test_a_prediction_without_a_true_value_says_so(api, predict):
    [prediction_id] = predict()
    logged = api.get(f"/predictions/{prediction_id}").json
    assert (logged["truth"], logged["truth_usd"], logged["feedback"]) == (None, None, [])


def test_the_client_s_own_request_id_names_the_predictions(api, predict):
    predict(2, headers={"X-Request-ID": "order-7"})
    rows = [{"request_id": "order-7", "index": index, "truth": 2} for index in range(3)]
    response = api.post("/feedback", json=rows)
    assert counts(response) == TAKEN | {"accepted": 2, "refused": 1}
    [(row, field, _)] = problems(response)
    assert (row, field) == (2, "index")


def test_wrong_rows_are_named_and_the_others_taken(api, predict):
    ids = predict(4)
    rows = [
        {"id": ids[0], "truth": 452_600},
        {"id": ids[1], "truth": 4.5},
        {"id": ids[2], "truth": "4.5"},
        {"id": ids[3], "truth_usd": 4.5},
    ]
    response = api.post("/feedback", json=rows)
    assert (response.status_code, counts(response)) == (202, TAKEN | {"accepted": 1, "refused": 3})
    assert [(row, field) for row, field, _ in problems(response)] == [
        (0, "truth"),
        (2, "truth"),
        (3, "truth_usd"),
    ]
    assert problems(response)[0][2].startswith("row 0: truth is 452,600, expected a number from")


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused_by_its_row(api, predict, constant):
    first, second = predict(2)
    body = f'[{{"id": "{first}", "truth": {constant}}}, {{"id": "{second}", "truth": 1}}]'
    response = api.post("/feedback", body.encode(), "application/json")
    assert counts(response) == TAKEN | {"accepted": 1, "refused": 1}


def test_a_request_of_which_nothing_can_be_taken_is_refused(api, predict):
    predict()
    response = api.post("/feedback", json={"id": "unknown", "truth": 4.5})
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    [(row, field, problem)] = problems(response)
    assert (row, field) == (None, "id")
    assert problem.startswith("id is 'unknown', which is neither in the log nor in its archived")


def test_a_refused_request_has_no_true_value(api):
    refused_id = api.post("/predict", json={"MedInc": -1}).json["id"]
    response = api.post("/feedback", json=[{"id": refused_id, "truth": 4.5}])
    assert "which was refused and has no prediction" in problems(response)[0][2]


@pytest.mark.parametrize(
    ("csv", "outcomes"),
    [
        ("id,truth\n{0},4.5\n{1},4.6\n", {"accepted": 2}),
        ("observed_at;truth;id\n2024-11-01;4,5;{0}\n\n;4,6;{1}\n", {"accepted": 2}),
        ("id\tindex\ttruth_usd\n{0}\t\t450000\n", {"accepted": 1}),
        ("\ufeffid,truth\r\n{0},4.5\r\n{1},\r\n", {"accepted": 1, "refused": 1}),
        ('"id","truth"\n"{0}","4.5"\n"{1}","4,6"\n', {"accepted": 1, "refused": 1}),
        ("id,truth\n{0},4.5\n{1}\n", {"accepted": 1, "refused": 1}),
        (",id,truth\n0,{0},4.5\n1,{1},NaN\n", {"accepted": 1, "refused": 1}),
    ],
)
def test_csv_comes_as_people_write_it(api, predict, csv, outcomes):
    body = csv.format(*predict(2)).encode()
    response = api.post("/feedback", body, CSV_MEDIA_TYPE)
    assert counts(response) == TAKEN | outcomes


def test_a_wrong_line_of_csv_is_named_by_its_number(api, predict):
    body = f"id,truth\n{predict()[0]},4.5\nunknown,4.5\nx,4.5,6\n".encode()
    [(_, _, unknown), (_, _, ragged)] = problems(api.post("/feedback", body, CSV_MEDIA_TYPE))
    assert unknown.endswith("(line 3 of the body; rows count from 0)")
    assert ragged.startswith("row 2: 3 fields, expected 2 as in the header")


@pytest.mark.parametrize(
    "media_type", [PARQUET_MEDIA_TYPE, ARROW_MEDIA_TYPE, ARROW_FILE_MEDIA_TYPE]
)
def test_tables_of_pandas_are_taken(api, predict, media_type):
    ids = predict(3)
    frame = pd.DataFrame(
        {
            "id": ids,
            "truth_usd": [450_000, None, 2.5],
            "observed_at": pd.to_datetime(["2024-11-01", "2024-11-02", None]),
        },
        index=[7, 8, 9],
    )
    response = api.post("/feedback", encode(pa.Table.from_pandas(frame), media_type), media_type)
    assert counts(response) == TAKEN | {"accepted": 1, "refused": 2}
    assert [problem for _, _, problem in problems(response)] == [
        "row 1: truth is missing, expected one of truth ($100,000), truth_usd (dollars), actual "
        "($100,000)",
        "row 2: truth_usd is 2.5, expected a number from 1,000 to 5,000,000 (dollars); did you "
        "mean truth?",
    ]
    [value] = api.get(f"/predictions/{ids[0]}").json["feedback"]
    assert value["observed_at"] == "2024-11-01T00:00:00.000+00:00"


@pytest.mark.parametrize(
    "times",
    [
        pa.array([date(2024, 11, 1)]),
        pa.array(["2024-11-01"]).dictionary_encode(),
        pa.array([datetime(2024, 11, 1)], pa.timestamp("ns")),
        pa.array([datetime(2024, 11, 1, tzinfo=UTC)], pa.timestamp("us", "America/Los_Angeles")),
        pa.array(["2024-10-31T17:00:00-07:00"], pa.large_string()),
    ],
)
def test_times_have_any_type(api, predict, times):
    [prediction_id] = predict()
    table = pa.table({"id": [prediction_id], "truth": [4.5], "observed_at": times})
    response = api.post("/feedback", encode(table, ARROW_MEDIA_TYPE), ARROW_MEDIA_TYPE)
    assert counts(response) == TAKEN | {"accepted": 1}
    [value] = api.get(f"/predictions/{prediction_id}").json["feedback"]
    assert value["observed_at"] == "2024-11-01T00:00:00.000+00:00"


def test_requests_are_named_in_tables_too(api, predict):
    predict(2, headers={"X-Request-ID": "1234"})
    table = pa.table({"request_id": [1234, 1234], "index": [0, 1], "actual": [1, 2]})
    response = api.post("/feedback", encode(table, PARQUET_MEDIA_TYPE), PARQUET_MEDIA_TYPE)
    assert counts(response) == TAKEN | {"accepted": 2}


@pytest.mark.parametrize(
    ("columns", "field", "problem"),
    [
        ({"truth": ["4.5"]}, "truth", "truth is a column of string, expected numbers ($100,000)"),
        ({"truth": [True]}, "truth", "truth is a column of bool, expected numbers ($100,000)"),
        ({"truth": [4.5], "id": [4.5]}, "id", "id is a column of double, expected text (the ids"),
        ({"truth": [4.5], "price": [1]}, "price", "'price' is not a field of feedback; expected"),
        ({}, "truth", "there is no column truth, truth_usd or actual"),
    ],
)
def test_a_table_with_wrong_columns_is_refused(api, columns, field, problem):
    table = pa.table({"id": ["unknown"]} | columns)
    response = api.post("/feedback", encode(table, PARQUET_MEDIA_TYPE), PARQUET_MEDIA_TYPE)
    assert response.status_code == 422
    assert problems(response)[0][1] == field
    assert problem in problems(response)[0][2]


@pytest.mark.parametrize(
    ("body", "media_type", "status", "problem"),
    [
        (b"<a/>", "application/xml", 415, "the content type is 'application/xml', expected"),
        (b"5", "application/json", 400, "expected a JSON object or a list of them"),
        (b'[{"id"', "application/json", 400, "the body is not JSON"),
        (b'{"id": "\xff"}', "application/json", 400, "the body is not JSON"),
        (b"[" * 100_000, "application/json", 400, "too many levels"),
        (b"[]", "application/json", 422, "the list has 0 rows"),
        (b"[" + b"1," * 10_000 + b"1]", "application/json", 422, "the list has 10,001 rows"),
        (b"", CSV_MEDIA_TYPE, 400, "the body is empty"),
        (b"a,b\n1,2\n", CSV_MEDIA_TYPE, 422, "expected a header with id, request_id, index"),
        (b"id,truth\n", CSV_MEDIA_TYPE, 422, "the list has 0 rows"),
        (b"id,price\na,1\n", CSV_MEDIA_TYPE, 422, "'price' is not a field of feedback"),
        (b"id,truth\na," + b"1\na," * 100_000, CSV_MEDIA_TYPE, 422, "the list has 100,001 rows"),
        (b"PAR1", PARQUET_MEDIA_TYPE, 400, "not a Parquet file that can be read"),
        (b"x" * 8_000_001, CSV_MEDIA_TYPE, 413, "the body is larger than 8,000,000 bytes"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(api, body, media_type, status, problem):
    response = api.post("/feedback", body, media_type)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert problem in response.json["detail"]


def test_a_body_may_be_packed(api, predict):
    body = gzip.compress(json.dumps({"id": predict()[0], "truth": 1}).encode())
    headers = {"Content-Encoding": "gzip"}
    response = api.post("/feedback", body, "application/json", headers)
    assert counts(response) == TAKEN | {"accepted": 1}
    response = api.post("/feedback", b"no gzip", "application/json", headers)
    assert response.status_code == 400


def test_every_refused_row_of_a_long_list_is_named(api):
    response = api.post("/feedback", json=[{"id": "unknown", "truth": 1}] * 2_000)
    assert response.status_code == 422
    assert [row for row, _, _ in problems(response)] == list(range(2_000))


def test_an_api_key_is_needed_and_logged(start_api, block_group, home):
    keys = [{"name": "ann", "sha256": hash_key(API_KEY), "per_minute": 2}]
    (home / "var" / "keys.json").write_text(json.dumps(keys))
    api, headers = start_api(), {"X-API-Key": API_KEY}
    prediction_id = api.post("/predict", json=block_group, headers=headers).json["id"]
    row = {"id": prediction_id, "truth": 1}
    assert api.post("/feedback", json=row).status_code == 401
    assert api.post("/feedback", json=row, headers=headers).status_code == 202
    limited = api.post("/feedback", json=row, headers=headers)
    assert limited.status_code == 429
    assert limited.headers["Retry-After"]
    with closing(sqlite3.connect(api.settings["DATABASE"])) as connection:
        assert connection.execute("SELECT caller FROM feedback").fetchall() == [("ann",)]


def test_each_request_is_a_line_of_the_log_and_its_rows_are_counted(api, predict):
    prediction_ids = predict(2)
    rows = [{"id": row_id, "truth": 1} for row_id in (*prediction_ids, "unknown")]
    before = feedback_metric(api, "accepted")
    api.post("/feedback", json=rows)
    line = api.log_lines()[-1]
    assert (line["path"], line["status"], line["method"]) == ("/feedback", 202, "POST")
    assert line["feedback"] == TAKEN | {"accepted": 2, "refused": 1}
    assert feedback_metric(api, "accepted") == before + 2


def feedback_metric(api, outcome):
    """Return the rows that the metrics count."""
    name = f'housing_feedback_rows_total{{outcome="{outcome}"}} '
    lines = api.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_a_log_that_cannot_be_written_is_a_503_and_later_nothing_is_lost(start_api, block_group):
    api = start_api()
    row = {"id": api.post("/predict", json=block_group).json["id"], "truth": 1}
    lock_file = Path(f"{api.settings['DATABASE']}.lock")
    with lock_file.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        response = api.post("/feedback", json=row)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert "send the same request again" in response.json["detail"]
    assert counts(api.post("/feedback", json=row)) == TAKEN | {"accepted": 1}


def test_true_values_arrive_days_later_for_archived_months(start_api, home):
    october = timed_row("2026-10-07T12:00:00.000+00:00")
    log = write_log(home / "var" / "logs.db", [october], FIRST_LOG_SCHEMA)
    folder = home / "var" / "archive"
    archive.archive_rows(log, "2024-11-01", folder, lambda _: None)
    api = start_api()
    row = {"id": october["id"], "truth": 1}
    assert counts(api.post("/feedback", json=row)) == TAKEN | {"accepted": 1}
    assert counts(api.post("/feedback", json=row)) == TAKEN | {"unchanged": 1}


def test_an_unreadable_month_is_a_503_that_names_it_to_the_operator(start_api, home):
    october = timed_row("2026-10-07T12:00:00.000+00:00")
    month = home / "var" / "archive" / "logs-2026-10.db"
    month.parent.mkdir(parents=True)
    month.write_bytes(b"no database" * 1_000)
    api = start_api()
    response = api.post("/feedback", json={"id": october["id"], "truth": 1})
    assert response.status_code == 503
    assert "logs-2026-10.db" in api.messages()
