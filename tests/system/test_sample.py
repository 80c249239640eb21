"""The whole way on the sample: pipeline, registry, a real server process, HTTP, rows in SQLite."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time

import mlflow
import nbformat
import numpy as np
import pytest

from app.model import registry_sync
from housing.data import splitting
from housing.inference import served_model
from housing.paths import PROJECT_ROOT
from housing.registry import versions
from housing.registry.gate_checks import MEAN_GAIN_CHECK
from housing.schema import FEATURE_NAMES, FEATURES, TARGET
from housing.tracking import experiments, probe, store
from pipeline.runs.records import load_all
from tests.support.processes import (
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
def sample_home(pipeline_home, monkeypatch):
    """Return the home of a run on the sample, which is this process's home too."""
    monkeypatch.setenv("HOUSING_HOME", str(pipeline_home))
    return pipeline_home


def test_the_run_has_no_problems_a_headline_and_links(sample_home):
    [run] = load_all(sample_home / "var" / "runs")
    assert (run.status, run.problems) == ("done", [])
    assert [step.cold_start for step in run.steps] == ["", "", ""]  # all were warm
    assert run.headline["test RMSE"].value > 0
    assert set(run.steps[2].links) == {
        "model version: california-housing-sample 1",
        f"MLflow run: {versions.get_champion('california-housing-sample').tags['family']}",
    }


def test_the_run_behind_the_champion_is_pinned(sample_home):
    [run] = load_all(sample_home / "var" / "runs")
    assert probe.pinned_runs() == {run.id: "california-housing-sample version 1, champion"}
    assert (
        "california-housing-sample version 1"
        in (sample_home / "reports" / "index.html").read_text()
    )


def test_the_sample_is_marked_everywhere(sample_home):
    assert "NOTE: A GENERATED SAMPLE, not real data" in (sample_home / "output.txt").read_text()
    pages = [
        *(sample_home / "reports" / "latest").glob("*.html"),
        sample_home / "reports" / "index.html",
    ]
    assert len(pages) == 6
    assert all("A GENERATED SAMPLE" in page.read_text() for page in pages)
    assert versions.get_champion("california-housing") is None
    champion = versions.get_champion("california-housing-sample")
    assert champion.tags["data_source"] == "sample"
    assert champion.tags["report"].endswith("/03_register.html")
    assert (sample_home / champion.tags["report"]).exists()


def test_report_card_mlflow_and_gate_say_the_same_about_the_test_error(sample_home):
    """The interval is a matter of chance: computed twice, it would have two values."""
    champion = versions.get_champion("california-housing-sample")
    run = experiments.get_run(champion.run_id)
    scores = experiments.load_table(champion.run_id, "scores")
    rmse, low, high = scores.loc["RMSE, $"]
    recorded = [run.metrics[f"test_rmse{suffix}"] for suffix in ("", "_low", "_high")]
    assert [rmse, low, high] == pytest.approx([value * 100_000 for value in recorded])
    assert float(champion.tags["test_rmse"]) * 100_000 == pytest.approx(rmse, abs=0.1)
    sentence = (
        rf"RMSE is\n\*\*\\\${rmse:,.0f}\*\* \(90 % interval \\\${low:,.0f} to \\\${high:,.0f}\)"
    )
    assert re.search(sentence, champion.tags["card"])
    reports = sample_home / "reports" / "latest"
    page = (reports / "02_train.html").read_text()
    for value in (rmse, low, high):
        assert f"{value:,.1f}" in page
    card_page = (reports / "model_card.html").read_text()
    assert f"90 % interval ${low:,.0f} to ${high:,.0f}" in card_page
    gate = store.client().get_run(champion.run_id).info.artifact_uri + "/gate.json"
    [gain] = [
        check["value"]
        for check in mlflow.artifacts.load_dict(gate)["checks"]
        if check["check"] == MEAN_GAIN_CHECK
    ]
    split = splitting.read_split()
    mean_rmse = np.sqrt(((split.test[TARGET] - split.train[TARGET].mean()) ** 2).mean()) * 100_000
    assert gain == pytest.approx(mean_rmse - rmse, abs=0.01)


def run_pipeline(home, command="run"):
    """Run a command of the pipeline with the values of `pipeline_home`; return its output.

    Its last line names the heavy modules that the runner imported.
    """
    heavy = ("papermill", "mlflow", "pandas", "nbconvert", "jupyter_client")
    code = (
        "import atexit, runpy, sys; sys.argv[0] = 'run_pipeline.py'; atexit.register(lambda: "
        f"print('imported', [name for name in {heavy} if name in sys.modules])); "
        f"runpy.run_path({str(PROJECT_ROOT / 'run_pipeline.py')!r}, run_name='__main__')"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code, command, *SMALL_SAMPLE_ARGUMENTS],
        capture_output=True,
        text=True,
        env={**os.environ, "HOUSING_HOME": str(home)},
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def test_a_second_run_has_nothing_to_do_and_imports_nothing_heavy(sample_home):
    output = run_pipeline(sample_home)
    assert "nothing to do: prep, train, register up to date since run" in output
    assert "imported []" in output


def test_loading_the_champion_is_no_reason_to_register_again(sample_home):
    versions.load_model(versions.get_champion("california-housing-sample"))
    assert "register   skip" in run_pipeline(sample_home, "explain")


def test_a_champion_that_moved_is_noticed_and_only_registration_runs(sample_home):
    client = store.client()
    name = "california-housing-sample"
    version = versions.get_champion(name).version
    client.delete_registered_model_alias(name, "champion")
    try:
        output = run_pipeline(sample_home, "explain")
        assert f"run   external state champion of {name}: {version} -> none" in output
        output = run_pipeline(sample_home)
        assert "train      up to date since run" in output
        assert "decision: promoted" in output
    finally:
        assert versions.get_champion(name)
    assert "nothing to do" in run_pipeline(sample_home)


def test_the_service_answers_what_the_model_predicts_and_logs_it(sample_home):
    test = splitting.read_split().test[FEATURE_NAMES]
    expected = versions.load_model(versions.get_champion("california-housing-sample")).predict(test)
    with running_service(sample_home) as address:
        assert (
            json.loads(wait_for_response(f"{address}/ready"))["model"]
            == "california-housing-sample"
        )
        predictions = post_predict(address, test.to_dict("records"))["predictions"]
    served = [prediction["prediction"] for prediction in predictions]
    np.testing.assert_allclose(served, expected, rtol=1e-12)  # trees are bit-equal, ridge nearly
    assert all("GENERATED SAMPLE" in prediction["notice"] for prediction in predictions)
    with sqlite3.connect(sample_home / "var" / "logs.db") as database:
        logged = dict(database.execute("SELECT id, prediction FROM prediction WHERE status = 200"))
    assert {
        prediction["id"]: prediction["prediction"] for prediction in predictions
    }.items() <= logged.items()


def test_the_service_starts_without_a_champion_and_finds_a_later_one(home, sample_home):
    with running_service(home) as address, pytest.raises(OSError, match="503"):
        wait_for_response(f"{address}/ready", timeout_seconds=0)
    with running_service(sample_home, HOUSING_SERVING=str(home / "serving")) as address:
        assert json.loads(wait_for_response(f"{address}/ready"))["status"] == "ready"
        assert post_predict(address, EXAMPLE)["model"] == "california-housing-sample"


THREAD_COUNT_SCRIPT = f"""
import os, threading
from app import create_app
response = create_app().test_client().post("/predict", json={EXAMPLE})
assert response.status_code == 200, response.text
print(len(os.listdir("/proc/self/task")) - threading.active_count())
"""


def test_a_prediction_is_computed_on_one_thread(sample_home, monkeypatch):
    """Threads that wait for each other make a prediction slow on a busy machine."""

    def count_native_threads(**environment):
        variables = {**os.environ, "HOUSING_HOME": str(sample_home), **environment}
        completed = subprocess.run(
            [sys.executable, "-c", THREAD_COUNT_SCRIPT],
            env=variables,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(completed.stdout)

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    registry_sync.sync_once(sample_home / "var" / "serving")
    assert count_native_threads() == 0
    assert count_native_threads(OMP_NUM_THREADS="4") > 0


@pytest.mark.parametrize("signals", [1, 300])
def test_it_stops_at_one_signal_or_many(sample_home, signals):
    port = str(free_port())
    environment = {**os.environ, "HOUSING_PORT": port}
    with managed_process(sys.executable, "-m", "app", env=environment) as serving:
        wait_for_response(f"http://127.0.0.1:{port}/ready")
        for _ in range(signals):
            serving.terminate()
            time.sleep(0.00005)  # signals that come together are merged
        assert serving.wait(10) == 0


def test_a_port_in_use_is_reported_in_one_sentence(sample_home):
    with running_service(sample_home) as address:
        port = address.rpartition(":")[2]
        completed = subprocess.run(
            [sys.executable, "-m", "app"],
            env={"HOUSING_PORT": port, "PATH": ""},
            capture_output=True,
            text=True,
            cwd=PROJECT_ROOT,
        )
    assert completed.returncode == 1
    assert completed.stderr.strip() == (
        f"port {port} is taken; choose another: HOUSING_PORT={int(port) + 1}"
    )


def test_a_notebook_runs_by_papermill_alone(sample_home, tmp_path):
    for name, parameters in (
        ("01_prep", ["-p", "source", "sample", "-p", "sample_rows", "1000"]),
        ("02_train", ["-p", "budget", "quick", "-y", "families: [linear, tree]"]),
        ("03_register", []),
        ("04_monitor", []),
        ("explore", []),
    ):
        command = [
            "papermill",
            f"{PROJECT_ROOT}/notebooks/{name}.ipynb",
            f"{name}.ipynb",
            *parameters,
        ]
        completed = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert completed.returncode == 0, completed.stderr[-2000:]
    trained = nbformat.read(tmp_path / "02_train.ipynb", as_version=4)
    assert any(
        "image/png" in output.get("data", {})
        for cell in trained.cells
        for output in cell.get("outputs", [])
    )


def test_the_pipeline_runs_on_a_machine_without_lightgbm_s_library(home, tmp_path):
    """On a Debian without libgomp1 the package is installed and cannot be loaded."""
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open')")
    arguments = ["source=sample", "sample_rows=1000", "budget=quick", 'families=["blend"]']
    options = [word for argument in arguments for word in ("-p", argument)]
    command = [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), *options]
    completed = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "decision: promoted" in completed.stdout
    champion = versions.get_champion("california-housing-sample")
    versions.export_for_serving(champion, home / "graph")
    rows = splitting.read_split().test[FEATURE_NAMES]
    graph = served_model.load((home / "graph" / "model.onnx").read_bytes())
    expected = versions.load_model(champion).predict(rows)
    np.testing.assert_allclose(served_model.predict(graph, rows.to_numpy()), expected, rtol=1e-12)


def test_mlflow_s_pages_open_on_the_store(sample_home):
    port = str(free_port())
    command = [sys.executable, "-m", "mlflow", "ui", "--port", port, "--workers", "1"]
    with managed_process(*command, "--backend-store-uri", store.tracking_uri()):
        assert "MLflow" in wait_for_response(f"http://127.0.0.1:{port}/")
