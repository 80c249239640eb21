"""The version of the code that a run uses."""

import os
import re
import subprocess
from pathlib import Path

GIT_TIMEOUT_SECONDS = 10


def commit_and_url(folder: Path) -> tuple[str, str]:
    """Return the commit of the folder's checkout and its web address; empty where unknown.

    The commit ends in -dirty if files differ from it. Without git it is the environment variable
    SOURCE_COMMIT, which an image is built with.
    """
    commit = run_git(folder, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    if not commit:
        return os.environ.get("SOURCE_COMMIT", ""), ""
    remote_url = run_git(folder, "config", "--get", "remote.origin.url")
    return commit, _commit_url(remote_url, commit.removesuffix("-dirty"))


def run_git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command in the folder.

    Empty if there is no git, no checkout, or no answer within GIT_TIMEOUT_SECONDS.
    """
    try:
        completed = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout.strip()


def _commit_url(remote_url: str, commit_hash: str) -> str:
    """Return a commit's page for a remote on the web, without the credentials it may contain."""
    match = re.fullmatch(
        r"(?:https?://(?:[^@/]*@)?|(?:ssh://)?git@)([\w.-]+)(?::\d+)?[:/](.+?)(?:\.git)?/?",
        remote_url,
    )
    if match is None:
        return ""
    host, repository = match.groups()
    return f"https://{host}/{repository}/commit/{commit_hash}" if "." in host else ""
