"""Run pieces of code as notebooks that start warm and cold, each in a fork of this one process.

    python -m tests.support.forked_imports < cases.json

cases.json: {"preload": [modules], "cases": {name: {"code": ..., "cold": whether to run it cold}}}.
Prints {name: {"warm": output, "reason": why it must be started cold, "cold": output}}.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from housing.paths import PROJECT_ROOT
from pipeline.kernels.preload.import_handover import HandoverFinder
from pipeline.kernels.preload.module_stash import ModuleStash


def run_cases(preloaded_modules, cases, folder):
    """Run the cases in a process that starts now; return their results by name.

    folder: has modules that can be imported, besides the installed ones.
    Its environment has few variables, so that all cases are the same everywhere.
    """
    environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    completed = subprocess.run(
        [sys.executable, "-m", "tests.support.forked_imports"],
        input=json.dumps({"preload": preloaded_modules, "cases": cases}),
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env=environment | {"PYTHONPATH": str(folder)},
        timeout=120,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def run_in_fork(code, prepare):
    """Return what the code prints in a fork, in a folder of its own, after `prepare(folder)`."""
    with tempfile.TemporaryDirectory() as folder:
        pid = os.fork()
        if pid == 0:
            os.chdir(folder)
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                try:
                    prepare(folder)
                    exec(code, {"__name__": "__main__"})
                except BaseException:
                    print(traceback.format_exc(limit=1))
            Path(folder, "output").write_text(output.getvalue())
            os._exit(0)
        os.waitpid(pid, 0)
        files = [Path(folder, name) for name in ("output", "reason")]
        return [file.read_text() if file.exists() else "" for file in files]


def main():
    """Run all cases cold, then preload the modules and run all cases warm."""
    request, variables, path = json.load(sys.stdin), dict(os.environ), list(sys.path)
    stash = ModuleStash()

    def start_warm(folder):
        os.environ.clear()
        os.environ.update(variables)
        finder = HandoverFinder(stash, path, variables, f"{folder}/reason")
        finder.install()
        finder.start_checks()

    results = {}
    for name, case in request["cases"].items():
        cold = run_in_fork(case["code"], lambda _folder: None)[0] if case["cold"] else ""
        results[name] = {"cold": cold}
    for module_name in request["preload"]:
        stash.preload(module_name)
    for name, case in request["cases"].items():
        results[name]["warm"], results[name]["reason"] = run_in_fork(case["code"], start_warm)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
