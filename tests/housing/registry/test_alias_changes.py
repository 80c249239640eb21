"""Which changes are valid, and which versions were champion, on hand-made records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from housing.registry.alias_changes import (
    AliasChange,
    History,
    champion_stack,
    rolled_back_versions,
)

VERSIONS = st.sampled_from(["", "1", "2", "3"])


def make_change(number, old_version, new_version, action="promoted", alias="champion"):
    return AliasChange(
        number=number,
        alias=alias,
        old_version=old_version,
        new_version=new_version,
        action=action,
        reason="it is better",
        changed_at="2026-11-29T00:00:00+00:00",
        changed_by="ann",
        run_id="",
        report="",
        verdict="promoted",
        old_graph="",
        applied=True,
    )


def make_chain(*new_versions, action="promoted"):
    old_versions = ("", *new_versions[:-1])
    return [
        make_change(number, old_version, new_version, action)
        for number, (old_version, new_version) in enumerate(
            zip(old_versions, new_versions, strict=True), 1
        )
    ]


def test_of_two_changes_from_the_same_version_the_second_is_invalid():
    changes = [make_change(1, "", "1"), make_change(2, "1", "2"), make_change(3, "1", "4")]
    history = History.from_changes(reversed(changes))
    assert history.changes == changes[:2]
    assert (history.version("champion"), history.last_number) == ("2", 3)


def test_two_aliases_have_separate_histories():
    champion, challenger = make_change(1, "", "1"), make_change(2, "", "3", alias="challenger")
    history = History.from_changes([champion, challenger])
    assert history.of_alias("challenger") == [challenger]
    assert (history.version("champion"), history.version("challenger")) == ("1", "3")


def test_a_model_without_changes_has_no_champion():
    history = History.from_changes([])
    assert (history.changes, history.last_number, history.version("champion")) == ([], 0, "")


@given(st.lists(st.tuples(st.sampled_from(["champion", "challenger"]), VERSIONS, VERSIONS)))
def test_each_valid_change_starts_where_the_one_before_it_ended(recorded):
    changes = [
        make_change(number, old_version, new_version, alias=alias)
        for number, (alias, old_version, new_version) in enumerate(recorded, 1)
    ]
    history = History.from_changes(changes)
    assert set(history.changes) <= set(changes)
    assert history.last_number == len(changes)
    for alias in ("champion", "challenger"):
        version = ""
        for change in history.of_alias(alias):
            assert change.old_version == version
            version = change.new_version
        assert history.version(alias) == version


@given(st.builds(make_change, st.integers(1), VERSIONS, VERSIONS))
def test_a_change_is_read_from_its_tags_as_it_was_written(change):
    for applied in (True, False):
        recorded = change._replace(applied=applied)
        assert AliasChange.from_tags(change.number, recorded.to_tags()) == recorded


def test_where_entries_were_deleted_the_applied_changes_after_them_count():
    changes = [make_change(2, "1", "2"), make_change(6, "3", "4")]
    assert History.from_changes(changes).changes == changes
    challenger = make_change(4, "", "9", alias="challenger")
    assert History.from_changes([*changes, challenger]).version("champion") == "4"
    lost = make_change(7, "3", "5")  # it was overtaken by the one before
    pending = make_change(9, "8", "9")._replace(applied=False)
    assert History.from_changes([*changes, lost, pending]).changes == changes


@pytest.mark.parametrize(
    "change",
    [
        make_change(2, "1", "latest"),
        make_change(2, "1", "²"),
        make_change(2, "1", "2", alias=""),
    ],
)
def test_an_entry_that_names_no_version_or_alias_is_ignored(change):
    first = make_change(1, "", "1")
    history = History.from_changes([first, change])
    assert (history.changes, history.last_number) == ([first], 2)


def test_a_time_without_champion_is_no_champion_and_was_not_rolled_back():
    changes = [*make_chain("1", "2", ""), make_change(4, "", "1", "rolled back")]
    assert champion_stack(changes[:3]) == ["1", "2"]
    assert champion_stack(changes) == ["1"]
    assert rolled_back_versions(changes) == {}


def test_a_rollback_removes_the_champions_it_skips():
    changes = [*make_chain("1", "2", "4", "5"), make_change(5, "5", "2", "rolled back")]
    assert champion_stack(changes) == ["1", "2"]
    assert rolled_back_versions(changes) == {"5": changes[-1]}
    changes.append(make_change(6, "2", "5", "promoted by hand"))
    assert champion_stack(changes) == ["1", "2", "5"]
    assert rolled_back_versions(changes) == {}
