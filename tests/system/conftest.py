"""Fixtures of the whole-system tests: a home in which the pipeline ran, and a PostgreSQL."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from housing.paths import PROJECT_ROOT
from tests.support.containers import (
    build_context,
    podman_environment,
    without_leftover_containers,
)
from tests.support.processes import SMALL_SAMPLE_ARGUMENTS, free_port

# fixtures
__all__ = ["build_context", "podman_environment", "without_leftover_containers"]


@pytest.fixture(scope="session")
def pipeline_home(tmp_path_factory):
    """Return a home in which the pipeline ran on a small sample, started from another folder.

    Its file output.txt holds what the run printed.
    """
    home = tmp_path_factory.mktemp("pipeline") / "a home"
    home.mkdir()
    completed = subprocess.run(
        [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), *SMALL_SAMPLE_ARGUMENTS],
        env={**os.environ, "HOUSING_HOME": str(home)},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    (home / "output.txt").write_text(completed.stdout)
    return home


@pytest.fixture(scope="session")
def create_postgres_database():
    """Yield a function that makes a database in a PostgreSQL of our own and returns its URI.

    The server runs as a user who is not root, and is installed if it is missing and may be. Its
    folder is none of pytest's, which are closed to other users, and its path is short, as that of
    a Unix socket must be.
    """
    programs, port, is_root = _postgres_programs(), str(free_port()), os.getuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if is_root:
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def run(program, *arguments):
        command = [*(["runuser", "-u", "postgres", "--"] if is_root else []), programs / program]
        subprocess.run([*command, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def create_database(name):
        run("createdb", "-h", folder, "-p", port, "-U", "me", name)
        return f"postgresql+psycopg://me:hush@/{name}?host={folder}&port={port}"

    try:
        run("initdb", "-D", data, "-U", "me", "--auth=trust", "--no-sync")
        options = f"-k {folder} -p {port} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        yield create_database
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs; install them if needed, or skip the test."""
    if _find_postgres() is None and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"]
        subprocess.run(
            install, capture_output=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        )
    if (folder := _find_postgres()) is None:
        pytest.skip(reason="PostgreSQL is not installed, and this user cannot install it")
    return folder


def _find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest version's if there are several."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else next(reversed(folders), None)
