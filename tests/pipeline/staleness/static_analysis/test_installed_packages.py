"""Which distributions installed the modules that code imports, and their versions."""

import shutil
from pathlib import Path

import pytest

from pipeline.staleness.static_analysis import installed_packages


def test_packages_have_the_name_of_their_distribution():
    names = installed_packages.providing_distributions(["yaml", "sklearn.svm", "no_such_module"])
    assert [name.lower() for name in names] == ["pyyaml", "scikit-learn"]
    versions = [installed_packages.package_version(name, Path()) for name in names]
    assert "none" not in versions
    assert all(map(installed_packages.is_listed, names, versions))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package into a folder of the path: `install("name", "1.2")`."""
    folder = tmp_path / "env" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder)

    def write_package(name, version, module):
        (folder / f"{module}.py").write_text("")
        metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
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
    assert installed_packages.is_listed("late.package", "1.2")
    assert not installed_packages.is_listed("Late-Package", "1.3")
    shutil.rmtree(metadata)
    assert not installed_packages.is_listed("Late-Package", "1.2")
    assert version("Late-Package") == "none"
