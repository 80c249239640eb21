"""Secrets as parts of paths, and after other values: real runs."""

import json
import os
import signal
import subprocess
import sys

import pytest

from pipeline import main
from pipeline.staleness.secret_hash import describe_secret_change, hash_secrets
from pipeline.workspace import Workspace


def files_with(text, *folders):
    """Return the files that contain a text, or have it in their names."""
    paths = [path for folder in folders for path in folder.rglob("*")]
    return [
        path
        for path in paths
        if text in path.name or (path.is_file() and text.encode() in path.read_bytes())
    ]


def test_a_secret_hash_needs_the_key_and_names_what_changed(tmp_path, monkeypatch):
    key_file = tmp_path / "var" / "secret.key"
    monkeypatch.setenv("TOKEN", "hush-hush")
    [(_, first)] = hash_secrets(["TOKEN"], key_file).items()
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert hash_secrets(["TOKEN"], key_file) == {"TOKEN": first}
    monkeypatch.setenv("TOKEN", "hush-hush\n")
    second = hash_secrets(["TOKEN"], key_file)["TOKEN"]
    assert describe_secret_change("TOKEN", first, second) == "the value of TOKEN has changed"
    assert describe_secret_change("TOKEN", first, first) == ""
    key_file.write_bytes(bytes(32))  # another one
    assert "is unknown" in describe_secret_change(
        "TOKEN", first, hash_secrets(["TOKEN"], key_file)["TOKEN"]
    )
    assert hash_secrets([], tmp_path / "none") == {}
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("hush-hush", "/data/x-hush-hush-y/a.csv"),
        ("hush-hush\n", "/data/hush-hush/a.csv"),
        ("hush-hush\n", "/data/hush-hush\n/a.csv"),
        ("/data/hush-hush/", "/data/hush-hush/a.csv"),
        ("../x/hush-hush", "/data/x/hush-hush/a.csv"),
        ("~/x/hush-hush", "/home/ann/x/hush-hush/a.csv"),
        ("a/../hush-hush", "/data/hush-hush/a.csv"),
        ("hush hush+1", "/data/hush%20hush%2B1.csv"),
    ],
)
def test_a_stored_path_holds_a_mark_that_can_be_resolved(tmp_path, monkeypatch, value, path):
    monkeypatch.setenv("TOKEN", value)
    workspace = Workspace(tmp_path)
    workspace.secrets.add(["TOKEN"])
    stored = workspace.to_portable(path)
    assert "hush" not in stored
    assert Workspace(tmp_path).from_portable(stored) == path


@pytest.mark.slow
def test_inputs_below_a_secret_path_are_tracked(make_step, home, tmp_path, monkeypatch, capfd):
    for name in ("hush-4711", "hush-4712"):
        (tmp_path / "data" / f"for-{name}").mkdir(parents=True)
        (tmp_path / "data" / f"for-{name}" / "a.csv").write_text("1")
    monkeypatch.setenv("TOKEN", "hush-4711\n")
    cells = [
        f"folder = {str(tmp_path / 'data')!r} + '/for-' + token.strip()",
        "text = open(folder + '/a.csv').read(); open(folder + '/b.csv', 'w').write(text)",
        "from pathlib import Path; from pipeline.notebook import publish\n"
        "publish({'key': token}, input_files=[Path(folder, 'a.csv')], outputs={'at': token})",
    ]
    step = make_step("one", *cells, parameters="token: str = 'env:TOKEN'")
    assert main([step], home, []) == 0
    assert main([step], home, []) == 0
    assert "nothing to do" in capfd.readouterr().out
    (tmp_path / "data" / "for-hush-4711" / "a.csv").write_text("23")
    assert main([step], home, ["explain"]) == 0
    output = capfd.readouterr().out
    assert "a.csv is altered" in output
    assert "{env:TOKEN:stripped}" in output
    assert main([step], home, []) == 0
    monkeypatch.setenv("TOKEN", "hush-4712")
    assert main([step], home, []) == 0
    assert "parameter token: the value of TOKEN has changed" in capfd.readouterr().out
    assert files_with("hush-47", home) == []


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "runner", "kernel"])
def test_a_killed_process_leaves_no_secret(make_project, make_step, tmp_path, victim):
    secret = "hush <hush>\nsecond line"
    cell = (
        "import os, subprocess, sys, time\n"
        "print('out', token); print(repr(token), file=sys.stderr)\n"
        "os.write(2, token.encode() + b'\\n')\n"
        "subprocess.run(['sh', '-c', 'echo \"$TOKEN\" >&2; echo \"$TOKEN\"'])\n"
        "from pipeline.notebook import publish\n"
        "publish({'key': token}, notice=token, facts={token: token})\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    project = make_project(make_step("one", cell, parameters="token: str = 'env:TOKEN'"))
    process = project.start(TOKEN=secret)
    project.wait_for_output("ready", "one", 60)
    folders = (tmp_path / "var", tmp_path / "reports")
    assert files_with("hush <", *folders) + files_with("second line", *folders) == []
    if victim == "runner":
        process.kill()
    else:
        modules = {"worker": "pipeline.execution.worker", "kernel": "fork_server"}
        [killed, *_] = [
            other
            for other in sorted(project.run_processes(), key=lambda item: -item.pid)
            if modules[victim] in " ".join(other.cmdline())
        ]
        os.kill(killed.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    explain = subprocess.run(
        [sys.executable, "run_pipeline.py", "explain"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "TOKEN": secret},
    )
    for text in (output, explain.stdout, explain.stderr):
        assert "hush <" not in text
        assert "second line" not in text
    assert files_with("hush <", *folders) + files_with("second line", *folders) == []
    assert json.loads(next(folders[0].glob("runs/*/run.json")).read_text())["steps"]
