"""A registered model is loaded far from this checkout, by MLflow alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from housing.data import splitting
from housing.paths import PROJECT_ROOT
from housing.registry import artifacts, versions
from housing.schema import FEATURE_NAMES
from housing.tracking import store

pytestmark = pytest.mark.slow
MODEL_NAME = "california-housing-sample"
LOAD = """
import json, sys
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
rows = pandas.read_parquet("rows.parquet")
uri = f"models:/{sys.argv[2]}@champion"
results = {
    "pyfunc": mlflow.pyfunc.load_model(uri).predict(rows).tolist(),
    "sklearn": mlflow.sklearn.load_model(uri).predict(rows).tolist(),
    "code": sys.modules["housing"].__file__,
}
print(json.dumps(results))
"""


@pytest.fixture
def blend_champion(home):
    """Return a champion that is a blend: the family with the most classes of our own."""
    values = ["source=sample", "sample_rows=1000", "budget=quick", 'families=["blend"]']
    arguments = [word for value in values for word in ("-p", value)]
    command = [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), *arguments]
    completed = subprocess.run(command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return versions.get_champion(MODEL_NAME)


def test_anyone_can_load_it_with_no_more_than_its_own_requirements(blend_champion, tmp_path):
    """The environment is new, holds the model's requirements alone, and is in an empty folder."""
    if not (PROJECT_ROOT / ".uv.done").exists():
        pytest.skip(reason="uv, with which `make` builds environments, is not here")
    uv = str(PROJECT_ROOT / (PROJECT_ROOT / ".uv.done").read_text().strip())
    model = artifacts.download(blend_champion, tmp_path / "model")
    python = tmp_path / "venv" / "bin" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([uv, "venv", "--quiet", "--python", version, tmp_path / "venv"], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, "-r", "requirements.txt"]
    subprocess.run(install, cwd=model, check=True)

    rows = splitting.read_split().test[FEATURE_NAMES]
    rows.to_parquet(tmp_path / "rows.parquet")
    clean_environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    completed = subprocess.run(
        [python, "-c", LOAD, store.tracking_uri(), MODEL_NAME],
        cwd=tmp_path, env=clean_environment, capture_output=True, text=True,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr[-3000:]
    results = json.loads(completed.stdout.splitlines()[-1])
    assert Path(results["code"]).is_relative_to(tmp_path)
    expected = versions.load_model(blend_champion).predict(rows)
    for flavor in ("pyfunc", "sklearn"):
        np.testing.assert_array_equal(results[flavor], expected)
