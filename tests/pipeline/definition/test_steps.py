"""The steps of a pipeline, the values of their parameters, and the tasks built from them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import Step
from pipeline.definition import steps
from pipeline.definition.tasks import ParameterOverride, build_tasks


@pytest.fixture
def three_steps(make_step):
    """Return prep, train and register; the first two declare a seed."""
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
def test_steps_are_selected_by_name(three_steps, first, last, only, names):
    assert [step.name for step in steps.select_steps(three_steps, first, last, only)] == names


def test_an_unknown_step_is_named_with_the_nearest(three_steps):
    with pytest.raises(ValueError, match="there is no step 'trian'; did you mean 'train'"):
        steps.select_steps(three_steps, only_step="trian")


def test_steps_in_the_wrong_order_are_refused(three_steps):
    with pytest.raises(ValueError, match="'register' comes after step 'prep'"):
        steps.select_steps(three_steps, "register", "prep")


def command_line_overrides(*texts):
    """Return the overrides that -p NAME=VALUE options give."""
    return [ParameterOverride(*text.split("=", 1), "-p") for text in texts]


def values_by_label(pipeline, *texts):
    """Return task label -> the values that -p NAME=VALUE options give it."""
    tasks = build_tasks(steps.resolve_dependencies(pipeline), command_line_overrides(*texts), [])
    return {task.label: task.values for task in tasks}


def test_a_plain_name_goes_to_every_step_that_declares_it(three_steps):
    assert values_by_label(three_steps, "seed=7", "train.trials=20") == {
        "prep": {"seed": 7},
        "train": {"seed": 7, "trials": 20},
        "register": {},
    }


def test_a_step_s_own_value_wins_in_any_order(three_steps):
    values = values_by_label(three_steps, "train.seed=3", "seed=7")
    assert values["prep"]["seed"] == 7
    assert values["train"]["seed"] == 3


def test_the_later_of_two_values_wins(three_steps):
    assert values_by_label(three_steps, "seed=1", "seed=2")["prep"] == {"seed": 2}


def test_all_problems_are_listed_at_once(three_steps):
    with pytest.raises(ValueError, match="there is no parameter") as raised:
        values_by_label(
            three_steps, "sead=1", "train.trails=2", "trials=many", "register.min_gain=x"
        )
    message = str(raised.value)
    assert "there is no parameter 'sead'; did you mean 'seed'?" in message
    assert "there is no parameter 'train.trails'; did you mean 'train.trials'?" in message
    assert "trials is 'many', expected int" in message
    assert "min_gain is 'x', expected float" in message


def test_a_step_needs_the_one_before_it_by_default(three_steps):
    prep, train, register = three_steps
    resolved_steps = steps.resolve_dependencies(
        [prep, train._replace(needs=()), register._replace(needs=("prep",))]
    )
    assert [step.needs for step in resolved_steps] == [(), (), ("prep",)]
    resolved_steps = steps.resolve_dependencies(three_steps)
    assert [step.needs for step in resolved_steps] == [(), ("prep",), ("train",)]


def test_steps_listed_in_any_order_run_after_those_that_they_need(three_steps):
    prep, train, register = three_steps
    listed = [
        register._replace(needs=("train",)),
        train._replace(needs=("prep",)),
        prep._replace(needs=()),
    ]
    resolved_steps = steps.resolve_dependencies(listed)
    assert [step.name for step in resolved_steps] == ["prep", "train", "register"]


@given(st.data())
def test_steps_stand_after_those_that_they_need_and_else_as_listed(data):
    names = [f"step{number}" for number in range(data.draw(st.integers(1, 8)))]
    in_order = [
        Step(name, Path(name), tuple(data.draw(st.sets(st.sampled_from(names[:index] or [name])))))
        if index
        else Step(name, Path(name), ())
        for index, name in enumerate(names)
    ]
    assert [step.name for step in steps.resolve_dependencies(in_order)] == names
    shuffled = data.draw(st.permutations(in_order))
    resolved_names = [step.name for step in steps.resolve_dependencies(shuffled)]
    assert sorted(resolved_names) == sorted(names)
    for step in in_order:
        position = resolved_names.index(step.name)
        assert set(step.needs) <= set(resolved_names[:position])


def test_a_needed_step_must_exist_and_names_must_be_unique(three_steps):
    prep, train, _ = three_steps
    with pytest.raises(ValueError, match="needs 'trian', which is no step; did you mean 'train'"):
        steps.resolve_dependencies([prep._replace(needs=("trian",)), train])
    with pytest.raises(ValueError, match="no step can run first: 'prep' needs 'train' needs"):
        steps.resolve_dependencies([prep._replace(needs=("train",)), train])
    with pytest.raises(ValueError, match="there are two steps 'prep'"):
        steps.resolve_dependencies([prep, prep])


def test_a_sweep_makes_a_task_per_combination_and_the_next_step_needs_all(three_steps):
    sweep = [
        ParameterOverride("train.seed", "1,2", "--sweep"),
        ParameterOverride("train.trials", "5,6", "--sweep"),
    ]
    tasks = build_tasks(
        steps.resolve_dependencies(three_steps), command_line_overrides("seed=9"), sweep
    )
    labels = [f"train[seed={seed},trials={trials}]" for seed in (1, 2) for trials in (5, 6)]
    assert [task.label for task in tasks] == ["prep", *labels, "register"]
    assert tasks[1].values == {"seed": 1, "trials": 5}
    assert tasks[1].needs == ("prep",)
    assert tasks[-1].needs == tuple(labels)
    assert len({task.report for task in tasks}) == 6
    assert tasks[1].report == "train-seed=1-trials=5.html"


def test_a_sweep_over_lists_splits_between_the_lists(make_step):
    step = make_step("one", parameters="names: list[str] = []")
    sweep = [ParameterOverride("names", '["a", "b"],["c"]', "--sweep")]
    tasks = build_tasks(steps.resolve_dependencies([step]), [], sweep)
    assert [task.values["names"] for task in tasks] == [["a", "b"], ["c"]]


def test_a_wrong_value_in_a_sweep_is_named(three_steps):
    with pytest.raises(ValueError, match="trials is 'x', expected int"):
        build_tasks(
            steps.resolve_dependencies(three_steps),
            [],
            [ParameterOverride("train.trials", "1,x", "--sweep")],
        )
