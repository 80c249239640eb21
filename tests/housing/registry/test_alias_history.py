"""The history of an alias on a real store, with several processes for concurrent changes."""

import contextlib
import shutil
import subprocess
import sys

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from housing.cli import champion
from housing.registry import alias_history, promotion
from housing.registry import versions as model_versions
from housing.registry.alias_history import ConcurrentUpdateError
from housing.tracking import store

NAME = "a-model"


@pytest.fixture(scope="module")
def five_version_home(tmp_path_factory):
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
def client(five_version_home, home, monkeypatch):
    """A client of a copy of that store; its user is ann."""
    monkeypatch.setenv("HOUSING_WHO", "ann")
    shutil.copytree(five_version_home, home, dirs_exist_ok=True)
    return store.client()


def champion_number():
    version = model_versions.get_champion(NAME)
    return version.version if version else ""


def set_champion(new_version, action="promoted", expected_version=None, reason="it is better"):
    return alias_history.set_alias(NAME, "champion", new_version, action, reason, expected_version)


def steps(changes):
    return [(change.old_version, change.new_version, change.action) for change in changes]


def test_a_change_is_recorded_with_its_author_reason_and_verdict(client):
    change = set_champion("1", expected_version="")
    assert champion_number() == "1"
    assert alias_history.read(NAME).changes == [change]
    fields = change._asdict()
    assert fields.pop("changed_at").endswith("+00:00")
    assert fields == {
        "number": 1,
        "alias": "champion",
        "old_version": "",
        "new_version": "1",
        "action": "promoted",
        "reason": "it is better",
        "changed_by": "ann",
        "run_id": "",
        "verdict": "promoted",
        "report": "reports/r/03_register.html",
        "old_graph": "",
        "applied": True,
    }


def test_a_change_is_stored_under_the_tag_keys_of_earlier_releases(client):
    change = set_champion("1")
    [entry] = client.search_model_versions(f"name = '{NAME}-history'")
    assert entry.tags == {
        "alias": "champion",
        "before": "",
        "after": "1",
        "action": "promoted",
        "reason": "it is better",
        "at": change.changed_at,
        "who": "ann",
        "run_id": "",
        "verdict": "promoted",
        "report": "reports/r/03_register.html",
        "before_graph": "",  # of later releases
        "done": "yes",
    }


def test_two_aliases_have_separate_histories(client):
    set_champion("1")
    alias_history.set_alias(NAME, "challenger", "3", "refused", "worse")
    set_champion("2")
    assert steps(alias_history.read(NAME).of_alias("champion")) == [
        ("", "1", "promoted"),
        ("1", "2", "promoted"),
    ]
    assert len(alias_history.read(NAME).changes) == 3


def test_a_change_that_expects_an_earlier_champion_fails_and_changes_nothing(client):
    set_champion("1")
    set_champion("2")
    with pytest.raises(
        ConcurrentUpdateError, match=r"was version 1, and is version 2 now, promoted by ann"
    ):
        set_champion("4", expected_version="1")
    assert champion_number() == "2"
    assert len(alias_history.read(NAME).changes) == 2


def test_of_two_changes_from_the_same_champion_the_second_is_invalid(client):
    set_champion("1")
    alias_history._append_change(NAME, "champion", "1", "2", "promoted", "first")
    alias_history._append_change(NAME, "champion", "1", "4", "promoted", "second")
    assert alias_history.reconcile(NAME, "champion").version("champion") == "2"
    assert champion_number() == "2"
    changes = alias_history.read(NAME).changes
    assert [change.new_version for change in changes] == ["1", "2"]


def test_an_interrupted_change_is_completed_by_the_next(client):
    set_champion("1")
    alias_history._append_change(NAME, "champion", "1", "2", "promoted", "then the power went")
    assert champion_number() == "1"
    set_champion("4", expected_version="2")
    assert champion_number() == "4"
    assert steps(alias_history.read(NAME).changes)[1:] == [
        ("1", "2", "promoted"),
        ("2", "4", "promoted"),
    ]


def test_a_change_made_in_mlflow_itself_is_noticed_and_recorded(client):
    set_champion("1")
    client.set_registered_model_alias(NAME, "champion", "3")
    with pytest.raises(ConcurrentUpdateError, match="moved outside by ann"):
        set_champion("2", expected_version="1")
    set_champion("2", expected_version="3")
    assert steps(alias_history.read(NAME).changes) == [
        ("", "1", "promoted"),
        ("1", "3", "moved outside"),
        ("3", "2", "promoted"),
    ]


def test_an_alias_that_was_deleted_in_mlflow_is_none(client):
    set_champion("1")
    client.delete_registered_model_alias(NAME, "champion")
    assert alias_history.reconcile(NAME, "champion").version("champion") == ""
    assert steps(alias_history.read(NAME).changes)[-1] == ("1", "", "moved outside")
    set_champion("2", expected_version="")
    assert champion_number() == "2"


def test_a_champion_older_than_the_history_is_its_first_entry(client):
    client.set_registered_model_alias(NAME, "champion", "2")
    set_champion("4")
    [first, _] = alias_history.read(NAME).changes
    assert (first.old_version, first.new_version) == ("", "2")
    assert first.reason == "the history begins here"


@contextlib.contextmanager
def count_history_reads():
    """Yield a list that grows by each search for the entries of the history."""
    reads = []

    def observe(connection, cursor, statement, parameters, *_):
        is_search = statement.startswith("SELECT model_versions.") and "LIMIT" in statement
        if is_search and f"{NAME}-history" in str(parameters):
            reads.append(statement)

    event.listen(Engine, "before_cursor_execute", observe)
    try:
        yield reads
    finally:
        event.remove(Engine, "before_cursor_execute", observe)


def test_the_history_is_read_once_for_a_change(client):
    set_champion("1")
    with count_history_reads() as reads:
        set_champion("2", expected_version="1")
    assert len(reads) == 1
    with count_history_reads() as reads, pytest.MonkeyPatch.context() as patch:
        patch.setattr(promotion, "verify_version", lambda version: None)  # it has no files here
        promotion.rollback(NAME, None, "it was better")
    assert len(reads) == 1
    with count_history_reads() as reads:
        assert champion.show_champions(NAME) == 0
    assert len(reads) == 1


def test_a_change_based_on_an_outdated_history_is_refused(client):
    set_champion("1")
    outdated = alias_history.reconcile(NAME, "champion")
    set_champion("2")
    set_champion("1")  # the same version as in the outdated history
    number = alias_history.set_alias(
        NAME, "champion", "4", "promoted", "better", "1", outdated
    ).number
    assert number == 4
    outdated = alias_history.reconcile(NAME, "champion")
    set_champion("5")
    with pytest.raises(ConcurrentUpdateError, match="was version 4, and is version 5 now"):
        alias_history.set_alias(NAME, "champion", "2", "promoted", "better", "4", outdated)
    assert champion_number() == "5"


CHALLENGER_SCRIPT = """
import sys
from housing.cli import champion
from housing.registry import alias_history, promotion
for version in sys.argv[1:]:
    alias_history.set_alias("a-model", "challenger", version, "refused", "worse")
"""
CHAMPION_SCRIPT = """
import sys
from housing.cli import champion
from housing.registry import alias_history, promotion
version, n_changes = sys.argv[1], int(sys.argv[2])
for number in range(n_changes):
    try:
        current_version = alias_history.reconcile("a-model", "champion").version("champion")
        new_version = version if number % 2 == 0 else "1"
        alias_history.set_alias(
            "a-model", "champion", new_version, "promoted", "it is better", current_version
        )
        print("moved")
    except alias_history.ConcurrentUpdateError:
        print("overtaken")
"""


@pytest.mark.slow
def test_concurrent_changes_that_expect_no_version_all_succeed(client):
    """As those of the challenger, which is compared with no earlier one."""
    processes = [
        subprocess.Popen([sys.executable, "-c", CHALLENGER_SCRIPT, "1", "2", "3"]) for _ in range(4)
    ]
    assert [process.wait() for process in processes] == [0] * 4
    changes = alias_history.read(NAME).of_alias("challenger")
    assert sorted(change.new_version for change in changes) == sorted("123" * 4)


@pytest.mark.slow
def test_four_concurrent_processes_leave_one_history_and_the_alias_at_its_end(client):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHAMPION_SCRIPT, version, "5"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for version in ("2", "3", "4", "5")
    ]
    outcomes = " ".join(process.communicate()[0] for process in processes).split()
    assert [process.returncode for process in processes] == [0] * 4
    assert len(outcomes) == 20
    changes = alias_history.read(NAME).changes
    assert "moved outside" not in {change.action for change in changes}
    new_versions = [change.new_version for change in changes]
    assert [change.old_version for change in changes] == ["", *new_versions[:-1]]
    assert outcomes.count("moved") == len(changes)
    assert champion_number() == changes[-1].new_version
