import json

import pytest

from housing.retraining import labelled_rows
from housing.schema import FEATURE_NAMES, HOUSE_VALUE_CAP, TARGET

MODEL_NAME = "california-housing-sample"


@pytest.fixture
def block_groups(new_block_groups):
    return new_block_groups.iloc[:6]


def test_features_come_from_the_request_and_the_value_from_the_feedback(
    block_groups, make_labelled_rows
):
    rows = labelled_rows.select(make_labelled_rows(block_groups), MODEL_NAME)
    assert rows.frame.equals(block_groups[[*FEATURE_NAMES, TARGET]])
    assert rows.origins.prediction_id.tolist() == [f"{number:032x}-0" for number in range(6)]
    assert (dict(rows.left_out), rows.capped_rows) == ({}, 0)


def test_the_time_of_a_row_is_that_of_its_true_value(block_groups, make_labelled_rows):
    observed_at = "2026-08-01T00:00:00.000+00:00"
    logged = make_labelled_rows(block_groups, observed_at={4: observed_at})
    rows = labelled_rows.select(logged, MODEL_NAME)
    assert rows.origins.prediction_id.iloc[0] == f"{4:032x}-0"
    assert rows.origins.time.iloc[0] == observed_at
    assert rows.frame.MedInc.iloc[0] == block_groups.MedInc[4]


def test_a_value_above_the_cap_counts_as_the_cap_and_is_counted(block_groups, make_labelled_rows):
    rows = labelled_rows.select(make_labelled_rows(block_groups, truth={2: 7.5}), MODEL_NAME)
    assert rows.frame[TARGET].iloc[2] == HOUSE_VALUE_CAP
    assert rows.origins.truth.iloc[2] == 7.5
    assert rows.capped_rows == 1


def test_rows_that_cannot_be_used_are_left_out_and_counted(block_groups, make_labelled_rows):
    impossible = json.dumps(block_groups.loc[1, FEATURE_NAMES].to_dict() | {"MedInc": 99.0})
    incomplete = json.dumps(block_groups.loc[2, FEATURE_NAMES].drop("HouseAge").to_dict())
    logged = make_labelled_rows(
        block_groups,
        model_name={0: "california-housing"},
        input={1: impossible, 2: incomplete},
        truth={3: 226_000.0, 4: -0.1},
    )
    rows = labelled_rows.select(logged, MODEL_NAME)
    assert rows.origins.prediction_id.tolist() == [f"{5:032x}-0"]
    assert dict(rows.left_out) == {
        "answered by a model of other data": 1,
        "a true value above $50 million, so in another unit": 1,
        "MedInc is out of range": 1,
        "HouseAge is empty": 1,
        "MedHouseVal is out of range": 1,
    }


def test_of_a_block_group_with_several_values_the_newest_counts(block_groups, make_labelled_rows):
    same_input = json.dumps(block_groups.loc[0, FEATURE_NAMES].to_dict())
    logged = make_labelled_rows(block_groups, input={3: same_input}, truth={0: 1.0, 3: 1.5})
    rows = labelled_rows.select(logged, MODEL_NAME)
    assert len(rows.frame) == 5
    assert rows.frame[rows.frame.MedInc == block_groups.MedInc[0]][TARGET].tolist() == [1.5]
    assert dict(rows.left_out) == {"a newer true value of the same block group": 1}


def test_a_log_without_true_values_gives_no_rows():
    rows = labelled_rows.read(MODEL_NAME)
    assert (len(rows.frame), list(rows.frame)) == (0, [*FEATURE_NAMES, TARGET])
