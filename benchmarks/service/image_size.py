"""The size of the service's image, by part, and how soon a container of it answers.

.venv/bin/python -m benchmarks.service.image_size [--image NAME] [--starts 10]

After `make image BAKED=1`; ENGINE=podman if there is no docker.
"""

import argparse
import json
import os
import subprocess
import time
from statistics import median
from typing import NamedTuple
from urllib.request import urlopen

from benchmarks.support.local_service import free_port

LOCKED_DOWN = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "-e", "HOUSING_OPEN=1"]
ENGINE = os.environ.get("ENGINE", "docker")
N_PACKAGES = 8  # with a line of their own
VENV = "/opt/venv"


class ImagePath(NamedTuple):
    """A file or folder of the image."""

    path: str
    megabytes: float


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", default="california-housing:latest")
    parser.add_argument("--starts", type=int, default=10)
    options = parser.parse_args()
    print_sizes(options.image)
    seconds = sorted(time_start(options.image) for _ in range(options.starts))
    print("\n| from the command to the first answer of /ready | median, s | worst, s |")
    print("|---|---|---|")
    print(f"| {options.starts} containers | {median(seconds):.2f} | {seconds[-1]:.2f} |")


def print_sizes(image: str) -> None:
    """Print the size of each part; the base is what remains of the image's size."""
    image_size = json.loads(run_engine("image", "inspect", image))[0]["Size"] / 1e6
    folders = path_sizes(image, f"/srv/housing/* {VENV}")
    packages = path_sizes(image, f"{VENV}/lib/python3*/site-packages/*")
    print("| part | MB |\n|---|---|")
    for package in packages[:N_PACKAGES]:
        print(f"| {package.path.rpartition('/')[2]} | {package.megabytes:.0f} |")
    [venv_size] = [folder.megabytes for folder in folders if folder.path == VENV]
    small_packages = venv_size - total_size(packages[:N_PACKAGES])
    print(f"| {len(packages) - N_PACKAGES} smaller ones | {small_packages:.0f} |")
    print(f"| our code and the model | {total_size(folders) - venv_size:.0f} |")
    print(f"| the base | {image_size - total_size(folders):.0f} |")
    print(f"| **image** | **{image_size:.0f}** |")


def total_size(entries: list[ImagePath]) -> float:
    """Return the size of all entries in MB."""
    return sum(entry.megabytes for entry in entries)


def path_sizes(image: str, patterns: str) -> list[ImagePath]:
    """Return the paths of the image that match shell patterns, the largest first."""
    output = run_engine("run", "--rm", "--entrypoint", "sh", image, "-c", f"du -sb {patterns}")
    lines = [line.split("\t") for line in output.splitlines()]
    entries = [ImagePath(path, int(size) / 1e6) for size, path in lines]
    return sorted(entries, key=lambda entry: -entry.megabytes)


def time_start(image: str) -> float:
    """Return the seconds from the engine's command until the service is ready."""
    port, name = free_port(), f"start-{time.time_ns()}"
    start = time.perf_counter()
    run_engine(
        "run", "--detach", "--name", name, *LOCKED_DOWN, "-p", f"127.0.0.1:{port}:8081", image
    )
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/ready", timeout=1)
            break
        except OSError:
            time.sleep(0.02)
    seconds = time.perf_counter() - start
    run_engine("rm", "--force", "--volumes", name)
    return seconds


def run_engine(*arguments: str) -> str:
    """Return the output of a command of the container engine."""
    return subprocess.run(
        [ENGINE, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    main()
