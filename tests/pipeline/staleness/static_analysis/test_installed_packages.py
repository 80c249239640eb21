"""Which distributions installed the modules that code imports, and their versions."""

import shutil
import time
from pathlib import Path

import pytest

from pipeline.staleness.static_analysis import installed_packages


def is_listed(name, version):
    listed_versions = installed_packages.listed_versions()
    return version in listed_versions.get(installed_packages.normalize_name(name), ())


def test_packages_have_the_name_of_their_distribution():
    names = installed_packages.providing_distributions(["yaml", "sklearn.svm", "no_such_module"])
    assert [name.lower() for name in names] == ["pyyaml", "scikit-learn"]
    versions = [installed_packages.package_version(name, Path()) for name in names]
    assert "none" not in versions
    assert all(map(is_listed, names, versions))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package into a folder of the path: `install("name", "1.2")`."""
    folder = tmp_path / "env" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder)

    def write_package(name, version, module, requires=()):
        (folder / f"{module}.py").write_text("")
        metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        with (metadata / "METADATA").open("a") as file:
            file.writelines(f"Requires-Dist: {requirement}\n" for requirement in requires)
        (metadata / "RECORD").write_text(f"{module}.py,,\n")
        return metadata

    return write_package


def test_what_is_missing_has_no_version_until_it_can_be_imported(install, tmp_path):
    def version(name):
        return installed_packages.package_version(name, tmp_path)

    assert (version("late"), version("late.deep"), version("local")) == ("none", "none", "none")
    metadata = install("Late-Package", "1.2", module="late")
    assert version("Late-Package") == "1.2"
    assert version("late") == "1.2"
    (tmp_path / "local.py").write_text("")
    assert version("local") == str(tmp_path / "local.py")
    assert is_listed("late.package", "1.2")
    assert not is_listed("Late-Package", "1.3")
    shutil.rmtree(metadata)
    assert not is_listed("Late-Package", "1.2")
    assert version("Late-Package") == "none"


def test_what_packages_need_is_followed_in_turn(install):
    install(
        "Table", "1", "table", ["numbers.core>=2; python_version > '3'", "sheet ; extra == 'x'"]
    )
    install("numbers-core", "2", "numbers_core", ["Table", "no-such (>1)"])
    install("sheet", "3", "sheet", ["deep[fast]<2"])
    names = installed_packages.find_requirements(["table"])
    assert names == {"numbers_core", "sheet", "table", "no_such", "deep"}


def test_a_module_that_was_installed_later_was_not_found(install, tmp_path):
    before_ns = time.time_ns() - 10**9
    install("Late-Package", "1.2", "late")
    assert not installed_packages.was_found("late", tmp_path, before_ns)
    assert installed_packages.was_found("late", tmp_path, time.time_ns() + 10**9)
    assert not installed_packages.was_found("no_such_module", tmp_path, before_ns)


def test_what_was_installed_meanwhile_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    started_ns = time.time_ns() - 1_000_000_000
    assert installed_packages.installed_since(started_ns) == set()
    (tmp_path / "Some_Package-2.0.dist-info").mkdir()
    assert installed_packages.installed_since(started_ns) == {"some_package"}
    assert installed_packages.installed_since(time.time_ns() + 1_000_000_000) == set()
