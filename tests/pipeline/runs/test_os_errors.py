"""Errors of the operating system, as sentences."""

import errno

import pytest

from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.os_errors import describe_error, explain_os_error


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_used_is_named(number, tmp_path):
    error = OSError(number, "reason", str(tmp_path / "pipeline.lock"))
    assert f"cannot use the folder {tmp_path}: " in explain_os_error(error)


def test_too_many_open_files_name_the_limit():
    assert "ulimit -n" in explain_os_error(OSError(errno.EMFILE, "reason"))


def test_other_errors_are_not_explained():
    assert explain_os_error(OSError(errno.ECONNREFUSED, "reason")) == ""
    assert explain_os_error(PermissionError(errno.EACCES, "a port")) == ""
    assert describe_error(ValueError("the text")) == "the text"
    assert describe_error(KeyboardInterrupt()) == "KeyboardInterrupt"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("folder", "folder: expected a file, but it is a folder; move it away"),
        ("file/x", "file: expected a folder, but it is a file, or a link to nothing"),
        ("file/x/y", "file: expected a folder, but it is a file; move it away"),
        ("broken/x", "broken: expected a folder, but it is a file, or a link to nothing"),
        ("loop/x", "loop: expected a folder, but it is a file, or a link to nothing"),
        ("x" * 300, "the name is too long; use a shorter one"),
    ],
)
def test_a_path_that_cannot_be_written_is_named_and_no_temporary_one(tmp_path, path, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        atomic_write(tmp_path / path, "text")
    description = describe_error(caught.value)
    assert description.startswith(f"cannot use {tmp_path}/")
    assert message in description
    assert "/." not in description
