import pytest

from pipeline.staleness import fingerprint


def write(folder, name, text=""):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def modules(notebook, tmp_path):
    ours, installed = fingerprint.resolve_imports(notebook)
    return {one.removeprefix(f"{tmp_path}/") for one in ours}, installed


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
    ours, installed = modules(path, tmp_path)
    names = ("__init__", "always", "a", "b", "late", "sub/__init__", "sub/deep", "beside")
    assert ours == {f"ours/{one}.py" for one in names}
    assert installed == ["numpy.linalg", "yaml"]


def test_what_only_a_type_checker_imports_does_not_count(make_notebook, tmp_path):
    write(
        tmp_path,
        "alone.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import typed",
    )
    write(tmp_path, "typed.py")
    assert modules(make_notebook("one", "import alone"), tmp_path)[0] == {"alone.py"}


def test_circles_come_to_an_end(make_notebook, tmp_path):
    write(tmp_path, "one_way.py", "import other_way")
    write(tmp_path, "other_way.py", "import one_way")
    assert len(modules(make_notebook("one", "import one_way"), tmp_path)[0]) == 2


def test_a_module_with_a_mistake_in_it_is_compared_as_text(make_notebook, tmp_path):
    write(tmp_path, "broken.py", "def f(:")
    assert modules(make_notebook("one", "import broken"), tmp_path)[0] == {"broken.py"}


def test_packages_are_named_as_they_are_installed():
    found = fingerprint.package_versions(["yaml", "sklearn", "no_such_module"])
    assert set(found) == {"pyyaml", "scikit-learn"} or set(found) == {"PyYAML", "scikit-learn"}
    assert all(found[one] == fingerprint.installed_version(one) for one in found)


def test_looking_imports_nothing(make_notebook):
    import subprocess
    import sys

    path = make_notebook("one", "import sklearn, mlflow, housing.registry.versions")
    code = (
        "import sys; from pathlib import Path; from pipeline.staleness import fingerprint; "
        f"fingerprint.resolve_imports(Path({str(path)!r})); "
        "print([one for one in ('sklearn', 'mlflow', 'pandas', 'papermill') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def code(notebook, *cells):
    return list(fingerprint.cell_hashes(notebook("one", *cells)).values())


@pytest.mark.parametrize(
    ("before", "after"),
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
def test_comments_do_not_count_beside_a_magic(make_notebook, before, after):
    assert code(make_notebook, before) == code(make_notebook, after)


@pytest.mark.parametrize(
    ("before", "after"),
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
        ("%%bash\n# 1\nls", "%%bash\n# 2\nls"),  # the shell's own grammar: nobody here knows it
        ("!ls \\\n -l", "!ls \\\n -a"),
        ("if a:\n    %time f()\n    g()", "if a:\n    %time f()\ng()"),
        ("s = '''\n%a\n'''\n!ls", "s = '''\n%b\n'''\n!ls"),
        ("s = '''\n# a\n'''\n!ls", "s = '''\n# b\n'''\n!ls"),
    ],
)
def test_magics_and_what_stands_beside_them_count(make_notebook, before, after):
    assert code(make_notebook, before) != code(make_notebook, after)


def test_imports_beside_magics_are_seen(make_notebook):
    path = make_notebook("one", "%%time\nfiles = !ls\nimport yaml\nf?\n!ls")
    assert fingerprint.imported_modules(path) == ["yaml"]
