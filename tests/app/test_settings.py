"""Settings: invalid values are named, and the README lists every setting."""

import pytest

from app import create_app
from app.settings import (
    SETTINGS,
    default_worker_count,
    load_settings,
    readme_row,
    removed_setting_messages,
    validate_settings,
)
from housing.paths import PROJECT_ROOT
from tests.support.served_champion import copy_serving_folder


def test_the_readme_has_every_setting(home):
    text = (PROJECT_ROOT / "README.md").read_text()
    for name in SETTINGS:
        assert readme_row(name) in text


@pytest.mark.parametrize(
    ("name", "value", "expectation"),
    [
        ("LOG_POLICY", "maybe", "expected strict or available"),
        ("LOG_SYNC", "OFF", "expected NORMAL or FULL"),
        ("WORKERS", "0", "expected a whole number from 1 to 62"),
        ("WORKERS", "63", "expected a whole number from 1 to 62"),
        ("MAX_ROWS", "many", "expected a whole number"),
        ("OPEN", "yes", "expected 0 or 1"),
        ("PORT", "70000", "expected a whole number from 1 to 65,535"),
        ("PORT", "0", "expected a whole number from 1 to 65,535"),
        ("PORT", "-1", "expected a whole number from 1 to 65,535"),
        ("PORT", "8081.5", "expected a whole number from 1 to 65,535"),
        ("BODY_SECONDS", "9" * 30, "expected a whole number from 1 to 86,400"),
        ("MAX_CONTENT_LENGTH", "9" * 30, "expected a whole number from 1 to"),
        ("SHADOW_SHARE", "1.5", "expected a number from 0 to 1"),
        ("SHADOW_SHARE", "-0.1", "expected a number from 0 to 1"),
        ("SHADOW_SHARE", "nan", "expected a number from 0 to 1"),
        ("SHADOW_SHARE", "10%", "expected a number from 0 to 1"),
        ("TRUSTED_PROXIES", "-1", "expected a whole number from 0 to 100"),
        ("PATH_PREFIX", "/a b", "expected a path of letters, digits"),
        ("CORS_ORIGINS", "maps.example", "expected origins such as https://"),
    ],
)
def test_an_invalid_setting_is_refused(home, monkeypatch, name, value, expectation):
    monkeypatch.setenv(f"HOUSING_{name}", value)
    with pytest.raises(ValueError, match=f"HOUSING_{name} is '?{value}'?, {expectation}"):
        create_app()


@pytest.mark.parametrize("value", ["8081", None, True, float("nan"), float("inf"), 10**400])
def test_a_number_of_another_kind_is_refused(home, value):
    with pytest.raises(ValueError, match=r"HOUSING_PORT is .*, expected a whole number from 1 to"):
        create_app({"PORT": value})


def test_every_default_is_within_its_bounds(home):
    defaults = {name: setting.default_factory() for name, setting in SETTINGS.items()}
    validate_settings(defaults)
    assert load_settings().keys() == defaults.keys()


def test_an_empty_variable_counts_as_not_set(home, monkeypatch):
    monkeypatch.setenv("HOUSING_PORT", "")
    assert load_settings()["PORT"] == 8081


def test_a_variable_without_effect_is_named_and_stops_nothing(home, monkeypatch):
    assert removed_setting_messages() == []
    monkeypatch.setenv("HOUSING_ACCESS_LOG", "/var/log/access.log")
    [message] = removed_setting_messages()
    assert message.startswith("HOUSING_ACCESS_LOG has no effect any more: HOUSING_LOG_FILE")
    create_app()


def test_a_container_s_processor_limit_counts_as_cores(tmp_path):
    core_count = default_worker_count(tmp_path / "no such limit")
    for text, expected in [
        ("max 100000", core_count),
        ("50000 100000", 1),
        ("9900000 100000", core_count),
    ]:
        (tmp_path / "cpu.max").write_text(text + "\n")
        assert default_worker_count(tmp_path / "cpu.max") == expected


def test_a_model_in_the_image_is_served_unless_a_tracking_server_is_named(
    home, served_champion, tmp_path, monkeypatch
):
    image_folder = tmp_path / "model"
    monkeypatch.setenv("HOUSING_BAKED", str(image_folder))
    followed_dir = str(home / "var" / "serving")
    assert load_settings()["SERVING"] == followed_dir  # the image's folder is still empty
    copy_serving_folder(served_champion, image_folder)
    assert load_settings()["SERVING"] == str(image_folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert load_settings()["SERVING"] == followed_dir
