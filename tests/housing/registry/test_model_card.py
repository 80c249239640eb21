import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from housing.data import splitting
from housing.evaluation import metrics
from housing.registry import gate, model_card, versions
from housing.registry.gate_checks import Check
from housing.schema import FEATURE_NAMES, FEATURES, TARGET
from housing.tracking import experiments, store
from tests.conftest import register_candidate

NAME = "california-housing-sample"
CHECKS = [Check("test rows", 300, 100, True), Check("worse | by, $", 51_234.5, 10, False)]


class Card(NamedTuple):
    version: versions.ModelVersion
    split: splitting.TrainTestSplit
    predictions: np.ndarray
    text: str


def render_card(version):
    split = splitting.read_split()
    predictions = versions.load_model(version).predict(split.test[FEATURE_NAMES])
    text = model_card.render(version, split, predictions, CHECKS)
    return Card(version, split, predictions, text)


@pytest.fixture
def card(champion_home):
    return render_card(versions.get_champion(NAME))


def test_the_card_says_what_a_reader_must_know(card):
    assert re.findall(r"(?m)^## (.+)", card.text) == [
        "In short",
        "What it is for",
        "The data",
        "How good it is",
        "Where it is worst",
        "What it does not know",
        "The gate",
        "How to reproduce it",
    ]
    rmse = gate.rmse_on_test_rows_usd(versions.load_model(card.version), card.split)
    assert f"**\\${rmse:,.0f}**" in card.text
    for text in (
        "A GENERATED SAMPLE",
        card.split.manifest["sha256"]["raw"],
        card.version.run_id,
        "Not for the value of a single house",
        r"No value above \$500,000 was recorded",
        card.version.tags["reason"].replace("$", r"\$"),
    ):
        assert text in card.text
    assert all(f"| {name} |" in card.text for name in FEATURES)


def test_the_scores_are_those_that_the_training_has_recorded(card):
    table = pd.DataFrame(
        {"value": [51_000.25, 0.5], "low": [49_000.0, 0.25], "high": [53_000.0, 0.75]},
        pd.Index(["RMSE, $", "R2"], name="score"),
    )
    client = store.client()
    run_id = client.create_run(store.experiment_id()).info.run_id
    client.log_text(run_id, table.to_csv(), "tables/scores.csv")
    pd.testing.assert_frame_equal(experiments.load_table(run_id, "scores"), table)
    version = card.version._replace(run_id=run_id)
    text = model_card.render(version, card.split, card.predictions, CHECKS)
    assert r"**\$51,000** (90 % interval \$49,000 to \$53,000)" in text
    assert "| R2 | 0.5 | 0.25 | 0.75 |" in text


def test_without_recorded_scores_the_card_computes_them(card):
    assert experiments.load_table(card.version.run_id, "scores") is None
    assert experiments.load_table("0" * 32, "scores") is None
    scores = metrics.scores_with_intervals(card.split.test[TARGET], card.predictions)
    low, high = scores.loc["RMSE, $", ["low", "high"]]
    assert rf"(90 % interval \${low:,.0f} to \${high:,.0f})" in card.text


def test_dollar_signs_are_escaped_and_bars_in_cells_replaced(card):
    assert not re.search(r"(?<!\\)\$", card.text)
    assert r"| worse / by, \$ | 51,234 | 10 | **no** |" in card.text


def test_the_card_of_a_refused_version_says_so(champion_home):
    card = render_card(register_candidate(splitting.read_split(), "tree"))
    assert "It was not promoted on 20" in card.text
    assert "Refused: " in card.text


def test_the_card_names_the_command_and_the_commit(card):
    tags = card.version.tags | {
        "pipeline.command": "python run_pipeline.py -p train.seed=7",
        "mlflow.source.git.commit": "abc123-dirty",
        "lock_sha256": "fee1",
    }
    version = card.version._replace(tags=tags)
    text = model_card.render(version, card.split, card.predictions, CHECKS)
    section = text[text.index("## How to reproduce it") :]
    assert "git checkout abc123\n" in section
    assert ".venv/bin/python run_pipeline.py -p train.seed=7\n```" in section
    assert "Files differed from that commit" in section
    assert "`fee1`" in section


def test_a_long_card_is_truncated_after_a_complete_section_in_the_description(card):
    client, number = store.client(), card.version.version
    model_card.save(card.version, card.text)
    mlflow_version = client.get_model_version(NAME, number)
    assert mlflow_version.tags["card"] == mlflow_version.description
    assert mlflow_version.description.startswith(f"# Model card: {NAME} version 1\n\n## In short")
    long_text = card.text.replace("## The gate", "x" * 3_000 + "\n\n## The gate")
    model_card.save(card.version, long_text)
    mlflow_version = client.get_model_version(NAME, number)
    assert len(mlflow_version.tags["card"]) > 5_000 >= len(mlflow_version.description)
    assert mlflow_version.description.endswith("*The rest is in the tag* `card`.")
    assert "## Where it is worst" in mlflow_version.description
    assert "xxx" not in mlflow_version.description
