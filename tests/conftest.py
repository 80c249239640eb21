"""Fixtures all tests share. Each test lives in a home of its own; none touches the checkout's."""

import os
import shutil
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
from housing.registry import gate, promotion, versions
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import experiments
from housing.training import search

LENIENT_LIMITS = {
    "confidence_level": 0.01,
    "max_slice_loss_percent": 1e9,
}  # limits that a model which is better at all keeps
CHROMIUM_PATH = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
XDIST_GROUPS = {
    **dict.fromkeys(
        ("test_browser.py", "test_page.py", "test_protocol.py", "test_sample.py"), "piped"
    ),
    **dict.fromkeys(("test_readme.py", "test_image.py"), "port 8081"),
}
SLOWEST_FILES = (
    "test_readme.py",
    "test_store.py",
)  # first, so that no process works on alone at the end


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config, log):
    """Files whose tests share what takes long to make, or is there but once, go to the same
    process, as does each file."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Sharing(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return XDIST_GROUPS.get(Path(file).name, file)

    return Sharing(config, log)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda one: one.path.name not in SLOWEST_FILES)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder for data/ and var/ of this test alone, with no tracking server set."""
    folder = tmp_path / "a home"
    folder.mkdir()
    monkeypatch.setenv("HOUSING_HOME", str(folder))
    for name in [one for one in os.environ if one.startswith(("PIPELINE_", "MLFLOW_TRACKING_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # else eight processes more
    return folder


@pytest.fixture(scope="session")
def real_data():
    """The real data set, (20640, 9); where no source of it answers, the test is skipped."""
    os.environ["HOUSING_HOME"] = str(paths.PROJECT_ROOT)
    try:
        return loading.load_dataset("california")
    except LookupError as nowhere:
        if os.environ.get("CI"):
            raise
        pytest.skip(reason=f"no source of the real data answers here: {nowhere}")
    finally:
        del os.environ["HOUSING_HOME"]


@pytest.fixture(scope="session")
def shared_champion_home(tmp_path_factory):
    """A home with a sample, split and trained on; its champion is a small decision tree."""
    folder = tmp_path_factory.mktemp("trained") / "a home"
    folder.mkdir()
    os.environ["HOUSING_HOME"] = str(folder)
    try:
        parts = train_candidates(["linear", "tree"])
        register_candidate(parts, "tree")
    finally:
        del os.environ["HOUSING_HOME"]
    return folder


def train_candidates(
    families: list[str], rows: int = 1_500, trials: int = 2
) -> splitting.TrainTestSplit:
    """What 01_prep and 02_train do, on a sample and without their pictures."""
    splitting.write_split(loading.load_dataset("sample", n_rows=rows))
    parts = splitting.read_split()
    found = search.tune_families(families, parts.train, n_trials=trials)
    evidence = {one: experiments.CandidateExtras(intervals=_calibrate_intervals(it, parts.train))
                for one, it in found.items()}  # fmt: skip
    experiments.log_candidates(found.values(), parts, "first", evidence)
    return parts


def _calibrate_intervals(
    search_result: search.SearchResult, train: pd.DataFrame
) -> intervals.IntervalModel:
    """As `bounds.calibrate`, without a learning curve."""
    columns = train[FEATURE_NAMES]
    if hasattr(search_result.model, "steps"):
        columns = clone(search_result.model[:-1]).fit_transform(columns, train[TARGET])
    signs = np.column_stack([columns, search_result.out_of_fold_predictions])
    return intervals.calibrate(
        signs, train[TARGET].to_numpy(), search_result.out_of_fold_predictions
    )


def register_candidate(
    data_split: splitting.TrainTestSplit,
    family: str,
    example_rows: int = 20,
    judged_champion: versions.ModelVersion | None = None,
    **limits: float,
) -> versions.ModelVersion:
    """What 03_register does, for the newest candidate of a family.

    judged: as if another version had been champion when the gate was asked.
    """
    [candidate] = [
        one for one in experiments.find_candidates(data_split.manifest) if one.family == family
    ]
    model, name = (
        experiments.load_model(candidate),
        versions.MODEL_NAMES[data_split.manifest["source"]],
    )
    found = experiments.load_intervals(candidate)
    champion = judged_champion or versions.get_champion(name)
    served = onnx_export.to_onnx(model, found)
    to_beat, columns = (
        gate.baseline_model(champion, data_split),
        experiments.signature_columns(candidate),
    )
    back = promotion.previous_rollbacks(name, served)
    limits = gate.DEFAULT_LIMITS._replace(**limits)
    checks = gate.run_checks(model, served, data_split, to_beat, columns, limits, len(back), found)
    rows, asked = data_split.test[:example_rows], gate.checks_as_json(checks)
    answers = calibration.predict_with_interval(model, found, rows)
    verdict = gate.verdict(checks)
    return versions.register(candidate, data_split, served, answers, *verdict, asked, champion)


@pytest.fixture(scope="session")
def shared_two_version_home(shared_champion_home, tmp_path_factory):
    """The trained home after ann's linear model has followed the tree as champion: version 2."""
    folder = tmp_path_factory.mktemp("moved") / "a home"
    shutil.copytree(shared_champion_home, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(folder))
        patch.setenv("HOUSING_WHO", "ann")
        register_candidate(splitting.read_split(), "linear", **LENIENT_LIMITS)
    return folder


@pytest.fixture
def two_version_home(shared_two_version_home, home, monkeypatch):
    """The moved home, copied; who works there is ann. Artefacts stay where they are."""
    monkeypatch.setenv("HOUSING_WHO", "ann")
    shutil.copytree(shared_two_version_home, home, dirs_exist_ok=True)
    return Path(home)


@pytest.fixture
def champion_home(shared_champion_home, home):
    """The trained home, copied, so that a test may change it. Artefacts stay where they are."""
    shutil.copytree(shared_champion_home, home, dirs_exist_ok=True)
    return Path(home)


@pytest.fixture(scope="session")
def browser():
    """Chromium, its network cut but for this machine."""
    if not CHROMIUM_PATH:
        pytest.skip(reason="chromium is not installed here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=CHROMIUM_FLAGS)
        yield started
        started.close()
