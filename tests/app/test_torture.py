"""Any JSON body is answered correctly or refused in words, and harms neither service nor client."""

import codecs
import json
from functools import cache

import pytest

from app.problem_details import ProblemDetails
from housing.paths import PROJECT_ROOT
from tests.support import torture

MAX_REFUSAL_BYTES = 60_000  # a hundred sentences, and no long part of what was sent
INTERNALS = ("Traceback", 'File "', "site-packages", "pydantic", "orjson", "jiter", "pyarrow",
           "werkzeug", "flask", "0x7", "lib/python", "errors.")  # fmt: skip
# MLflow's protocol ignores unknown fields, and takes the last value of a repeated one
MLFLOW_VALID_PREFIXES = ("n_name_", "n_field_twice", "n_10000_unknown_fields", "n_100_huge_names",
           "n_after_comma", "n_body_wrapped", "n_list_with_twice",
           "n_list_ending_with_twice")  # fmt: skip


@cache
def body_cases():
    return list(torture.all_cases())


@cache
def utf_8_cases():
    """The cases whose body may be a part of another one, and is logged as it is."""
    return [case for case in body_cases() if not case.name.startswith("y_encoding_")]


def check_strict_json(text):
    """Fail if a text is no JSON, or has NaN or Infinity in it."""

    def reject_constant(constant):
        raise AssertionError(f"{constant} in a response")

    json.loads(text, parse_constant=reject_constant)


@pytest.fixture
def post_case(api):
    """Post a body and return the response after the checks for all: no 5xx, no leaks."""

    def post(path, case, body):
        response = api.post(path, data=body, content_type="application/json")
        is_refused = 400 <= response.status_code < 500
        assert response.status_code == 200 or is_refused, (case.name, response.text)
        leaks = [text for text in (*INTERNALS, str(PROJECT_ROOT)) if text in response.text]
        assert not leaks, case.name
        check_strict_json(response.text)
        if is_refused:
            assert len(response.data) < MAX_REFUSAL_BYTES, case.name
            logged = api.log_row(response.headers["x-request-id"])
            assert logged["status"] in (response.status_code, 422), case.name
            text = body.removeprefix(codecs.BOM_UTF8)[:2_000].decode(errors="replace")
            assert (logged["input"] or "") == text, case.name
            assert logged["problem"], case.name
        return response

    return post


@pytest.fixture
def expected_predictions(api):
    """Predict plain block groups, each only once."""

    @cache
    def predict(fields):
        return api.post("/predict", json=dict(fields)).json["prediction"]

    return lambda block_groups: [predict(tuple(row.items())) for row in block_groups]


def test_the_collection_has_every_kind_of_case():
    names = [case.name for case in body_cases()]
    assert len(set(names)) == len(names) > 600
    assert {name[:2] for name in names} == {"y_", "n_", "i_"}


def test_predict_accepts_block_groups_and_refuses_everything_else(post_case, expected_predictions):
    for case in body_cases():
        response = post_case("/predict", case, case.body)
        if response.status_code == 200:
            assert case.name[0] in "yi", case.name
            predictions = [
                prediction["prediction"]
                for prediction in response.json.get("predictions", [response.json])
            ]
            assert predictions == expected_predictions(case.block_groups), case.name
        else:
            assert case.name[0] in "ni", (case.name, response.text)
            assert response.content_type == "application/problem+json", case.name
            details = ProblemDetails.model_validate(response.json, strict=True)
            assert (details.status, details.type) == (response.status_code, "about:blank")
            assert details.detail == details.errors[0].problem


@pytest.mark.parametrize("input_key", ["instances", "dataframe_records"])
def test_the_mlflow_protocol_predicts_the_same(post_case, expected_predictions, input_key):
    for case in utf_8_cases():
        if b"[" not in case.body[:2]:
            body = b'{"%s": [%s]}' % (input_key.encode(), case.body)
        else:
            body = b'{"%s": %s}' % (input_key.encode(), case.body)
        response = post_case("/invocations", case, body)
        if response.status_code == 200:
            assert case.name[0] in "yi" or case.name.startswith(MLFLOW_VALID_PREFIXES), case.name
            if case.block_groups:
                assert response.json == {"predictions": expected_predictions(case.block_groups)}, (
                    case.name
                )
        else:
            assert case.name[0] in "ni", (case.name, response.text)
            assert response.content_type == "application/json"
            assert set(response.json) == {"error_code", "message"}, case.name
            assert response.json["error_code"] == "BAD_REQUEST", case.name


def test_the_mlflow_protocol_refuses_bodies_without_its_keys(post_case):
    for case in utf_8_cases():
        if case.name != "n_body_wrapped":
            assert post_case("/invocations", case, case.body).json["error_code"] == "BAD_REQUEST"
