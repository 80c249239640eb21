"""Whether a file's content is read, and whether it has changed."""

import os
import shutil

import pytest

from pipeline.staleness import file_signature as signatures
from pipeline.staleness.file_signature import describe_file_change, file_signature


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1")
    return path


@pytest.fixture
def read_paths(monkeypatch):
    """The files whose content is read."""
    paths = []

    def read_sha256(path):
        paths.append(path)
        return path.read_text()

    monkeypatch.setattr(signatures, "file_sha256", read_sha256)
    return paths


def settled(path):
    """Return the signature of a file as if it had been taken long after its last change."""
    return file_signature(path)._replace(is_racy=False)


def test_content_is_read_again_only_if_something_differs(path, read_paths):
    before = settled(path)
    read_paths.clear()
    assert file_signature(path, before) == before
    assert read_paths == []
    path.touch()
    assert describe_file_change(before, file_signature(path, before)) == ""
    assert read_paths == [path]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_time_that_is_set_back_hides_nothing(path, is_replaced):
    before = settled(path)
    target = path.with_name("b.csv") if is_replaced else path
    target.write_text("2")
    os.utime(target, ns=(before.mtime_ns, before.mtime_ns))
    target.replace(path)
    assert describe_file_change(before, file_signature(path, before)) == "is altered"


def test_a_file_signed_right_after_its_change_is_read_at_the_next_look(path, read_paths):
    before = file_signature(path)
    assert before.is_racy
    read_paths.clear()
    file_signature(path, before)
    assert read_paths == [path]


def test_a_file_system_with_whole_seconds_needs_a_longer_wait(monkeypatch):
    now = 1_000_000_000_000_000_000
    monkeypatch.setattr(signatures.time, "time_ns", lambda: now)
    assert signatures.is_recent_change(now - 1_000_000_000)
    assert not signatures.is_recent_change(now - 2_000_000_000)
    assert not signatures.is_recent_change(now - 999_999_999)
    assert signatures.is_recent_change(now - 99_999_999)


def test_a_copy_with_its_times_is_the_same_file(path):
    before = settled(path)
    copy = shutil.copy2(path, path.with_name("b.csv"))
    assert describe_file_change(before, file_signature(copy, before)) == ""


def test_a_signature_of_an_earlier_version_is_compared_by_size_and_time(path, read_paths):
    former = settled(path)._replace(ctime_ns=0, inode=0)
    read_paths.clear()
    assert file_signature(path, former).sha256 == former.sha256
    assert read_paths == []
    assert file_signature(path, former).inode == path.stat().st_ino
