"""Settings: what is set means something, and the README has them all."""

import pytest

from app import create_app
from app.config import DEFAULTS, line, told
from housing.paths import CHECKOUT


def test_the_readme_has_every_setting(home):
    text = (CHECKOUT / "README.md").read_text()
    for name in DEFAULTS:
        assert line(name) in text


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LOG_POLICY", "maybe", "expected strict or available"),
        ("LOG_SYNC", "OFF", "expected NORMAL or FULL"),
        ("WORKERS", "0", "expected a number above 0"),
        ("MAX_ROWS", "many", "expected a whole number"),
        ("OPEN", "yes", "expected 0 or 1"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(home, monkeypatch, name, value, says):
    monkeypatch.setenv(f"HOUSING_{name}", value)
    with pytest.raises(ValueError, match=f"HOUSING_{name} is '?{value}'?, {says}"):
        create_app()


def test_a_setting_that_is_empty_is_not_set(home, monkeypatch):
    monkeypatch.setenv("HOUSING_PORT", "")
    monkeypatch.setenv("HOUSING_ACCESS_LOG", "")
    assert (told()["PORT"], told()["ACCESS_LOG"]) == (8081, "")
