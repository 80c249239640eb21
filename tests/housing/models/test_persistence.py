"""Which files are loaded from disk, and which are refused."""

import json
import pickle
import re
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from sklearn.base import clone

from housing.data.synthetic import generate_sample
from housing.models import persistence
from housing.models.intervals import IntervalModel
from housing.paths import PROJECT_ROOT
from housing.registry import artifacts, versions
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import experiments

MODEL_NAME = "california-housing-sample"
# written by the code of before housing/ was split into packages; make_artifacts.py is beside them
FORMER_MODELS = PROJECT_ROOT / "tests" / "artifacts" / "before_packages"
FORMER_NAMES = sorted(path.stem for path in FORMER_MODELS.glob("*.skops"))
FORMER_FAMILIES = [name for name in FORMER_NAMES if name != "intervals"]


@pytest.fixture
def folder(champion_home, tmp_path):
    """A copy of the champion's model folder."""
    champion = versions.get_champion(MODEL_NAME)
    return artifacts.download(champion, tmp_path / "model")


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_a_model_is_loaded_as_it_was(folder):
    rows = np.zeros((1, 8))
    expected = versions.load_model(versions.get_champion(MODEL_NAME)).predict(rows)
    assert persistence.load_model(folder).predict(rows) == expected


def test_a_pickle_is_refused_under_any_name(folder, tmp_path):
    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    (folder / "model.skops").write_bytes(trap)
    with pytest.raises(ValueError, match="is not a readable model"):
        persistence.load_model(folder)
    (folder / "model.pkl").write_bytes(trap)
    for stored_format in ("pickle", "cloudpickle"):
        mlmodel["flavors"]["sklearn"] |= {
            "serialization_format": stored_format,
            "pickled_model": "model.pkl",
        }
        (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
        with pytest.raises(ValueError, match=f"is stored as {stored_format}, expected skops"):
            persistence.load_model(folder)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()  # the trap works


def test_trusted_types_named_by_a_model_folder_are_ignored(folder):
    """MLflow uses the folder's list, so a writer of the folder could name any type."""
    skops.io.dump(Trap, folder / "model.skops")
    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    mlmodel["flavors"]["sklearn"]["skops_trusted_types"] = [f"{__name__}.Trap"]
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
    with pytest.raises(ValueError, match=r"types that no model of this project needs: .*Trap"):
        persistence.load_model(folder)


def replace_in_schema(content, replacements):
    """Return a skops archive with texts of its schema replaced; each must be there."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"].decode()
    for old, new in replacements.items():
        assert old in schema
        schema = schema.replace(old, new)
    changed = BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, data in (members | {"schema.json": schema.encode()}).items():
            archive.writestr(name, data)
    return changed.getvalue()


def test_a_function_put_into_a_skops_file_is_refused(folder):
    """The schema is altered by hand: the tree's class is a function of the operating system."""
    file = folder / "model.skops"
    replacements = {'"DecisionTreeRegressor"': '"system"', '"sklearn.tree._classes"': '"os"'}
    file.write_bytes(replace_in_schema(file.read_bytes(), replacements))
    with pytest.raises(
        ValueError, match=r"types that no model of this project needs: .*os\.system"
    ):
        persistence.load_model(folder)


def test_half_a_file_is_not_a_model(folder):
    file = folder / "model.skops"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match="is not a readable model"):
        persistence.load_model(folder)


def test_a_candidate_is_loaded_with_the_same_checks(folder, champion_home, monkeypatch):
    monkeypatch.setattr(experiments, "model_folder", lambda _candidate: folder)
    (folder / "model.skops").write_bytes(pickle.dumps(Trap(folder / "sprung")))
    with pytest.raises(ValueError, match="is not a readable model"):
        experiments.load_model(experiments.Candidate("r", "m", "tree", "t", 1.0, 1.0))
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize("package", ["housing", "pipeline", "app"])
def test_no_module_unpickles(package):
    for path in (PROJECT_ROOT / package).rglob("*.py"):
        source = path.read_text()
        assert not re.search(r"(?m)^\s*(import|from) \w*pickle|joblib\.load", source), path.name


@pytest.fixture(scope="module")
def expected():
    """Rows, and what the former code predicted for them."""
    return json.loads((FORMER_MODELS / "expected.json").read_text())


def load_former(name):
    return persistence.load_skops_file(FORMER_MODELS / f"{name}.skops")


@pytest.mark.parametrize("name", FORMER_FAMILIES)
def test_a_model_registered_before_a_renaming_predicts_the_same(name, expected):
    rows = pd.DataFrame(expected["rows"], columns=FEATURE_NAMES)
    predictions = load_former(name).predict(rows)
    if name in ("linear", "blend"):  # another processor may add up a matrix product differently
        np.testing.assert_allclose(predictions, expected["predictions"][name], rtol=1e-12)
    else:
        assert predictions.tolist() == expected["predictions"][name]


def test_an_interval_model_registered_before_a_renaming_predicts_the_same(expected):
    model = IntervalModel.loads((FORMER_MODELS / "intervals.skops").read_bytes())
    rows, predictions = np.array(expected["rows"]), np.array(expected["predictions"]["linear"])
    low, high = model.predict(rows, predictions)
    assert {"low": low.tolist(), "high": high.tolist()} == expected["intervals"]


def attribute_names(model):
    """Return the class and the attributes of a model, of its steps, and of a blend's members."""
    estimators = [step for _, step in getattr(model, "steps", [("model", model)])]
    estimators += getattr(estimators[-1], "models_", [])
    return [(type(estimator), sorted(vars(estimator))) for estimator in estimators]


@pytest.mark.parametrize("name", FORMER_FAMILIES)
def test_a_model_registered_before_a_renaming_is_like_one_trained_today(name):
    former, train = load_former(name), generate_sample(120)
    today = clone(former).fit(train[FEATURE_NAMES], train[TARGET])
    assert attribute_names(former) == attribute_names(today)


def test_every_former_class_is_in_a_file():
    named = set()

    def collect(node):
        for child in node.values() if isinstance(node, dict) else node:
            if isinstance(child, dict | list):
                collect(child)
        if isinstance(node, dict) and "__module__" in node:
            named.add((node["__module__"], node["__class__"]))

    for path in FORMER_MODELS.glob("*.skops"):
        with zipfile.ZipFile(path) as archive:
            collect(json.loads(archive.read("schema.json")))
    assert set(persistence.CLASS_ALIASES) <= named


@pytest.mark.parametrize("name", FORMER_NAMES)
def test_a_file_of_today_s_classes_is_read_as_it_is(name):
    content = persistence.rename_stored_classes((FORMER_MODELS / f"{name}.skops").read_bytes())
    assert persistence.rename_stored_classes(content) is content


def test_a_former_module_s_name_makes_no_other_class_trusted(tmp_path):
    """Only the classes in the table are renamed; the check of types comes after that."""
    file = tmp_path / "model.skops"
    content = (FORMER_MODELS / "blend.skops").read_bytes()
    file.write_bytes(replace_in_schema(content, {'"Blend"': '"clone"'}))
    with pytest.raises(ValueError, match=r"this project needs: .*housing\.blend\.clone"):
        persistence.load_skops_file(file)
