"""What is loaded from disk, and what is left alone."""

import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
import yaml

from housing.models import persistence
from housing.paths import PROJECT_ROOT
from housing.registry import artifacts, versions
from housing.tracking import experiments

NAME = "california-housing-sample"


@pytest.fixture
def folder(champion_home, tmp_path):
    """The champion's model folder, as a copy."""
    found = versions.get_champion(NAME)
    return artifacts.download(found, tmp_path / "model")


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_a_model_is_loaded_as_it_was(folder):
    rows = np.zeros((1, 8))
    expected = versions.load_model(versions.get_champion(NAME)).predict(rows)
    assert persistence.load_model(folder).predict(rows) == expected


def test_a_pickle_is_left_alone_whatever_it_is_called(folder, tmp_path):
    told = yaml.safe_load((folder / "MLmodel").read_text())
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    (folder / "model.skops").write_bytes(trap)
    with pytest.raises(ValueError, match="is no model that can be read"):
        persistence.load_model(folder)
    (folder / "model.pkl").write_bytes(trap)
    for kind in ("pickle", "cloudpickle"):
        told["flavors"]["sklearn"] |= {"serialization_format": kind, "pickled_model": "model.pkl"}
        (folder / "MLmodel").write_text(yaml.safe_dump(told))
        with pytest.raises(ValueError, match=f"is stored as {kind}, expected skops"):
            persistence.load_model(folder)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()  # it would have


def test_a_model_folder_that_names_its_own_trusted_types_is_not_believed(folder, tmp_path):
    """MLflow takes the list of the folder; so whoever writes there could name any type."""
    skops.io.dump(Trap, folder / "model.skops")
    told = yaml.safe_load((folder / "MLmodel").read_text())
    told["flavors"]["sklearn"]["skops_trusted_types"] = [f"{__name__}.Trap"]
    (folder / "MLmodel").write_text(yaml.safe_dump(told))
    with pytest.raises(ValueError, match=r"holds what no model of ours needs, .*Trap"):
        persistence.load_model(folder)


def test_a_function_put_into_a_skops_file_is_left_alone(folder):
    """Its schema altered by hand: the tree's class is a function of the operating system."""
    file = folder / "model.skops"
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = parts["schema.json"].replace(b'"DecisionTreeRegressor"', b'"system"')
    schema = schema.replace(b'"sklearn.tree._classes"', b'"os"')
    assert schema != parts["schema.json"]
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (parts | {"schema.json": schema}).items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"holds what no model of ours needs, .*os\.system"):
        persistence.load_model(folder)


def test_half_a_file_is_no_model(folder):
    file = folder / "model.skops"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match="is no model that can be read"):
        persistence.load_model(folder)


def test_the_gate_loads_a_candidate_the_same_way(folder, champion_home, monkeypatch):
    monkeypatch.setattr(experiments.mlflow.artifacts, "download_artifacts", lambda _: str(folder))
    (folder / "model.skops").write_bytes(pickle.dumps(Trap(folder / "sprung")))
    with pytest.raises(ValueError, match="is no model that can be read"):
        experiments.load_model(experiments.Candidate("r", "m", "tree", "t", 1.0, 1.0))
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize("package", ["housing", "pipeline", "app"])
def test_nothing_of_ours_unpickles(package):
    for path in (PROJECT_ROOT / package).rglob("*.py"):
        source = path.read_text()
        assert not re.search(r"(?m)^\s*(import|from) \w*pickle|joblib\.load", source), path.name
