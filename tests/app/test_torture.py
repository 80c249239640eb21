"""Whatever is sent as JSON is answered rightly or refused in words, and never harms anyone."""

import json
import time
from functools import cache

import pytest

from app.problem_details import ProblemDetails
from housing.paths import PROJECT_ROOT
from tests.support import torture

LARGEST = 60_000  # bytes of a refusal: a hundred sentences, and nothing that was sent at length
SLOWEST = 5.0  # seconds, on a busy machine; what is sent costs no more than what it says
SECRETS = ("Traceback", 'File "', "site-packages", "pydantic", "orjson", "jiter", "pyarrow",
           "werkzeug", "flask", "0x7", "lib/python", "errors.")  # fmt: skip
# MLflow's protocol leaves out what the model does not know, and takes the last of two
LENIENT = ("n_name_", "n_field_twice", "n_10000_unknown_fields", "n_100_huge_names",
           "n_after_comma", "n_body_wrapped", "n_list_with_twice",
           "n_list_ending_with_twice")  # fmt: skip


@cache
def known():
    return list(torture.all_cases())


def strict(text):
    """JSON without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} in an answer")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def ask(client, app):
    """Asks, and gives the answer after what holds for each: no 5xx, in time, nothing told."""

    def post(path, case, body):
        started = time.perf_counter()
        answer = client.post(path, data=body, content_type="application/json")
        assert time.perf_counter() - started < SLOWEST, case.name
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, (
            case.name,
            answer.text,
        )
        assert not [one for one in (*SECRETS, str(PROJECT_ROOT)) if one in answer.text], case.name
        strict(answer.text)
        if answer.status_code != 200:
            assert len(answer.data) < LARGEST, case.name
            logged = app.extensions["log"].find(answer.headers["x-request-id"])
            assert logged["status"] in (answer.status_code, 422), case.name
            assert (logged["input"] or "") == body[:2_000].decode(errors="replace"), case.name
            assert logged["problem"], case.name
        return answer

    return post


@pytest.fixture
def right(client):
    """The prediction of a plain block group, asked for once."""

    @cache
    def predicted(asked):
        return client.post("/predict", json=dict(asked)).json["prediction"]

    return lambda rows: [predicted(tuple(one.items())) for one in rows]


def test_the_collection_has_every_kind_of_case():
    names = [one.name for one in known()]
    assert len(set(names)) == len(names) > 600
    assert {one[:2] for one in names} == {"y_", "n_", "i_"}


def test_predict_answers_what_is_a_block_group_and_refuses_what_is_none(ask, right):
    for case in known():
        answer = ask("/predict", case, case.body)
        if answer.status_code == 200:
            assert case.name[0] in "yi", case.name
            told = answer.json.get("predictions", [answer.json])
            assert [one["prediction"] for one in told] == right(case.block_groups), case.name
        else:
            assert case.name[0] in "ni", (case.name, answer.text)
            assert answer.content_type == "application/problem+json", case.name
            problem = ProblemDetails.model_validate(answer.json, strict=True)
            assert (problem.status, problem.type) == (answer.status_code, "about:blank")
            assert problem.detail == problem.errors[0].problem


@pytest.mark.parametrize("key", ["instances", "dataframe_records"])
def test_mlflow_s_protocol_answers_the_same(ask, right, key):
    for case in known():
        if b"[" not in case.body[:2]:
            body = b'{"%s": [%s]}' % (key.encode(), case.body)
        else:
            body = b'{"%s": %s}' % (key.encode(), case.body)
        answer = ask("/invocations", case, body)
        if answer.status_code == 200:
            assert case.name[0] in "yi" or case.name.startswith(LENIENT), case.name
            if case.block_groups:
                assert answer.json == {"predictions": right(case.block_groups)}, case.name
        else:
            assert case.name[0] in "ni", (case.name, answer.text)
            assert answer.content_type == "application/json"
            assert set(answer.json) == {"error_code", "message"}, case.name
            assert answer.json["error_code"] == "BAD_REQUEST", case.name


def test_mlflow_s_protocol_refuses_bodies_without_its_keys(ask):
    for case in known():
        if case.name != "n_body_wrapped":
            assert ask("/invocations", case, case.body).json["error_code"] == "BAD_REQUEST"
