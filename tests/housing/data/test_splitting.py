import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.tree import DecisionTreeRegressor

from housing import paths
from housing.data import loading, splitting
from housing.schema import FEATURE_NAMES, TARGET


@pytest.mark.parametrize(
    ("model", "rmse"),
    [(LinearRegression(), 0.7456), (DecisionTreeRegressor(max_depth=5, random_state=0), 0.7242)],
)
def test_the_split_and_scores_are_those_of_the_original_project(real_data, model, rmse):
    train, test = splitting.split_train_test(real_data.frame, test_size=0.2, seed=42)
    assert (len(train), len(test)) == (16_512, 4_128)
    y_pred = model.fit(train[FEATURE_NAMES], train[TARGET]).predict(test[FEATURE_NAMES])
    assert round(root_mean_squared_error(test[TARGET], y_pred), 4) == rmse
    if rmse == 0.7456:
        assert round(r2_score(test[TARGET], y_pred), 4) == 0.5758


def test_a_written_split_is_read_back():
    manifest = splitting.write_split(
        loading.load_dataset("sample", n_rows=200), test_size=0.25, seed=1
    )
    train, test, read_manifest, *_ = splitting.read_split()
    assert (len(train), len(test)) == (150, 50)
    assert read_manifest == manifest
    assert manifest["source"] == "sample"
    assert not set(train.index) & set(test.index)
    assert sorted([*train.index, *test.index]) == list(range(200))


def test_an_invalid_frame_is_not_written():
    dataset = loading.load_dataset("sample", n_rows=20)
    dataset.frame.loc[3, "MedInc"] = np.nan
    with pytest.raises(ValueError, match="MedInc is empty in 1 row"):
        splitting.write_split(dataset)
    assert not paths.processed_data().exists()


def test_an_altered_part_is_an_error():
    splitting.write_split(loading.load_dataset("sample", n_rows=200))
    path = paths.processed_data() / "train.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="run 01_prep again"):
        splitting.read_split()


def test_a_missing_split_is_an_error_that_names_the_step_to_run():
    with pytest.raises(LookupError, match="run 01_prep first"):
        splitting.read_split()
