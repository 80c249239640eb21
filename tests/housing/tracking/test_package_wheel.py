import csv
import io
import zipfile

from housing.tracking import package_wheel


def test_the_same_package_is_the_same_wheel():
    assert package_wheel.build() == package_wheel.build()


def test_it_has_the_modules_and_no_compiled_code():
    made = package_wheel.build()
    names = zipfile.ZipFile(io.BytesIO(made.content)).namelist()
    assert {
        "housing/models/blend.py",
        "housing/__init__.py",
        "housing/plots/housing.mplstyle",
    } <= set(names)
    assert not [one for one in names if one.endswith((".so", ".pyc"))]
    assert made.name.startswith("california_housing-0.1.0+")


def test_its_record_names_each_file_with_its_size():
    with zipfile.ZipFile(io.BytesIO(package_wheel.build().content)) as archive:
        [record] = [one for one in archive.namelist() if one.endswith("/RECORD")]
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        assert [name for name, *_ in rows] == archive.namelist()
        sizes = {one.filename: str(one.file_size) for one in archive.infolist()}
        assert all(size == sizes[name] for name, _digest, size in rows if name != record)


def test_another_package_has_another_version(tmp_path, monkeypatch):
    (tmp_path / "new.py").write_text("x = 1\n")
    monkeypatch.setattr(package_wheel, "PACKAGE_FOLDER", tmp_path)
    first = package_wheel.build().name
    (tmp_path / "new.py").write_text("x = 2\n")
    assert package_wheel.build().name != first
