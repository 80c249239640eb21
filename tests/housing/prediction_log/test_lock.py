"""The lock that keeps the processes which write to a file apart."""

import pytest

from housing.prediction_log.lock import FileLock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder" / "logs.db.lock"


def test_a_lock_that_is_held_is_waited_for_in_vain(path):
    """Two descriptors in one process exclude each other as those of two processes do."""
    other = FileLock(path, 0.01)
    with FileLock(path, 0.01), pytest.raises(TimeoutError, match="another process holds"):
        other.acquire()


def test_a_lock_that_is_released_or_closed_is_free(path):
    lock, other = FileLock(path, 0.01), FileLock(path, 0.01)
    with lock:
        pass
    with other:
        pass
    lock.acquire()
    lock.close()
    with other:
        pass
    with lock:  # opened again
        assert path.exists()


def test_a_lock_is_released_after_an_error(path):
    lock, other = FileLock(path, 0.01), FileLock(path, 0.01)
    with pytest.raises(KeyError), lock:
        raise KeyError
    with other:
        pass
