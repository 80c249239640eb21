"""From a prediction down to the data, on a real registry and a real log."""

import hashlib
import json
import shutil
import sqlite3

import pytest

from app import create_app
from app.model import registry_sync
from housing import paths
from housing.registry import versions
from housing.registry.lineage import trace
from housing.schema import FEATURES
from housing.tracking import store
from tests.support.commands import run_command

NAME = "california-housing-sample"
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}


@pytest.fixture
def client(champion_home):
    registry_sync.sync_once(champion_home / "var" / "serving")
    return create_app().test_client()


def trace_by_label(identifier):
    """Label -> (text, whether it is missing); of entries with the same label the last one."""
    return {entry.label: (entry.text, entry.missing) for entry in trace(identifier, NAME)}


def test_a_prediction_leads_to_version_run_and_data(client):
    prediction = client.post("/predict", json=EXAMPLE).json
    entries, champion = trace_by_label(prediction["id"]), versions.get_champion(NAME)
    expected_text = f"{prediction['id']}: ${prediction['prediction_usd']:,.0f}"
    assert entries["prediction"] == (expected_text, False)
    assert '"MedInc":8.3252' in entries["request"][0]
    assert entries["version"][0].startswith(f"{NAME} version 1, promoted: all")
    assert "promoted by" in entries["champion"][0]
    assert entries["files"][0].endswith("as registered")
    assert entries["MLflow run"][0].startswith(f"{champion.run_id}: tree, test RMSE $")
    assert entries["data"][0].startswith("A GENERATED SAMPLE, sha256 ")
    train_sha256 = champion.tags["train_sha256"]
    assert entries["training part"] == (f"sha256 {train_sha256[:12]}…: here", False)


def test_all_predictions_of_a_request_are_found_by_its_id(client):
    predictions = client.post("/predict", json=[EXAMPLE] * 12).json["predictions"]
    request_id = predictions[0]["id"].rpartition("-")[0]
    entries = trace(request_id, NAME)
    assert [entry.label for entry in entries].count("request") == 10
    assert "and 2 more of the same request" in {entry.text for entry in entries}


def test_a_refused_request_had_no_model(client):
    problem = client.post("/predict", json={"MedInc": -1}).json
    expected_text = "the request was refused, so no model answered"
    assert trace_by_label(problem["id"])["version"] == (expected_text, True)


def test_version_run_and_report_have_the_same_lineage(client, champion_home):
    client.post("/predict", json=EXAMPLE)
    store.client().set_model_version_tag(
        NAME, "1", "report", "reports/20261125-012633-5b3c/03_register.html"
    )
    identifiers = (
        "1",
        "champion",
        f"{NAME}/1",
        f"{NAME}/champion",
        versions.get_champion(NAME).run_id,
        "20261125-012633-5b3c",
        "/any/where/reports/20261125-012633-5b3c/03_register.html",
    )
    first_lineage, *lineages = (trace(identifier, NAME) for identifier in identifiers)
    assert all(lineage == first_lineage for lineage in lineages)
    assert first_lineage[0].text.startswith("1 in this log, from 20")


def test_missing_entries_are_named(client, champion_home):
    tags = {
        "report": "reports/20261125-012633-5b3c/03_register.html",
        "mlflow.source.git.commit": "1" * 40,
    }
    for name, value in tags.items():
        store.client().set_model_version_tag(NAME, "1", name, value)
    shutil.rmtree(paths.processed_data())
    missing_texts = [entry.text for entry in trace("1", NAME) if entry.missing]
    assert "reports/20261125-012633-5b3c/03_register.html: not here" in missing_texts
    assert f"{'1' * 40}: not in this checkout" in missing_texts
    assert any("not here; 01_prep makes it again" in text for text in missing_texts)


def test_data_that_was_replaced_is_missing(client, champion_home):
    run_id = versions.get_champion(NAME).run_id
    raw_data = paths.raw_data()
    raw_data.parent.mkdir(parents=True, exist_ok=True)
    raw_data.write_text("the data")
    digest = hashlib.sha256(b"the data").hexdigest()
    store.client().set_tag(run_id, "data_source", "california")
    store.client().set_tag(run_id, "raw_sha256", digest)
    text, missing = trace_by_label("1")["data"]
    assert text.endswith("here is the same")
    assert missing is False
    raw_data.write_text("other data")
    text, missing = trace_by_label("1")["data"]
    assert missing
    assert "here is another; `dvc checkout`" in text


def test_a_notebook_that_was_changed_since_is_noticed(client):
    for name, value in (("notebook", "03_register.ipynb"), ("notebook_code_sha256", "a" * 64)):
        store.client().set_model_version_tag(NAME, "1", name, value)

    def notebook_text(code_sha256):
        entries = trace("1", NAME, lambda _: code_sha256)
        return next(entry.text for entry in entries if entry.label == "notebook")

    expected_text = f"03_register.ipynb, code sha256 {'a' * 12}… (as it is here now)"
    assert notebook_text("a" * 64) == expected_text
    assert notebook_text("b").endswith("(it was changed here since)")


def test_a_version_registered_after_the_prediction_did_not_make_it(client):
    """As after `make clean`, with a log kept elsewhere: the version numbers begin anew."""
    prediction = client.post("/predict", json=EXAMPLE).json
    with sqlite3.connect(paths.var() / "logs.db") as database:
        database.execute("UPDATE prediction SET asked_at = '2026-01-01T00:00:00.000+00:00'")
    text, missing = trace_by_label(prediction["id"])["version"]
    assert missing
    assert "registered after the prediction" in text


@pytest.mark.parametrize("identifier", ["nonsense", "0" * 32, "99", "20200101-000000-aaaa"])
def test_an_unknown_identifier_is_an_error(champion_home, identifier):
    with pytest.raises(LookupError, match=r"nothing is known|is neither a prediction|no version"):
        trace(identifier, NAME)


def test_the_command_marks_what_is_missing_and_exits_with_1(client, capsys):
    """The champion was registered without a runner, so there is no report."""
    prediction = json.loads(client.post("/predict", json=EXAMPLE).data)
    assert run_command("trace", [prediction["id"]]) == 1
    output = capsys.readouterr().out
    assert f"prediction           {prediction['id']}: $" in output
    assert "training report      MISSING: none: the notebook was run by hand" in output
