"""The lock that keeps the processes which write to a file apart."""

import pytest

from housing.prediction_log.lock import FileLock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder" / "logs.db.lock"


def test_a_lock_that_is_held_is_waited_for_in_vain(path):
    """Two descriptors in one process exclude each second as those of two processes do."""
    second = FileLock(path, 0.01)
    with FileLock(path, 0.01), pytest.raises(TimeoutError, match="another process holds"):
        second.acquire()


def test_a_lock_that_is_released_or_closed_is_free(path):
    first, second = FileLock(path, 0.01), FileLock(path, 0.01)
    with first:
        pass
    with second:
        pass
    first.acquire()
    first.close()
    with second:
        pass
    with first:  # opened again
        assert path.exists()


def test_a_lock_is_released_after_an_error(path):
    first, second = FileLock(path, 0.01), FileLock(path, 0.01)
    with pytest.raises(KeyError), first:
        raise KeyError
    with second:
        pass
