"""What the image of the service weighs, of what, and how soon a container of it answers.

After `make image BAKED=1`; ENGINE=podman where there is no docker.
"""

import argparse
import json
import os
import subprocess
import time
from statistics import median
from urllib.request import urlopen

from benchmarks.support.local_service import free_port

LOCKED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "-e", "HOUSING_OPEN=1"]
ENGINE = os.environ.get("ENGINE", "docker")
SHOWN = 8  # packages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", default="california-housing:latest")
    parser.add_argument("--starts", type=int, default=10)
    asked = parser.parse_args()
    weigh(asked.image)
    starts = sorted(start(asked.image) for _ in range(asked.starts))
    print("\n| from the command to the first answer of /ready | median, s | worst, s |")
    print("|---|---|---|")
    print(f"| {asked.starts} containers | {median(starts):.2f} | {starts[-1]:.2f} |")


def weigh(image: str) -> None:
    """A line for each part; what the base weighs is what is left."""
    whole = json.loads(said("image", "inspect", image))[0]["Size"] / 1e6
    parts = inside(image, "/srv/housing/* /opt/venv")
    packages = inside(image, "/opt/venv/lib/python3*/site-packages/*")
    print("| part | MB |\n|---|---|")
    for name, size in packages[:SHOWN]:
        print(f"| {name.rpartition('/')[2]} | {size:.0f} |")
    [venv] = [size for name, size in parts if name == "/opt/venv"]
    print(f"| {len(packages) - SHOWN} smaller ones | {venv - total(packages[:SHOWN]):.0f} |")
    print(f"| our code and the model | {total(parts) - venv:.0f} |")
    print(f"| the base | {whole - total(parts):.0f} |\n| **image** | **{whole:.0f}** |")


def total(parts: list[tuple[str, float]]) -> float:
    return sum(size for _, size in parts)


def inside(image: str, places: str) -> list[tuple[str, float]]:
    """(place, MB), the largest first."""
    text = said("run", "--rm", "--entrypoint", "sh", image, "-c", f"du -sb {places}")
    found = [line.split("\t") for line in text.splitlines()]
    return sorted(((name, int(size) / 1e6) for size, name in found), key=lambda one: -one[1])


def start(image: str) -> float:
    """Seconds from the engine's command until a model answers."""
    port, name = free_port(), f"start-{time.time_ns()}"
    began = time.perf_counter()
    said("run", "--detach", "--name", name, *LOCKED, "-p", f"127.0.0.1:{port}:8081", image)
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/ready", timeout=1)
            break
        except OSError:
            time.sleep(0.02)
    took = time.perf_counter() - began
    said("rm", "--force", "--volumes", name)
    return took


def said(*arguments: str) -> str:
    return subprocess.run(
        [ENGINE, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    main()
