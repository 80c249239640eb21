"""Which rows are trained on and which are held out: nothing that is tested is ever learnt."""

import json

import numpy as np
import pandas as pd
import pytest

from housing.data import loading, splitting
from housing.data.errors import DataError
from housing.data.synthetic import generate_sample
from housing.retraining import labelled_rows, report, training_part
from housing.schema import FEATURE_NAMES, TARGET

MODEL_NAME = "california-housing-sample"


@pytest.fixture(scope="module")
def dataset():
    return loading.load_dataset("sample", n_rows=1_000)


def combine(dataset, logged, recent_size=0.2):
    rows = labelled_rows.select(logged, MODEL_NAME)
    return training_part.combine(dataset, rows, 0.2, 42, recent_size)


def feature_rows(frame):
    return set(map(tuple, frame[FEATURE_NAMES].to_numpy()))


@pytest.fixture(scope="module")
def part(dataset, new_block_groups, make_labelled_rows):
    return combine(dataset, make_labelled_rows(new_block_groups)).part


def test_the_newest_rows_are_held_out(dataset, part, new_block_groups):
    assert feature_rows(part.recent) == feature_rows(new_block_groups.iloc[480:])
    assert not feature_rows(part.recent) & feature_rows(part.train)
    assert len(part.train) == 800 + 480
    assert part.record.until < part.record.recent_since


def test_each_labelled_row_keeps_its_origin(part, new_block_groups):
    assert not part.train.index.has_duplicates
    origins = part.origins.loc[part.recent.index]
    assert origins.prediction_id.tolist() == [f"{number:032x}-0" for number in range(480, 600)]
    assert set(origins.part) == {"recent"}
    numbers = part.origins.index[part.origins.part == "train"]
    assert feature_rows(part.train.loc[numbers]) == feature_rows(new_block_groups.iloc[:480])
    assert {"prediction_id", "model_version", "time", "origin", "truth"} <= set(part.origins)
    assert part.record.versions == {f"{MODEL_NAME} version 1": 600}


def test_rows_of_a_request_and_of_a_moment_are_on_the_same_side(new_block_groups):
    """A request of 300 rows, and 300 of single requests at the same minute."""
    request = [f"{1:032x}-{index}" for index in range(300)]
    origins = pd.DataFrame(
        {
            "prediction_id": request + [f"{number:032x}-0" for number in range(2, 302)],
            "time": [f"2026-09-{1 + index // 12:02}T00:00:00+00:00" for index in range(300)]
            + ["2026-08-01T00:00:00+00:00"] * 100
            + ["2026-09-30T00:00:00+00:00"] * 200,
        }
    )
    is_recent = training_part.find_recent(origins, 0.2)
    assert is_recent[400:].all()
    assert not is_recent[:400].any()
    is_recent = training_part.find_recent(origins, 0.4)  # 240 rows: 200, and the next request
    assert is_recent[:300].all()
    assert not is_recent[300:400].any()


def test_block_groups_of_the_test_part_are_never_trained_on(
    dataset, new_block_groups, make_labelled_rows
):
    """Clients asked about them: as they are, in single precision, and rounded."""
    _, test = splitting.split_train_test(dataset.frame)
    single = test.iloc[50:100].astype(np.float32).astype(float)
    replayed = pd.concat([test.iloc[:50], single, test.iloc[100:150].round(3)])
    logged = make_labelled_rows(pd.concat([replayed, new_block_groups.iloc[:400]]))
    part = combine(dataset, logged).part
    assert not training_part.find_twins(part.train, test).any()
    assert part.record.left_out == {"a block group of the test part": 150}
    assert part.record.train_rows == 400 - 110


def test_a_newer_value_of_a_training_row_takes_its_place(
    dataset, new_block_groups, make_labelled_rows
):
    """Also if it is held out: the older row would tell its value."""
    train, _ = splitting.split_train_test(dataset.frame)
    replayed = train[train[TARGET] < 4].iloc[:40].assign(**{TARGET: 4.5})
    frames = [replayed.iloc[:20], new_block_groups.iloc[:400], replayed.iloc[20:]]
    part = combine(dataset, make_labelled_rows(pd.concat(frames))).part
    assert (part.record.replaced_rows, part.record.factors) == (40, {})
    assert not training_part.find_twins(part.train, replayed.iloc[20:]).any()
    twins = part.train[training_part.find_twins(part.train, replayed.iloc[:20])]
    assert twins[TARGET].tolist() == [4.5] * 20


def test_the_test_part_is_the_same_file_with_labelled_rows_and_without(dataset, part):
    without = splitting.write_split(dataset)
    first_split = splitting.read_split()
    manifest = splitting.write_split(dataset, labelled=part)
    split = splitting.read_split()
    assert manifest["sha256"]["test"] == without["sha256"]["test"]
    assert manifest["sha256"]["older_train"] == without["sha256"]["train"]
    assert split.recorded_test.equals(first_split.test)
    assert (len(split.train), len(split.recent_test)) == (1_280, 120)
    assert splitting.write_split(dataset) == without
    assert splitting.read_split().recent_test is None


def test_older_values_are_at_todays_prices(dataset, new_block_groups, make_labelled_rows):
    raised = new_block_groups.assign(**{TARGET: new_block_groups[TARGET] * 1.2})
    retraining = combine(dataset, make_labelled_rows(raised))
    splitting.write_split(dataset, labelled=retraining.part)
    split = splitting.read_split()
    is_below_cap = split.recorded_test[TARGET] < 4
    ratios = (split.test[TARGET] / split.recorded_test[TARGET])[is_below_cap]
    assert ratios.between(1.1, 1.3).all()
    capped = split.recorded_test[TARGET] >= 5
    assert split.test[TARGET][capped].equals(split.recorded_test[TARGET][capped])
    text = report.describe(retraining)
    assert "Older values × 1." in text or "older values × 1." in text
    assert "everywhere, from labelled row 1 on" in text


def test_too_few_labelled_rows_are_an_error_with_the_way_out(
    dataset, new_block_groups, make_labelled_rows
):
    logged = make_labelled_rows(new_block_groups.iloc[:150], input={0: json.dumps({"MedInc": 3.0})})
    with pytest.raises(DataError) as caught:
        combine(dataset, logged)
    assert str(caught.value) == (
        "the prediction log has 149 labelled rows that can be used, of which 49 are left to train "
        "on and 100 to test; expected at least 100 and 100 (left out: HouseAge is empty: 1). Send "
        "more true values (POST /feedback, `run_pipeline.py feedback FILE`), or train without "
        "them: labelled=no"
    )


def test_without_labelled_rows_there_is_nothing_to_prepare(dataset):
    assert training_part.prepare("no", dataset) is None
    assert report.describe(None) == ""


def test_generated_rows_are_no_twins_by_chance():
    frame, others = generate_sample(2_000, seed=0), generate_sample(2_000, seed=1)
    assert training_part.find_twins(frame, frame).all()
    assert not training_part.find_twins(frame, others).any()
