"""Build images and run containers with podman, which a script sets up where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from app.model import registry_sync
from housing.paths import PROJECT_ROOT

BUILD_SCRIPT = PROJECT_ROOT.parent / "shared" / "tools" / "try_image.sh"
# kept between runs, because the base image and the layers take minutes
WORK_FOLDER = Path(tempfile.gettempdir()) / "housing-images"
ENGINE_ENVIRONMENT = {
    "ENGINE": "podman",
    "CONTAINERS_CONF": str(WORK_FOLDER / "containers.conf"),
    "CONTAINERS_STORAGE_CONF": str(WORK_FOLDER / "storage.conf"),
    "BUILDAH_ISOLATION": "chroot",
}


@pytest.fixture(scope="session")
def build_context(shared_champion_home, tmp_path_factory):
    """Return a copy of what git holds of the checkout, with the champion baked into it.

    The champion's copy is where `make image BAKED=1` puts it.
    """
    folder = tmp_path_factory.mktemp("context")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT_ROOT / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(shared_champion_home))
        assert registry_sync.bake(folder / "deploy" / "model")
    return folder


@pytest.fixture(scope="session")
def without_leftover_containers():
    """Remove what a killed test run left: its containers keep their names and its port 8081."""
    if shutil.which("podman") and (WORK_FOLDER / "storage.conf").exists():
        _remove_containers(os.environ | ENGINE_ENVIRONMENT)


@pytest.fixture(scope="session")
def podman_environment(build_context, without_leftover_containers):
    """Yield the environment of podman commands; the image is built and runs as `housing-ci`."""
    if not BUILD_SCRIPT.exists() or os.geteuid() != 0:
        pytest.skip(
            reason="no script here builds images without an engine, or this user is not root"
        )
    run = "-e HOUSING_OPEN=1 -e HOUSING_WORKERS=2 -v housing-ci:/srv/housing/var"
    # set by the make that runs the tests
    make_variables = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS")
    inherited = {name: value for name, value in os.environ.items() if name not in make_variables}
    environment = inherited | ENGINE_ENVIRONMENT | {"KEEP": "1", "RUN_ARGS": run}
    completed = subprocess.run(
        [BUILD_SCRIPT, build_context, WORK_FOLDER], env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "healthcheck passed" in completed.stdout
    yield environment
    _remove_containers(environment)


def _remove_containers(environment):
    podman(environment, "rm", "--force", "--time", "5", "--all")
    podman(environment, "network", "rm", "--force", "housing")
    podman(environment, "volume", "rm", "--all", "--force")


def podman(environment, *arguments, exit_code=0):
    """Run podman and return its output, with its errors if another exit code than 0 is expected."""
    completed = subprocess.run(
        ["podman", *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (completed.returncode == 0) == (exit_code == 0), completed.stdout + completed.stderr
    return (completed.stdout + completed.stderr * (exit_code != 0)).strip()
