"""The version of the code that a run uses."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

GIT_TIMEOUT_SECONDS = 10
# they would make git answer for another repository than the folder's
GIT_VARIABLES = (
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)


def commit_and_url(folder: Path, files: Iterable[Path] = ()) -> tuple[str, str]:
    """Return the commit of the folder's checkout and its web address; empty where unknown.

    The commit ends in -dirty if files differ from it, or some of `files` are not in it. Without git
    it is the environment variable SOURCE_COMMIT, which an image is built with.
    """
    commit = run_git(folder, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    if not commit:
        return os.environ.get("SOURCE_COMMIT", ""), ""
    if not commit.endswith("-dirty") and _has_untracked(folder, files):
        commit += "-dirty"
    remote_url = run_git(folder, "config", "--get", "remote.origin.url")
    return commit, _commit_url(remote_url, commit.removesuffix("-dirty"))


def _has_untracked(folder: Path, files: Iterable[Path]) -> bool:
    """Return whether git does not know one of the files that lie in the folder's checkout."""
    root = run_git(folder, "rev-parse", "--show-toplevel")
    paths = [str(path.resolve()) for path in files if root and path.resolve().is_relative_to(root)]
    options = ["--literal-pathspecs", "ls-files", "--others", "--"]
    return bool(paths) and bool(run_git(folder, *options, *paths))


def run_git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command in the folder.

    Empty if there is no git, no checkout, or no answer within GIT_TIMEOUT_SECONDS.
    """
    try:
        completed = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            # a hook's variables name the repository that the hook belongs to
            env={name: value for name, value in os.environ.items() if name not in GIT_VARIABLES},
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
