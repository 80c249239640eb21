"""The image, built and run for real: by podman, on a stand-in for its base."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.support.local_service import until
from housing.schema import FEATURES
from tests.support.containers import podman
from tests.support.load import generate_load, logged_predictions
from tests.system.conftest import free_port, managed_process, post_predict, wait_for_response

pytestmark = pytest.mark.slow
EXAMPLE = {name: it.example for name, it in FEATURES.items()}
LOCKED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "-e", "HOUSING_OPEN=1"]
DOOR = """FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends haproxy
USER 99:99
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"""


def inside(environment, *command, code=0):
    return podman(environment, "exec", "housing-ci", *command, exit_code=code)


@pytest.fixture(scope="module")
def volume(podman_environment):
    """Where the container's log is on this machine."""
    return Path(
        podman(podman_environment, "volume", "inspect", "--format", "{{.Mountpoint}}", "housing-ci")
    )


@pytest.fixture
def served(podman_environment):
    """The container, started again if a test has stopped it."""
    podman(podman_environment, "start", "housing-ci")
    wait_for_response("http://127.0.0.1:8081/ready")
    return SimpleNamespace(port=8081)


def test_a_prediction_comes_out_of_the_container_and_its_row_is_in_the_volume(served, volume):
    answer = post_predict("http://127.0.0.1:8081", EXAMPLE)
    assert answer["model"] == "california-housing-sample"
    assert logged_predictions(volume / "logs.db")[answer["id"]] == answer["prediction"]
    ready = json.loads(wait_for_response("http://127.0.0.1:8081/ready"))
    assert ready["registry"] == "not followed: the model came with the image"
    assert "\nhousing_registry_reached_timestamp_seconds " not in wait_for_response(
        "http://127.0.0.1:8081/metrics"
    )


def test_it_is_nobody_and_may_write_nothing_but_its_log(served, podman_environment):
    assert inside(podman_environment, "id", "-u") == "10001"
    for place in ("/srv/housing/app/x", "/opt/venv/x", "/x"):
        assert "Read-only file system" in inside(podman_environment, "touch", place, code=1)
    inside(podman_environment, "touch", "/srv/housing/var/x")
    [able] = re.findall(r"CapEff:\s+(\w+)", inside(podman_environment, "cat", "/proc/1/status"))
    assert int(able, 16) == 0


def test_it_holds_what_serving_needs_and_no_more(served, podman_environment):
    for tool in ("gcc", "cc", "git", "jupyter", "uv"):
        inside(podman_environment, "sh", "-c", f"command -v {tool}", code=1)
    for package in ("pandas", "sklearn", "papermill", "onnxruntime", "pip", "tests", "notebooks"):
        assert "No module named" in inside(
            podman_environment, "python", "-c", f"import {package}", code=1
        )
    inside(
        podman_environment,
        "python",
        "-c",
        "from housing.inference.native import bindings; assert bindings.load_library()",
    )
    found = inside(
        podman_environment, "find", "/srv/housing", "-name", ".*", "-o", "-name", "*.env"
    )
    assert found == "/srv/housing/model/.gitkeep"  # no settings, no secrets


def test_the_health_check_fails_where_nobody_answers(served, podman_environment):
    [*check] = json.loads(
        podman(
            podman_environment,
            "image",
            "inspect",
            "--format",
            "{{json .HealthCheck.Test}}",
            "housing:ci",
        )
    )[1:]
    inside(podman_environment, *check)
    said = podman(
        podman_environment, "run", "--rm", "--network", "none", "housing:ci", *check, exit_code=1
    )
    assert "Connection refused" in said or "URLError" in said


def test_a_stop_under_load_loses_no_row_and_a_restart_finds_the_log(
    served, podman_environment, volume
):
    with generate_load(served, connections=12) as told:
        until(lambda: told.count_statuses()[200] > 500, 30)
        podman(podman_environment, "stop", "--time", "30", "housing-ci")
        until(lambda: told.connection_errors, 10)
    assert (
        podman(podman_environment, "inspect", "--format", "{{.State.ExitCode}}", "housing-ci")
        == "0"
    )
    assert set(told.count_statuses()) == {200}
    kept = logged_predictions(volume / "logs.db")
    assert told.predictions_by_id().items() <= kept.items()
    podman(podman_environment, "start", "housing-ci")
    wait_for_response("http://127.0.0.1:8081/ready")
    known = next(iter(told.predictions_by_id()))
    assert (
        json.loads(wait_for_response(f"http://127.0.0.1:8081/predictions/{known}"))["id"] == known
    )


def test_without_keys_it_answers_nobody_who_has_not_said_so(podman_environment):
    said = podman(podman_environment, "run", "--rm", "housing:ci", exit_code=1)
    assert "there are no API keys" in said


def test_a_baked_image_gives_way_to_a_tracking_server(
    podman_environment, shared_champion_home, tmp_path
):
    """Whose champion it copies, and follows."""
    store = f"sqlite:///{shared_champion_home}/var/mlflow.db"
    port, at = str(free_port()), str(free_port())
    server = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--port",
        port,
        "--workers",
        "1",
        "--backend-store-uri",
        store,
    ]
    told = {"HOUSING_HOST": "127.0.0.1", "HOUSING_PORT": at,
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}  # fmt: skip
    options = [part for name, value in told.items() for part in ("-e", f"{name}={value}")]
    # the store names its files by their path on this machine
    shared = ["-v", f"{shared_champion_home}:{shared_champion_home}:ro", "--network", "host"]
    with managed_process(*server, cwd=tmp_path):
        wait_for_response(f"http://127.0.0.1:{port}/health")
        podman(
            podman_environment,
            "run",
            "--detach",
            "--name",
            "follows",
            *LOCKED,
            *options,
            *shared,
            "housing:ci",
        )
        ready = json.loads(wait_for_response(f"http://127.0.0.1:{at}/ready"))
        assert "registry" not in ready
        assert post_predict(f"http://127.0.0.1:{at}", EXAMPLE)["model_version"] == "1"
    podman(podman_environment, "rm", "--force", "--time", "5", "follows")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A registry of images on this machine; gives its address."""
    if not shutil.which("docker-registry"):
        pytest.skip(reason="docker-registry is not installed here")
    folder, address = tmp_path_factory.mktemp("registry"), f"127.0.0.1:{free_port()}"
    told = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "kept")}},
            "http": {"addr": address}}  # fmt: skip
    (folder / "config.yml").write_text(json.dumps(told))
    with managed_process(
        "docker-registry", "serve", folder / "config.yml", stderr=subprocess.DEVNULL
    ):
        wait_for_response(f"http://{address}/v2/")
        yield address


@pytest.fixture(scope="module")
def shipped(podman_environment, build_context, registry, tmp_path_factory):
    """The environment of the scripts once a release is pushed; and what `make push` said last."""
    folder = tmp_path_factory.mktemp("door")
    (folder / "Dockerfile").write_text(DOOR)
    podman(
        podman_environment, "build", "--quiet", "--format", "docker", "--tag", "door:test", folder
    )
    registries = folder / "registries.conf"
    registries.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    told = {"CONTAINERS_REGISTRIES_CONF": str(registries), "DOOR_IMAGE": "localhost/door:test",
            "XDG_STATE_HOME": str(folder / "state"),
            "ADDRESS": f"127.0.0.1:{free_port()}"}  # fmt: skip
    environment = podman_environment | told | {"IMAGE": f"{registry}/me/california-housing"}
    podman(podman_environment, "tag", "housing:ci", "california-housing:7.0.0")
    said = scripted(build_context, environment | {"VERSION": "7.0.0"}, "make", "push")
    return environment, said.splitlines()[-1]


def scripted(context, environment, *command, code=0):
    done = subprocess.run(
        command, cwd=context, env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode == 0) == (code == 0), done.stdout + done.stderr
    return (done.stdout if code == 0 else done.stderr).strip()


def test_a_release_is_pushed_by_version_and_named_by_its_digest(shipped, registry):
    _, pushed = shipped
    name, _, digest = pushed.partition("@")
    assert name == f"{registry}/me/california-housing"
    tags = json.loads(wait_for_response(f"http://{registry}/v2/me/california-housing/tags/list"))[
        "tags"
    ]
    assert sorted(tags) == ["7.0.0", "latest"]
    assert json.loads(
        wait_for_response(f"http://{registry}/v2/me/california-housing/manifests/{digest}")
    )


def test_a_name_without_a_registry_is_not_pushed(podman_environment, build_context):
    said = scripted(build_context, podman_environment, "make", "push", code=2)
    assert "expected one with its registry: IMAGE=docker.io/YOU/california-housing" in said


def test_a_deployment_and_its_rollback_are_noticed_by_nobody(
    shipped, build_context, podman_environment
):
    environment, pushed = shipped
    port = int(environment["ADDRESS"].rpartition(":")[2])
    first = scripted(build_context, environment, "deploy/deploy", pushed)
    assert first == f"housing-blue serves {pushed} at 127.0.0.1:{port}"
    with generate_load(SimpleNamespace(port=port), connections=8) as told:
        until(lambda: told.count_statuses()[200] > 200, 30)
        second = scripted(build_context, environment, "deploy/deploy", pushed)
        assert second.startswith("housing-green serves")
        assert second.endswith("housing-blue is kept for deploy/rollback")
        since = time.monotonic()
        until(lambda: len(told.responses_since(since)) > 200, 30)
        back = scripted(build_context, environment, "deploy/rollback")
        assert back == "housing-blue serves again; housing-green is kept"
        since = time.monotonic()
        until(lambda: len(told.responses_since(since)) > 200, 30)
    assert set(told.count_statuses()) == {200}
    asked = scripted(
        build_context, environment, "make", "--silent", "logs", "ARGS=--status 2xx --limit 3"
    )
    assert len(asked.splitlines()) == 3
    kept = podman(
        podman_environment, "volume", "inspect", "--format", "{{.Mountpoint}}", "housing-var"
    )
    assert told.predictions_by_id().items() <= logged_predictions(Path(kept) / "logs.db").items()
    assert told.connection_errors == []


def test_an_image_that_does_not_become_ready_changes_nothing(
    shipped, build_context, podman_environment
):
    """After the one above."""
    environment, pushed = shipped
    settings = build_context / "none.env"
    settings.write_text("HOUSING_BAKED=\n")
    told = environment | {"ENV_FILE": str(settings), "READY_TIMEOUT": "2"}
    said = scripted(build_context, told, "deploy/deploy", pushed, code=1)
    assert said.endswith(f"{pushed} is not deployed; housing-blue serves as before")
    wait_for_response(f"http://{environment['ADDRESS']}/ready", 5)
    running = podman(podman_environment, "ps", "--format", "{{.Names}}").split()
    assert sorted(set(running) - {"housing-ci"}) == ["housing-blue", "housing-door"]
    back = scripted(build_context, environment, "deploy/rollback")
    assert back == "housing-green serves again; housing-blue is kept"


def test_the_door_finds_a_container_that_comes_back_at_another_address(shipped, podman_environment):
    """After the one above: as after a crash, or a restart of the host."""
    environment, _ = shipped
    address = ("inspect", "--format", "{{.NetworkSettings.Networks.housing.IPAddress}}")
    before = podman(podman_environment, *address, "housing-green")
    podman(podman_environment, "stop", "--time", "30", "housing-green")
    podman(podman_environment, "start", "housing-green")
    assert podman(podman_environment, *address, "housing-green") != before
    wait_for_response(f"http://{environment['ADDRESS']}/ready", 20)


def test_a_deployment_from_a_place_that_knows_of_none_spares_who_serves(
    shipped, build_context, podman_environment
):
    """After the one above. And the door is not said to be where it is not."""
    environment, pushed = shipped
    elsewhere = environment | {"ADDRESS": "127.0.0.1:1"}
    said = scripted(build_context, elsewhere, "deploy/deploy", pushed, code=1)
    assert said.startswith("ADDRESS is 127.0.0.1:1, but the proxy listens at 127.0.0.1:")
    (Path(environment["XDG_STATE_HOME"]) / "housing-door" / "haproxy.cfg").unlink()
    said = scripted(build_context, environment, "deploy/deploy", pushed)
    assert said.startswith("housing-blue serves")
    assert said.endswith("housing-green is kept for deploy/rollback")


def test_make_smoke_asks_the_image_that_was_built(podman_environment, build_context):
    podman(podman_environment, "tag", "housing:ci", "california-housing:8.0.0")
    said = scripted(build_context, podman_environment | {"VERSION": "8.0.0"}, "make", "smoke")
    assert "california-housing:8.0.0 answers, logs, and stops" in said


def test_the_second_image_runs_the_pipeline(podman_environment, build_context):
    told = podman_environment | {"TARGETS": "pipeline", "VERSION": "9.0.0"}
    scripted(build_context, told, "make", "image")
    arguments = ["source=sample", "sample_rows=1000", "budget=quick", 'families=["linear", "tree"]']
    said = podman(
        podman_environment, "run", "--rm", "--cap-drop", "ALL", "--tmpfs", "/tmp",
        "california-housing-pipeline:9.0.0",
        *(part for one in arguments for part in ("-p", one)),
    )  # fmt: skip
    assert "champion: california-housing-sample version 1" in said
