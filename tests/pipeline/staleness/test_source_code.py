"""What a notebook depends on, read without running it."""

import subprocess
import sys

import pytest

from pipeline.staleness import source_code


def write(folder, name, text=""):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def resolved_modules(notebook, tmp_path):
    """Return our modules, relative to the folder, and the installed ones."""
    our_hashes, installed = source_code.resolve_imports(notebook)
    return {path.removeprefix(f"{tmp_path}/") for path in our_hashes}, installed


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
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import typed",
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


def test_packages_have_the_name_of_their_distribution():
    names = source_code.providing_distributions(["yaml", "sklearn.svm", "no_such_module"])
    assert [name.lower() for name in names] == ["pyyaml", "scikit-learn"]
    assert all(source_code.installed_version(name) != "none" for name in names)


def test_following_imports_imports_no_module(make_notebook):
    path = make_notebook("one", "import sklearn, mlflow, housing.registry.versions")
    code = (
        "import sys; from pathlib import Path; from pipeline.staleness import source_code; "
        f"source_code.resolve_imports(Path({str(path)!r})); "
        "heavy = {'sklearn', 'mlflow', 'pandas', 'papermill'}; print(heavy & sys.modules.keys())"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert completed.stdout == "set()\n"


def hashes_of(make_notebook, *cells):
    """Return the hashes of a notebook with these cells."""
    return list(source_code.cell_hashes(make_notebook("one", *cells)).values())


@pytest.mark.parametrize(
    ("old_source", "new_source"),
    [
        ("%matplotlib inline\nx = 1", "# why\n%matplotlib inline\n\nx = (1)  # as ever"),
        ("!ls\nx = 1", "!ls\n# a comment\nx = 1"),
        ("files = !ls\nprint(files)", "files = !ls\nprint( files )  # all"),
        ("for n in y:\n    %time f(n)", "for n in y:  # each\n    %time f(n)"),
        ("!ls \\\n -l\nx = 1", "!ls \\\n -l\n# a comment\nx = 1"),
        ("%%time\nf(1)", "%%time\n# long\nf( 1 )"),
        ("f?\nx = 1", "f?\nx = 1  # one"),
    ],
)
def test_comments_beside_a_magic_do_not_count(make_notebook, old_source, new_source):
    assert hashes_of(make_notebook, old_source) == hashes_of(make_notebook, new_source)


@pytest.mark.parametrize(
    ("old_source", "new_source"),
    [
        ("%matplotlib inline\nx = 1", "%matplotlib agg\nx = 1"),
        ("%matplotlib inline\nx = 1", "%matplotlib inline\nx = 2"),
        ("!ls\nx = 1", "x = 1\n!ls"),
        ("!ls\nx = 1", "'!ls'\nx = 1"),
        ("files = !ls", "files = !ls -a"),
        ("files = !ls", "other = !ls"),
        ("%%time\nf(1)", "%%time\nf(2)"),
        ("%%time\nf(1)", "%%timeit\nf(1)"),
        ("%%time\nf(1)", "f(1)"),
        ("%%bash\necho 1", "%%bash\necho 2"),
        (
            "%%bash\n# 1\nls",
            "%%bash\n# 2\nls",
        ),  # the shell's grammar, which the runner does not parse
        ("!ls \\\n -l", "!ls \\\n -a"),
        ("if a:\n    %time f()\n    g()", "if a:\n    %time f()\ng()"),
        ("s = '''\n%a\n'''\n!ls", "s = '''\n%b\n'''\n!ls"),
        ("s = '''\n# a\n'''\n!ls", "s = '''\n# b\n'''\n!ls"),
    ],
)
def test_magics_and_the_code_beside_them_count(make_notebook, old_source, new_source):
    assert hashes_of(make_notebook, old_source) != hashes_of(make_notebook, new_source)


def test_imports_beside_magics_are_seen(make_notebook):
    path = make_notebook("one", "%%time\nfiles = !ls\nimport yaml\nf?\n!ls")
    assert source_code.imported_modules(path) == ["yaml"]


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
