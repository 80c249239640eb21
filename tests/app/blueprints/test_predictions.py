"""The routes that predict, and those that show the predictions in the log."""

import json
import re
import time
from urllib.parse import urlencode

import pytest

from tests.app.blueprints.strict_json import parse_strict_json

ODD_BODIES = [
    b'{"MedInc": 1e400}', b'{"MedInc": -1e400}', b'{"MedInc": NaN}', b"[Infinity]", b"[-Infinity]",
    b'{"MedInc": "\\ud800"}', b'{"\\udc00": 1}', b'{"MedInc": 1' + b"0" * 400 + b"}",
    b"\xed\xa0\x80", b"\xff\xfe", b"{", b"", b"\x00", b'"\\u0000"',
    *[b"[" * depth + b"]" * depth for depth in (*range(900, 1_000, 7), *range(980, 1_000))],
]  # fmt: skip


def test_the_log_is_shown_as_strict_json_whatever_was_sent(start_api, block_group):
    api = start_api()
    ids = []
    for body in ODD_BODIES:
        response = api.post("/predict", data=body, content_type="application/json")
        assert response.status_code in (400, 422)
        ids.append(parse_strict_json(response.text)["id"])
    api.post("/predict", json=block_group)
    rows = parse_strict_json(api.get("/predictions?limit=1000").text)["predictions"]
    assert {row["id"] for row in rows if row["status"] != 200} == set(ids)
    assert [row["input"] for row in rows if row["status"] == 200] == [block_group]
    for name, body in zip(ids, ODD_BODIES, strict=True):
        row = parse_strict_json(api.get(f"/predictions/{name}").text)
        assert row["status"] in (400, 422)
        if b"1e400" in body or b"ud800" in body:
            assert row["input"] == body.decode()


def test_a_rejected_body_is_shown_as_json_up_to_500_levels(api):
    for levels, expected_type in ((500, list), (501, str)):
        body = b"[" * levels + b"]" * levels
        response = api.post("/predict", data=body, content_type="application/json")
        logged = parse_strict_json(api.get(f"/predictions/{response.json['id']}").text)
        assert type(logged["input"]) is expected_type


@pytest.mark.parametrize("value", [
    "100000000000000000000", "0000000010000000000000000000", "1" * 5_000, "0", "-1", "1001", "1e3",
    "٣", "²", "", "1_0", "\0", "%00", "nan", "1 ",
])  # fmt: skip
def test_an_invalid_limit_or_status_is_refused(api, value):
    for name in ("limit", "status"):
        response = api.get(f"/predictions?{urlencode({name: value})}")
        assert response.status_code == 422, response.text
        assert f"{name} is " in parse_strict_json(response.text)["detail"]


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_query_of_more_than_100_fields_is_refused(api, block_group, path):
    body = block_group if path == "/predict" else {"instances": [block_group]}
    assert api.post(f"{path}?{'a=1&' * 99}b=1", json=body).status_code == 200
    if path == "/predict":
        response = api.post(f"{path}?{'a=1&' * 101}b=1", json=body)
        assert response.status_code == 422
        assert response.json["detail"] == "the query has more than 100 fields"


@pytest.mark.parametrize(("traceparent", "is_valid"), [
    ("00-" + "1" * 32 + "-" + "2" * 16 + "-01", True),
    ("00-" + "1" * 32 + "-" + "2" * 16 + "-01-more", False),
    ("cc-" + "1" * 32 + "-" + "2" * 16 + "-01", True),
    ("cc-" + "1" * 32 + "-" + "2" * 16 + "-01-" + "x" * 60_000, True),
    ("cc-" + "1" * 32 + "-" + "2" * 16 + "-01x", False),
    ("ff-" + "1" * 32 + "-" + "2" * 16 + "-01", False),
    ("00-" + "0" * 32 + "-" + "2" * 16 + "-01", False),
    ("00-" + "A" * 32 + "-" + "2" * 16 + "-01", False),
])  # fmt: skip
def test_only_the_known_fields_of_a_valid_traceparent_are_logged(
    api, block_group, traceparent, is_valid
):
    response = api.post("/predict", json=block_group, headers={"traceparent": traceparent})
    logged = api.get(f"/predictions/{response.json['id']}").json["traceparent"]
    assert logged == (traceparent[:55] if is_valid else None)
    if is_valid:
        assert re.fullmatch(r"00-1{32}-[0-9a-f]{16}-01", response.headers["traceparent"])
    else:
        assert "traceparent" not in response.headers


@pytest.mark.parametrize("request_id", ["x" * 129, "a b", "é", "a\tb", ""])
def test_a_client_s_id_that_is_invalid_is_replaced(api, block_group, request_id):
    response = api.post("/predict", json=block_group, headers={"X-Request-ID": request_id})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])


@pytest.mark.parametrize("depth", [900, 990, 1_000, 1_010, 1_020])
def test_a_deeply_nested_value_is_refused_in_mlflow_s_protocol_too(api, block_group, depth):
    body = json.dumps({"instances": [block_group | {"MedInc": "here"}]})
    body = body.replace('"here"', "[" * depth + "]" * depth)
    response = api.post("/invocations", data=body.encode(), content_type="application/json")
    assert response.status_code == 400, response.text
    assert len(response.data) < 1_000


def test_errors_in_thousands_of_rows_are_reported_quickly_and_briefly(api):
    started = time.perf_counter()
    response = api.post("/predict", json=[{"MedInc": "x", "more": 1}] * 10_000)
    assert response.status_code == 422
    assert len(response.json["errors"]) <= 101
    assert time.perf_counter() - started < 2
