import re

import pytest

from housing.data import splitting
from housing.registry import gate, model_card, versions
from housing.registry.gate import Check
from housing.schema import FEATURE_NAMES, FEATURES
from housing.tracking import store
from tests.conftest import register_candidate

NAME = "california-housing-sample"
CHECKS = [Check("test rows", 300, 100, True), Check("worse | by, $", 51_234.5, 10, False)]


@pytest.fixture
def made(champion_home):
    version, parts = versions.get_champion(NAME), splitting.read_split()
    guess = versions.load_model(version).predict(parts.test[FEATURE_NAMES])
    return version, parts, guess, model_card.render(version, parts, guess, CHECKS)


def test_it_says_what_a_reader_must_know(made):
    version, parts, _, text = made
    assert re.findall(r"(?m)^## (.+)", text) == [
        "In short", "What it is for", "The data", "How good it is", "Where it is worst",
        "What it does not know", "The gate", "How to make it again",
    ]  # fmt: skip
    rmse = gate.test_rmse_usd(versions.load_model(version), parts)
    assert f"**\\${rmse:,.0f}**" in text
    for told in (
        "A GENERATED SAMPLE",
        parts.manifest["sha256"]["raw"],
        version.run_id,
        "Not for the value of a single house",
        r"No value above \$500,000 was recorded",
        version.tags["reason"].replace("$", r"\$"),
    ):
        assert told in text
    assert all(f"| {one} |" in text for one in FEATURES)


def test_dollars_are_no_formula_and_a_bar_is_no_column(made):
    *_, text = made
    assert not re.search(r"(?<!\\)\$", text)
    assert r"| worse / by, \$ | 51,234 | 10 | **no** |" in text


def test_a_refused_version_says_so(champion_home):
    version, parts = register_candidate(splitting.read_split(), "tree"), splitting.read_split()
    guess = versions.load_model(version).predict(parts.test[FEATURE_NAMES])
    text = model_card.render(version, parts, guess, CHECKS)
    assert "It was not promoted on 20" in text
    assert "Refused: " in text


def test_it_names_the_command_and_the_commit(made):
    version, parts, guess, _ = made
    tags = version.tags | {
        "pipeline.command": "python run_pipeline.py -p train.seed=7",
        "mlflow.source.git.commit": "abc123-dirty", "lock_sha256": "fee1",
    }  # fmt: skip
    text = model_card.render(version._replace(tags=tags), parts, guess, CHECKS)
    again = text[text.index("## How to make it again") :]
    assert "git checkout abc123\n" in again
    assert ".venv/bin/python run_pipeline.py -p train.seed=7\n```" in again
    assert "Files differed from that commit" in again
    assert "`fee1`" in again


def test_it_stands_on_the_version_whole_or_to_a_whole_section(made):
    version, *_, text = made
    model_card.save(version, text)
    client = store.client()
    found = client.get_model_version(NAME, version.version)
    assert found.tags["card"] == found.description
    assert found.description.startswith(f"# Model card: {NAME} version 1\n\n## In short")
    model_card.save(version, text.replace("## The gate", "x" * 3_000 + "\n\n## The gate"))
    found = client.get_model_version(NAME, version.version)
    assert len(found.tags["card"]) > 5_000 >= len(found.description)
    assert found.description.endswith("*The rest is in the tag* `card`.")
    assert "## Where it is worst" in found.description
    assert "xxx" not in found.description
