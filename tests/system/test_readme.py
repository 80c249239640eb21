"""The README's commands, typed one after the other in a fresh clone, on the real data."""

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
from tests.system.conftest import managed_process, wait_for_response

pytestmark = pytest.mark.slow
README = (PROJECT_ROOT / "README.md").read_text()
COMMANDS = re.findall(r"```sh\n(.+?)```", README, re.DOTALL)


def command(containing):
    [found] = [one for one in "".join(COMMANDS).splitlines() if one.startswith(containing)]
    return found.split("  #")[0].split(" #")[0]


@pytest.fixture(scope="module")
def clone(tmp_path_factory, real_data):
    """A clone in a path with a space, the shared folder beside it as beside the checkout."""
    place = tmp_path_factory.mktemp("fresh") / "a path with spaces"
    place.mkdir()
    shared = PROJECT_ROOT.parent / "shared"
    if shared.exists():
        (place / "shared").symlink_to(shared)
    subprocess.run(["git", "clone", "--quiet", PROJECT_ROOT, place / "clone"], check=True)
    return place / "clone"


@pytest.fixture(scope="module")
def environment():
    """What a person's shell has: nothing of this test's environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOUSING_")}
    for name in ("VIRTUAL_ENV", "ARGS", "MAKEFLAGS", "MAKEOVERRIDES"):
        kept.pop(name, None)
    return kept


@pytest.fixture(scope="module")
def ran(clone, environment):
    """What `make run` said."""
    done = subprocess.run(
        command("make run"), shell=True, cwd=clone, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_make_run_ends_with_a_champion_on_the_real_data(clone, ran):
    assert "champion: california-housing version 1" in ran
    assert f"reports: {clone / 'reports' / 'latest'}" in ran
    rmse = int(re.search(r"test RMSE: \$([\d,]+)", ran)[1].replace(",", ""))
    assert rmse <= 39_500
    for name in ("01_prep", "02_train", "03_register"):
        assert (clone / "reports" / "latest" / f"{name}.html").exists()
    manifest = json.loads((clone / "data" / "processed" / "manifest.json").read_text())
    assert manifest["source"] == "california"
    assert manifest["rows"] == {"raw": 20_640, "train": 16_512, "test": 4_128}


def test_a_second_environment_is_not_built(clone, ran, environment):
    done = subprocess.run(
        ["make", ".venv/run.done"], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert "environment ready" not in done.stdout


def test_make_serve_and_the_curls_answer(clone, ran, environment):
    curls = [one for one in "".join(COMMANDS).splitlines() if one.startswith("curl")]
    with managed_process(*command("make serve").split(), cwd=clone, env=environment):
        wait_for_response("http://127.0.0.1:8081/ready")

        def asked(line):
            done = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
            return json.loads(done.stdout)

        answer, explained = asked(curls[0]), asked(curls[1])
        shown = (
            (PROJECT_ROOT / "README.md")
            .read_text()
            .partition('```json\n{"id"')[2]
            .partition("}")[0]
        )
        assert set(answer) == {"id", *re.findall(r'"(\w+)": ', shown)}
        assert answer["model"] == "california-housing"
        assert 200_000 < answer["low_usd"] < answer["prediction_usd"] < answer["high_usd"] < 600_000
        total = explained["base_usd"] + sum(explained["contributions_usd"].values())
        assert total == pytest.approx(answer["prediction"] * 100_000)
        found = asked(curls[2].replace("62218e54bef44db485720e9a571bb95f-0", answer["id"]))
        assert (clone / found["lineage"]["report"]).exists()
        about = json.loads(wait_for_response("http://127.0.0.1:8081/model"))
        assert found["lineage"] == about
        assert about["commit"] == subprocess.getoutput(f"git -C '{clone}' rev-parse HEAD")
        for line in curls[3:]:
            said = subprocess.run(line, shell=True, capture_output=True, text=True).stdout
            assert said, line
            assert '"errors"' not in said
            assert "error_code" not in said
        [example] = re.findall(r"```python\n(import requests\n.+?)```", README, re.DOTALL)
        python = [clone / ".venv" / "bin" / "python", "-c", example]
        said = subprocess.run(python, capture_output=True, text=True, check=True).stdout
        assert said.split()[0] == str(answer["prediction_usd"])


def test_keys_are_made_and_revoked_and_the_log_is_read(clone, ran, environment):
    """After the answers above."""
    made = typed("app.cli.keys add", clone, environment)
    assert len(made) > 40
    assert "ann" in typed("app.cli.keys list", clone, environment)
    assert "0 left" in typed("app.cli.keys revoke", clone, environment)
    (clone / "var" / "keys.json").unlink()
    assert "[" in typed("run_pipeline.py logs --since 2h", clone, environment)
    assert "200" in typed("run_pipeline.py logs --summary", clone, environment)
    assert typed("run_pipeline.py logs --archive", clone, environment)


def test_the_checked_cells_are_compared(clone, ran, environment):
    """nbval passes after a run; and fails if what a checked cell says is not what is stored."""
    nbval = [".venv/bin/python", "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider"]
    subprocess.run(["make", ".venv/dev.done"], cwd=clone, env=environment, check=True)
    done = subprocess.run(
        [*nbval, "notebooks"], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
    altered = clone / "notebooks" / "altered.ipynb"
    notebook = (clone / "notebooks" / "01_prep.ipynb").read_text()
    altered.write_text(notebook.replace('"True"', '"False"'))
    done = subprocess.run(
        [*nbval, str(altered)], cwd=clone, env=environment, capture_output=True, text=True
    )
    altered.unlink()
    assert done.returncode == 1
    assert "Cell outputs differ" in done.stdout


def typed(part, clone, environment):
    """What the README's line with that part says."""
    [line] = [one for one in "".join(COMMANDS).splitlines() if part in one]
    done = subprocess.run(
        line, shell=True, cwd=clone, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("part", ["--list", "--explain", "--only register", "run_pipeline.py runs"])
def test_the_runner_s_commands(clone, ran, environment, part):
    assert "register" in typed(part, clone, environment)


def test_the_commands_about_reports(clone, ran, environment):
    again = ".venv/bin/python run_pipeline.py --only register -p min_gain=1"
    subprocess.run(again, shell=True, cwd=clone, env=environment, check=True)
    compared = Path(typed("run_pipeline.py compare", clone, environment))
    assert "register.min_gain was the default, is 1" in compared.read_text()
    folder = Path(typed("run_pipeline.py render latest", clone, environment))
    assert "<style>" in (folder / "03_register.html").read_text()
    assert "would be deleted" not in typed("run_pipeline.py prune", clone, environment)


def test_the_scored_files_have_what_the_readme_says(clone, ran, environment):
    said = typed("run_pipeline.py score", clone, environment)
    assert "model: california-housing version 1\nscored: 20,640 rows of 2 files in" in said
    assert said.endswith(f"refused: 0 rows\npredictions: {clone / 'var' / 'scored'}")
    scored = pq.read_table(clone / "var" / "scored" / "test.parquet")
    assert {"MedInc", "prediction", "prediction_usd", "problem"} <= set(scored.column_names)
    assert scored["problem"].null_count == len(scored) == 4_128
    told = pq.read_metadata(clone / "var" / "scored" / "test.parquet").metadata
    assert told[b"housing.model_version"] == b"1"
    assert "there already: 20,640 rows" in typed("run_pipeline.py score", clone, environment)


def test_the_champion_is_moved_taken_back_and_traced(clone, ran, environment):
    """After the registration above, that was refused: version 2."""
    said = typed("run_pipeline.py champions", clone, environment)
    assert said.startswith("california-housing: version 1 is champion")
    [line] = [one for one in "".join(COMMANDS).splitlines() if "run_pipeline.py promote" in one]
    at = {"cwd": clone, "env": environment, "capture_output": True, "text": True}
    plain = line.split("   #")[0]
    done = subprocess.run(plain, shell=True, **at)
    assert done.returncode == 1
    assert "version 2 of california-housing was refused by the gate" in done.stderr
    done = subprocess.run(f"{plain} --against-the-gate", shell=True, **at)
    assert done.returncode == 0, done.stderr
    assert "version 1 -> version 2, promoted by hand" in done.stdout
    said = typed("run_pipeline.py rollback", clone, environment)
    assert "version 2 -> version 1, rolled back by" in said
    assert "why: too dear in Fresno" in said
    said = typed("run_pipeline.py trace", clone, environment)
    assert "MISSING" not in said
    assert "as it is here now" in said
    with sqlite3.connect(clone / "var" / "logs.db") as log:
        [asked] = log.execute("SELECT id FROM prediction WHERE status = 200 LIMIT 1").fetchone()
    command = [".venv/bin/python", "run_pipeline.py", "trace", asked]
    assert subprocess.run(command, **at).stdout.startswith("prediction           " + asked)


def test_the_model_is_downloaded_with_its_package(clone, ran, environment):
    typed("mlflow artifacts download", clone, environment)
    needed = (clone / "var" / "model" / "requirements.txt").read_text()
    [wheel] = re.findall(r"(?m)^wheels/.*", needed)
    assert (clone / "var" / "model" / wheel).exists()


def test_an_image_is_built_and_a_prediction_comes_out_of_its_container(
    clone, ran, environment, podman_environment
):
    """With the champion that `make run` has registered."""
    told = environment | containers.ENGINE_ENVIRONMENT
    podman(podman_environment, "stop", "housing-ci")  # the same port
    subprocess.run(command("make image"), shell=True, cwd=clone, env=told, check=True)
    commit = subprocess.getoutput(f"git -C '{clone}' rev-parse HEAD")
    known = podman(
        podman_environment, "inspect", "--format", "{{.Config.Env}}", "california-housing:latest"
    )
    assert f"SOURCE_COMMIT={commit}" in known
    [curl, *_] = [one for one in "".join(COMMANDS).splitlines() if one.startswith("curl")]
    with managed_process(*command("make container").split(), cwd=clone, env=told):
        wait_for_response("http://127.0.0.1:8081/ready")
        answer = json.loads(subprocess.getoutput(curl))
        about = json.loads(wait_for_response("http://127.0.0.1:8081/model"))
    podman(podman_environment, "rm", "--force", "--ignore", "housing")
    assert answer["model"] == "california-housing"
    assert about["commit"] == commit


def test_make_lab_and_make_mlflow_open(clone, ran, environment):
    quiet = "ARGS=--no-browser --allow-root --port=8931 --ServerApp.token="
    with managed_process("make", "lab", quiet, cwd=clone, env=environment):
        assert json.loads(wait_for_response("http://127.0.0.1:8931/api"))["version"]
        listed = json.loads(wait_for_response("http://127.0.0.1:8931/api/contents"))["content"]
        assert "01_prep.ipynb" in {one["name"] for one in listed}
    with managed_process("make", "mlflow", cwd=clone, env=environment):
        assert "MLflow" in wait_for_response("http://127.0.0.1:5000/")
