"""Images and containers by podman, set up by a script where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from app.model import registry_sync
from housing.paths import PROJECT_ROOT

BUILD_SCRIPT = PROJECT_ROOT.parent / "shared" / "tools" / "try_image.sh"
WORK_FOLDER = (
    Path(tempfile.gettempdir()) / "housing-images"
)  # kept: the base and the layers take minutes
ENGINE_ENVIRONMENT = {
    "ENGINE": "podman",
    "CONTAINERS_CONF": str(WORK_FOLDER / "containers.conf"),
    "CONTAINERS_STORAGE_CONF": str(WORK_FOLDER / "storage.conf"),
    "BUILDAH_ISOLATION": "chroot",
}


@pytest.fixture(scope="session")
def build_context(shared_champion_home, tmp_path_factory):
    """What git has of the checkout, and the champion's copy where `make image BAKED=1` puts it."""
    folder = tmp_path_factory.mktemp("context")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    named = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    for name in named.stdout.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT_ROOT / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(shared_champion_home))
        assert registry_sync.bake(folder / "deploy" / "model")
    return folder


@pytest.fixture(scope="session")
def podman_environment(build_context):
    """The environment of podman commands; the image is built, and runs as `housing-ci`."""
    if not BUILD_SCRIPT.exists() or os.geteuid() != 0:
        pytest.skip(reason="no script here that builds images without an engine, or nobody may")
    run = "-e HOUSING_OPEN=1 -e HOUSING_WORKERS=2 -v housing-ci:/srv/housing/var"
    of_make = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS")  # of the one that runs the tests
    kept = {name: value for name, value in os.environ.items() if name not in of_make}
    environment = kept | ENGINE_ENVIRONMENT | {"KEEP": "1", "RUN_ARGS": run}
    done = subprocess.run(
        [BUILD_SCRIPT, build_context, WORK_FOLDER], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "healthcheck passed" in done.stdout
    yield environment
    podman(environment, "rm", "--force", "--time", "5", "--all")
    podman(environment, "network", "rm", "--force", "housing")
    podman(environment, "volume", "rm", "--all", "--force")


def podman(environment, *arguments, exit_code=0):
    """What it says; with another exit code expected, what it complains of."""
    done = subprocess.run(
        ["podman", *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode == 0) == (exit_code == 0), done.stdout + done.stderr
    return (done.stdout + done.stderr * (exit_code != 0)).strip()
