"""From an answer down to the data, on a real registry and a real log."""

import hashlib
import json
import shutil

import pytest

from app import create_app
from app.model import registry_sync
from housing import paths
from housing.cli import champion as champion_commands
from housing.registry import versions
from housing.registry.lineage import trace
from housing.schema import FEATURES
from housing.tracking import store

NAME = "california-housing-sample"
EXAMPLE = {name: feature.example for name, feature in FEATURES.items()}


@pytest.fixture
def client(champion_home):
    registry_sync.sync_once(champion_home / "var" / "serving")
    return create_app().test_client()


def said(asked, code_of=None):
    """What -> (text, is it missing); the last one of a kind."""
    return {one.label: (one.text, one.missing) for one in trace(asked, NAME, code_of)}


def test_an_answer_leads_to_version_run_and_data(client):
    answer = client.post("/predict", json=EXAMPLE).json
    found, champion = said(answer["id"]), versions.get_champion(NAME)
    assert found["prediction"] == (f"{answer['id']}: ${answer['prediction_usd']:,.0f}", False)
    assert '"MedInc":8.3252' in found["asked"][0]
    assert found["version"][0].startswith(f"{NAME} version 1, promoted: all")
    assert "promoted by" in found["champion"][0]
    assert found["files"][0].endswith("as registered")
    assert found["MLflow run"][0].startswith(f"{champion.run_id}: tree, test RMSE $")
    assert found["data"][0].startswith("A GENERATED SAMPLE, sha256 ")
    assert found["training part"] == (
        f"sha256 {champion.tags['train_sha256'][:12]}…: here", False
    )  # fmt: skip


def test_all_answers_of_a_request_are_found_by_its_id(client):
    answers = client.post("/predict", json=[EXAMPLE] * 12).json["predictions"]
    request = answers[0]["id"].rpartition("-")[0]
    links = trace(request, NAME)
    assert [one.label for one in links].count("asked") == 10
    assert "and 2 more of the same request" in {one.text for one in links}


def test_a_refused_request_had_no_model(client):
    problem = client.post("/predict", json={"MedInc": -1}).json
    assert said(problem["id"])["version"] == (
        "the request was refused, so no model answered", True
    )  # fmt: skip


def test_version_run_and_report_lead_to_the_same(client, champion_home):
    client.post("/predict", json=EXAMPLE)
    store.client().set_model_version_tag(
        NAME, "1", "report", "reports/20261125-012633-5b3c/03_register.html"
    )
    ways = (
        "1", "champion", f"{NAME}/1", f"{NAME}/champion", versions.get_champion(NAME).run_id,
        "20261125-012633-5b3c", "/any/where/reports/20261125-012633-5b3c/03_register.html",
    )  # fmt: skip
    first, *others = (trace(one, NAME) for one in ways)
    assert all(one == first for one in others)
    assert first[0].text.startswith("1 in this log, from 20")


def test_what_is_missing_is_named(client, champion_home):
    version = store.client()
    told = {
        "report": "reports/20261125-012633-5b3c/03_register.html",
        "mlflow.source.git.commit": "1" * 40,
    }
    for name, value in told.items():
        version.set_model_version_tag(NAME, "1", name, value)
    shutil.rmtree(paths.processed_data())
    links = trace("1", NAME)
    missing = [one.text for one in links if one.missing]
    assert "reports/20261125-012633-5b3c/03_register.html: not here" in missing
    assert f"{'1' * 40}: not in this checkout" in missing
    assert any("not here; 01_prep makes it again" in one for one in missing)


def test_data_that_is_here_no_more_is_missing(client, champion_home):
    run_id = versions.get_champion(NAME).run_id
    raw = paths.raw_data()
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text("the data")
    digest = hashlib.sha256(b"the data").hexdigest()
    store.client().set_tag(run_id, "data_source", "california")
    store.client().set_tag(run_id, "raw_sha256", digest)
    assert said("1")["data"][1] is False
    raw.write_text("other data")
    text, missing = said("1")["data"]
    assert missing
    assert "here is another; `dvc checkout`" in text


def test_a_notebook_that_was_changed_since_is_noticed(client):
    for name, value in (("notebook", "03_register.ipynb"), ("notebook_code_sha256", "a" * 64)):
        store.client().set_model_version_tag(NAME, "1", name, value)
    links = [one.text for one in trace("1", NAME, lambda _: "a" * 64) if one.label == "notebook"]
    assert links[0] == f"03_register.ipynb, code sha256 {'a' * 12}… (as it is here now)"
    links = [one.text for one in trace("1", NAME, lambda _: "b") if one.label == "notebook"]
    assert links[0].endswith("(it was changed here since)")


def test_a_version_that_is_younger_than_the_answer_is_not_its_own(client):
    """As after `make clean`, with a log kept elsewhere: the numbers begin anew."""
    import sqlite3

    answer = client.post("/predict", json=EXAMPLE).json
    with sqlite3.connect(paths.var() / "logs.db") as database:
        database.execute("UPDATE prediction SET asked_at = '2026-01-01T00:00:00.000+00:00'")
    text, missing = said(answer["id"])["version"]
    assert missing
    assert "registered after the answer" in text


@pytest.mark.parametrize("asked", ["nonsense", "0" * 32, "99", "20200101-000000-aaaa"])
def test_what_is_unknown_is_said_to_be(champion_home, asked):
    with pytest.raises(LookupError, match=r"nothing is known|is no prediction|no version"):
        trace(asked, NAME)


def test_the_command_marks_what_is_missing_and_exits_with_1(client, capsys):
    answer = json.loads(client.post("/predict", json=EXAMPLE).data)
    assert (
        champion_commands.make_trace_command()([answer["id"]]) == 1
    )  # by hand, so that there is no report
    said = capsys.readouterr().out
    assert f"prediction           {answer['id']}: $" in said
    assert "training report      MISSING: none: the notebook was run by hand" in said
