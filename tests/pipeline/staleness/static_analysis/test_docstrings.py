"""Docstrings of our modules count only if something may read them."""

import ast
from dataclasses import replace

import pytest

from pipeline.definition.steps import resolve_dependencies
from pipeline.definition.tasks import build_tasks
from pipeline.staleness import dependencies
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.static_analysis import docstrings
from pipeline.workspace import Workspace

MODULE = '''
"""{0}"""
import functools

@functools.cache
def cached():
    """Of a decorated function."""

async def plain():
    """{0}"""
    return "text"

class Plain:
    """{0}"""
    def method(self):
        if self:
            def inner():
                """{0}"""
                return 1

class Derived(Plain):
    """Of a class with a base."""
'''


def dump(source):
    return docstrings.dump_module(ast.parse(source))


def test_the_tree_without_docstrings_is_the_same_with_others():
    first, second = dump(MODULE.format("first")), dump(MODULE.format("it's \\n another"))
    assert first.full == ast.dump(ast.parse(MODULE.format("first")))
    assert first.full != second.full
    assert first.without_docstrings == second.without_docstrings
    added = dump('"""New."""\nx = 1'), dump("x = 1")
    assert added[0].without_docstrings == added[1].without_docstrings


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"text"', '"another text"'),  # no docstring
        ("Of a decorated", "of a decorated"),  # the decorator may read it
        ("Of a class", "of a class"),  # and so may the base
    ],
)
def test_other_texts_count(old, new):
    source = MODULE.format("first")
    assert dump(source).without_docstrings != dump(source.replace(old, new)).without_docstrings


@pytest.fixture
def changes_after_edit(make_step, home, tmp_path):
    """Return how a step differs after helper.py was edited: `changes_after_edit("1", old, new)`."""

    def edit(cell, old, new, runtime_module=""):
        [task] = build_tasks(
            resolve_dependencies([make_step("one", "import helper", cell)]), [], []
        )
        module = tmp_path / "helper.py"
        module.write_text(old)
        store = StateStore(Workspace(home))
        recorded = dependencies.source_fingerprint(task, store)
        if runtime_module:
            (tmp_path / "plugin.py").write_text(runtime_module)
            recorded = replace(recorded, runtime_modules={str(tmp_path / "plugin.py"): ""})
        module.write_text(new)
        present = dependencies.take_fingerprint(task, recorded, store)
        recorded = replace(recorded, runtime_modules=present.runtime_modules)
        return [str(reason).rpartition(" ")[2] for reason in present.diff(recorded)]

    return edit


OLD = '"""old"""\ndef f():\n    """old"""\n'
NEW = OLD.replace("old", "newer")


def test_another_docstring_needs_no_run(changes_after_edit):
    assert changes_after_edit("helper.f()", OLD, NEW) == []
    assert changes_after_edit("helper.f()", OLD, "def f():\n    pass") == ["edited"]
    assert changes_after_edit("", OLD, f"{NEW}x = 1") == ["edited"]


@pytest.mark.parametrize(
    "cell",
    [
        "print(helper.__doc__)",
        "getattr(helper, '__doc__')",
        "help(helper.f)",
        "helper.f?",
        "?helper",
        "%pdoc helper.f",
        "import inspect\ninspect.getdoc(helper)",
        "from inspect import getsource as source",
        "import typer\ntyper.run(helper.f)",
        "import doctest",
        "%%time\nhelp(helper)",
        "not Python at all",
    ],
)
def test_a_docstring_counts_if_the_code_may_read_it(changes_after_edit, cell):
    assert changes_after_edit(cell, OLD, NEW) == ["edited"]


def test_a_module_may_read_its_own_docstring_or_that_of_another(changes_after_edit):
    usage = "print(__doc__)"
    assert changes_after_edit("", OLD + usage, NEW + usage) == ["edited"]
    assert changes_after_edit("", OLD, NEW, runtime_module="import helper; help(helper)") == [
        "edited"
    ]
