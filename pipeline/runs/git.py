"""Which version of the code a run is made from."""

import os
import re
import subprocess
from pathlib import Path


def commit_and_url(folder: Path) -> tuple[str, str]:
    """The commit of the folder's checkout, marked -dirty if files differ from it, and its web
    address; without git what SOURCE_COMMIT says (an image is built with it). Empty if not known."""
    found = run_git(folder, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    if not found:
        return os.environ.get("SOURCE_COMMIT", ""), ""
    remote = run_git(folder, "config", "--get", "remote.origin.url")
    return found, _commit_url(remote, found.removesuffix("-dirty"))


def run_git(folder: Path, *arguments: str) -> str:
    """What git says there; empty if there is no git, no checkout, or no answer in 10 s."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _commit_url(remote_url: str, commit_hash: str) -> str:
    """Of a remote on the web: without the name and password it may hold."""
    found = re.fullmatch(
        r"(?:https?://(?:[^@/]*@)?|(?:ssh://)?git@)([\w.-]+)(?::\d+)?[:/](.+?)(?:\.git)?/?",
        remote_url,
    )
    return (
        f"https://{found[1]}/{found[2]}/commit/{commit_hash}" if found and "." in found[1] else ""
    )
