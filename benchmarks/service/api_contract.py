"""Check that the service conforms to its OpenAPI document, for whatever the document allows.

.venv/bin/python -m benchmarks.service.api_contract [--examples 2000] [--seed 1] [--home HOME]

Schemathesis, with all its checks, sends the given number of examples for each operation to the real
service, tables among them; exit code 1 if it finds a failure. HOME needs a champion: `make run`
first.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.local_service import run_service
from housing import paths

HOOKS = "benchmarks.support.schemathesis_hooks"
CONFIG_FILE = paths.PROJECT_ROOT / "benchmarks" / "support" / "schemathesis.toml"
PHASES = "coverage,fuzzing,stateful"  # no examples: those of formats with a strategy must be bytes


def main() -> int:
    """Print the end of schemathesis' report; return its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=2_000, help="for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    start = time.monotonic()
    with run_service(options.home) as service, TemporaryDirectory() as folder:
        command = [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", CONFIG_FILE),
            "run",
            f"http://127.0.0.1:{service.port}/openapi.json",
            *("--checks", "all"),
            *("--phases", PHASES),
            *("--max-examples", str(options.examples)),
            *("--seed", str(options.seed)),
        ]
        environment = os.environ | {
            "SCHEMATHESIS_HOOKS": HOOKS,
            "PYTHONPATH": str(paths.PROJECT_ROOT),
        }
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=environment
        )
    print(result.stdout[-5_000:] if result.returncode else result.stdout[-1_500:])
    print(f"{time.monotonic() - start:.0f} s")
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
