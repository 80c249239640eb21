"""The model card: one page on what a registered version is for, how good it is, and where not.

After Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from housing.data import data_versions
from housing.data.splitting import TrainTestSplit
from housing.evaluation import metrics, slices
from housing.models.families import FAMILIES
from housing.registry import versions as model_versions
from housing.registry.gate_checks import Check
from housing.registry.versions import ModelVersion
from housing.schema import FEATURES, HOUSE_VALUE_CAP, TARGET, USD_PER_UNIT
from housing.tracking import experiments

INTENDED_USE = """
For block groups of California in 1990: to compare places, to study what goes with house values, and
as an example of a model in production.

Not for the value of a single house, not for prices of today, not for places outside California, and
not for decisions about people, such as lending or insurance: income, age of the houses and place
stand for who lives there.
"""


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
    scores = metrics.scores_with_intervals(split.test[TARGET], predictions)
    sections = {
        "In short": _summary_section(version, split, scores),
        "What it is for": INTENDED_USE.strip(),
        "The data": _data_section(split),
        "How good it is": _metrics_section(version, scores),
        "Where it is worst": _worst_slices_section(split, predictions),
        "What it does not know": _limitations_section(split, predictions),
        "The gate": _gate_section(version, checks),
    }
    text = "\n\n".join(f"## {heading}\n\n{content}" for heading, content in sections.items())
    escaped_text = text.replace("$", "\\$")  # Markdown reads two plain ones as a formula
    return f"{escaped_text}\n\n## How to reproduce it\n\n{_reproduction_section(version)}\n"


def save(version: ModelVersion, markdown: str) -> None:
    """Store the card with the version in the registry."""
    model_versions.set_description(version, f"# {title(version)}\n\n{markdown}")


def _summary_section(version: ModelVersion, split: TrainTestSplit, scores: pd.DataFrame) -> str:
    rmse = scores.loc["RMSE, $"]
    verdict = "was promoted" if version.tags["verdict"] == "promoted" else "was not promoted"
    notice = data_versions.data_notice(split.manifest)
    bold_notice = f"**{notice}.** " if notice else ""
    family = FAMILIES[version.tags["family"]].title
    return (
        f"{bold_notice}It predicts the median house value of a block group from eight numbers; its "
        f"kind: {family}. On {len(split.test):,} block groups that it had not seen, its RMSE is "
        f"**{_format_usd(rmse.value)}** (90 % interval {_format_usd(rmse.low)} to "
        f"{_format_usd(rmse.high)}). It {verdict} on {version.created_at[:10]}."
    )


def _data_section(split: TrainTestSplit) -> str:
    manifest, train = split.manifest, split.train
    rows = [
        (
            name,
            feature.meaning,
            feature.unit,
            f"{feature.low:,g} to {feature.high:,g}",
            f"{_format_number(train[name].min())} to {_format_number(train[name].max())}",
        )
        for name, feature in FEATURES.items()
    ]
    is_real_data = manifest["source"] == "california" and not data_versions.data_notice(manifest)
    origin = ", from the census of 1990" if is_real_data else ""
    version = data_versions.describe_version(manifest)
    return (
        f"{manifest['said']}{origin}; sha256 `{manifest['sha256']['raw']}`"
        f"{f'; {version}' if version else ''}. {len(train):,} block groups to train on, "
        f"{len(split.test):,} held out at random (seed {manifest['seed']}).\n\n"
        + _markdown_table(("column", "meaning", "unit", "accepted", "seen in training"), rows)
    )


def _metrics_section(version: ModelVersion, scores: pd.DataFrame) -> str:
    rows = [
        (name, *map(_format_number, values))
        for name, values in zip(scores.index, scores.to_numpy(), strict=True)
    ]
    table = _markdown_table(("test rows", *scores.columns), rows, 1)
    run = experiments.get_run(version.run_id)
    text = _extra_metrics_text(run.metrics if run else {})
    return f"{table}\n\n{text}" if text else table


def _extra_metrics_text(metrics: Mapping[str, float]) -> str:
    """Describe the metrics of the training run that are no scores on the test rows."""
    sentences = []
    if "far_rmse" in metrics:
        spatial_rmse = _format_usd(metrics["far_rmse"] * USD_PER_UNIT)
        sentences.append(
            f"With whole cells of the map held out its RMSE is {spatial_rmse}: expect that where "
            "no data is near."
        )
    if "interval_coverage_percent" in metrics:
        coverage = metrics["interval_coverage_percent"]
        width = _format_usd(metrics["interval_width"] * USD_PER_UNIT)
        sentences.append(
            f"Its 90 % intervals held {coverage:.1f} % of the test rows, and are {width} wide on "
            "average."
        )
    return " ".join(sentences)


def _worst_slices_section(split: TrainTestSplit, predictions: np.ndarray) -> str:
    worst_groups = slices.worst_groups(slices.errors_by_slice(split.test, predictions, split.train))
    rows = [
        (
            " ".join(map(str, name)),
            f"{row['block groups']:,.0f}",
            f"{row['RMSE, $']:,.0f}",
            f"{row['bias, $']:,.0f}",
        )
        for name, row in worst_groups.iterrows()
    ]
    table = _markdown_table(("group", "block groups", "RMSE, $", "bias, $"), rows, 1)
    return f"The worst group of each way to slice the test part.\n\n{table}"


def _limitations_section(split: TrainTestSplit, predictions: np.ndarray) -> str:
    capped_share = float((split.train[TARGET] >= HOUSE_VALUE_CAP).mean())
    rmse_by_cap = metrics.scores_by_cap(split.test[TARGET], predictions)["RMSE, $"]
    low, high = (_format_usd(split.train[TARGET].agg(end) * USD_PER_UNIT) for end in ("min", "max"))
    return _bullet_list(
        [
            f"No value above $500,000 was recorded: {100 * capped_share:.1f} % of the training "
            "values are capped, and it predicts about the cap for whatever is dearer. Below the "
            f"cap the RMSE is {_format_usd(rmse_by_cap.iloc[1])}.",
            "The prices are those of 1990.",
            f"It has seen {low} to {high}, and the ranges in the last column above. Outside of "
            "these, and where no block group is near, it can only extrapolate.",
            "The test rows were drawn at random, so they say how good it is near places it knows.",
        ]
    )


def _gate_section(version: ModelVersion, checks: Sequence[Check]) -> str:
    rows = [
        (
            check.check,
            _format_number(check.value),
            _format_number(check.limit),
            "yes" if check.passed else "**no**",
        )
        for check in checks
    ]
    table = _markdown_table(("check", "value", "limit", "passed"), rows, 1)
    return f"{version.tags['verdict'].capitalize()}: {version.tags['reason']}.\n\n{table}"


def _reproduction_section(version: ModelVersion) -> str:
    tags = version.tags
    commit = tags.get("mlflow.source.git.commit", "")
    pipeline_command = tags.get("pipeline.command", "") or "python run_pipeline.py"
    commands = [f"git checkout {commit.removesuffix('-dirty')}"] if commit else []
    commands += ["make data-pull", f".venv/bin/{pipeline_command}"]
    note = ""
    if "-dirty" in commit:
        note = "Files differed from that commit when the model was trained.\n\n"
    facts = {
        "report": tags.get("report") or "none, the notebook was run by hand",
        "MLflow run": version.run_id,
        "training": tags.get("training", ""),
        "lock (sha256 of requirements.txt)": tags.get("lock_sha256", ""),
        "Python": platform.python_version(),
    }
    fact_list = _bullet_list(f"{name}: `{value}`" for name, value in facts.items() if value)
    return f"{note}```sh\n" + "\n".join(commands) + f"\n```\n\n{fact_list}"


def _markdown_table(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], n_text_columns: int = 9
) -> str:
    """Render a table whose first n_text_columns are aligned left, the numbers after them right."""
    alignment = ["---" if index < n_text_columns else "---:" for index in range(len(headers))]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |"
        for row in (headers, alignment, *rows)
    )


def _bullet_list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _format_number(value: float) -> str:
    """Format a number with four digits, a large one without a power of ten."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _format_usd(dollars: float) -> str:
    return f"${dollars:,.0f}"
