"""What a notebook imports, followed through our modules without running it."""

import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from pipeline.staleness.static_analysis import imports
from tests.pipeline.conftest import write_notebook


def write(folder, name, text=""):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def resolved_modules(notebook, tmp_path):
    """Return our modules, relative to the folder, and the installed ones."""
    notebook_imports = imports.resolve_imports(notebook)
    our_modules = {path.removeprefix(f"{tmp_path}/") for path in notebook_imports.our_modules}
    return our_modules, notebook_imports.installed_modules


def test_imports_of_every_form_are_followed(make_notebook, tmp_path):
    write(tmp_path, "ours/__init__.py", "from . import always")
    write(tmp_path, "ours/always.py")
    write(tmp_path, "ours/a.py", "from .sub import deep\nfrom ours import b as other")
    write(tmp_path, "ours/b.py", "def f():\n    import ours.late\n    import numpy.linalg")
    write(tmp_path, "ours/late.py", "if 1:\n    try: import yaml\n    except ImportError: 0")
    write(tmp_path, "ours/unused.py", "import sklearn")
    (tmp_path / "ours" / "sub").mkdir()
    write(tmp_path / "ours", "sub/__init__.py")
    write(tmp_path / "ours", "sub/deep.py", "from ..beside import X")
    write(tmp_path, "ours/beside.py")
    path = make_notebook("one", "import os, json\nfrom ours.a import something\n%matplotlib inline")
    our_modules, installed = resolved_modules(path, tmp_path)
    names = ("__init__", "always", "a", "b", "late", "sub/__init__", "sub/deep", "beside")
    assert our_modules == {f"ours/{name}.py" for name in names}
    assert installed == ["numpy.linalg", "yaml"]


def test_imports_for_type_checkers_only_do_not_count(make_notebook, tmp_path):
    write(
        tmp_path,
        "alone.py",
        "import typing\nif typing.TYPE_CHECKING:\n    import typed",
    )
    write(tmp_path, "typed.py")
    assert resolved_modules(make_notebook("one", "import alone"), tmp_path)[0] == {"alone.py"}


def test_circular_imports_are_followed_once(make_notebook, tmp_path):
    write(tmp_path, "one_way.py", "import other_way")
    write(tmp_path, "other_way.py", "import one_way")
    our_modules, _ = resolved_modules(make_notebook("one", "import one_way"), tmp_path)
    assert len(our_modules) == 2


def test_a_module_with_a_syntax_error_is_compared_as_text(make_notebook, tmp_path):
    write(tmp_path, "broken.py", "def f(:")
    assert resolved_modules(make_notebook("one", "import broken"), tmp_path)[0] == {"broken.py"}


@pytest.mark.parametrize(
    ("content", "imported"),
    [
        (b"import helper\nNAME = '\xc3\xbc'", {"helper.py"}),
        (b"# coding: latin-1\nimport helper\nNAME = '\xfc'", {"helper.py"}),
        (b"import helper\nNAME = '\xfc'", set()),  # Python could not import it
    ],
)
def test_a_module_is_read_in_the_encoding_that_it_declares(
    make_notebook, tmp_path, content, imported
):
    (tmp_path / "encoded.py").write_bytes(content)
    write(tmp_path, "helper.py")
    our_modules, _ = resolved_modules(make_notebook("one", "import encoded"), tmp_path)
    assert our_modules == {"encoded.py"} | imported


def test_following_imports_imports_no_module(make_notebook):
    path = make_notebook("one", "import sklearn, mlflow, housing.registry.versions")
    code = (
        "import sys; from pathlib import Path; "
        "from pipeline.staleness.static_analysis import imports; "
        f"imports.resolve_imports(Path({str(path)!r})); "
        "heavy = {'sklearn', 'mlflow', 'pandas', 'papermill'}; print(heavy & sys.modules.keys())"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert completed.stdout == "set()\n"


def test_imports_beside_magics_are_seen(make_notebook):
    path = make_notebook("one", "%%time\nfiles = !ls\nimport yaml\nf?\n!ls")
    assert imports.cell_imports(path)[0].modules == ("yaml",)


def test_a_notebook_does_not_depend_on_how_the_runner_works(make_notebook, tmp_path):
    """It imports what publishes its results; the runner's other modules are not its business."""
    cell = "from pipeline.notebook import publish\nimport pipeline\nimport yaml"
    assert resolved_modules(make_notebook("one", cell), tmp_path) == (set(), ["yaml"])


def test_a_package_of_the_user_s_may_have_the_runner_s_name(make_notebook, tmp_path):

    write(tmp_path, "pipeline/__init__.py", "from pipeline import own")
    write(tmp_path, "pipeline/own.py")
    our_modules, _ = resolved_modules(make_notebook("one", "import pipeline"), tmp_path)
    assert our_modules == {"pipeline/__init__.py", "pipeline/own.py"}


def test_an_installed_package_may_be_a_link_to_a_cache(make_notebook, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    write(tmp_path / "cache", "linked/__init__.py")
    (tmp_path / "site-packages" / "linked").mkdir(parents=True)
    link = tmp_path / "site-packages" / "linked" / "__init__.py"
    link.symlink_to(tmp_path / "cache" / "linked" / "__init__.py")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    assert resolved_modules(make_notebook("one", "import linked"), tmp_path) == (set(), ["linked"])


def test_modules_named_by_a_text_are_followed(make_notebook, tmp_path):
    for name in ("a", "b", "c", "d"):
        write(tmp_path, f"{name}.py")
    write(tmp_path, "ours/__init__.py")
    write(tmp_path, "ours/inner.py", "import importlib\nimportlib.import_module('.deep', 'ours')")
    write(tmp_path, "ours/deep.py")
    cells = (
        "import importlib\nimportlib.import_module('a')",
        "__import__('b')\ndef f():\n    from importlib import import_module as _\n    import c",
        "from importlib.util import find_spec\nif find_spec('d'): pass",
        "importlib.import_module('.inner', package='ours')",
    )
    our_modules, _ = resolved_modules(make_notebook("one", *cells), tmp_path)
    names = ("a", "b", "c", "d", "ours/__init__", "ours/inner", "ours/deep")
    assert our_modules == {f"{name}.py" for name in names}


def test_what_runs_beside_a_type_checking_block_counts(make_notebook, tmp_path):
    for name in ("typed", "a", "b"):
        write(tmp_path, f"{name}.py")
    cells = (
        "import typing\nif typing.TYPE_CHECKING:\n    import typed\nelse:\n    import a",
        "if not TYPE_CHECKING:\n    import b",
    )
    assert resolved_modules(make_notebook("one", *cells), tmp_path)[0] == {"a.py", "b.py"}


def test_a_package_without_init_is_followed(make_notebook, tmp_path):
    write(tmp_path, "space/a.py", "from . import b\nfrom .sub import c")
    write(tmp_path, "space/b.py")
    write(tmp_path / "space", "sub/c.py")
    path = make_notebook("one", "import space.a")
    assert resolved_modules(path, tmp_path)[0] == {"space/a.py", "space/b.py", "space/sub/c.py"}


def test_a_package_spread_over_the_path_is_followed(make_notebook, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", "space/b.py")
    write(tmp_path, "space/a.py")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    path = make_notebook("one", "import space.a, space.b")
    assert resolved_modules(path, tmp_path)[0] == {"space/a.py", "elsewhere/space/b.py"}


def test_a_compiled_module_beside_the_notebook_is_ours(make_notebook, tmp_path):
    path = make_notebook("one", "import native")
    library = tmp_path / f"native{EXTENSION_SUFFIXES[0]}"
    hashes = []
    for content in (b"\xfe1", b"\xff1"):
        library.write_bytes(content)
        hashes += imports.resolve_imports(path).full_hashes.values()
    assert len(set(hashes)) == 2


def test_a_module_beside_the_notebook_may_have_the_name_of_python_s(make_notebook, tmp_path):
    write(tmp_path, "statistics.py")
    assert resolved_modules(make_notebook("one", "import statistics"), tmp_path)[0] == {
        "statistics.py"
    }


def test_a_project_may_be_in_a_folder_of_packages(tmp_path):
    """What lies beside the notebook is ours, wherever that is."""
    folder = tmp_path / "dist-packages" / "project"
    folder.mkdir(parents=True)
    write(folder, "helper.py")
    path = write_notebook(folder, "one", "import helper")
    assert resolved_modules(path, folder)[0] == {"helper.py"}


def test_modules_and_distributions_that_are_missing_are_listed(make_notebook, tmp_path):
    write(tmp_path, "helper.py", "def f():\n    try: import no_such_a\n    except ImportError: 0")
    cells = (
        "import helper\ntry:\n    import no_such_b.deep\nexcept ImportError: pass",
        "import importlib\nimportlib.import_module('no_such_c')",
        "from importlib.metadata import version\nversion('no-such-d')",
        "import numpy\nfrom google import no_such_e\nfrom google.protobuf import message",
    )
    notebook_imports = imports.resolve_imports(make_notebook("one", *cells))
    assert notebook_imports.missing_modules == [
        *("no_such_b.deep", "no_such_c", "google.no_such_e", "no_such_a"),
    ]
    assert notebook_imports.distributions == ["no-such-d"]
    assert "google.protobuf" in notebook_imports.installed_modules
