"""Files and folders of the settings that cannot be used, at the start of the service."""

import re

import pytest

from app.server.startup_checks import check_files
from app.settings import load_settings


@pytest.fixture
def check(home):
    """Return a function that checks settings, some of them changed."""
    return lambda **changes: check_files(load_settings() | changes)


def test_the_defaults_can_be_used(check, home, caplog):
    check()
    assert caplog.messages == []
    assert [path.name for path in home.iterdir()] == ["var"]
    assert [*(home / "var").iterdir()] == []


def test_a_file_without_which_no_worker_starts_stops_the_start(check, home):
    (home / "file").write_text("")
    for path, problem in (
        (home, "it is a folder"),
        (home / "file" / "counts", "file is not a folder"),
        (home / "file" / "a" / "counts", "Not a directory"),
        (home / ("a" * 300) / "counts", "File name too long"),
    ):
        with pytest.raises(ValueError, match=f"HOUSING_COUNTS is .*cannot be written: .*{problem}"):
            check(COUNTS=str(path))


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("DATABASE", "file/logs.db", "HOUSING_DATABASE is .*, which cannot be written: .*file is"),
        ("LOG_FILE", "", "HOUSING_LOG_FILE is .*, which cannot be written: it is a folder; until"),
        ("KEYS", "", "cannot be read as a file of API keys: .*; until they can be, every request"),
        ("REPORTS", "file", "HOUSING_REPORTS is .*file, which is not a folder"),
        ("SERVING", "file", "HOUSING_SERVING is .*file, which is not a folder"),
    ],
)
def test_what_the_service_can_start_without_is_a_warning(check, home, caplog, name, file, message):
    (home / "file").write_text("")
    check(**{name: str(home / file)})
    [warning] = caplog.messages
    assert re.search(message, warning)
