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
from housing.schema import NAMES, TARGET
from housing.tracking import experiments
from housing.training import search

EASY = {"certainty": 0.01, "max_loss": 1e9}  # limits that a model which is better at all keeps
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SHARE = {
    **dict.fromkeys(
        ("test_browser.py", "test_page.py", "test_protocol.py", "test_sample.py"), "piped"
    ),
    **dict.fromkeys(("test_readme.py", "test_image.py"), "port 8081"),
}
LONGEST = ("test_readme.py", "test_store.py")  # first, so that no process works on alone at the end


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
            return SHARE.get(Path(file).name, file)

    return Sharing(config, log)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda one: one.path.name not in LONGEST)


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
    os.environ["HOUSING_HOME"] = str(paths.CHECKOUT)
    try:
        return loading.load("california")
    except LookupError as nowhere:
        if os.environ.get("CI"):
            raise
        pytest.skip(reason=f"no source of the real data answers here: {nowhere}")
    finally:
        del os.environ["HOUSING_HOME"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A home with a sample, split and trained on; its champion is a small decision tree."""
    folder = tmp_path_factory.mktemp("trained") / "a home"
    folder.mkdir()
    os.environ["HOUSING_HOME"] = str(folder)
    try:
        parts = log_candidates(["linear", "tree"])
        promote(parts, "tree")
    finally:
        del os.environ["HOUSING_HOME"]
    return folder


def log_candidates(families: list[str], rows: int = 1_500, trials: int = 2) -> splitting.Split:
    """What 01_prep and 02_train do, on a sample and without their pictures."""
    splitting.write(loading.load("sample", rows=rows))
    parts = splitting.read()
    found = search.search(families, parts.train, trials=trials)
    evidence = {one: experiments.Evidence(intervals=_intervals(it, parts.train))
                for one, it in found.items()}  # fmt: skip
    experiments.log_candidates(found.values(), parts, "first", evidence)
    return parts


def _intervals(found: search.Search, train: pd.DataFrame) -> intervals.Intervals:
    """As `bounds.calibrate`, without a learning curve."""
    columns = train[NAMES]
    if hasattr(found.model, "steps"):
        columns = clone(found.model[:-1]).fit_transform(columns, train[TARGET])
    signs = np.column_stack([columns, found.guesses])
    return intervals.calibrate(signs, train[TARGET].to_numpy(), found.guesses)


def promote(
    parts: splitting.Split,
    family: str,
    examples: int = 20,
    judged: versions.Version | None = None,
    **limits: float,
) -> versions.Version:
    """What 03_register does, for the newest candidate of a family.

    judged: as if another version had been champion when the gate was asked.
    """
    [candidate] = [one for one in experiments.candidates(parts.manifest) if one.family == family]
    model, name = (
        experiments.load_candidate(candidate),
        versions.MODEL_NAMES[parts.manifest["source"]],
    )
    found = experiments.load_intervals(candidate)
    champion = judged or versions.champion(name)
    served = onnx_export.convert(model, found)
    to_beat, columns = gate.to_beat(champion, parts), experiments.columns(candidate)
    back = promotion.taken_back(name, served)
    limits = gate.LIMITS._replace(**limits)
    checks = gate.judge(model, served, parts, to_beat, columns, limits, len(back), found)
    rows, asked = parts.test[:examples], gate.told(checks)
    answers = calibration.bounds(model, found, rows)
    verdict = gate.verdict(checks)
    return versions.register(candidate, parts, served, answers, *verdict, asked, champion)


@pytest.fixture(scope="session")
def moved(trained, tmp_path_factory):
    """The trained home after ann's linear model has followed the tree as champion: version 2."""
    folder = tmp_path_factory.mktemp("moved") / "a home"
    shutil.copytree(trained, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(folder))
        patch.setenv("HOUSING_WHO", "ann")
        promote(splitting.read(), "linear", **EASY)
    return folder


@pytest.fixture
def two(moved, home, monkeypatch):
    """The moved home, copied; who works there is ann. Artefacts stay where they are."""
    monkeypatch.setenv("HOUSING_WHO", "ann")
    shutil.copytree(moved, home, dirs_exist_ok=True)
    return Path(home)


@pytest.fixture
def champion_home(trained, home):
    """The trained home, copied, so that a test may change it. Artefacts stay where they are."""
    shutil.copytree(trained, home, dirs_exist_ok=True)
    return Path(home)


@pytest.fixture(scope="session")
def browser():
    """Chromium, its network cut but for this machine."""
    if not CHROMIUM:
        pytest.skip(reason="chromium is not installed here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()
