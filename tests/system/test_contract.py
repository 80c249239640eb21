"""The OpenAPI document holds: schemathesis asks the real service whatever the document allows."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import get, service

pytestmark = pytest.mark.slow


def test_schemathesis_finds_nothing(piped, tmp_path):
    with service(piped) as address:
        get(f"{address}/ready")
        done = subprocess.run(
            [Path(sys.executable).with_name("schemathesis"), "run", f"{address}/openapi.json",
             "--checks", "all", "--max-examples", "100", "--seed", "1"],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
