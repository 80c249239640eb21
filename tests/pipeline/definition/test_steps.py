import pytest

from pipeline.definition import steps
from pipeline.definition.steps import ParameterOverride


@pytest.fixture
def three(make_step):
    return [
        make_step("prep", parameters="seed: int = 1\nsource: str = 'auto'"),
        make_step("train", parameters="seed: int = 1\ntrials: int = 10"),
        make_step("register", parameters="min_gain: float = 0.0"),
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
    assert [one.name for one in steps.select_steps(three, first, last, only)] == names


def test_an_unknown_step_is_named_with_the_nearest(three):
    with pytest.raises(ValueError, match="there is no step 'trian'; did you mean 'train'"):
        steps.select_steps(three, only_step="trian")


def test_steps_in_the_wrong_order_are_refused(three):
    with pytest.raises(ValueError, match="'register' comes after step 'prep'"):
        steps.select_steps(three, "register", "prep")


def given(*texts):
    return [ParameterOverride(*one.split("=", 1), "-p") for one in texts]


def values(three, *texts):
    return {
        one.label: one.values
        for one in steps.build_tasks(steps.resolve_dependencies(three), given(*texts), [])
    }


def test_a_plain_name_goes_to_every_step_that_declares_it(three):
    assert values(three, "seed=7", "train.trials=20") == {
        "prep": {"seed": 7},
        "train": {"seed": 7, "trials": 20},
        "register": {},
    }


def test_a_step_s_own_value_wins_in_any_order(three):
    found = values(three, "train.seed=3", "seed=7")
    assert found["prep"]["seed"] == 7
    assert found["train"]["seed"] == 3


def test_the_later_of_two_values_wins(three):
    assert values(three, "seed=1", "seed=2")["prep"] == {"seed": 2}


def test_all_problems_are_listed_at_once(three):
    with pytest.raises(ValueError, match="there is no parameter") as failed:
        values(three, "sead=1", "train.trails=2", "trials=many", "register.min_gain=x")
    message = str(failed.value)
    assert "there is no parameter 'sead'; did you mean 'seed'?" in message
    assert "there is no parameter 'train.trails'; did you mean 'train.trials'?" in message
    assert "trials is 'many', expected int" in message
    assert "min_gain is 'x', expected float" in message


def test_a_step_needs_the_one_before_it_unless_it_says_otherwise(three):
    prep, train, register = three
    found = steps.resolve_dependencies(
        [prep, train._replace(needs=()), register._replace(needs=("prep",))]
    )
    assert [one.needs for one in found] == [(), (), ("prep",)]
    assert [one.needs for one in steps.resolve_dependencies(three)] == [(), ("prep",), ("train",)]


def test_a_need_that_comes_later_or_never_is_refused(three):
    prep, train, _ = three
    with pytest.raises(ValueError, match="step 'prep' needs 'train', which is no step before it"):
        steps.resolve_dependencies([prep._replace(needs=("train",)), train])
    with pytest.raises(ValueError, match="there are two steps 'prep'"):
        steps.resolve_dependencies([prep, prep])


def test_a_sweep_fans_a_step_out_and_in(three):
    sweep = [
        ParameterOverride("train.seed", "1,2", "--sweep"),
        ParameterOverride("train.trials", "5,6", "--sweep"),
    ]
    found = steps.build_tasks(steps.resolve_dependencies(three), given("seed=9"), sweep)
    labels = [f"train[seed={seed},trials={trials}]" for seed in (1, 2) for trials in (5, 6)]
    assert [one.label for one in found] == ["prep", *labels, "register"]
    assert found[1].values == {"seed": 1, "trials": 5}
    assert found[1].needs == ("prep",)
    assert found[-1].needs == tuple(labels)
    assert len({one.report for one in found}) == 6
    assert found[1].report == "train-seed=1-trials=5.html"


def test_a_sweep_over_lists_splits_between_them(three, make_step):
    one = make_step("one", parameters="names: list[str] = []")
    sweep = [ParameterOverride("names", '["a", "b"],["c"]', "--sweep")]
    found = steps.build_tasks(steps.resolve_dependencies([one]), [], sweep)
    assert [task.values["names"] for task in found] == [["a", "b"], ["c"]]


def test_a_wrong_value_in_a_sweep_is_named(three):
    with pytest.raises(ValueError, match="trials is 'x', expected int"):
        steps.build_tasks(
            steps.resolve_dependencies(three),
            [],
            [ParameterOverride("train.trials", "1,x", "--sweep")],
        )
