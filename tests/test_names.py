"""Names say what they hold: the field's nouns and verbs, not pronouns and participles."""

import ast
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from housing.paths import PROJECT_ROOT

MAX_VAGUE_SHARE = 0.01
BANNED = {"one", "it", "told", "said", "made", "found", "asked"}
VAGUE = BANNED | {
    "after", "again", "before", "few", "given", "here", "how", "its", "known", "kept", "left",
    "lot", "many", "more", "most", "now", "other", "others", "ours", "over", "part", "parts",
    "place", "rest", "seen", "shown", "some", "taken", "theirs", "them", "there", "thing",
    "things", "wanted", "what", "whole", "who", "why",
}  # fmt: skip
# one meaning each in the whole repository, or a name that says which of them it is
AMBIGUOUS_CONSTANTS = {
    "APART", "ASIDE", "BATCH", "BEYOND", "DEAR", "FAR", "FEW", "KEPT", "LATER",
    "LEAST", "LONGEST", "MOST", "NAMES", "NARROW", "NEAR", "PART", "PATIENCE", "PLACES", "ROOM",
    "SAME", "SHOWN", "SURE", "TOGETHER", "WHOLE", "WIDE",
}  # fmt: skip
AMBIGUOUS_CLASSES = {"Answer", "Place", "Refused", "States"}
EXCEPTIONS = {
    # a field of run.json and of the lines of --json, which other programs read
    ("pipeline/runs/records.py", "why"),
}
PACKAGES = ("app", "housing", "pipeline", "benchmarks", "tests", ".ci", "notebooks")


def bound_names(source: str) -> Iterator[tuple[str, int]]:
    """Yield each name that a module binds, with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.alias(asname=str(name)):
                yield name, node.lineno


def sources(package: str) -> Iterator[tuple[Path, str]]:
    """Yield each Python file of a package, and each code cell of the notebooks."""
    for path in sorted((PROJECT_ROOT / package).rglob("*.py")):
        yield path, path.read_text()
    for path in sorted((PROJECT_ROOT / package).glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                yield path, "".join(cell["source"])


def package_names(package: str) -> list[tuple[str, str]]:
    """Return (name, place in the file) for each name that a package binds, modules included."""
    names = []
    for path, source in sources(package):
        file = path.relative_to(PROJECT_ROOT).as_posix()
        names += [
            (name, f"{file}:{line}")
            for name, line in bound_names(source)
            if (file, name) not in EXCEPTIONS
        ]
        names.append((path.stem, file))
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_names_say_what_they_hold(package):
    names = package_names(package)
    vague = [f"{where} {name}" for name, where in names if name.strip("_").lower() in VAGUE]
    assert len(vague) <= MAX_VAGUE_SHARE * len(names), "\n".join(vague)


@pytest.mark.parametrize("package", PACKAGES)
def test_pronouns_and_participles_are_no_names(package):
    banned = [
        f"{where} {name}"
        for name, where in package_names(package)
        if name.strip("_").lower() in BANNED
    ]
    assert banned == []


@pytest.mark.parametrize("package", PACKAGES)
def test_constants_and_classes_with_several_meanings_are_not_used(package):
    ambiguous = [
        f"{where} {name}"
        for name, where in package_names(package)
        if name.lstrip("_") in AMBIGUOUS_CONSTANTS | AMBIGUOUS_CLASSES
    ]
    assert ambiguous == []


def test_the_check_sees_every_kind_of_name():
    source = """
import numpy as one
class Told:
    made: int
    def found(self, asked, *it, **said):
        self.kept = [rest for rest in it]
        with asked as place: pass
        try: pass
        except ValueError as why: pass
"""
    counts = Counter(name for name, _ in bound_names(source))
    expected = {
        "one",
        "Told",
        "made",
        "found",
        "asked",
        "it",
        "said",
        "kept",
        "rest",
        "place",
        "why",
        "self",
    }
    assert expected <= set(counts)


@pytest.mark.parametrize("package", ["app", "housing", "pipeline", "benchmarks"])
def test_no_folder_has_more_modules_than_a_reader_can_take_in(package):
    modules = Counter(path.parent for path in (PROJECT_ROOT / package).rglob("*.py"))
    crowded = {str(folder): count for folder, count in modules.items() if count > 17}
    assert crowded == {}


@pytest.mark.parametrize("package", ["app", "housing", "pipeline", "benchmarks"])
def test_each_package_says_what_is_in_it(package):
    for path in (PROJECT_ROOT / package).rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
