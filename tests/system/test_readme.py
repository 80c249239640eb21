"""The README's commands, typed in their order in a fresh clone, on the real data."""

import json
import os
import re
import sqlite3
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from housing.paths import PROJECT_ROOT
from tests.support import containers
from tests.support.containers import podman
from tests.support.processes import managed_process, wait_for_response

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_leftover_containers")]
README = (PROJECT_ROOT / "README.md").read_text()
COMMAND_LINES = "".join(re.findall(r"```sh\n(.+?)```", README, re.DOTALL)).splitlines()


def command(prefix):
    """Return the README's command that starts with the prefix, without its comment."""
    [line] = [line for line in COMMAND_LINES if line.startswith(prefix)]
    return line.split("  #")[0].split(" #")[0]


@pytest.fixture(scope="module")
def clone(tmp_path_factory, real_data):
    """Return a clone in a path with a space, with the shared folder beside it."""
    folder = tmp_path_factory.mktemp("fresh") / "a path with spaces"
    folder.mkdir()
    shared = PROJECT_ROOT.parent / "shared"
    if shared.exists():
        (folder / "shared").symlink_to(shared)
    subprocess.run(["git", "clone", "--quiet", PROJECT_ROOT, folder / "clone"], check=True)
    return folder / "clone"


@pytest.fixture(scope="module")
def environment():
    """Return the environment of a person's shell, without the variables of this test run."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("HOUSING_")
    }
    for name in ("VIRTUAL_ENV", "ARGS", "MAKEFLAGS", "MAKEOVERRIDES"):
        variables.pop(name, None)
    return variables


@pytest.fixture(scope="module")
def run_output(clone, environment):
    """Return the output of `make run`."""
    completed = subprocess.run(
        command("make run"), shell=True, cwd=clone, env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout[-3000:] + completed.stderr[-3000:]
    return completed.stdout


def test_make_run_ends_with_a_champion_on_the_real_data(clone, run_output):
    assert "champion: california-housing version 1" in run_output
    assert f"reports: {clone / 'reports' / 'latest'}" in run_output
    rmse = int(re.search(r"test RMSE: \$([\d,]+)", run_output)[1].replace(",", ""))
    assert rmse <= 39_500
    for name in ("01_prep", "02_train", "03_register"):
        assert (clone / "reports" / "latest" / f"{name}.html").exists()
    manifest = json.loads((clone / "data" / "processed" / "manifest.json").read_text())
    assert manifest["source"] == "california"
    assert manifest["rows"] == {"raw": 20_640, "train": 16_512, "test": 4_128}


def test_a_second_environment_is_not_built(clone, run_output, environment):
    completed = subprocess.run(
        ["make", ".venv/run.done"], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert "environment ready" not in completed.stdout


def test_make_serve_and_the_curls_answer(clone, run_output, environment):
    curls = [line for line in COMMAND_LINES if line.startswith("curl")]
    with managed_process(*command("make serve").split(), cwd=clone, env=environment):
        wait_for_response("http://127.0.0.1:8081/ready")

        def parsed_answer(line):
            completed = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
            return json.loads(completed.stdout)

        answer, explained = parsed_answer(curls[0]), parsed_answer(curls[1])
        example_answer = (
            (PROJECT_ROOT / "README.md")
            .read_text()
            .partition('```json\n{"id"')[2]
            .partition("}")[0]
        )
        assert set(answer) == {"id", *re.findall(r'"(\w+)": ', example_answer)}
        assert answer["model"] == "california-housing"
        assert 200_000 < answer["low_usd"] < answer["prediction_usd"] < answer["high_usd"] < 600_000
        total = explained["base_usd"] + sum(explained["contributions_usd"].values())
        assert total == pytest.approx(answer["prediction"] * 100_000)
        logged = parsed_answer(curls[2].replace("62218e54bef44db485720e9a571bb95f-0", answer["id"]))
        assert (clone / logged["lineage"]["report"]).exists()
        model_info = json.loads(wait_for_response("http://127.0.0.1:8081/model"))
        assert logged["lineage"] == model_info
        assert model_info["commit"] == subprocess.getoutput(f"git -C '{clone}' rev-parse HEAD")
        for line in curls[3:]:
            line = line.replace("62218e54bef44db485720e9a571bb95f-0", answer["id"])
            output = subprocess.run(line, shell=True, capture_output=True, text=True).stdout
            if "/feedback" in line:
                assert json.loads(output)["accepted"] == 1
                continue
            assert output, line
            assert '"errors"' not in output
            assert "error_code" not in output
        [example] = re.findall(r"```python\n(import requests\n.+?)```", README, re.DOTALL)
        python = [clone / ".venv" / "bin" / "python", "-c", example]
        output = subprocess.run(python, capture_output=True, text=True, check=True).stdout
        assert output.split()[0] == str(answer["prediction_usd"])


def test_keys_are_made_and_revoked_and_the_log_is_read(clone, run_output, environment):
    """Needs the test of the answers above."""
    api_key = type_command("app.cli.keys add", clone, environment)
    assert len(api_key) > 40
    assert "ann" in type_command("app.cli.keys list", clone, environment)
    assert "0 left" in type_command("app.cli.keys revoke", clone, environment)
    (clone / "var" / "keys.json").unlink()
    assert "[" in type_command("run_pipeline.py logs --since 2h", clone, environment)
    assert "200" in type_command("run_pipeline.py logs --summary", clone, environment)
    assert type_command("run_pipeline.py logs --archive", clone, environment)


def test_the_checked_cells_are_compared(clone, run_output, environment):
    """nbval passes after a run, and fails if a checked cell's output is not the stored one."""
    nbval = [".venv/bin/python", "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider"]
    subprocess.run(["make", ".venv/dev.done"], cwd=clone, env=environment, check=True)
    completed = subprocess.run(
        [*nbval, "notebooks"], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout[-3000:]
    altered = clone / "notebooks" / "altered.ipynb"
    notebook = (clone / "notebooks" / "01_prep.ipynb").read_text()
    altered.write_text(notebook.replace('"True"', '"False"'))
    completed = subprocess.run(
        [*nbval, str(altered)], cwd=clone, env=environment, capture_output=True, text=True
    )
    altered.unlink()
    assert completed.returncode == 1
    assert "Cell outputs differ" in completed.stdout


def type_command(text, clone, environment):
    """Run the README's command that contains the text; return its output."""
    [line] = [line for line in COMMAND_LINES if text in line]
    completed = subprocess.run(
        line, shell=True, cwd=clone, env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout.strip()


@pytest.mark.parametrize(
    "text",
    ["run_pipeline.py list", "run_pipeline.py explain", "--only register", "run_pipeline.py runs"],
)
def test_the_runner_s_commands_name_the_last_step(clone, run_output, environment, text):
    assert "register" in type_command(text, clone, environment)


def test_the_commands_about_reports(clone, run_output, environment):
    command_line = ".venv/bin/python run_pipeline.py --only register -p min_gain=1"
    subprocess.run(command_line, shell=True, cwd=clone, env=environment, check=True)
    compared = Path(type_command("run_pipeline.py compare", clone, environment))
    assert "register.min_gain was the default, is now 1" in compared.read_text()
    folder = Path(type_command("run_pipeline.py render latest", clone, environment))
    assert "<style>" in (folder / "03_register.html").read_text()
    assert "would be deleted" not in type_command("run_pipeline.py prune", clone, environment)


def test_the_scored_files_have_the_columns_of_the_readme(clone, run_output, environment):
    output = type_command("run_pipeline.py score", clone, environment)
    assert "model: california-housing version 1\nscored: 20,640 rows of 2 files in" in output
    assert output.endswith(f"refused: 0 rows\npredictions: {clone / 'var' / 'scored'}")
    scored = pq.read_table(clone / "var" / "scored" / "test.parquet")
    assert {"MedInc", "prediction", "prediction_usd", "problem"} <= set(scored.column_names)
    assert scored["problem"].null_count == len(scored) == 4_128
    metadata = pq.read_metadata(clone / "var" / "scored" / "test.parquet").metadata
    assert metadata[b"housing.model_version"] == b"1"
    assert "there already: 20,640 rows" in type_command("run_pipeline.py score", clone, environment)


def test_the_champion_is_promoted_rolled_back_and_traced(clone, run_output, environment):
    """Needs the registration above, which the gate refused: version 2."""
    output = type_command("run_pipeline.py champions", clone, environment)
    assert output.startswith("california-housing: version 1 is champion")
    [line] = [line for line in COMMAND_LINES if "run_pipeline.py promote" in line]
    options = {"cwd": clone, "env": environment, "capture_output": True, "text": True}
    promote_command = line.split("   #")[0]
    completed = subprocess.run(promote_command, shell=True, **options)
    assert completed.returncode == 1
    assert "version 2 of california-housing was refused by the gate" in completed.stderr
    completed = subprocess.run(f"{promote_command} --against-the-gate", shell=True, **options)
    assert completed.returncode == 0, completed.stderr
    assert "version 1 -> version 2, promoted by hand" in completed.stdout
    output = type_command("run_pipeline.py rollback", clone, environment)
    assert "version 2 -> version 1, rolled back by" in output
    assert "why: too dear in Fresno" in output
    output = type_command("run_pipeline.py trace", clone, environment)
    assert "MISSING" not in output
    assert "as it is here now" in output
    with sqlite3.connect(clone / "var" / "logs.db") as log:
        [prediction_id] = log.execute(
            "SELECT id FROM prediction WHERE status = 200 LIMIT 1"
        ).fetchone()
    trace_command = [".venv/bin/python", "run_pipeline.py", "trace", prediction_id]
    assert subprocess.run(trace_command, **options).stdout.startswith(
        "prediction           " + prediction_id
    )


def test_the_model_is_downloaded_with_its_package(clone, run_output, environment):
    type_command("mlflow artifacts download", clone, environment)
    needed = (clone / "var" / "model" / "requirements.txt").read_text()
    [wheel] = re.findall(r"(?m)^wheels/.*", needed)
    assert (clone / "var" / "model" / wheel).exists()


def test_an_image_is_built_and_a_prediction_comes_out_of_its_container(
    clone, run_output, environment, podman_environment
):
    """The image holds the champion that `make run` registered."""
    variables = environment | containers.ENGINE_ENVIRONMENT
    podman(podman_environment, "stop", "housing-ci")  # the same port
    subprocess.run(command("make image"), shell=True, cwd=clone, env=variables, check=True)
    commit = subprocess.getoutput(f"git -C '{clone}' rev-parse HEAD")
    image_environment = podman(
        podman_environment, "inspect", "--format", "{{.Config.Env}}", "california-housing:latest"
    )
    assert f"SOURCE_COMMIT={commit}" in image_environment
    [curl, *_] = [line for line in COMMAND_LINES if line.startswith("curl")]
    with managed_process(*command("make container").split(), cwd=clone, env=variables):
        wait_for_response("http://127.0.0.1:8081/ready")
        answer = json.loads(subprocess.getoutput(curl))
        model_info = json.loads(wait_for_response("http://127.0.0.1:8081/model"))
    podman(podman_environment, "rm", "--force", "--ignore", "housing")
    assert answer["model"] == "california-housing"
    assert model_info["commit"] == commit


def test_make_lab_and_make_mlflow_open(clone, run_output, environment):
    arguments = "ARGS=--no-browser --allow-root --port=8931 --ServerApp.token="
    with managed_process("make", "lab", arguments, cwd=clone, env=environment):
        assert json.loads(wait_for_response("http://127.0.0.1:8931/api"))["version"]
        contents = json.loads(wait_for_response("http://127.0.0.1:8931/api/contents"))["content"]
        assert "01_prep.ipynb" in {entry["name"] for entry in contents}
    with managed_process("make", "mlflow", cwd=clone, env=environment):
        assert "MLflow" in wait_for_response("http://127.0.0.1:5000/")
