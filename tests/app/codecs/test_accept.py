"""The header Accept: which format an answer has."""

import pytest

from app.codecs.tables import ARROW_MEDIA_TYPE, CSV_MEDIA_TYPE, PARQUET_MEDIA_TYPE

JSON = "application/json"
CSV_TYPE = f"{CSV_MEDIA_TYPE}; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV_MEDIA_TYPE),
        ("TEXT/CSV", CSV_MEDIA_TYPE),
        ("text/csv;q=0.5, application/json;q=0.4", CSV_MEDIA_TYPE),
        ("application/json;q=0.4, text/csv;q=0.5", CSV_MEDIA_TYPE),
        ("text/csv;q=0.5, application/json", JSON),
        ("text/csv, application/json", JSON),  # as good: the one of the request
        ("text/csv, */*;q=0.1", CSV_MEDIA_TYPE),
        ("text/csv;q=0.1, */*", JSON),
        ("text/*", CSV_MEDIA_TYPE),
        ("text/*;q=0.3, application/*;q=0.2", CSV_MEDIA_TYPE),
        ("application/*", JSON),
        ("application/json;q=0, */*", ARROW_MEDIA_TYPE),
        ("application/json;q=0, text/csv", CSV_MEDIA_TYPE),
        ("application/*;q=0, */*", CSV_MEDIA_TYPE),
        ("text/csv;q=0", JSON),
        (f"{PARQUET_MEDIA_TYPE};q=1.0, {JSON};q=0.9", PARQUET_MEDIA_TYPE),
        ("text/csv; charset=utf-8", CSV_MEDIA_TYPE),
        ("text/csv;header=present;q=0.9, application/json;q=0.8", CSV_MEDIA_TYPE),
        ("application/json; charset=utf-8; q=0.5", JSON),
        ("image/png", JSON),  # disregarded
        ("image/png, text/csv;q=0.001", CSV_MEDIA_TYPE),
        ("text/csv;q=2", JSON),  # no weight
        ("text/csv;q=x, text/csv;q=-1", JSON),
        ("nonsense, *, /, ;;q=,", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),
    ],
)
def test_the_format_follows_quality_and_specificity(api, block_group, accept, expected):
    response = api.post("/predict", json=block_group, headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, expected)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", CSV_MEDIA_TYPE),
        ("*/*", CSV_MEDIA_TYPE),
        ("application/json, text/plain, */*", JSON),  # of a browser's library
        ("application/json;charset=utf-8", JSON),
        ("application/json;q=0.5, */*;q=0.5", JSON),  # as good, and named
        ("text/csv;q=0, application/json;q=0.1", JSON),
        ("text/csv;q=0", JSON),
        ("image/png", CSV_MEDIA_TYPE),
    ],
)
def test_a_table_is_answered_as_a_table_unless_something_else_is_preferred(
    api, block_group, accept, expected
):
    body = f"{','.join(block_group)}\n{','.join(map(str, block_group.values()))}\n".encode()
    response = api.post("/predict", body, CSV_TYPE, headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, expected)


@pytest.mark.parametrize("accept", ["*/*;q=0", "application/json;q=0", "application/*;q=0.0, a/b"])
def test_if_everything_is_excluded_the_answer_says_what_there_is(api, block_group, accept):
    response = api.post("/predict", json=block_group, headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (406, "application/problem+json")
    for media_type in (JSON, CSV_MEDIA_TYPE, PARQUET_MEDIA_TYPE, ARROW_MEDIA_TYPE):
        assert media_type in response.json["detail"]


def test_an_endless_header_costs_little(api, block_group):
    response = api.post("/predict", json=block_group, headers={"Accept": "a/b;q=0.5," * 5_000})
    assert response.mimetype == JSON
