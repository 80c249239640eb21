import sys
from itertools import permutations
from subprocess import run

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from housing.data.synthetic import generate_sample
from housing.inference import shapley
from housing.schema import FEATURE_NAMES, TARGET, USD_PER_UNIT

WEIGHTS = np.array([1, 0.1, 1, 3, 0.001, 1, 2, 1])


@pytest.fixture(scope="module")
def tree():
    frame = generate_sample(2_000)
    return (
        DecisionTreeRegressor(random_state=0)
        .fit(frame[FEATURE_NAMES].to_numpy(), frame[TARGET])
        .predict
    )


@pytest.fixture(scope="module")
def rows():
    return generate_sample(30, seed=1)[FEATURE_NAMES].to_numpy()


def _entangled(x):
    """No feature's gain is the same with and without another."""
    return np.round(x @ WEIGHTS) ** 2


def test_contributions_add_up_to_the_guess(tree, rows):
    background = generate_sample(5, seed=2)[FEATURE_NAMES].to_numpy()
    found = shapley.contributions(tree, rows, background)
    assert found.base_value == pytest.approx(tree(background).mean() * USD_PER_UNIT, rel=1e-12)
    total = found.base_value + found.contributions.sum(axis=1)
    np.testing.assert_allclose(total, tree(rows) * USD_PER_UNIT, rtol=1e-9)


def test_they_are_the_average_gain_over_all_orders(rows):
    row, background = rows[0], rows[1]
    columns = [np.isin(range(8), one) for one in shapley.FEATURE_GROUPS.values()]
    gains = np.zeros(7)
    for order in permutations(range(7)):
        steps = [background]
        for player in order:
            steps.append(np.where(columns[player], row, steps[-1]))
        gains[list(order)] += np.diff(_entangled(np.array(steps)))
    found, _ = shapley.shapley_values(_entangled, [row], [background])
    np.testing.assert_allclose(found[0], gains / 5_040, rtol=1e-9)


def test_a_linear_model_gives_coefficient_times_distance(rows):
    background = generate_sample(4, seed=2)[FEATURE_NAMES].to_numpy()
    found, base = shapley.shapley_values(lambda x: x @ WEIGHTS + 7, rows, background)
    parts = (rows - background.mean(axis=0)) * WEIGHTS
    np.testing.assert_allclose(found[:, :6], parts[:, :6], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[:, 6], parts[:, 6:].sum(axis=1), rtol=1e-9, atol=1e-12)
    assert base == pytest.approx(background.mean(axis=0) @ WEIGHTS + 7)


def test_a_feature_the_model_ignores_gets_nothing(rows):
    found, _ = shapley.shapley_values(lambda x: np.sin(x[:, 0] * x[:, 2]), rows, rows[:3] + 0.1)
    assert (found[:, [1, 3, 4, 5, 6]] == 0).all()
    assert (found[:, [0, 2]] != 0).all()


def test_features_that_do_the_same_get_the_same(rows):
    same = rows.copy()
    same[:, 1] = same[:, 0]
    found, _ = shapley.shapley_values(
        lambda x: np.sqrt(x[:, 0] * x[:, 1]) / x[:, 5] + x[:, 2], same, np.ones((1, 8))
    )
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-9)
    assert (found[:, 0] != found[:, 5]).all()


def test_a_place_is_one_player(rows):
    places = []
    background = generate_sample(2, seed=2)[FEATURE_NAMES].to_numpy()
    shapley.shapley_values(lambda x: places.append(x[:, 6:]) or x[:, 0], rows, background)
    seen = {tuple(place) for place in np.vstack(places)}
    assert seen == {tuple(place) for place in np.vstack([rows, background])[:, 6:]}


def test_the_order_of_the_rows_does_not_matter(tree, rows):
    background = generate_sample(5, seed=2)[FEATURE_NAMES].to_numpy()
    found, _ = shapley.shapley_values(tree, rows, background)
    turned, _ = shapley.shapley_values(tree, rows[::-1], background[::-1])
    np.testing.assert_allclose(turned[::-1], found, rtol=1e-9, atol=1e-12)


def test_the_model_is_asked_in_few_batches_of_bounded_size(tree, rows, monkeypatch):
    asked = []

    def counted(x):
        asked.append(len(x))
        return tree(x)

    whole, _ = shapley.shapley_values(counted, rows, rows[:5])
    assert asked == [128 * 30 * 5, 5]
    monkeypatch.setattr(
        shapley, "MAX_PREDICT_ROWS", 128 * 7
    )  # cuts within the backgrounds of a row
    asked.clear()
    parts, _ = shapley.shapley_values(counted, rows, rows[:5])
    assert (max(asked), sum(asked)) == (128 * 7, 128 * 30 * 5 + 5)
    np.testing.assert_allclose(parts, whole, rtol=1e-9, atol=1e-12)


def test_a_table_keeps_its_index_and_names_the_players(tree):
    frame = generate_sample(4, seed=1).set_index(pd.Index(list("abcd")))[
        [TARGET, *FEATURE_NAMES[::-1]]
    ]
    found = shapley.contributions(tree, frame, frame.iloc[:1])
    assert list(found.contributions.index) == list("abcd")
    assert list(found.contributions.columns) == [*FEATURE_NAMES[:6], "location"]
    assert (found.contributions.loc["a"] == 0).all()  # compared with itself
    assert found.base_value == pytest.approx(
        tree(frame[FEATURE_NAMES].to_numpy()[:1])[0] * USD_PER_UNIT
    )


def test_the_typical_block_group_is_in_a_real_place():
    frame = generate_sample(500)
    row = shapley.reference_row(frame)
    assert row.shape == (1, 8)
    np.testing.assert_array_equal(row[0, :6], frame[FEATURE_NAMES].median().iloc[:6])
    place = row[0, 6:]
    middle = frame[shapley.COORDINATE_COLUMNS].median().to_numpy()
    away = np.linalg.norm(frame[shapley.COORDINATE_COLUMNS].to_numpy() - middle, axis=1)
    assert np.linalg.norm(place - middle) == pytest.approx(away.min())
    assert (frame[shapley.COORDINATE_COLUMNS].to_numpy() == place).all(axis=1).any()


@pytest.mark.parametrize(
    ("rows", "background", "message"),
    [
        (np.ones((3, 7)), np.ones((1, 8)), r"rows has the shape \(3, 7\), expected \(rows, 8\)"),
        (np.ones((3, 8)), np.ones(8), r"background has the shape \(8,\), expected \(rows, 8\)"),
        (np.ones((3, 8)), np.ones((0, 8)), "background has no rows"),
        (np.full((1, 8), np.nan), np.ones((1, 8)), "rows holds 8 numbers that are not finite"),
    ],
)
def test_what_cannot_be_explained_is_named(rows, background, message):
    with pytest.raises(ValueError, match=message):
        shapley.shapley_values(lambda x: x[:, 0], rows, background)


def test_a_model_that_answers_in_columns_is_named():
    with pytest.raises(ValueError, match=r"predict gave the shape \(128, 1\), expected \(128,\)"):
        shapley.shapley_values(lambda x: x[:, :1], np.ones((1, 8)), np.zeros((1, 8)))


def test_the_core_needs_numpy_alone():
    code = (
        "import sys; import numpy as np; from housing.inference import shapley; "
        "shapley.shapley_values(lambda x: x[:, 0], np.ones((1, 8)), np.zeros((1, 8))); "
        "print([one for one in ('pandas', 'sklearn', 'scipy') if one in sys.modules])"
    )
    answer = run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout == "[]\n", answer.stderr
