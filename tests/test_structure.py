"""The structure: what may import what, what a notebook may hold, what the locks pin.

`make lint` holds the layers of the packages, by the contracts in pyproject.toml.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from housing.paths import PROJECT_ROOT
from pipeline.definition.parameters import read_parameters

MODULES_THAT_PRINT = {
    "pipeline/cli/main.py", "pipeline/cli/execute.py", "pipeline/cli/progress.py",
    "pipeline/cli/commands.py", "pipeline/cli/history.py", "pipeline/cli/tables.py",
    "pipeline/cli/notifications.py",
    "housing/cli/score.py", "housing/cli/logs.py", "housing/cli/champion.py",
    "housing/cli/standalone.py", "housing/cli/feedback.py",
}  # fmt: skip
PACKAGES = ("housing", "pipeline", "app")
NOTEBOOKS = sorted((PROJECT_ROOT / "notebooks").glob("*.ipynb"))
ALLOWED_IMPORTS = {
    "notebooks": {"housing", "pipeline"},
    "run_pipeline.py": {"pipeline", "housing"},
    "benchmarks": set(PACKAGES),
}


def imported_modules(source):
    """Yield the modules that a source imports, `import a.b` and `from a.b import c` alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def cells(path, cell_type="code"):
    """Return the cells of a notebook that have a cell type."""
    notebook = json.loads(path.read_text())
    return [cell for cell in notebook["cells"] if cell["cell_type"] == cell_type]


def source(cell):
    """Return the text of a cell."""
    return "".join(cell["source"])


def sources(root):
    """Return the Python sources below a folder, in the notebooks, or of a single file."""
    if root == "notebooks":
        return [source(cell) for path in NOTEBOOKS for cell in cells(path)]
    if root.endswith(".py"):
        return [(PROJECT_ROOT / root).read_text()]
    return [path.read_text() for path in (PROJECT_ROOT / root).rglob("*.py")]


@pytest.mark.parametrize("root", ALLOWED_IMPORTS)
def test_the_code_around_the_packages_imports_only_what_the_design_allows(root):
    own_modules = {
        name.split(".")[0] for text in sources(root) for name in imported_modules(text)
    } & {
        *PACKAGES,
        "run_pipeline",
        "tests",
    }
    assert own_modules <= ALLOWED_IMPORTS[root]


def test_notebooks_know_of_the_runner_only_what_is_meant_for_them():
    names = {name for text in sources("notebooks") for name in imported_modules(text)}
    assert {name for name in names if name.startswith("pipeline")} <= {"pipeline.notebook"}


def test_mlflow_is_imported_by_one_module_alone():
    """The other modules import its types for the type checker, if anything."""
    type_imports = re.compile(r"^if TYPE_CHECKING:\n(?:(?:    .*)?\n)+", re.MULTILINE)
    users = {
        path.relative_to(PROJECT_ROOT).as_posix()
        for package in PACKAGES
        for path in (PROJECT_ROOT / package).rglob("*.py")
        for name in imported_modules(type_imports.sub("", path.read_text()))
        if name.split(".")[0] == "mlflow"
    }
    assert users == {"housing/tracking/mlflow_env.py"}


@pytest.mark.parametrize("package", ["housing", "pipeline"])
def test_library_code_does_not_print(package):
    for path in (PROJECT_ROOT / package).rglob("*.py"):
        calls = [
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        assert (
            "print" not in calls or path.relative_to(PROJECT_ROOT).as_posix() in MODULES_THAT_PRINT
        ), path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_it_opens_with_a_title_and_a_question(self, path):
        first = json.loads(path.read_text())["cells"][0]
        assert first["cell_type"] == "markdown"
        assert source(first).startswith("# ")
        assert "\n\n" in source(first)

    def test_only_its_first_code_cell_is_the_signature(self, path):
        tagged = [
            number
            for number, cell in enumerate(cells(path))
            if "parameters" in cell["metadata"].get("tags", [])
        ]
        assert tagged == [0]
        assert all(parameter.help for parameter in read_parameters(path))
        modules = set(imported_modules(source(cells(path)[0])))
        assert modules <= {"typing", "annotated_types", "datetime", "pathlib"}

    def test_its_second_code_cell_has_all_the_imports(self, path):
        assert list(imported_modules(source(cells(path)[1])))
        for cell in cells(path)[2:]:
            assert list(imported_modules(source(cell))) == []

    def test_it_is_an_essay(self, path):
        code = cells(path)
        everything = json.loads(path.read_text())["cells"]
        assert 15 <= len(everything) <= 30
        assert len(cells(path, "markdown")) >= 0.4 * len(everything)
        for cell in code:
            kinds = {type(node) for node in ast.walk(ast.parse(source(cell).replace("%", "#%")))}
            assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.Try, ast.With, ast.While}
            assert "sys.path" not in source(cell)

    def test_a_price_is_not_rendered_as_a_formula(self, path):
        """Jupyter renders the text between two bare dollar signs as a formula."""
        for cell in cells(path, "markdown"):
            assert not re.search(r"(?<!\\)\$", source(cell)), source(cell)
        for cell in cells(path):
            for argument in re.findall(r"Markdown\((.*)\)", source(cell), re.DOTALL):
                text = re.sub(r"\{[^{}]*\}", "", argument)
                assert not re.search(r"(?<!\\)\$", text), argument

    def test_its_cells_are_short(self, path):
        for cell in cells(path)[2:]:
            statements = ast.parse(source(cell)).body
            assert len(statements) <= 5, source(cell)
            lines = source(cell).splitlines()
            assert len([line for line in lines if not line.startswith("#")]) <= 14, source(cell)

    def test_it_computes_its_bottom_line(self, path):
        everything = json.loads(path.read_text())["cells"]
        [heading_index] = [
            index for index, cell in enumerate(everything) if "## The bottom line" in source(cell)
        ]
        next_cell = everything[heading_index + 1]
        assert next_cell["cell_type"] == "code"
        assert "{" in source(next_cell)

    def test_only_checked_cells_keep_their_output(self, path):
        checked = 0
        for cell in cells(path):
            if "NBVAL_CHECK_OUTPUT" in source(cell):
                checked += 1
                assert cell["execution_count"] == 1  # null would make nbval compare nothing
                assert cell["outputs"]
            else:
                assert cell["execution_count"] is None
                assert cell["outputs"] == []
        assert checked


def pins(path):
    """Return name -> the set of `version ; marker` that a lock pins."""
    pinned = {}
    for line in path.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==(.+?) *\\?$", line)
        if match:
            pinned.setdefault(match[1].lower(), set()).add(match[2].strip())
    return pinned


def versions(pinned):
    """Return the versions without their markers, which depend on what requires the package."""
    return {pin.split(" ;")[0] for pin in pinned}


LOCKS = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-serve.txt",
    "requirements-bench.txt",
]


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_hashes_and_name_no_host(name):
    text = (PROJECT_ROOT / name).read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_locks_agree_with_each_other_and_with_the_project():
    run, dev, serve, bench = (pins(PROJECT_ROOT / name) for name in LOCKS)
    for small, large in ((run, dev), (serve, dev), (dev, bench)):
        assert {name: versions(large[name]) for name in small} == {
            name: versions(pinned) for name, pinned in small.items()
        }
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    for lock, requirements in (
        (serve, project["dependencies"]),
        (run, project["optional-dependencies"]["run"]),
        (dev, project["optional-dependencies"]["dev"][1:]),
    ):
        names = {
            re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower() for requirement in requirements
        }
        assert names <= set(lock)
    for bounds in (project["dependencies"], project["optional-dependencies"]["run"]):
        assert all(">=" in requirement for requirement in bounds)


def test_the_service_needs_no_pandas_and_no_notebooks():
    serve = pins(PROJECT_ROOT / "requirements-serve.txt")
    assert not {"pandas", "scikit-learn", "mlflow", "papermill", "jupyterlab"} & set(serve)


def test_environment_yml_agrees_with_the_lock_and_the_project():
    environment = yaml.safe_load((PROJECT_ROOT / "environment.yml").read_text())
    python, pip, section = environment["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    *locked, project = section["pip"]
    assert project == "-e ."
    listed = {}
    for pin in locked:
        name, _, version = pin.partition("==")
        listed.setdefault(name.lower(), set()).add(version)
    assert listed == pins(PROJECT_ROOT / "requirements.txt")


@pytest.mark.slow
def test_each_process_finds_the_same_tests():
    """pytest-xdist runs nothing if a name holds the time, a random number or the order of a set."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "slow or not slow"]
    names = []
    for hash_seed in ("1", "2"):
        output = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        names.append([line for line in output.splitlines() if "::" in line])
    assert len(names[0]) > 1_000
    assert names[0] == names[1]


def test_nothing_generated_is_in_git():
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT_ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip(reason="this is not a git checkout")
    generated = re.compile(r"(^|/)(mlruns|var|\.venv)/|\.(so|db|skops|onnx|parquet|csv|pkl|html)$")
    # tests/artifacts/ has models of earlier versions, which no present code can write again
    exceptions = ("app/templates/", "tests/artifacts/")
    matches = [name for name in listed.stdout.splitlines() if generated.search(name)]
    assert [name for name in matches if not name.startswith(exceptions)] == []


def test_git_holds_a_pointer_to_the_data():
    pointer = yaml.safe_load(Path(PROJECT_ROOT / "data/raw/california_housing.csv.dvc").read_text())
    assert pointer["outs"][0]["md5"] == "fa9fe4cf24f70b69ac65fb33062ddf34"
    assert "url = ../../shared/dvc-remote" in (PROJECT_ROOT / ".dvc" / "config").read_text()
    assert "analytics = false" in (PROJECT_ROOT / ".dvc" / "config").read_text()


def test_dvc_runs_the_runner_for_the_split_and_records_it_with_the_raw_file():
    [(name, stage)] = yaml.safe_load((PROJECT_ROOT / "dvc.yaml").read_text())["stages"].items()
    assert stage["cmd"].endswith(f"python run_pipeline.py --only {name}")
    lock = yaml.safe_load((PROJECT_ROOT / "dvc.lock").read_text())["stages"][name]
    pointer = yaml.safe_load((PROJECT_ROOT / "data/raw/california_housing.csv.dvc").read_text())
    assert lock["cmd"] == stage["cmd"]
    assert [entry["md5"] for entry in lock["deps"]] == [entry["md5"] for entry in pointer["outs"]]
    assert len(lock["outs"]) == len(stage["outs"]) == 3
