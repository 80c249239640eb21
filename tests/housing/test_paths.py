import pytest

from housing import paths


def write_half(path):
    with paths.atomic_path(path) as temporary_path:
        temporary_path.write_bytes(b"half of the ne")
        raise ValueError("stop")


def test_a_file_that_could_not_be_written_keeps_its_old_content(tmp_path):
    file = tmp_path / "new folder" / "file"
    paths.atomic_write(file, b"old")
    with pytest.raises(ValueError, match="stop"):
        write_half(file)
    assert file.read_bytes() == b"old"
    assert list(file.parent.iterdir()) == [file]


def test_a_complete_file_replaces_the_old_one(tmp_path):
    for content in (b"old", b"new"):
        paths.atomic_write(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert list(tmp_path.glob("file*")) == [tmp_path / "file"]
