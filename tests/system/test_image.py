"""The image, built and run by podman, on a stand-in for its base image."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.support.local_service import wait_until
from housing.schema import FEATURES
from tests.support.containers import podman
from tests.support.load_generator import generate_load, logged_predictions
from tests.support.processes import free_port, managed_process, post_predict, wait_for_response

pytestmark = pytest.mark.slow
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}
LOCKED_DOWN_OPTIONS = [
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "-e",
    "HOUSING_OPEN=1",
]
PROXY_DOCKERFILE = """FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends haproxy
USER 99:99
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"""


def run_inside(environment, *command, code=0):
    """Run a command in the container; return its output, or its errors if code is not 0."""
    return podman(environment, "exec", "housing-ci", *command, exit_code=code)


@pytest.fixture(scope="module")
def volume(podman_environment):
    """Return the folder on this machine that holds the container's log."""
    return Path(
        podman(podman_environment, "volume", "inspect", "--format", "{{.Mountpoint}}", "housing-ci")
    )


@pytest.fixture
def container(podman_environment):
    """Start the container if a test has stopped it; return its port."""
    podman(podman_environment, "start", "housing-ci")
    wait_for_response("http://127.0.0.1:8081/ready")
    return SimpleNamespace(port=8081)


def test_a_prediction_comes_out_of_the_container_and_its_row_is_in_the_volume(container, volume):
    answer = post_predict("http://127.0.0.1:8081", EXAMPLE)
    assert answer["model"] == "california-housing-sample"
    assert logged_predictions(volume / "logs.db")[answer["id"]] == answer["prediction"]
    ready = json.loads(wait_for_response("http://127.0.0.1:8081/ready"))
    assert ready["registry"] == "not followed: the model came with the image"
    assert "\nhousing_registry_reached_timestamp_seconds " not in wait_for_response(
        "http://127.0.0.1:8081/metrics"
    )


def test_it_runs_unprivileged_and_can_write_its_log_alone(container, podman_environment):
    assert run_inside(podman_environment, "id", "-u") == "10001"
    for path in ("/srv/housing/app/x", "/opt/venv/x", "/x"):
        assert "Read-only file system" in run_inside(podman_environment, "touch", path, code=1)
    run_inside(podman_environment, "touch", "/srv/housing/var/x")
    [capabilities] = re.findall(
        r"CapEff:\s+(\w+)", run_inside(podman_environment, "cat", "/proc/1/status")
    )
    assert int(capabilities, 16) == 0


def test_it_holds_what_serving_needs_and_no_more(container, podman_environment):
    for tool in ("gcc", "cc", "git", "jupyter", "uv"):
        run_inside(podman_environment, "sh", "-c", f"command -v {tool}", code=1)
    for package in ("pandas", "sklearn", "papermill", "onnxruntime", "pip", "tests", "notebooks"):
        assert "No module named" in run_inside(
            podman_environment, "python", "-c", f"import {package}", code=1
        )
    run_inside(
        podman_environment,
        "python",
        "-c",
        "from housing.inference.native import bindings; assert bindings.load_library()",
    )
    hidden_files = run_inside(
        podman_environment, "find", "/srv/housing", "-name", ".*", "-o", "-name", "*.env"
    )
    assert hidden_files == "/srv/housing/model/.gitkeep"  # no settings, no secrets


def test_the_health_check_fails_where_no_service_answers(container, podman_environment):
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
    run_inside(podman_environment, *check)
    errors = podman(
        podman_environment, "run", "--rm", "--network", "none", "housing:ci", *check, exit_code=1
    )
    assert "Connection refused" in errors or "URLError" in errors


def test_a_stop_under_load_loses_no_row_and_a_restart_finds_the_log(
    container, podman_environment, volume
):
    with generate_load(container, connections=12) as load:
        wait_until(lambda: load.count_statuses()[200] > 500, 30)
        podman(podman_environment, "stop", "--time", "30", "housing-ci")
        wait_until(lambda: load.connection_errors, 10)
    assert (
        podman(podman_environment, "inspect", "--format", "{{.State.ExitCode}}", "housing-ci")
        == "0"
    )
    assert set(load.count_statuses()) == {200}
    logged = logged_predictions(volume / "logs.db")
    assert load.predictions_by_id().items() <= logged.items()
    podman(podman_environment, "start", "housing-ci")
    wait_for_response("http://127.0.0.1:8081/ready")
    prediction_id = next(iter(load.predictions_by_id()))
    assert (
        json.loads(wait_for_response(f"http://127.0.0.1:8081/predictions/{prediction_id}"))["id"]
        == prediction_id
    )


def test_without_keys_it_does_not_start_unless_it_is_declared_open(podman_environment):
    errors = podman(podman_environment, "run", "--rm", "housing:ci", exit_code=1)
    assert "there are no API keys" in errors


def test_a_baked_image_follows_a_tracking_server_if_it_is_given(
    podman_environment, shared_champion_home, tmp_path
):
    """The container copies the server's champion."""
    store = f"sqlite:///{shared_champion_home}/var/mlflow.db"
    server_port, port = str(free_port()), str(free_port())
    server = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--port",
        server_port,
        "--workers",
        "1",
        "--backend-store-uri",
        store,
    ]
    variables = {"HOUSING_HOST": "127.0.0.1", "HOUSING_PORT": port,
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server_port}"}  # fmt: skip
    options = [
        argument for name, value in variables.items() for argument in ("-e", f"{name}={value}")
    ]
    # the store names its files by their path on this machine
    shared = ["-v", f"{shared_champion_home}:{shared_champion_home}:ro", "--network", "host"]
    with managed_process(*server, cwd=tmp_path):
        wait_for_response(f"http://127.0.0.1:{server_port}/health")
        podman(
            podman_environment,
            "run",
            "--detach",
            "--name",
            "follows",
            *LOCKED_DOWN_OPTIONS,
            *options,
            *shared,
            "housing:ci",
        )
        ready = json.loads(wait_for_response(f"http://127.0.0.1:{port}/ready"))
        assert "registry" not in ready
        assert post_predict(f"http://127.0.0.1:{port}", EXAMPLE)["model_version"] == "1"
    podman(podman_environment, "rm", "--force", "--time", "5", "follows")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Run a registry of images on this machine; yield its address."""
    if not shutil.which("docker-registry"):
        pytest.skip(reason="docker-registry is not installed here")
    folder, address = tmp_path_factory.mktemp("registry"), f"127.0.0.1:{free_port()}"
    config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "kept")}},
            "http": {"addr": address}}  # fmt: skip
    (folder / "config.yml").write_text(json.dumps(config))
    with managed_process(
        "docker-registry", "serve", folder / "config.yml", stderr=subprocess.DEVNULL
    ):
        wait_for_response(f"http://{address}/v2/")
        yield address


@pytest.fixture(scope="module")
def release(podman_environment, build_context, registry, tmp_path_factory):
    """Return the environment of the scripts after a release is pushed, and the image's name.

    The name is the last line of `make push`: it holds the digest.
    """
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "Dockerfile").write_text(PROXY_DOCKERFILE)
    podman(
        podman_environment, "build", "--quiet", "--format", "docker", "--tag", "door:test", folder
    )
    registries = folder / "registries.conf"
    registries.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    variables = {"CONTAINERS_REGISTRIES_CONF": str(registries), "DOOR_IMAGE": "localhost/door:test",
            "XDG_STATE_HOME": str(folder / "state"),
            "ADDRESS": f"127.0.0.1:{free_port()}"}  # fmt: skip
    environment = podman_environment | variables | {"IMAGE": f"{registry}/me/california-housing"}
    podman(podman_environment, "tag", "housing:ci", "california-housing:7.0.0")
    output = run_script(build_context, environment | {"VERSION": "7.0.0"}, "make", "push")
    return environment, output.splitlines()[-1]


def run_script(context, environment, *command, code=0):
    """Run a command in the build context; return its output, or its errors if code is not 0."""
    completed = subprocess.run(
        command, cwd=context, env=environment, capture_output=True, text=True, timeout=300
    )
    assert (completed.returncode == 0) == (code == 0), completed.stdout + completed.stderr
    return (completed.stdout if code == 0 else completed.stderr).strip()


def test_a_release_is_pushed_by_version_and_named_by_its_digest(release, registry):
    _, pushed = release
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
    errors = run_script(build_context, podman_environment, "make", "push", code=2)
    assert "expected a name with its registry: IMAGE=docker.io/YOU/california-housing" in errors


def test_clients_do_not_notice_a_deployment_and_its_rollback(
    release, build_context, podman_environment
):
    environment, pushed = release
    port = int(environment["ADDRESS"].rpartition(":")[2])
    first_output = run_script(build_context, environment, "deploy/deploy", pushed)
    assert first_output == f"housing-blue serves {pushed} at 127.0.0.1:{port}"
    with generate_load(SimpleNamespace(port=port), connections=8) as load:
        wait_until(lambda: load.count_statuses()[200] > 200, 30)
        second_output = run_script(build_context, environment, "deploy/deploy", pushed)
        assert second_output.startswith("housing-green serves")
        assert second_output.endswith("housing-blue is kept for deploy/rollback")
        switched_at = time.monotonic()
        wait_until(lambda: len(load.responses_since(switched_at)) > 200, 30)
        rollback_output = run_script(build_context, environment, "deploy/rollback")
        assert rollback_output == "housing-blue serves again; housing-green is kept"
        switched_at = time.monotonic()
        wait_until(lambda: len(load.responses_since(switched_at)) > 200, 30)
    assert set(load.count_statuses()) == {200}
    log_lines = run_script(
        build_context, environment, "make", "--silent", "logs", "ARGS=--status 2xx --limit 3"
    )
    assert len(log_lines.splitlines()) == 3
    volume_folder = podman(
        podman_environment, "volume", "inspect", "--format", "{{.Mountpoint}}", "housing-var"
    )
    assert (
        load.predictions_by_id().items()
        <= logged_predictions(Path(volume_folder) / "logs.db").items()
    )
    assert load.connection_errors == []


def test_an_image_that_does_not_become_ready_changes_nothing(
    release, build_context, podman_environment
):
    """Needs the test above."""
    environment, pushed = release
    settings = build_context / "none.env"
    settings.write_text("HOUSING_BAKED=\n")
    script_environment = environment | {"ENV_FILE": str(settings), "READY_TIMEOUT": "2"}
    errors = run_script(build_context, script_environment, "deploy/deploy", pushed, code=1)
    assert errors.endswith(f"{pushed} is not deployed; housing-blue serves as before")
    wait_for_response(f"http://{environment['ADDRESS']}/ready", 5)
    container_names = podman(podman_environment, "ps", "--format", "{{.Names}}").split()
    assert sorted(set(container_names) - {"housing-ci"}) == ["housing-blue", "housing-door"]
    rollback_output = run_script(build_context, environment, "deploy/rollback")
    assert rollback_output == "housing-green serves again; housing-blue is kept"


def test_the_proxy_finds_a_container_that_returns_at_another_address(release, podman_environment):
    """As after a crash, or a restart of the host. Needs the test above."""
    environment, _ = release
    inspect_address = ("inspect", "--format", "{{.NetworkSettings.Networks.housing.IPAddress}}")
    address_before = podman(podman_environment, *inspect_address, "housing-green")
    podman(podman_environment, "stop", "--time", "30", "housing-green")
    podman(podman_environment, "start", "housing-green")
    assert podman(podman_environment, *inspect_address, "housing-green") != address_before
    wait_for_response(f"http://{environment['ADDRESS']}/ready", 20)


def test_a_deployment_without_the_saved_state_spares_the_serving_container(
    release, build_context, podman_environment
):
    """A wrong address of the proxy is refused. Needs the test above."""
    environment, pushed = release
    wrong_address = environment | {"ADDRESS": "127.0.0.1:1"}
    output = run_script(build_context, wrong_address, "deploy/deploy", pushed, code=1)
    assert output.startswith("ADDRESS is 127.0.0.1:1, but the proxy listens at 127.0.0.1:")
    (Path(environment["XDG_STATE_HOME"]) / "housing-door" / "haproxy.cfg").unlink()
    output = run_script(build_context, environment, "deploy/deploy", pushed)
    assert output.startswith("housing-blue serves")
    assert output.endswith("housing-green is kept for deploy/rollback")


def test_make_smoke_tests_the_image_that_was_built(podman_environment, build_context):
    podman(podman_environment, "tag", "housing:ci", "california-housing:8.0.0")
    output = run_script(build_context, podman_environment | {"VERSION": "8.0.0"}, "make", "smoke")
    assert "california-housing:8.0.0 answers, logs, and stops" in output


def test_the_second_image_runs_the_pipeline(podman_environment, build_context):
    environment = podman_environment | {"TARGETS": "pipeline", "VERSION": "9.0.0"}
    run_script(build_context, environment, "make", "image")
    arguments = ["source=sample", "sample_rows=1000", "budget=quick", 'families=["linear", "tree"]']
    output = podman(
        podman_environment, "run", "--rm", "--cap-drop", "ALL", "--tmpfs", "/tmp",
        "california-housing-pipeline:9.0.0",
        *(word for argument in arguments for word in ("-p", argument)),
    )  # fmt: skip
    assert "champion: california-housing-sample version 1" in output
