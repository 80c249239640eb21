"""The parts that ship the project: workflows, hooks, licences, releases."""

import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

import app.startup
import pipeline.startup
from housing.paths import PROJECT_ROOT

WORKFLOWS = sorted((PROJECT_ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))


def jobs(path):
    """Return the jobs of a workflow."""
    return yaml.safe_load(path.read_text())["jobs"].values()


def commands(path):
    """Return the shell commands of a workflow."""
    return [step["run"] for job in jobs(path) for step in job["steps"] if "run" in step]


def make_targets(line):
    """Yield the targets of the `make` calls in shell commands, without options and variables."""
    for call in re.findall(r"\bmake ([^\n;|&#>]+)", line):
        without_values = re.sub(r"\S+=(\"[^\"]*\"|'[^']*'|\S+)", "", call)
        yield from (word for word in without_values.split() if not word.startswith("-"))


@pytest.fixture
def checkout(tmp_path):
    """Return a copy of the files that are not code, with this environment as its .venv."""
    folder = tmp_path / "a check out"
    for name in (".ci", ".github", "notebooks"):
        shutil.copytree(PROJECT_ROOT / name, folder / name)
    for name in (".yamllint", ".pre-commit-config.yaml", "pyproject.toml", "CHANGELOG.md"):
        shutil.copy(PROJECT_ROOT / name, folder / name)
    (folder / ".gitignore").write_text("/.venv\n")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def git(checkout, tmp_path, monkeypatch):
    """Return a function that runs git in the copy, in which everything is committed."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "hooks"))
    (tmp_path / "gitconfig").write_text("[user]\n  name = Ann\n  email = ann@example.org\n")

    def run(*words):
        return subprocess.run(["git", *words], cwd=checkout, capture_output=True, text=True)

    run("init", "--quiet")
    run("add", "--all")
    assert run("commit", "--message", "Everything").returncode == 0
    return run


def run_in(checkout, *words, **options):
    """Run a command in the copy; return its exit code, and its output and errors."""
    completed = subprocess.run(words, cwd=checkout, capture_output=True, text=True, **options)
    return completed.returncode, completed.stdout + completed.stderr


def save_with_results(path):
    """Save a notebook as JupyterLab leaves it after Run All."""
    notebook = json.loads(path.read_text())
    notebook["metadata"]["language_info"]["version"] = "3.12.1"
    for count, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code":
            cell["execution_count"] = count
            cell["metadata"]["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
            for output in cell["outputs"]:
                output["execution_count"] = count
            cell["outputs"] = cell["outputs"] or [
                {"output_type": "stream", "name": "stdout", "text": ["a secret\n"]}
            ]
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


class TestWorkflows:
    def test_they_call_targets_that_a_person_can_type(self):
        called = [
            target for path in WORKFLOWS for line in commands(path) for target in make_targets(line)
        ]
        assert {"lint", "test", "coverage", "run", "image", "push", "changes"} <= set(called)
        assert set(called) <= TARGETS

    def test_each_action_is_pinned_to_a_commit_whose_version_is_named(self):
        used = [
            line.partition("uses: ")[2]
            for path in WORKFLOWS
            for line in path.read_text().splitlines()
            if "uses: " in line
        ]
        assert used
        for action in used:
            assert re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
        assert len(set(used)) == len({action.partition("@")[0] for action in used})

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
    def test_each_job_has_a_timeout_and_its_own_permissions(self, path):
        assert yaml.safe_load(path.read_text())["permissions"] == {}
        for job in jobs(path):
            assert job["timeout-minutes"] <= 60
            assert job["permissions"]

    def test_the_supported_versions_of_python_are_tested(self):
        [test] = [
            job for job in jobs(PROJECT_ROOT / ".github/workflows/ci.yml") if "strategy" in job
        ]
        project = (PROJECT_ROOT / "pyproject.toml").read_text()
        first_minor, end_minor = re.search(
            r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project
        ).groups()
        assert test["strategy"]["matrix"]["python"] == [
            f"3.{minor}" for minor in range(int(first_minor), int(end_minor))
        ]
        # they cannot read pyproject.toml: an older Python may run them
        for startup in (app.startup, pipeline.startup):
            assert (3, int(first_minor)) == startup.MIN_PYTHON


@pytest.mark.slow
def test_lint_names_the_mistake_in_each_kind_of_file(checkout):
    (checkout / ".github" / "workflows" / "hasty.yml").write_text(
        "on: issues\npermissions: {}\njobs:\n  greet:\n    runs-on: ubuntu-24.04\n    steps:\n"
        '      - run: echo "${{ github.event.issue.title }}"\n        shel: bash\n'
    )
    (checkout / "deploy").mkdir()
    (checkout / "deploy" / "hasty").write_text("#!/bin/sh\nrm -rf $1\n")
    (checkout / "Dockerfile").write_text("FROM python\n")
    (checkout / "compose.yaml").write_text("services: {app: {imag: python}}\n")
    (checkout / "hasty.py").write_text("import os\n")
    (checkout / "hasty.yml").write_text("once: 1\nonce: 2\n")
    save_with_results(checkout / "notebooks" / "01_prep.ipynb")
    code, output = run_in(checkout, ".ci/lint")
    assert code == 1
    for complaint in (
        "template-injection", "'shel' was unexpected", "SC2086", "DL3006", "'imag' was unexpected",
        "F401", "01_prep.ipynb: holds results", 'duplication of key "once"',
    ):  # fmt: skip
        assert complaint in output


class TestStrip:
    @pytest.fixture
    def strip(self, checkout):
        return lambda *words: run_in(checkout, sys.executable, ".ci/strip.py", *words)

    def test_it_restores_the_notebook_that_git_holds(self, checkout, strip):
        for path in (checkout / "notebooks").glob("*.ipynb"):
            held = path.read_text()
            save_with_results(path)
            assert path.read_text() != held
            assert strip(path)[0] == 1
            assert path.read_text() == held
            assert strip(path) == (0, "")

    def test_a_checked_cell_without_a_result_is_refused(self, checkout, strip):
        path = checkout / "notebooks" / "explore.ipynb"
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = []
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        code, output = strip(path)
        assert code == 1
        assert "is marked NBVAL_CHECK_OUTPUT and has no result" in output


def test_a_commit_with_results_is_refused_and_the_next_one_goes_without_them(checkout, git):
    assert run_in(checkout, ".venv/bin/python", "-m", "pre_commit", "install")[0] == 0
    notebook = checkout / "notebooks" / "01_prep.ipynb"
    save_with_results(notebook)
    notebook.write_text(notebook.read_text().replace("Preparing the data", "Preparing data"))
    rejected_commit = git("commit", "--all", "--message", "Say it shorter")
    assert rejected_commit.returncode == 1
    assert "01_prep.ipynb: stripped of its results" in rejected_commit.stderr
    assert git("commit", "--all", "--message", "Say it shorter").returncode == 0
    committed = git("show", "HEAD:notebooks/01_prep.ipynb").stdout
    assert "Preparing data" in committed
    assert "a secret" not in committed
    assert len(git("show", "--stat", "--format=").stdout.splitlines()) == 2  # one file


class TestRelease:
    def changes(self, checkout, version):
        return run_in(checkout, ".ci/changes", version)

    def version(self, checkout):
        text = (checkout / "pyproject.toml").read_text()
        return re.search(r'^version = "(.+)"$', text, re.MULTILINE)[1]

    def test_it_is_described_by_its_section_of_the_change_log(self, checkout):
        log = checkout / "CHANGELOG.md"
        version = self.version(checkout)
        log.write_text(f"# Changes\n\n## 9.9.9\n\n- Later.\n\n## {version}\n\n- Now.\n\n## 0.0.1\n")
        assert self.changes(checkout, f"v{version}") == (0, "- Now.\n")

    def test_the_version_of_this_checkout_has_a_section(self, checkout):
        code, output = self.changes(checkout, self.version(checkout))
        assert code == 0
        assert output.startswith("- ")

    def test_a_tag_that_is_not_the_version_of_the_project_is_refused(self, checkout):
        code, output = self.changes(checkout, "v9.9.9")
        assert code == 1
        assert f"VERSION is '9.9.9', expected {self.version(checkout)}" in output

    def test_a_version_without_a_section_is_refused(self, checkout):
        (checkout / "CHANGELOG.md").write_text("# Changes\n\n## 9.9.9\n\n- Later.\n")
        code, output = self.changes(checkout, self.version(checkout))
        assert code == 1
        assert "CHANGELOG.md has no section" in output


class TestLicences:
    SECTIONS = re.split(
        r"^## .+$", (PROJECT_ROOT / "docs/licences.md").read_text(), flags=re.MULTILINE
    )

    def listed(self, *sections):
        """Return package -> (version, licence) of each row of some sections."""
        rows = re.findall(r"^\| (\S+) \| (.+?) \| (.+?) \|$", "".join(sections), re.MULTILINE)
        return {name: (version, licence) for name, version, licence in rows if name != "package"}

    @pytest.mark.parametrize(
        ("lock", "sections"),
        [("requirements-serve.txt", SECTIONS[1:2]), ("requirements.txt", SECTIONS[1:])],
    )
    def test_each_package_that_is_shipped_is_listed(self, lock, sections):
        locked = {}
        for line in (PROJECT_ROOT / lock).read_text().splitlines():
            if match := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line):
                locked.setdefault(match[1], []).append(match[2])
        pinned = {name: ", ".join(sorted(versions)) for name, versions in locked.items()}
        assert {name: version for name, (version, _) in self.listed(*sections).items()} == pinned

    def test_no_licence_is_copyleft_without_a_choice_or_an_exception(self):
        """GPL and AGPL are accepted only with another choice, or with an exception for linking."""
        licences = self.listed(*self.SECTIONS)
        assert len(licences) > 200
        for name, (_, licence) in licences.items():
            choices = licence.split(" OR ")
            assert any(
                not re.search(r"\bA?GPL-[\d.]+\S*(?! WITH)", choice) for choice in choices
            ) or (" WITH " in licence), f"{name}: {licence}"


class Advisories(BaseHTTPRequestHandler):
    """A stand-in for osv.dev that knows a single vulnerability, of werkzeug."""

    def do_POST(self):
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_vulnerable = query["package"]["name"] == "werkzeug" and self.server.knows_vulnerability
        vulnerability = {
            "id": "PYSEC-2026-1",
            "summary": "tells all",
            "details": "",
            "aliases": [],
            "affected": [
                {
                    "package": {"name": "werkzeug", "ecosystem": "PyPI"},
                    "ranges": [
                        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}
                    ],
                }
            ],
        }
        body = json.dumps({"vulns": [vulnerability]} if is_vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class TestAudit:
    @pytest.fixture
    def advisories(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
        server.knows_vulnerability = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
        server.server_close()

    def audit(self, checkout, port):
        lock = str(PROJECT_ROOT / "requirements-serve.txt")
        url = f"http://127.0.0.1:{port}/v1/query"
        return run_in(
            checkout, ".ci/audit", lock, "--vulnerability-service=osv", f"--osv-url={url}"
        )

    @pytest.mark.slow
    def test_a_known_vulnerability_fails_the_audit_and_is_named(self, checkout, advisories):
        assert self.audit(checkout, advisories.server_port)[0] == 0
        advisories.knows_vulnerability = True
        code, output = self.audit(checkout, advisories.server_port)
        assert code == 1
        assert re.search(r"werkzeug\s.*PYSEC-2026-1\s.*99", output)

    def test_it_fails_if_the_service_cannot_be_reached(self, checkout):
        code, output = self.audit(checkout, 1)
        assert code == 2
        assert "Not audited" in output


def test_codespaces_gets_an_environment_and_jupyterlab():
    container = json.loads((PROJECT_ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert list(make_targets(container["postCreateCommand"])) == ["setup-dev"]
    assert list(make_targets(container["postAttachCommand"])) == ["lab"]
    assert {8888, 8081, 5000} <= set(container["forwardPorts"])
    assert "python=3.11" in (PROJECT_ROOT / "environment.yml").read_text()
    assert re.search(r"/python:\d+-3\.11-", container["image"])
