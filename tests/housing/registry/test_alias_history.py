"""The history of an alias, on a real store; several processes where several people are meant."""

import shutil
import subprocess
import sys

import pytest

from housing.registry import alias_history
from housing.registry import versions as model_versions
from housing.registry.alias_history import ConcurrentUpdateError
from housing.tracking import store

NAME = "a-model"


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """A home whose store has a registered model with five versions, and no alias."""
    folder = tmp_path_factory.mktemp("five")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(folder))
        client = store.client()
        client.create_registered_model(NAME)
        for verdict in ("promoted", "promoted", "refused", "promoted", "promoted"):
            tags = {"verdict": verdict, "report": "reports/r/03_register.html"}
            client.create_model_version(NAME, folder.as_uri(), tags=tags)
    return folder


@pytest.fixture
def versions(five, home, monkeypatch):
    """A client of that store, copied; who works there is ann."""
    monkeypatch.setenv("HOUSING_WHO", "ann")
    shutil.copytree(five, home, dirs_exist_ok=True)
    return store.client()


def alias():
    found = model_versions.get_champion(NAME)
    return found.version if found else ""


def go(to, action="promoted", before=None, reason="it is better"):
    return alias_history.set_alias(NAME, "champion", to, action, reason, before)


def path(found):
    return [(one.before, one.after, one.action) for one in found]


def test_a_move_is_recorded_with_who_why_and_what_the_gate_said(versions):
    made = go("1", before="")
    assert alias() == "1"
    assert alias_history.list_changes(NAME) == [made]
    told = made._asdict()
    assert told.pop("at").endswith("+00:00")
    assert told == {
        "number": 1, "alias": "champion", "before": "", "after": "1", "action": "promoted",
        "reason": "it is better", "who": "ann", "run_id": "", "verdict": "promoted",
        "report": "reports/r/03_register.html", "done": "yes",
    }  # fmt: skip


def test_two_aliases_have_a_history_each(versions):
    go("1")
    alias_history.set_alias(NAME, "challenger", "3", "refused", "worse")
    go("2")
    assert path(alias_history.list_changes(NAME, "champion")) == [
        ("", "1", "promoted"), ("1", "2", "promoted")
    ]  # fmt: skip
    assert len(alias_history.list_changes(NAME)) == 3


def test_a_move_from_where_the_champion_is_no_more_is_refused_and_changes_nothing(versions):
    go("1")
    go("2")
    with pytest.raises(
        ConcurrentUpdateError, match=r"was version 1, and is version 2 now, promoted by ann"
    ):
        go("4", before="1")
    assert alias() == "2"
    assert len(alias_history.list_changes(NAME)) == 2


def test_of_two_entries_from_the_same_champion_the_second_does_not_hold(versions):
    go("1")
    alias_history._append_change(NAME, "champion", "1", "2", "promoted", "first")
    alias_history._append_change(NAME, "champion", "1", "4", "promoted", "second")
    assert alias_history.reconcile(NAME, "champion") == "2"
    assert alias() == "2"
    assert [one.after for one in alias_history.list_changes(NAME)] == ["1", "2"]


def test_a_move_that_was_cut_short_is_finished_by_the_next(versions):
    go("1")
    alias_history._append_change(NAME, "champion", "1", "2", "promoted", "then the power went")
    assert alias() == "1"
    go("4", before="2")
    assert alias() == "4"
    assert path(alias_history.list_changes(NAME))[1:] == [
        ("1", "2", "promoted"),
        ("2", "4", "promoted"),
    ]


def test_a_move_past_the_rules_is_found_and_recorded(versions):
    go("1")
    versions.set_registered_model_alias(NAME, "champion", "3")
    with pytest.raises(ConcurrentUpdateError, match="moved outside by ann"):
        go("2", before="1")
    go("2", before="3")
    assert path(alias_history.list_changes(NAME)) == [
        ("", "1", "promoted"), ("1", "3", "moved outside"), ("3", "2", "promoted"),
    ]  # fmt: skip


def test_an_alias_that_was_deleted_by_hand_is_none(versions):
    go("1")
    versions.delete_registered_model_alias(NAME, "champion")
    assert alias_history.reconcile(NAME, "champion") == ""
    assert path(alias_history.list_changes(NAME))[-1] == ("1", "", "moved outside")
    go("2", before="")
    assert alias() == "2"


def test_a_champion_older_than_the_history_begins_it(versions):
    versions.set_registered_model_alias(NAME, "champion", "2")
    go("4")
    [first, _] = alias_history.list_changes(NAME)
    assert (first.before, first.after, first.reason) == ("", "2", "the history begins here")


def test_a_roll_back_takes_away_what_it_passes(versions):
    for to in ("1", "2", "4", "5"):
        go(to)
    go("2", "rolled back")
    found = alias_history.list_changes(NAME)
    assert alias_history.champion_stack(found) == ["1", "2"]
    assert list(alias_history.rolled_back_versions(found)) == ["5"]
    go("5", "promoted by hand")
    assert alias_history.champion_stack(alias_history.list_changes(NAME)) == ["1", "2", "5"]
    assert alias_history.rolled_back_versions(alias_history.list_changes(NAME)) == {}


HAND = """
import sys
from housing.registry import alias_history
to, tries = sys.argv[1], int(sys.argv[2])
for number in range(tries):
    try:
        before = alias_history.reconcile("a-model", "champion")
        after = to if number % 2 == 0 else "1"
        alias_history.set_alias("a-model", "champion", after, "promoted", "it is better", before)
        print("moved")
    except alias_history.ConcurrentUpdateError:
        print("overtaken")
"""


def test_a_move_from_wherever_it_is_always_comes_about(versions):
    """As that of the challenger, that nobody has to be compared with."""
    code = ("import sys; from housing.registry import alias_history; [alias_history.set_alias('a-model', 'challenger', to, "
            "'refused', 'worse') for to in sys.argv[1:]]")  # fmt: skip
    people = [subprocess.Popen([sys.executable, "-c", code, "1", "2", "3"]) for _ in range(4)]
    assert [one.wait() for one in people] == [0] * 4
    found = alias_history.list_changes(NAME, "challenger")
    assert sorted(one.after for one in found) == sorted("123" * 4)


def test_four_people_at_once_leave_one_history_and_the_alias_at_its_end(versions):
    people = [
        subprocess.Popen([sys.executable, "-c", HAND, to, "5"], stdout=subprocess.PIPE, text=True)
        for to in ("2", "3", "4", "5")
    ]
    said = " ".join(one.communicate()[0] for one in people).split()
    assert [one.returncode for one in people] == [0] * 4
    assert len(said) == 20
    found = alias_history.list_changes(NAME)
    assert "moved outside" not in {one.action for one in found}
    assert [one.before for one in found] == ["", *(one.after for one in found[:-1])]
    assert said.count("moved") == len(found)
    assert alias() == found[-1].after
