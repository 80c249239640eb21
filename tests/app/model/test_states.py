"""The sentences about a missing or refused model."""

import pytest

from app.model import states
from app.model.states import ModelState
from housing.tracking.errors import StoreUnreachableError


@pytest.mark.parametrize("state", [state for state in ModelState if state != ModelState.CURRENT])
def test_every_state_without_a_model_has_its_own_sentence_with_a_way_out(state):
    absence = states.explain_absence(state, "what happened")
    assert absence.retry_after_seconds > 0
    assert "{" not in absence.sentence
    others = [states.explain_absence(other).sentence for other in states.EXPLANATIONS]
    assert [states.explain_absence(state).sentence == other for other in others].count(True) == 1
    if state != ModelState.REFUSED:  # whose reason has the way out
        assert ":" in absence.sentence


def test_only_a_registry_without_models_asks_for_a_first_training():
    states_that_ask = [
        state
        for state, explanation in states.EXPLANATIONS.items()
        if "no champion yet" in explanation.no_model
    ]
    assert states_that_ask == [ModelState.NONE_YET]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("the files in {home}/var/x are gone"), "the files in var/x are gone"),
        (ValueError("no /mnt/disk/of/a/team here"), "no …/of/a/team here"),
        (ValueError("no file:///mnt/disk/of/a/team here"), "no …/of/a/team here"),
        (ValueError("'/tmp/tmp123' is empty\nand so on"), "'…/tmp123' is empty"),
        (ValueError("see https://me:hush@example.org/a/b/c/d"), "see …"),
        (ValueError("5 km/h and 3/4"), "5 km/h and 3/4"),
        (KeyError("family"), "KeyError: 'family'"),
        (RuntimeError(), "RuntimeError"),
        (StoreUnreachableError("it is down"), "it is down"),
    ],
)
def test_clients_see_one_line_without_absolute_paths_and_addresses(home, error, reason):
    error.args = tuple(str(text).format(home=home) for text in error.args)
    assert states.public_reason(error) == reason
