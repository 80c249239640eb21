"""The model card: one page on what a registered version is for, how good it is, and where not.

After Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np

from housing.data import data_versions, labelled_part
from housing.data.splitting import TrainTestSplit
from housing.evaluation import metrics, slices
from housing.models.families import FAMILIES
from housing.registry import versions as model_versions
from housing.registry.gate_checks import Check
from housing.registry.versions import ModelVersion
from housing.schema import FEATURES, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT
from housing.tracking import experiments

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")


def title(version: ModelVersion) -> str:
    """Return the heading of the card."""
    return f"Model card: {version.name} version {version.version}"


def render(
    version: ModelVersion, split: TrainTestSplit, predictions: np.ndarray, checks: Sequence[Check]
) -> str:
    """Render the card as Markdown, without its title.

    predictions: (n,) the model's predictions for the test rows, in $100,000. checks: the results of
    the gate.
    """
    tags, test_values = version.tags, split.test[TARGET]
    scores = experiments.load_table(version.run_id, "scores")  # those of the training's report
    if scores is None:
        scores = metrics.scores_with_intervals(test_values, predictions)
    run = experiments.get_run(version.run_id)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "number": _format_number,
        "whole": "{:,.0f}".format,
        "usd": "${:,.0f}".format,
    }
    return environment.from_string(TEMPLATE.read_text()).render(
        version=version,
        tags=tags,
        split=split,
        notice=data_versions.data_notice(split.manifest),
        labelled=labelled_part.read_record(split.manifest),
        data_version=data_versions.describe_version(split.manifest),
        family=FAMILIES[tags["family"]].title,
        features=FEATURES,
        scores=scores,
        rmse=scores.loc["RMSE, $"],
        metrics=run.metrics if run else {},  # those that are no scores on the test rows too
        worst_groups=slices.worst_groups(
            slices.errors_by_slice(split.test, predictions, split.train)
        ),
        values_usd=split.train[TARGET] * USD_PER_UNIT,
        capped_percent=100 * (split.train[TARGET] >= HOUSE_VALUE_CAP).mean(),
        rmse_below_cap=metrics.scores_by_cap(test_values, predictions)["RMSE, $"].iloc[1],
        usd_per_unit=USD_PER_UNIT,
        checks=checks,
        python_version=platform.python_version(),
    )


def write(
    version: ModelVersion, split: TrainTestSplit, predictions: np.ndarray, checks: Sequence[Check]
) -> None:
    """Render the card and store it with the version in the registry. Arguments as for `render`."""
    save(version, render(version, split, predictions, checks))


def save(version: ModelVersion, markdown: str) -> None:
    """Store the card with the version in the registry."""
    model_versions.set_description(version, f"# {title(version)}\n\n{markdown}")


def _format_number(value: float) -> str:
    """Format a number with four digits, a large one without a power of ten."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
