"""What anyone can do with a registered model, far from this checkout."""

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
NAME = "california-housing-sample"
LOAD = """
import json, sys
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
rows = pandas.read_parquet("rows.parquet")
uri = f"models:/{sys.argv[2]}@champion"
found = {
    "pyfunc": mlflow.pyfunc.load_model(uri).predict(rows).tolist(),
    "sklearn": mlflow.sklearn.load_model(uri).predict(rows).tolist(),
    "code": sys.modules["housing"].__file__,
}
print(json.dumps(found))
"""


@pytest.fixture
def blended(home):
    """A pipeline's champion that is a blend: the family with the most of our own classes."""
    values = ["source=sample", "sample_rows=1000", "budget=quick", 'families=["blend"]']
    told = [word for value in values for word in ("-p", value)]
    command = [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), *told]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return versions.get_champion(NAME)


def test_anyone_can_load_it_with_no_more_than_its_own_requirements(blended, tmp_path):
    """A new environment, made from the model's requirements alone, in an empty folder."""
    if not (PROJECT_ROOT / ".uv.done").exists():
        pytest.skip(reason="uv is not here, with which `make` builds environments")
    uv = str(PROJECT_ROOT / (PROJECT_ROOT / ".uv.done").read_text().strip())
    model = artifacts.download(blended, tmp_path / "model")
    python = tmp_path / "venv" / "bin" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([uv, "venv", "--quiet", "--python", version, tmp_path / "venv"], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, "-r", "requirements.txt"]
    subprocess.run(install, cwd=model, check=True)

    rows = splitting.read_split().test[FEATURE_NAMES]
    rows.to_parquet(tmp_path / "rows.parquet")
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [python, "-c", LOAD, store.tracking_uri(), NAME],
        cwd=tmp_path, env=clean, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["code"]).is_relative_to(tmp_path)
    expected = versions.load_model(blended).predict(rows)
    for kind in ("pyfunc", "sklearn"):
        np.testing.assert_array_equal(found[kind], expected)
