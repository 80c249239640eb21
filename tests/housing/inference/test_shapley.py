import sys
from itertools import permutations
from subprocess import run

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from housing.data.synthetic import generate_sample
from housing.inference import shapley
from housing.schema import COORDINATE_NAMES, FEATURE_NAMES, TARGET, USD_PER_UNIT

WEIGHTS = np.array([1, 0.1, 1, 3, 0.001, 1, 2, 1])


@pytest.fixture(scope="module")
def tree():
    """The predict function of a fitted tree."""
    frame = generate_sample(2_000)
    model = DecisionTreeRegressor(random_state=0)
    return model.fit(frame[FEATURE_NAMES].to_numpy(), frame[TARGET]).predict


@pytest.fixture(scope="module")
def rows():
    return generate_sample(30, seed=1)[FEATURE_NAMES].to_numpy()


def interacting(x):
    """Predict so that each feature's gain depends on all the others."""
    return np.round(x @ WEIGHTS) ** 2


def test_contributions_add_up_to_the_prediction(tree, rows):
    background = generate_sample(5, seed=2)[FEATURE_NAMES].to_numpy()
    explanation = shapley.contributions(tree, rows, background)
    base_value = tree(background).mean() * USD_PER_UNIT
    assert explanation.base_value == pytest.approx(base_value, rel=1e-12)
    total = explanation.base_value + explanation.contributions.sum(axis=1)
    np.testing.assert_allclose(total, tree(rows) * USD_PER_UNIT, rtol=1e-9)


def test_contributions_are_the_average_gain_over_all_orders(rows):
    row, background = rows[0], rows[1]
    masks = [np.isin(range(8), columns) for columns in shapley.FEATURE_GROUPS.values()]
    gains = np.zeros(7)
    for order in permutations(range(7)):
        steps = [background]
        for player in order:
            steps.append(np.where(masks[player], row, steps[-1]))
        gains[list(order)] += np.diff(interacting(np.array(steps)))
    [values], _ = shapley.shapley_values(interacting, [row], [background])
    np.testing.assert_allclose(values, gains / 5_040, rtol=1e-9)


def test_a_linear_model_gives_coefficient_times_distance(rows):
    background = generate_sample(4, seed=2)[FEATURE_NAMES].to_numpy()
    values, base_value = shapley.shapley_values(lambda x: x @ WEIGHTS + 7, rows, background)
    expected = (rows - background.mean(axis=0)) * WEIGHTS
    np.testing.assert_allclose(values[:, :6], expected[:, :6], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(values[:, 6], expected[:, 6:].sum(axis=1), rtol=1e-9, atol=1e-12)
    assert base_value == pytest.approx(background.mean(axis=0) @ WEIGHTS + 7)


def test_a_feature_the_model_ignores_gets_nothing(rows):
    values, _ = shapley.shapley_values(lambda x: np.sin(x[:, 0] * x[:, 2]), rows, rows[:3] + 0.1)
    assert (values[:, [1, 3, 4, 5, 6]] == 0).all()
    assert (values[:, [0, 2]] != 0).all()


def test_interchangeable_features_get_the_same(rows):
    rows = rows.copy()
    rows[:, 1] = rows[:, 0]
    values, _ = shapley.shapley_values(
        lambda x: np.sqrt(x[:, 0] * x[:, 1]) / x[:, 5] + x[:, 2], rows, np.ones((1, 8))
    )
    np.testing.assert_allclose(values[:, 0], values[:, 1], rtol=1e-9)
    assert (values[:, 0] != values[:, 5]).all()


def test_latitude_and_longitude_are_one_player(rows):
    batches = []
    background = generate_sample(2, seed=2)[FEATURE_NAMES].to_numpy()
    shapley.shapley_values(lambda x: batches.append(x[:, 6:]) or x[:, 0], rows, background)
    predicted_locations = {tuple(location) for location in np.vstack(batches)}
    locations = np.vstack([rows, background])[:, 6:]
    assert predicted_locations == {tuple(location) for location in locations}


def test_the_order_of_the_rows_does_not_matter(tree, rows):
    background = generate_sample(5, seed=2)[FEATURE_NAMES].to_numpy()
    values, _ = shapley.shapley_values(tree, rows, background)
    reversed_values, _ = shapley.shapley_values(tree, rows[::-1], background[::-1])
    np.testing.assert_allclose(reversed_values[::-1], values, rtol=1e-9, atol=1e-12)


def test_the_model_is_called_with_few_batches_of_bounded_size(tree, rows, monkeypatch):
    batch_sizes = []

    def predict(x):
        batch_sizes.append(len(x))
        return tree(x)

    expected, _ = shapley.shapley_values(predict, rows, rows[:5])
    assert batch_sizes == [128 * 30 * 5, 5]
    # batches end within the backgrounds of a row
    monkeypatch.setattr(shapley, "MAX_PREDICT_ROWS", 128 * 7)
    batch_sizes.clear()
    values, _ = shapley.shapley_values(predict, rows, rows[:5])
    assert (max(batch_sizes), sum(batch_sizes)) == (128 * 7, 128 * 30 * 5 + 5)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)


def test_a_frame_keeps_its_index_and_names_the_players(tree):
    columns = [TARGET, *FEATURE_NAMES[::-1]]
    frame = generate_sample(4, seed=1).set_index(pd.Index(list("abcd")))[columns]
    explanation = shapley.contributions(tree, frame, frame.iloc[:1])
    assert list(explanation.contributions.index) == list("abcd")
    assert list(explanation.contributions.columns) == [*FEATURE_NAMES[:6], "location"]
    assert (explanation.contributions.loc["a"] == 0).all()  # compared with itself
    [prediction] = tree(frame[FEATURE_NAMES].to_numpy()[:1])
    assert explanation.base_value == pytest.approx(prediction * USD_PER_UNIT)


def test_the_reference_row_is_at_a_real_location():
    frame = generate_sample(500)
    row = shapley.reference_row(frame)
    assert row.shape == (1, 8)
    np.testing.assert_array_equal(row[0, :6], frame[FEATURE_NAMES].median().iloc[:6])
    location = row[0, 6:]
    locations = frame[COORDINATE_NAMES].to_numpy()
    median = np.median(locations, axis=0)
    distances = np.linalg.norm(locations - median, axis=1)
    assert np.linalg.norm(location - median) == pytest.approx(distances.min())
    assert (locations == location).all(axis=1).any()


@pytest.mark.parametrize(
    ("rows", "background", "message"),
    [
        (np.ones((3, 7)), np.ones((1, 8)), r"rows has the shape \(3, 7\), expected \(rows, 8\)"),
        (np.ones((3, 8)), np.ones(8), r"background has the shape \(8,\), expected \(rows, 8\)"),
        (np.ones((3, 8)), np.ones((0, 8)), "background has no rows"),
        (np.full((1, 8), np.nan), np.ones((1, 8)), "rows holds 8 numbers that are not finite"),
    ],
)
def test_an_invalid_argument_of_shapley_values_is_named(rows, background, message):
    with pytest.raises(ValueError, match=message):
        shapley.shapley_values(lambda x: x[:, 0], rows, background)


def test_a_model_that_returns_columns_is_named():
    with pytest.raises(
        ValueError, match=r"predict returned the shape \(128, 1\), expected \(128,\)"
    ):
        shapley.shapley_values(lambda x: x[:, :1], np.ones((1, 8)), np.zeros((1, 8)))


def test_shapley_values_need_numpy_alone():
    code = (
        "import sys; import numpy as np; from housing.inference import shapley; "
        "shapley.shapley_values(lambda x: x[:, 0], np.ones((1, 8)), np.zeros((1, 8))); "
        "print([name for name in ('pandas', 'sklearn', 'scipy') if name in sys.modules])"
    )
    completed = run([sys.executable, "-c", code], capture_output=True, text=True)
    assert completed.stdout == "[]\n", completed.stderr
