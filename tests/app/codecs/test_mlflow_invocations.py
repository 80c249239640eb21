"""Every wrong value of a JSON body in MLflow's protocol is named, not the first alone."""

import json

import pytest

from app.codecs import mlflow_invocations
from app.messages import HttpRequest
from app.problem_details import RequestError
from housing.schema import FEATURE_NAMES, FEATURES

BLOCK_GROUP = {name: float(feature.example) for name, feature in FEATURES.items()}
VALUES = [*BLOCK_GROUP.values()]


def decode(content):
    headers = {"content-type": "application/json"}
    request = HttpRequest("POST", "/invocations", "", headers, json.dumps(content).encode())
    return mlflow_invocations.decode_request(request, 1_000, 1_000).features


def problems_of(content):
    with pytest.raises(RequestError) as raised:
        decode(content)
    return [error.problem.partition(", exp")[0] for error in raised.value.errors]


@pytest.mark.parametrize("content", [
    {"instances": [BLOCK_GROUP] * 2},
    {"inputs": [BLOCK_GROUP | {"id": "a"}] * 2},
    {"dataframe_records": [BLOCK_GROUP | {"id": [1]}] * 2},
    {"inputs": {name: [value] * 2 for name, value in BLOCK_GROUP.items()}},
    {"dataframe_split": {"columns": ["id", *FEATURE_NAMES], "data": [["a", *VALUES]] * 2}},
])  # fmt: skip
def test_each_form_of_an_input_is_read(content):
    assert decode(content).tolist() == [VALUES] * 2


@pytest.mark.parametrize("key", ["instances", "inputs", "dataframe_records"])
def test_every_wrong_value_of_records_is_named(key):
    incomplete = {name: BLOCK_GROUP[name] for name in FEATURE_NAMES[1:]}
    rows = [
        BLOCK_GROUP | {"MedInc": "x", "HouseAge": None, "AveRooms": 999},
        BLOCK_GROUP,
        incomplete,
        VALUES,
        "text",
        BLOCK_GROUP | {"Latitude": True, "Longitude": [1]},
    ]
    names = ", ".join(FEATURE_NAMES)
    assert problems_of({key: rows}) == [
        'row 0: MedInc is "x"',
        "row 0: HouseAge is null",
        "row 0: AveRooms is 999",
        "row 2: MedInc is missing",
        f"row 3: not an object with {names}",
        f"row 4: not an object with {names}",
        "row 5: Latitude is true",
        "row 5: Longitude is a list",
    ]


def test_every_wrong_value_and_row_of_a_split_frame_is_named():
    rows = [[1, *VALUES], VALUES, [1, "old", *VALUES[1:]], None, [1, 99, *VALUES[1:]]]
    content = {"dataframe_split": {"columns": ["id", *FEATURE_NAMES], "data": rows}}
    assert problems_of(content) == [
        "row 1: not a list of 9 values",
        'row 2: MedInc is "old"',
        "row 3: not a list of 9 values",
        "row 4: MedInc is 99",
    ]
    columns = {"inputs": {name: [value, "x"] for name, value in BLOCK_GROUP.items()}}
    assert problems_of(columns) == [f'row 1: {name} is "x"' for name in FEATURE_NAMES]


def test_of_very_many_problems_the_first_are_named_and_the_others_counted():
    sentences = problems_of({"instances": [{}, 1] * 100})
    assert sentences[99] == "row 22: MedInc is missing"
    assert sentences[100] == "and 800 more problems"
