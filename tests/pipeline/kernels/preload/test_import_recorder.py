"""What is recorded of an import that is done in advance."""

import atexit
import os
import sys

import pytest

from pipeline.kernels.preload.callback_recorder import Registration, run_fork_callbacks
from pipeline.kernels.preload.import_recorder import ImportRecorder

MODULE = """
import warnings
warnings.simplefilter('default', FutureWarning, append=True)
warnings.simplefilter('ignore', UserWarning)
warnings.simplefilter('error', BytesWarning)
"""
OTHER_MODULE = "class Table: pass\ndef load(): pass\n"
EXTENDING_MODULE = """
import atexit, os, weakref
import recorded_other
recorded_other.load = recorded_other.store = print
recorded_other.Table.summary = 1
atexit.register(print, 1)
os.register_at_fork(before=len, after_in_child=print)
os.path.exists("some.cfg"), os.path.exists(os.getcwd() + "/other.cfg"), os.path.exists("/")
FOLDER = os.getcwd() + "/data"
"""


@pytest.fixture
def recorded_import(tmp_path, monkeypatch):
    """Import a module of a given source in the test's folder; return the recorder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "recorded_other.py").write_text(OTHER_MODULE)

    def record_import(source):
        (tmp_path / "recorded.py").write_text(source)
        recorder = ImportRecorder()
        with recorder.record():
            __import__("recorded")
        for name in ("recorded", "recorded_other"):
            sys.modules.pop(name, None)
        return recorder

    return record_import


def test_what_a_module_does_to_others_and_registers_is_recorded(recorded_import, tmp_path):
    functions = atexit.register, os.register_at_fork, os.stat, open
    n_callbacks = atexit._ncallbacks()
    recorder = recorded_import(EXTENDING_MODULE)
    record = recorder.records["recorded"]
    changes = {change.name: change for change in record.attribute_changes}
    assert set(changes) == {"load", "store", "summary"}
    other = changes["load"].owner
    for change in reversed(record.attribute_changes):
        change.undo()
    assert (other.load(), hasattr(other, "store"), hasattr(other.Table, "summary")) == (
        None,
        False,
        False,
    )
    for change in record.attribute_changes:
        change.repeat()
    assert (other.load, other.store, other.Table.summary) == (print, print, 1)
    assert [registration.register for registration in record.registrations] == [
        atexit.register,
        os.register_at_fork,
    ]
    assert atexit._ncallbacks() == n_callbacks
    assert functions == (atexit.register, os.register_at_fork, os.stat, open)
    assert record.relative_paths == {"some.cfg", "other.cfg"}
    assert record.folder_names == ["FOLDER"]


def test_a_callback_for_all_who_use_a_module_is_registered_at_once(recorded_import, monkeypatch):
    """weakref registers one function, when it is first needed."""
    import weakref

    monkeypatch.setattr(weakref.finalize, "_registered_with_atexit", False)
    n_callbacks = atexit._ncallbacks()
    source = "import weakref\nclass A: pass\na = A(); weakref.finalize(a, print)"
    assert recorded_import(source).records["recorded"].registrations == []
    assert atexit._ncallbacks() == n_callbacks + 1
    atexit.unregister(weakref.finalize._exitfunc)


def test_recorded_callbacks_are_called_around_a_fork_in_python_s_order():
    calls = []
    registrations = [
        Registration(
            os.register_at_fork,
            (),
            {
                "before": lambda n=n: calls.append(("before", n)),
                "after_in_parent": lambda n=n: calls.append(("after", n)),
            },
            "",
        )
        for n in (1, 2)
    ]
    registrations.append(Registration(atexit.register, (calls.clear,), {}, ""))
    with run_fork_callbacks(registrations):
        calls.append("fork")
    assert calls == [("before", 2), ("before", 1), "fork", ("after", 1), ("after", 2)]


def test_appended_filters_of_warnings_are_told_from_inserted_ones(tmp_path, monkeypatch):
    (tmp_path / "filtering.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    recorder = ImportRecorder()
    with recorder.record():
        __import__("filtering")
    monkeypatch.delitem(sys.modules, "filtering")
    record = recorder.records["filtering"]
    assert [(entry[0], entry[2]) for entry in record.added_filters] == [
        ("error", BytesWarning),
        ("ignore", UserWarning),
    ]
    assert [entry[:3] for entry in record.appended_filters] == [("default", None, FutureWarning)]
