import pytest

from pipeline import steps


@pytest.fixture
def three(step):
    return [
        step("prep", parameters="seed: int = 1\nsource: str = 'auto'"),
        step("train", parameters="seed: int = 1\ntrials: int = 10"),
        step("register", parameters="min_gain: float = 0.0"),
    ]


@pytest.mark.parametrize(
    ("first", "last", "only", "names"),
    [
        (None, None, None, ["prep", "train", "register"]),
        ("train", None, None, ["train", "register"]),
        (None, "train", None, ["prep", "train"]),
        ("train", "train", None, ["train"]),
        (None, None, "register", ["register"]),
    ],
)
def test_steps_are_selected_by_name(three, first, last, only, names):
    assert [one.name for one in steps.select(three, first, last, only)] == names


def test_an_unknown_step_is_named_with_the_nearest(three):
    with pytest.raises(ValueError, match="there is no step 'trian'; did you mean 'train'"):
        steps.select(three, only="trian")


def test_steps_in_the_wrong_order_are_refused(three):
    with pytest.raises(ValueError, match="'register' comes after step 'prep'"):
        steps.select(three, "register", "prep")


def test_a_plain_name_goes_to_every_step_that_declares_it(three):
    values = steps.assign(three, ["seed=7", "train.trials=20"])
    assert values == {"prep": {"seed": 7}, "train": {"seed": 7, "trials": 20}, "register": {}}


def test_a_step_s_own_value_wins_in_any_order(three):
    values = steps.assign(three, ["train.seed=3", "seed=7"])
    assert values["prep"]["seed"] == 7
    assert values["train"]["seed"] == 3


def test_all_problems_are_listed_at_once(three):
    with pytest.raises(ValueError, match="there is no parameter") as failed:
        steps.assign(three, ["sead=1", "train.trails=2", "trials=many", "prep"])
    message = str(failed.value)
    assert "there is no parameter 'sead'; did you mean 'seed'?" in message
    assert "there is no parameter 'train.trails'; did you mean 'train.trials'?" in message
    assert "trials is 'many', expected int" in message
    assert "-p prep: expected NAME=VALUE" in message
