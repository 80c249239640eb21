"""Fixtures that all tests share. Each test has a home of its own; none changes the checkout's."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from housing import paths
from housing.data import loading, splitting
from housing.evaluation import calibration
from housing.export import onnx_export
from housing.models import intervals
from housing.registry import gate, gate_checks, promotion, registration, versions
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import experiments, run_logging
from housing.training import search

# limits that every model with the smallest gain keeps
LENIENT_LIMITS = {"confidence_level": 0.01, "max_slice_loss_percent": 1e9}
CHROMIUM_PATH = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
# test files that share a slow fixture or a port: pytest-xdist runs each group in one process
XDIST_GROUPS = {
    **dict.fromkeys(
        ("test_browser.py", "test_page.py", "test_protocol.py", "test_sample.py"), "piped"
    ),
    **dict.fromkeys(("test_readme.py", "test_image.py"), "port 8081"),
}
# these run first, so that no process is left with one of them at the end
SLOWEST_FILES = ("test_readme.py", "test_store.py")


def pytest_make_parametrize_id(config, val, argname):
    """Name binary values by their argument: a gzip member, say, holds the second it was made in.

    pytest-xdist refuses to run if two of its processes find different names.
    """
    if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()):
        return argname
    return None  # pytest's own


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config, log):
    """Run the tests of a file in one process, and the files of a group in the same process."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class GroupScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return XDIST_GROUPS.get(Path(file).name, file)

    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in SLOWEST_FILES)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder for data/ and var/ of one test, without a tracking server."""
    folder = tmp_path / "a home"
    folder.mkdir()
    monkeypatch.setenv("HOUSING_HOME", str(folder))
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py"])  # whose name messages and pages show
    for name in list(os.environ):
        if name.startswith(("PIPELINE_", "MLFLOW_TRACKING_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv(
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"
    )  # else it starts eight more processes
    return folder


@pytest.fixture(scope="session")
def real_data():
    """The real data set, (20640, 9). Skips the test if no source of it answers."""
    os.environ["HOUSING_HOME"] = str(paths.PROJECT_ROOT)
    try:
        return loading.load_dataset("california")
    except LookupError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(reason=f"no source of the real data answers here: {error}")
    finally:
        del os.environ["HOUSING_HOME"]


@pytest.fixture(scope="session")
def shared_champion_home(tmp_path_factory):
    """A home with a sample, its split and candidates; the champion is a small decision tree."""
    folder = tmp_path_factory.mktemp("trained") / "a home"
    folder.mkdir()
    os.environ["HOUSING_HOME"] = str(folder)
    try:
        split = train_candidates(["linear", "tree"])
        register_candidate(split, "tree")
    finally:
        del os.environ["HOUSING_HOME"]
    return folder


def train_candidates(
    families: list[str], rows: int = 1_500, trials: int = 2
) -> splitting.TrainTestSplit:
    """Do what 01_prep and 02_train do, on a sample and without their figures."""
    splitting.write_split(loading.load_dataset("sample", n_rows=rows))
    split = splitting.read_split()
    results = search.tune_families(families, split.train, n_trials=trials)
    extras = {
        family: run_logging.CandidateExtras(intervals=_calibrate_intervals(result, split.train))
        for family, result in results.items()
    }
    run_logging.log_candidates(results.values(), split, "first", extras)
    return split


def _calibrate_intervals(
    search_result: search.SearchResult, train: pd.DataFrame
) -> intervals.IntervalModel:
    """Do what `calibration.calibrate_intervals` does, without a learning curve."""
    columns = train[FEATURE_NAMES]
    if hasattr(search_result.model, "steps"):
        columns = clone(search_result.model[:-1]).fit_transform(columns, train[TARGET])
    features = np.column_stack([columns, search_result.out_of_fold_predictions])
    return intervals.calibrate(
        features, train[TARGET].to_numpy(), search_result.out_of_fold_predictions
    )


def register_candidate(
    data_split: splitting.TrainTestSplit,
    family: str,
    example_rows: int = 20,
    judged_champion: versions.ModelVersion | None = None,
    write_card: registration.CardWriter | None = None,
    **limits: float,
) -> versions.ModelVersion:
    """Do what 03_register does, for the newest candidate of a family.

    judged_champion: the champion to compare with, if it is not the present one. write_card: as in
    `registration.register`. limits: those of
    `gate.GateLimits` that differ from their defaults.
    """
    [candidate] = [
        candidate
        for candidate in experiments.find_candidates(data_split.manifest)
        if candidate.family == family
    ]
    name = versions.MODEL_NAMES[data_split.manifest["source"]]
    model = experiments.load_model(candidate)
    interval_model = experiments.load_intervals(candidate)
    onnx_model = onnx_export.to_onnx(model, interval_model)
    champion = judged_champion or versions.get_champion(name)
    checks = gate.run_checks(
        model,
        onnx_model,
        data_split,
        gate.load_baseline(name, champion, data_split).model,
        experiments.signature_columns(candidate),
        gate.DEFAULT_LIMITS._replace(**limits),
        len(promotion.previous_rollbacks(name, onnx_model).same_model),
        interval_model,
    )
    rows = data_split.test[:example_rows]
    predictions = calibration.predict_with_interval(model, interval_model, rows)
    promoted, reason = gate.verdict(checks)
    return registration.register(
        candidate,
        data_split,
        onnx_model,
        predictions,
        promoted,
        reason,
        gate_checks.checks_as_json(checks),
        champion,
        write_card=write_card,
    )


@pytest.fixture(scope="session")
def shared_two_version_home(shared_champion_home, tmp_path_factory):
    """The home in which ann's linear model, version 2, has followed the tree as champion."""
    folder = tmp_path_factory.mktemp("moved") / "a home"
    _copy_home(shared_champion_home, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(folder))
        patch.setenv("HOUSING_WHO", "ann")
        register_candidate(splitting.read_split(), "linear", **LENIENT_LIMITS)
    return folder


@pytest.fixture
def two_version_home(shared_two_version_home, home, monkeypatch):
    """A copy of the home with two versions; its user is ann. Artifacts stay where they are."""
    monkeypatch.setenv("HOUSING_WHO", "ann")
    _copy_home(shared_two_version_home, home)
    return Path(home)


@pytest.fixture
def champion_home(shared_champion_home, home):
    """A copy of the home with a champion, for a test to change. Artifacts stay where they are."""
    _copy_home(shared_champion_home, home)
    return Path(home)


def _copy_home(source: Path, target: Path) -> None:
    """Copy a home without its artifacts, which the copied store goes on reading where they are.

    A process of MLflow writes to the artifacts of a run or model where it first found them.
    """
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("artifacts"))


@pytest.fixture(scope="session")
def browser():
    """Chromium, without its background requests to the network."""
    if not CHROMIUM_PATH:
        pytest.skip(reason="chromium is not installed here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()
