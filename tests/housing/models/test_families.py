import pytest

from housing.data.synthetic import generate_sample
from housing.models import families
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES, TARGET


@pytest.mark.parametrize(
    "build", [families.build_boosted_trees, families.build_sklearn_boosted_trees]
)
def test_no_tree_is_deeper_than_its_bound(build):
    """The served form walks each tree down to its deepest leaf."""
    train, params = (
        generate_sample(2_000),
        families.BOOSTING_PARAMS | {"trees": 5, "leaves": 40, "rows_a_leaf": 2},
    )
    for depth in (3, 7):
        model = build(params | {"depth": depth}, 0).fit(train[FEATURE_NAMES], train[TARGET])
        if hasattr(model, "booster_"):
            deepest = model.booster_.trees_to_dataframe().node_depth.max() - 1
        else:
            deepest = max(one.get_max_depth() for [one] in model._predictors)
        assert deepest == depth


def test_the_more_trees_without_neighbours_the_less_each_of_them_learns():
    family = FAMILIES["blend"]
    few, many = (
        family.build(family.initial_params | {"narrow_trees": count}, 0)[-1].far_models[0]
        for count in (400, 800)
    )
    assert (few.n_estimators, many.n_estimators) == (400, 800)
    assert few.learning_rate == pytest.approx(2 * many.learning_rate)
    assert few.learning_rate == pytest.approx(families.FAR_BOOSTING_PARAMS["learning_rate"])
