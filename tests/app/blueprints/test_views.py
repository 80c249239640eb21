import json
import os
import re
import time

import pytest

from app import create_app
from app.model import registry_sync
from housing.data import splitting
from housing.schema import FEATURES
from housing.tracking import store
from tests.conftest import register_candidate


def test_without_a_champion_it_lives_but_is_not_ready(client_without_champion, block_group):
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


def test_a_champion_that_comes_later_is_picked_up(champion_home, block_group):
    app = create_app()
    client = app.test_client()
    assert client.get("/ready").status_code == 503
    registry_sync.sync_once(champion_home / "var" / "serving")
    app.extensions["champion"]._next_check_at = 0
    assert client.get("/ready").json == {
        "status": "ready",
        "model": "california-housing-sample",
        "model_version": "1",
    }


def test_the_alias_is_followed(app, champion_home, block_group):
    client = app.test_client()
    assert client.post("/predict", json=block_group).json["model_version"] == "1"
    made = register_candidate(splitting.read_split(), "linear")
    store.client().set_registered_model_alias(made.name, "champion", made.version)
    registry_sync.sync_once(champion_home / "var" / "serving")
    app.extensions["champion"]._next_check_at = 0
    assert client.post("/predict", json=block_group).json["model_version"] == "2"


def test_a_copy_that_answers_wrong_is_not_taken(app, champion_home, block_group):
    client = app.test_client()
    serving = champion_home / "var" / "serving"
    folder = serving / registry_sync.sync_once(serving)
    recorded = json.loads((folder / "examples.json").read_text())
    recorded["predictions"][0] += 0.1
    (folder / "examples.json").write_text(json.dumps(recorded))
    os.utime(serving / "current.json", (1, 1))
    app.extensions["champion"]._next_check_at = 0
    assert client.post("/predict", json=block_group).status_code == 200
    assert "does not answer its recorded examples" in client.get("/ready").json["problem"]


def test_a_graph_that_cannot_be_read_is_not_taken(app, champion_home, block_group):
    client = app.test_client()
    serving = champion_home / "var" / "serving"
    (serving / registry_sync.sync_once(serving) / "model.onnx").write_bytes(b"no graph")
    os.utime(serving / "current.json", (1, 1))
    app.extensions["champion"]._next_check_at = 0
    assert client.post("/predict", json=block_group).status_code == 200
    assert "could not be loaded" in client.get("/ready").json["problem"]
    assert create_app().test_client().get("/ready").status_code == 503  # it starts all the same


def test_a_log_that_cannot_be_written_is_not_ready(champion_home):
    registry_sync.sync_once(champion_home / "var" / "serving")
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


def test_a_failure_of_ours_shows_no_traceback(app, block_group):
    app.extensions["champion"].champion = "broken"
    response = app.test_client().post("/predict", json=block_group)
    assert response.status_code == 500
    assert response.json["detail"].startswith("the service failed; its log has the reason under")
    assert "Traceback" not in response.text


def strict(text):
    """JSON as every reader takes it: without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} in an answer")

    found = json.loads(text, parse_constant=refuse)
    json.dumps(found, ensure_ascii=False).encode()  # no half characters
    return found


ODD_BODIES = [
    b'{"MedInc": 1e400}', b'{"MedInc": -1e400}', b'{"MedInc": NaN}', b"[Infinity]", b"[-Infinity]",
    b'{"MedInc": "\\ud800"}', b'{"\\udc00": 1}', b'{"MedInc": 1' + b"0" * 400 + b"}",
    b"\xed\xa0\x80", b"\xff\xfe", b"{", b"", b"\x00", b'"\\u0000"',
    *[b"[" * deep + b"]" * deep for deep in (*range(900, 1_000, 7), *range(980, 1_000))],
]  # fmt: skip


def test_the_log_is_shown_as_json_whatever_was_sent(client, block_group):
    ids = []
    for body in ODD_BODIES:
        answer = client.post("/predict", data=body, content_type="application/json")
        assert answer.status_code in (400, 422)
        ids.append(strict(answer.text)["id"])
    client.post("/predict", json=block_group)
    shown = strict(client.get("/predictions?limit=1000").text)["predictions"]
    refused = [one for one in shown if one["status"] != 200]
    assert {one["id"] for one in refused} == set(ids)
    assert [one["input"] for one in shown if one["status"] == 200] == [block_group]
    for name, body in zip(ids, ODD_BODIES, strict=True):
        row = strict(client.get(f"/predictions/{name}").text)
        assert row["status"] in (400, 422)
        if b"1e400" in body or b"ud800" in body:
            assert row["input"] == body.decode()


@pytest.mark.parametrize("limit", [
    "100000000000000000000", "0000000010000000000000000000", "1" * 5_000, "0", "-1", "1001", "1e3",
    "٣", "²", "", "1_0", "%00", "nan", "1 ",
])  # fmt: skip
def test_a_limit_that_is_none_is_refused(client, limit):
    for name in ("limit", "status"):
        answer = client.get("/predictions", query_string={name: limit})
        assert answer.status_code == 422, answer.text
        assert f"{name} is " in strict(answer.text)["detail"]


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_query_of_more_fields_than_anybody_needs_is_refused(client, block_group, path):
    body = block_group if path == "/predict" else {"instances": [block_group]}
    assert client.post(f"{path}?{'a=1&' * 99}b=1", json=body).status_code == 200
    if path == "/predict":
        answer = client.post(f"{path}?{'a=1&' * 101}b=1", json=body)
        assert answer.status_code == 422
        assert answer.json["detail"] == "the query has more than 100 fields"


@pytest.mark.parametrize("path", [
    "/reports/" + "a" * 400, "/reports/" + "a/" * 5_000, "/reports/%00", "/reports/a%00b/",
    "/reports/%ED%A0%80", "/reports/..%2F..%2Fetc%2Fpasswd", "/reports/%2e%2e/x", "/static/%00",
    "/static/" + "a" * 400, "/static/" + "a/" * 5_000, "/predictions/" + "a" * 5_000,
    "/predictions/%00", "/predictions/%ED%A0%80", "/predictions/%F0%9F%98%80", "/" + "a" * 5_000,
])  # fmt: skip
def test_a_page_that_there_cannot_be_is_not_there(client, path):
    answer = client.get(path)
    assert answer.status_code == 404, answer.text
    strict(answer.text)
    assert client.get(f"/predictions?request_id={path[-300:]}").status_code == 200


@pytest.mark.parametrize(("given", "kept"), [
    ("00-" + "1" * 32 + "-" + "2" * 16 + "-01", True),
    ("00-" + "1" * 32 + "-" + "2" * 16 + "-01-more", False),
    ("cc-" + "1" * 32 + "-" + "2" * 16 + "-01", True),
    ("cc-" + "1" * 32 + "-" + "2" * 16 + "-01-" + "x" * 60_000, True),
    ("cc-" + "1" * 32 + "-" + "2" * 16 + "-01x", False),
    ("ff-" + "1" * 32 + "-" + "2" * 16 + "-01", False),
    ("00-" + "0" * 32 + "-" + "2" * 16 + "-01", False),
    ("00-" + "A" * 32 + "-" + "2" * 16 + "-01", False),
])  # fmt: skip
def test_of_a_traceparent_no_more_is_kept_than_there_is_to_know(client, block_group, given, kept):
    answer = client.post("/predict", json=block_group, headers={"traceparent": given})
    logged = client.get(f"/predictions/{answer.json['id']}").json["traceparent"]
    assert logged == (given[:55] if kept else None)
    if kept:
        assert re.fullmatch(r"00-1{32}-[0-9a-f]{16}-01", answer.headers["traceparent"])
    else:
        assert "traceparent" not in answer.headers


@pytest.mark.parametrize("given", ["x" * 129, "a b", "é", "a\tb", ""])
def test_an_id_that_could_be_more_than_one_is_not_taken(client, block_group, given):
    answer = client.post("/predict", json=block_group, headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


@pytest.mark.parametrize("deep", [900, 990, 1_000, 1_010, 1_020])
def test_a_value_however_deep_is_refused_in_mlflow_s_protocol_too(client, block_group, deep):
    body = json.dumps({"instances": [block_group | {"MedInc": "here"}]})
    body = body.replace('"here"', "[" * deep + "]" * deep)
    answer = client.post("/invocations", data=body, content_type="application/json")
    assert answer.status_code == 400, answer.text
    assert len(answer.data) < 1_000


def test_a_refusal_of_thousands_of_rows_is_quick_and_short(client):
    started = time.perf_counter()
    answer = client.post("/predict", json=[{"MedInc": "x", "more": 1}] * 10_000)
    assert answer.status_code == 422
    assert len(answer.json["errors"]) <= 101
    assert time.perf_counter() - started < 2
