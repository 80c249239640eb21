"""Pipeline -> registry -> real server process -> HTTP -> rows in SQLite, on the sample."""

import json
import os
import sqlite3
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest

from app.model import registry_sync
from housing.data import splitting
from housing.inference import served_model
from housing.paths import PROJECT_ROOT
from housing.registry import versions
from housing.schema import FEATURE_NAMES, FEATURES
from housing.tracking import probe, store
from pipeline.runs.records import load_all
from tests.system.conftest import (
    SMALL_SAMPLE_ARGUMENTS,
    free_port,
    managed_process,
    post_predict,
    running_service,
    wait_for_response,
)

pytestmark = pytest.mark.slow
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}


@pytest.fixture
def inside(pipeline_home, monkeypatch):
    monkeypatch.setenv("HOUSING_HOME", str(pipeline_home))
    return pipeline_home


def test_nothing_about_the_run_is_odd(inside):
    [run] = load_all(inside / "var" / "runs")
    assert (run.status, run.problems) == ("done", [])
    assert run.headline["test RMSE"]["value"] > 0
    assert set(run.steps[2].links) == {
        "model version: california-housing-sample 1",
        f"MLflow run: {versions.get_champion('california-housing-sample').tags['family']}",
    }


def test_the_run_behind_the_champion_is_known(inside):
    [run] = load_all(inside / "var" / "runs")
    assert probe.pinned_runs() == {run.id: "california-housing-sample version 1, champion"}
    assert "california-housing-sample version 1" in (inside / "reports" / "index.html").read_text()


def test_the_sample_is_loud_everywhere(inside):
    assert "NOTE: A GENERATED SAMPLE, not real data" in (inside / "said").read_text()
    pages = [*(inside / "reports" / "latest").glob("*.html"), inside / "reports" / "index.html"]
    assert len(pages) == 6
    assert all("A GENERATED SAMPLE" in one.read_text() for one in pages)
    assert versions.get_champion("california-housing") is None
    champion = versions.get_champion("california-housing-sample")
    assert champion.tags["data_source"] == "sample"
    assert champion.tags["report"].endswith("/03_register.html")
    assert (inside / champion.tags["report"]).exists()


def pipeline(home, *arguments):
    """A run with the same values as that of `piped`; and which heavy modules it has imported."""
    heavy = ("papermill", "mlflow", "pandas", "nbconvert", "jupyter_client")
    code = (
        "import atexit, runpy, sys; sys.argv[0] = 'run_pipeline.py'; atexit.register(lambda: "
        f"print('imported', [one for one in {heavy} if one in sys.modules])); "
        f"runpy.run_path({str(PROJECT_ROOT / 'run_pipeline.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *SMALL_SAMPLE_ARGUMENTS, *arguments], capture_output=True, text=True,
        env={**os.environ, "HOUSING_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_second_run_has_nothing_to_do_and_imports_nothing_heavy(inside):
    said = pipeline(inside)
    assert "nothing to do: prep, train, register up to date since run" in said
    assert "imported []" in said


def test_loading_the_champion_is_no_reason_to_register_again(inside):
    versions.load_model(versions.get_champion("california-housing-sample"))
    assert "register   skip" in pipeline(inside, "--explain")


def test_a_champion_that_moved_is_noticed_and_only_registration_runs(inside):
    client = store.client()
    name = "california-housing-sample"
    version = versions.get_champion(name).version
    client.delete_registered_model_alias(name, "champion")
    try:
        said = pipeline(inside, "--explain")
        assert f"run   external state champion of {name}: {version} -> none" in said
        said = pipeline(inside)
        assert "train      up to date since run" in said
        assert "decision: promoted" in said
    finally:
        assert versions.get_champion(name)
    assert "nothing to do" in pipeline(inside)


def test_the_service_answers_what_the_model_predicts_and_logs_it(inside):
    test = splitting.read_split().test[FEATURE_NAMES]
    expected = versions.load_model(versions.get_champion("california-housing-sample")).predict(test)
    with running_service(inside) as address:
        assert (
            json.loads(wait_for_response(f"{address}/ready"))["model"]
            == "california-housing-sample"
        )
        answers = post_predict(address, test.to_dict("records"))["predictions"]
    found = [one["prediction"] for one in answers]
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # trees are bit-equal, ridge nearly
    assert all("GENERATED SAMPLE" in one["notice"] for one in answers)
    with sqlite3.connect(inside / "var" / "logs.db") as database:
        logged = dict(database.execute("SELECT id, prediction FROM prediction WHERE status = 200"))
    assert {one["id"]: one["prediction"] for one in answers}.items() <= logged.items()


def test_the_service_starts_without_a_champion_and_finds_a_later_one(home, inside):
    with running_service(home) as address, pytest.raises(OSError, match="503"):
        wait_for_response(f"{address}/ready", timeout_seconds=0)
    with running_service(inside, HOUSING_SERVING=str(home / "serving")) as address:
        assert json.loads(wait_for_response(f"{address}/ready"))["status"] == "ready"
        assert post_predict(address, EXAMPLE)["model"] == "california-housing-sample"


ASKED = f"""
import os, threading
from app import create_app
answer = create_app().test_client().post("/predict", json={EXAMPLE})
assert answer.status_code == 200, answer.text
print(len(os.listdir("/proc/self/task")) - threading.active_count())
"""


def test_an_answer_is_made_on_one_thread(inside, monkeypatch):
    """Two that wait for each other make an answer slow on a busy machine."""

    def beside_python_s_own(**environment):
        told = {**os.environ, "HOUSING_HOME": str(inside), **environment}
        done = subprocess.run([sys.executable, "-c", ASKED], env=told, cwd=PROJECT_ROOT,
                              capture_output=True, text=True, check=True)  # fmt: skip
        return int(done.stdout)

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    registry_sync.sync_once(inside / "var" / "serving")
    assert beside_python_s_own() == 0
    assert beside_python_s_own(OMP_NUM_THREADS="4") > 0


@pytest.mark.parametrize("signals", [1, 300])
def test_it_stops_when_told_once_or_often(inside, signals):
    port = str(free_port())
    environment = {**os.environ, "HOUSING_PORT": port}
    with managed_process(sys.executable, "-m", "app", env=environment) as serving:
        wait_for_response(f"http://127.0.0.1:{port}/ready")
        for _ in range(signals):
            serving.terminate()
            time.sleep(0.00005)  # apart, else they count as one
        assert serving.wait(10) == 0


def test_a_taken_port_is_one_sentence(inside):
    with running_service(inside) as address:
        port = address.rpartition(":")[2]
        done = subprocess.run(
            [sys.executable, "-m", "app"], env={"HOUSING_PORT": port, "PATH": ""},
            capture_output=True, text=True, cwd=PROJECT_ROOT,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"port {port} is taken; choose another: HOUSING_PORT={int(port) + 1}"
    )


def test_a_notebook_runs_by_papermill_alone(inside, tmp_path):
    for name, parameters in (
        ("01_prep", ["-p", "source", "sample", "-p", "sample_rows", "1000"]),
        ("02_train", ["-p", "budget", "quick", "-y", "families: [linear, tree]"]),
        ("03_register", []),
        ("explore", []),
    ):
        command = [
            "papermill",
            f"{PROJECT_ROOT}/notebooks/{name}.ipynb",
            f"{name}.ipynb",
            *parameters,
        ]
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    trained = nbformat.read(tmp_path / "02_train.ipynb", as_version=4)
    assert any(
        "image/png" in output.get("data", {})
        for cell in trained.cells
        for output in cell.get("outputs", [])
    )


def test_a_machine_without_lightgbm_s_library_has_its_pipeline_too(home, tmp_path):
    """As on a Debian without libgomp1, where the package is there and cannot be loaded."""
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open')")
    families = ["-p", 'families=["boosting","blend"]']
    command = [
        sys.executable,
        str(PROJECT_ROOT / "run_pipeline.py"),
        *SMALL_SAMPLE_ARGUMENTS,
        *families,
    ]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decision: promoted" in done.stdout
    champion = versions.get_champion("california-housing-sample")
    versions.export_for_serving(champion, home / "served")
    rows = splitting.read_split().test[FEATURE_NAMES]
    served = served_model.load((home / "served" / "model.onnx").read_bytes())
    expected = versions.load_model(champion).predict(rows)
    np.testing.assert_allclose(served_model.predict(served, rows.to_numpy()), expected, rtol=1e-12)


def test_mlflow_s_pages_open_on_the_store(inside):
    port = str(free_port())
    command = [sys.executable, "-m", "mlflow", "ui", "--port", port, "--backend-store-uri"]
    with managed_process(*command, store.tracking_uri()):
        assert "MLflow" in wait_for_response(f"http://127.0.0.1:{port}/")
