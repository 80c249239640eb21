"""Importing a package changes nothing: what is to happen, a function does when it is called."""

import pytest

from housing.paths import PROJECT_ROOT
from tests.support.imports import import_effects

STARTUP_MODULE = "sitecustomize.py"  # of no package: Python runs it when it starts


@pytest.mark.slow
@pytest.mark.parametrize("package", ["app", "pipeline"])
def test_an_import_changes_no_variable_and_creates_no_file(package, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    effects = import_effects(package, folder)
    assert effects.changed_variables == {}
    assert effects.created_paths == []
    files = [path.name for path in (PROJECT_ROOT / package).rglob("*.py")]
    assert len(effects.modules) == len(files) - files.count(STARTUP_MODULE)


def test_the_check_sees_what_an_import_changes(tmp_path):
    package, folder = tmp_path / "package", tmp_path / "empty"
    package.mkdir()
    folder.mkdir()
    (package / "__init__.py").touch()
    (package / "side_effect.py").write_text(
        "import os, pathlib\nos.environ['COLOR'] = 'red'\npathlib.Path('log').mkdir()\n"
    )
    effects = import_effects("package", folder, search_path=tmp_path)
    assert effects.modules == ["package", "package.side_effect"]
    assert effects.changed_variables == {"COLOR": "red"}
    assert effects.created_paths == ["log"]
