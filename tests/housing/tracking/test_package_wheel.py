import csv
import io
import zipfile

from housing.tracking import package_wheel


def test_the_same_package_gives_the_same_wheel():
    assert package_wheel.build() == package_wheel.build()


def test_the_wheel_has_the_modules_and_no_compiled_code():
    wheel = package_wheel.build()
    names = zipfile.ZipFile(io.BytesIO(wheel.content)).namelist()
    assert {
        "housing/models/blend.py",
        "housing/__init__.py",
        "housing/plots/housing.mplstyle",
    } <= set(names)
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    assert wheel.name.startswith("california_housing-0.1.0+")


def test_the_record_of_the_wheel_names_each_file_with_its_size():
    with zipfile.ZipFile(io.BytesIO(package_wheel.build().content)) as archive:
        [record] = [name for name in archive.namelist() if name.endswith("/RECORD")]
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        assert [name for name, *_ in rows] == archive.namelist()
        sizes = {info.filename: str(info.file_size) for info in archive.infolist()}
        assert all(size == sizes[name] for name, _digest, size in rows if name != record)


def test_a_changed_package_has_another_version(tmp_path, monkeypatch):
    (tmp_path / "new.py").write_text("x = 1\n")
    monkeypatch.setattr(package_wheel, "PACKAGE_FOLDER", tmp_path)
    first_name = package_wheel.build().name
    (tmp_path / "new.py").write_text("x = 2\n")
    assert package_wheel.build().name != first_name
