"""The source packages that hold the suites' notebooks: pip fetches those that the lock names."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

from housing.paths import PROJECT_ROOT
from tests.support.public_suites.notebooks import TEST_FOLDERS

LOCK_FILE = PROJECT_ROOT / "requirements-dev.txt"
SUITES = ("papermill", "nbclient", "nbconvert")
FETCH_TIMEOUT_SECONDS = 90


def fetch_source_packages(cache_folder: Path) -> list[Path]:
    """Return the source package of each suite, in the locked version, fetched if not yet cached.

    pip compares them with the lock's hashes. Raises LookupError if they cannot be had.
    """
    requirements = _locked_requirements()
    paths = [cache_folder / f"{line.split()[0].replace('==', '-')}.tar.gz" for line in requirements]
    if not all(path.exists() for path in paths):
        requirements_file = cache_folder / "requirements.txt"
        requirements_file.write_text("\n".join(requirements))
        _run_pip_download(requirements_file, cache_folder)
    return paths


def _locked_requirements() -> list[str]:
    """Return the lines of the lock for the packages of the suites, each with its hashes."""
    text = LOCK_FILE.read_text().replace("\\\n", " ")
    return [re.search(rf"^{name}==.*$", text, re.MULTILINE)[0] for name in SUITES]


def _run_pip_download(requirements_file: Path, folder: Path) -> None:
    options = ["--no-deps", "--require-hashes", "--no-binary", ",".join(SUITES)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--retries", "1", *options]
    try:
        completed = subprocess.run(
            [*command, "--dest", str(folder), "--requirement", str(requirements_file)],
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise LookupError(f"pip took longer than {FETCH_TIMEOUT_SECONDS} s") from None
    if completed.returncode:
        raise LookupError(completed.stderr.strip().rpartition("\n")[2])


def extract_notebooks(source_package: Path, folder: Path) -> None:
    """Extract the folder of the suite's notebooks, below a folder of the suite's name."""
    root = source_package.name.removesuffix(".tar.gz")
    suite = root.partition("-")[0]
    with tarfile.open(source_package) as archive:
        for member in archive.getmembers():
            if member.isfile() and member.name.startswith(f"{root}/{TEST_FOLDERS[suite]}/"):
                member.name = member.name.removeprefix(f"{root}/")
                archive.extract(member, folder / suite, filter="data")
