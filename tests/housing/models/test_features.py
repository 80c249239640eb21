import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from housing.data.synthetic import generate_sample
from housing.models import mlp
from housing.models.blend import Blend
from housing.models.boosted_trees import build_boosted_trees
from housing.models.families import BOOSTING_PARAMS
from housing.models.features import (
    JOB_CENTERS,
    N_LOCATION_FEATURES,
    NEIGHBOR_COUNTS,
    NEIGHBOR_SPACES,
    LocationFeatures,
    NeighborFeatures,
    nearest_distance_column,
)
from housing.models.mlp import ClippedMLPRegressor
from housing.schema import FEATURE_NAMES, TARGET

LEAVES_OWN_OUT = (
    "like TargetEncoder, fit_transform leaves a row's own value out, transform does not"
)


@pytest.mark.slow
def test_scikit_learn_s_own_checks_pass():
    check_estimator(ClippedMLPRegressor(hidden_layer_sizes=(16,), epochs=60, batch_size=16))
    check_estimator(
        NeighborFeatures(),
        expected_failed_checks={
            "check_transformer_general": LEAVES_OWN_OUT,
            "check_transformer_data_not_an_array": LEAVES_OWN_OUT,
            "check_fit2d_1sample": "one row has no neighbor; the error says so",
        },
    )


def test_location_features_are_those_of_the_definition():
    frame = generate_sample(50)
    columns = pd.DataFrame(LocationFeatures().fit_transform(frame[FEATURE_NAMES]))
    assert columns.shape == (50, N_LOCATION_FEATURES)
    np.testing.assert_array_equal(columns[range(8)], frame[FEATURE_NAMES])
    north, east = frame.Latitude - 34.05, (frame.Longitude + 118.25) * 0.8
    column = N_LOCATION_FEATURES - len(JOB_CENTERS) + list(JOB_CENTERS).index("Los Angeles")
    np.testing.assert_allclose(columns[column], np.hypot(north, east))


def test_a_missing_feature_column_is_named():
    message = "X has 3 features, but LocationFeatures is expecting 8 features as input: MedInc"
    with pytest.raises(ValueError, match=message):
        LocationFeatures().fit(np.ones((5, 3)))


def test_neighbor_features_are_those_of_the_definition():
    rows = np.array([[0.0], [1.0], [3.0], [7.0]])
    values = np.array([10.0, 20.0, 40.0, 80.0])
    model = NeighborFeatures(neighbor_counts=(1, 2)).fit(rows, values)
    [row] = model.transform([[1.2]])
    first_weight, second_weight = 1 / (0.2 + 0.001), 1 / (1.2 + 0.001)
    weighted = (20 * first_weight + 10 * second_weight) / (first_weight + second_weight)
    expected = [1.2, 20, (20 + 10) / 2, 20, weighted, 5, 0.2, 1.2, 1.2 - 0.5]
    np.testing.assert_allclose(row, expected)


def test_a_training_row_does_not_see_its_own_value():
    rows, values = np.array([[0.0], [1.0], [3.0]]), np.array([10.0, 20.0, 40.0])
    means = NeighborFeatures(neighbor_counts=(1,)).fit_transform(rows, values)[:, 1]
    assert list(means) == [20, 10, 20]


def test_a_copy_of_a_row_is_not_its_neighbor():
    rows = np.array([[0.0], [1.0], [3.0], [1.0], [1.0]])
    values = np.array([10.0, 20.0, 40.0, 21.0, 22.0])
    columns = NeighborFeatures(neighbor_counts=(1,)).fit_transform(rows, values)
    assert list(columns[[1, 3, 4], 1]) == [10, 10, 10]
    assert list(columns[[1, 3, 4], 4]) == [1, 1, 1]  # the distance to the nearest that is no copy


def test_a_duplicated_row_does_not_help_itself():
    """Copies among the training rows reveal nothing about a row's own value."""
    frame = generate_sample(600)
    noise = np.random.default_rng(0).normal(size=len(frame))
    rows, values = np.tile(frame[FEATURE_NAMES].to_numpy(), (2, 1)), np.tile(noise, 2)
    columns = NeighborFeatures(NEIGHBOR_SPACES).fit_transform(rows, values)
    model = LinearRegression().fit(columns, values)
    assert r2_score(values, model.predict(columns)) < 0.15


@pytest.mark.parametrize("copies", [1, 2])
def test_shuffled_values_cannot_be_predicted(copies):
    frame = generate_sample(800)
    shuffled = frame[TARGET].sample(frac=1, random_state=0).to_numpy()
    trees = build_boosted_trees(BOOSTING_PARAMS | {"trees": 50}, 0)
    model = make_pipeline(LocationFeatures(), NeighborFeatures(NEIGHBOR_SPACES), trees)
    rows = np.tile(frame[FEATURE_NAMES].to_numpy(), (copies, 1))
    values = np.tile(shuffled, copies)
    transformers = model.fit(rows, values)[:-1]
    # in training, too, the columns hold nothing of the value: else the trees would rely on them
    columns = clone(transformers).fit_transform(rows, values)[:, N_LOCATION_FEATURES:]
    assert abs(np.corrcoef(columns.T, values)[-1, :-1]).max() < 0.15
    held_out = cross_val_predict(model, frame[FEATURE_NAMES].to_numpy(), shuffled, cv=3)
    assert r2_score(shuffled, held_out) < 0.02


def test_fewer_than_two_different_rows_are_refused():
    with pytest.raises(ValueError, match=r"3 row\(s\), all the same .* expected two that differ"):
        NeighborFeatures().fit(np.ones((3, 2)), [1.0, 2.0, 3.0])


def test_the_distance_column_is_the_distance_to_the_nearest_training_row():
    frame = generate_sample(300)
    location_features = LocationFeatures().fit(frame[FEATURE_NAMES])
    model = NeighborFeatures(NEIGHBOR_SPACES).fit(
        location_features.transform(frame[FEATURE_NAMES]), frame[TARGET]
    )
    far_row = frame[FEATURE_NAMES][:1].assign(Latitude=32.0, Longitude=-125.0)
    [columns] = model.transform(location_features.transform(far_row))
    distance = columns[nearest_distance_column(NEIGHBOR_SPACES, N_LOCATION_FEATURES)]
    assert distance == pytest.approx(np.hypot(frame.Latitude - 32, frame.Longitude + 125).min())
    assert len(columns) == N_LOCATION_FEATURES + len(NEIGHBOR_SPACES) * (
        2 * len(NEIGHBOR_COUNTS) + 4
    )


def test_a_blend_follows_the_near_model_near_and_the_far_one_far():
    rows = np.array([[1.0, 0.0], [1.0, 100.0], [1.0, 0.1]])
    model = Blend(
        near_models=[ConstantModel(10)],
        far_models=[ConstantModel(20)],
        near_weights=[1.0, 0.0],
        far_weights=[0.0, 1.0],
        n_far_columns=1,
        distance_column=1,
        crossover_distance=0.1,
    ).fit(rows, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(model.predict(rows), [10, 20, 15], rtol=1e-6)


class ConstantModel(LinearRegression):
    def __init__(self, value=0.0):
        self.value = value
        super().__init__()

    def fit(self, X, y):
        assert X.shape[1] == (2 if self.value == 10 else 1)  # far models see no neighbors
        return self

    def predict(self, X):
        return np.full(len(X), float(self.value))


def test_a_network_follows_a_trend_and_clips_values_beyond_the_training_range():
    rows = np.random.default_rng(0).uniform(0, 1, (2_000, 1))
    model = ClippedMLPRegressor(hidden_layer_sizes=(16,), epochs=30, alpha=0, random_state=0).fit(
        rows, 3 * rows.ravel() + 5
    )
    np.testing.assert_allclose(model.predict([[0.25], [0.75]]), [5.75, 7.25], atol=0.05)
    assert model.predict([[50.0]]) == model.predict([[rows.max()]])  # clipped, not extrapolated


def test_many_rows_are_seen_less_often(monkeypatch):
    rows = np.random.default_rng(0).uniform(0, 1, (640, 1))

    def predictions(epochs):
        model = ClippedMLPRegressor(
            hidden_layer_sizes=(4,), epochs=epochs, batch_size=64, random_state=0
        )
        return model.fit(rows, rows.ravel()).predict(rows)

    five_epochs, two_epochs = predictions(5), predictions(2)
    monkeypatch.setattr(mlp, "MAX_TRAINING_STEPS", 50)  # as many as five epochs have
    np.testing.assert_array_equal(predictions(5), five_epochs)
    monkeypatch.setattr(mlp, "MAX_TRAINING_STEPS", 20)
    np.testing.assert_array_equal(predictions(5), two_epochs)
