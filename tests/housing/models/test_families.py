import optuna
import pytest

from housing.data.synthetic import generate_sample
from housing.models import boosted_trees, families
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET


@pytest.mark.parametrize(
    "build", [boosted_trees.build_boosted_trees, boosted_trees.build_sklearn_boosted_trees]
)
def test_no_tree_is_deeper_than_the_limit(build):
    """The served form walks each tree down to its deepest leaf."""
    train = generate_sample(2_000)
    params = families.BOOSTING_PARAMS | {"trees": 5, "leaves": 40, "rows_a_leaf": 2}
    for depth in (3, 7):
        model = build(params | {"depth": depth}, 0).fit(train[FEATURE_NAMES], train[TARGET])
        if hasattr(model, "booster_"):
            deepest = model.booster_.trees_to_dataframe().node_depth.max() - 1
        else:
            deepest = max(tree.get_max_depth() for [tree] in model._predictors)
        assert deepest == depth


def test_more_trees_without_neighbors_learn_at_a_lower_rate():
    family = FAMILIES["blend"]
    by_default, doubled = (
        family.build(family.initial_params | {"narrow_trees": n_trees}, 0)[-1].far_models[0]
        for n_trees in (400, 800)
    )
    assert (by_default.n_estimators, doubled.n_estimators) == (400, 800)
    assert by_default.learning_rate == pytest.approx(2 * doubled.learning_rate)
    assert by_default.learning_rate == pytest.approx(families.FAR_BOOSTING_PARAMS["learning_rate"])


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_trial_draws_the_search_space_in_its_order(family):
    """Another order would be another search: the same seed must find the same model."""
    trial = optuna.trial.FixedTrial(family.initial_params)
    assert list(family.suggest_params(trial)) == list(family.initial_params)
    assert list(trial.distributions.items()) == list(family.search_space.items())
