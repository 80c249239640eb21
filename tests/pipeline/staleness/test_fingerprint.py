"""The difference between two fingerprints: what has changed, as typed reasons and as sentences."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.staleness.file_signature import UNKNOWN_CONTENT, FileSignature
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.folder_listing import FolderSignature
from pipeline.staleness.reasons import ReasonKind
from pipeline.staleness.source_code import NO_CODE_HASH

FILE = FileSignature("ab", 2, 3)
FOLDER = FolderSignature(5, frozenset({"a.csv", "b.csv"}))
RECORDED = Fingerprint(
    code={"cell 2": "c2", "cell 3": "c3"},
    parameters={"n": 1, "names": ["a"]},
    modules={"helper.py": "m1"},
    runtime_modules={"plugin.py": "m2"},
    packages={"python": "3.11.7"},
    required_packages={"numpy": "1.26"},
    inputs={"raw.csv": FILE, "late.csv": None},
    outputs={"train.csv": FILE},
    folders={"data": FOLDER, "later": None},
    existence={"override.csv": False, "flag": True},
    upstream={"prep": "d1"},
    external_state={"champion": "3"},
    source_state={"true values": "5"},
)
names = st.sampled_from(["a", "b", "ab", "c"])
hashes = st.sampled_from(["0", "1", "01"])
files = st.none() | st.builds(FileSignature, hashes, st.integers(0, 3), st.integers(0, 3))
folders = st.none() | st.builds(FolderSignature, st.integers(0, 3), st.frozensets(names))
values = st.sampled_from([None, True, 1, 1.0, float("nan"), "1", "None", [], ["a"]])
# these refine another entry, and states of earlier versions have none; secrets are compared by the
# parameters that name them
REFINEMENTS = ("kernel_spec", "cell_details", "parameter_types", "bare_modules", "secrets")
COMPARED_ENTRIES = sorted(Fingerprint.__dataclass_fields__.keys() - set(REFINEMENTS))
entry_values = {
    **dict.fromkeys(COMPARED_ENTRIES, hashes),
    "parameters": values,
    "inputs": files,
    "outputs": files,
    "folders": folders,
}
fingerprints = st.builds(
    Fingerprint,
    **{name: st.dictionaries(names, entries, max_size=2) for name, entries in entry_values.items()},
)


@given(fingerprints)
def test_nothing_has_changed_between_equal_fingerprints(fingerprint):
    assert fingerprint.diff(replace(fingerprint)) == []


@given(fingerprints, fingerprints, st.sampled_from(COMPARED_ENTRIES))
def test_each_entry_that_differs_gives_a_reason_that_names_it(recorded, other, entry_name):
    entry, other_entry = getattr(recorded, entry_name), getattr(other, entry_name)
    current = replace(recorded, **{entry_name: other_entry})
    if "module" in entry_name:
        entry = recorded.modules | recorded.runtime_modules
        other_entry = current.modules | current.runtime_modules
    reasons = current.diff(recorded)
    if entry_name == "code":
        assert bool(reasons) == (list(entry.values()) != list(other_entry.values()))
        return
    for name in entry.keys() | other_entry.keys():
        old, new = entry.get(name), other_entry.get(name)
        if entry_name in ("inputs", "outputs"):
            old, new = old and old.sha256, new and new.sha256
        if entry_name == "folders":  # one without any names that count is no news
            old, new = old and old.names, new.names if new else old and "missing"
            is_changed = (old or frozenset()) != (new or frozenset())
        else:
            is_absent = (name in entry) != (name in other_entry)
            is_changed = repr(old) != repr(new) or (is_absent and entry_name == "parameters")
        assert any(reason.name == name for reason in reasons) == is_changed, name


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({"code": {"cell 2": "c2", "cell 3": "C"}}, ["cell 3 was edited"]),
        ({"code": {"cell 2": "c2", "cell 3": "c3", "cell 4": "c4"}}, ["cell 4 is new"]),
        ({"code": {"cell 2": "c3"}}, ["cell 2 was removed"]),
        ({"code": {"cell 7": "c2", "cell 9": "c3"}}, []),
        ({"parameters": {"n": 2, "names": ["a"]}}, ["parameter n: 1 -> 2"]),
        ({"parameters": {"n": True, "names": ["a"]}}, ["parameter n: 1 -> True"]),
        ({"parameters": {"n": 1}}, ["parameter names: ['a'] -> none"]),
        ({"modules": {}}, ["module helper.py is gone"]),
        ({"modules": {"helper.py": "m", "b.py": "b"}}, ["helper.py was edited", "b.py is new"]),
        ({"runtime_modules": {}}, ["module plugin.py is gone"]),
        ({"packages": {"python": "3.12.0"}}, ["package python: 3.11.7 -> 3.12.0"]),
        (
            {"inputs": {"raw.csv": None, "late.csv": FILE}},
            ["raw.csv is missing", "late.csv is new"],
        ),
        ({"inputs": {"raw.csv": FILE._replace(mtime_ns=9), "late.csv": None}}, []),
        ({"outputs": {"train.csv": FILE._replace(sha256="x")}}, ["output train.csv is altered"]),
        ({"folders": {"data": None, "later": None}}, ["folder data is missing"]),
        (
            {"folders": {"data": FolderSignature(6, frozenset({"c", "d", "b.csv"}))}},
            ["folder data has c and 1 more, which are new and no longer has a.csv"],
        ),
        ({"upstream": {"prep": "d2"}}, ["upstream prep: wrote new results"]),
        ({"external_state": {}}, ["external state champion: 3 -> none"]),
        ({"source_state": {}}, ["external state true values: 5 -> none"]),
    ],
)
def test_a_change_is_one_sentence(changes, sentences):
    reasons = replace(RECORDED, **changes).diff(RECORDED)
    assert len(reasons) == len(sentences)
    for reason, sentence in zip(reasons, sentences, strict=True):
        assert str(reason).endswith(sentence)


def test_cells_in_another_order_are_named_if_their_number_differs():
    recorded = Fingerprint(code={"cell 1": "a", "cell 2": "b", "cell 3": "b"})
    [reason] = Fingerprint(code={"cell 1": "b", "cell 2": "a"}).diff(recorded)
    assert str(reason) == "its cells are in another order"


def test_a_file_whose_content_when_read_is_not_known_counts_as_changed():
    recorded = Fingerprint(inputs={"raw.csv": UNKNOWN_CONTENT})
    [reason] = Fingerprint(inputs={"raw.csv": FILE}).diff(recorded)
    assert (reason.kind, reason.name) == (ReasonKind.INPUT, "raw.csv")


def test_every_entry_of_a_fingerprint_is_compared():
    """One that is added to the class must not be forgotten."""
    for entry in fields(Fingerprint):
        if entry.name not in REFINEMENTS:
            assert replace(RECORDED, **{entry.name: {}}).diff(RECORDED), entry.name


DETAILED = replace(
    RECORDED,
    cell_details={"cell 2": "", "cell 3": "skip-execution"},
    parameter_types={"n": "int", "names": "list[str]"},
    bare_modules={"helper.py": "b1", "plugin.py": "b2"},
)


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({"cell_details": {"cell 2": "silent", "cell 3": ""}}, ["2 was edited", "has other tags"]),
        ({"cell_details": {"cell 2": "", "cell 3": "skip-execution"}}, []),
        ({"code": {"cell 2": "c2", "cell 3": "x"}}, ["cell 3 was edited"]),
        ({"parameter_types": {"n": "int", "names": "tuple[str]"}}, [
            "parameter names: list[str] ['a'] -> tuple[str] ['a']"]),
        ({"modules": {"helper.py": "other docstring"}}, []),
        ({"modules": {"helper.py": "x"}, "bare_modules": {"helper.py": "x"}}, ["was edited"]),
        ({"modules": {"helper.py": "x"}, "bare_modules": {}}, ["was edited"]),
    ],
)  # fmt: skip
def test_what_refines_an_entry_counts_if_it_was_recorded(changes, sentences):
    reasons = replace(DETAILED, **changes).diff(DETAILED)
    assert len(reasons) == len(sentences)
    for reason, sentence in zip(reasons, sentences, strict=True):
        assert str(reason).endswith(sentence)
    assert replace(DETAILED, cell_details={"cell 3": "silent"}).diff(RECORDED) == []


def test_a_cell_of_comments_is_neither_new_nor_removed():
    cell = {"cell 2": "c2", "cell 3": NO_CODE_HASH}
    details = {"cell 2": "", "cell 3": ""}
    for recorded in (Fingerprint(code=cell), Fingerprint(code=cell, cell_details=details)):
        current = Fingerprint(code={"cell 2": "c2"}, cell_details={"cell 2": ""})
        assert current.diff(recorded) == []
        assert recorded.diff(current) == []


def test_another_value_of_a_secret_is_a_reason_that_names_parameter_and_variable():
    recorded = Fingerprint(parameters={"key": "env:TOKEN"}, secrets={"TOKEN": "key-id:1"})
    [reason] = replace(recorded, secrets={"TOKEN": "key-id:2"}).diff(recorded)
    assert str(reason) == "parameter key: the value of TOKEN has changed"
    assert recorded.diff(replace(recorded, secrets={})) == []  # of an earlier version
