"""Whether the service does what its OpenAPI document says, whatever the document allows.

.venv/bin/python -m benchmarks.service.api_contract [--examples 2000] [--seed 1] [--home HOME]

Schemathesis, with all its checks, asks the real service with so many examples for each operation;
exit code 1 if it finds anything. HOME has a champion: `make run` first.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.local_service import running
from housing import paths


def main() -> int:
    """Prints what schemathesis says at its end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=2_000, help="for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=paths.home())
    options = parser.parse_args()
    begun = time.monotonic()
    with running(options.home) as served, TemporaryDirectory() as folder:
        done = subprocess.run(
            [Path(sys.executable).with_name("schemathesis"), "run",
             f"http://127.0.0.1:{served.port}/openapi.json", "--checks", "all",
             "--max-examples", f"{options.examples}", "--seed", f"{options.seed}"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
    print(done.stdout[-5_000:] if done.returncode else done.stdout[-1_500:])
    print(f"{time.monotonic() - begun:.0f} s")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
