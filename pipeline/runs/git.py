"""The version of the code that a run uses."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

GIT_TIMEOUT_SECONDS = 10
# a hook's variables: they would make git answer for another repository than the folder's
GIT_VARIABLES = (
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
# the end of what git says of a checkout that belongs to another user, quoted for a shell
TRUST_PATTERN = re.compile(r"git config --global --add safe\.directory .+", re.DOTALL)


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
    completed = _run(folder, *arguments)
    return completed.stdout.strip() if completed else ""


def explain_refusal(folder: Path) -> str:
    """Return why git names no commit of a checkout that belongs to another user; else empty."""
    completed = _run(folder, "rev-parse", "--git-dir")
    match = completed and TRUST_PATTERN.search(completed.stderr)
    if not match:
        return ""
    return (
        "the commit is unknown, as git refuses a checkout that belongs to another user; if you "
        f"trust it: {match[0].strip()}"
    )


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run git, whose messages are in English; return None if there is no git, or no answer."""
    environment = {name: value for name, value in os.environ.items() if name not in GIT_VARIABLES}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**environment, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"},
            timeout=GIT_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


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
