"""The model card: one page that says what a registered version is for, how good, and where not.

After Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from housing.data import dvc
from housing.data.splitting import TrainTestSplit
from housing.evaluation import metrics, slices
from housing.models.families import FAMILIES
from housing.registry import versions as model_versions
from housing.registry.gate import Check
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
    """The card's heading."""
    return f"Model card: {version.name} version {version.version}"


def render(
    version: ModelVersion, split: TrainTestSplit, predictions: np.ndarray, checks: Sequence[Check]
) -> str:
    """The card as Markdown, without its title.

    guess: (n,) what the model says of the test rows. checks: what the gate asked.
    """
    parts = {
        "In short": _summary_section(version, split, predictions),
        "What it is for": INTENDED_USE.strip(),
        "The data": _data_section(split),
        "How good it is": _metrics_section(version, split, predictions),
        "Where it is worst": _worst_slices_section(split, predictions),
        "What it does not know": _limitations_section(version, split, predictions),
        "The gate": _gate_section(version, checks),
    }
    text = "\n\n".join(f"## {heading}\n\n{told}" for heading, told in parts.items())
    again = f"## How to make it again\n\n{_reproduction_section(version)}\n"
    return text.replace("$", "\\$") + f"\n\n{again}"  # two plain ones would be a formula


def save(version: ModelVersion, markdown: str) -> None:
    """Puts the card on the version in the registry."""
    model_versions.set_description(version, f"# {title(version)}\n\n{markdown}")


def _summary_section(version: ModelVersion, split: TrainTestSplit, predictions: np.ndarray) -> str:
    rmse = metrics.scores_with_intervals(split.test[TARGET], predictions).loc["RMSE, $"]
    verdict = "was promoted" if version.tags["verdict"] == "promoted" else "was not promoted"
    notice = dvc.data_notice(split.manifest)
    loud = f"**{notice}.** " if notice else ""
    return (
        f"{loud}It guesses the median house value of a block group from eight numbers; its kind: "
        f"{FAMILIES[version.tags['family']].title}. On {len(predictions):,} block groups that it had not "
        f"seen its RMSE is **{_format_usd(rmse.value)}** (90 % interval {_format_usd(rmse.low)} to "
        f"{_format_usd(rmse.high)}). It {verdict} on {version.created_at[:10]}."
    )


def _data_section(split: TrainTestSplit) -> str:
    told, train = split.manifest, split.train
    rows = [
        (name, one.meaning, one.unit, f"{one.low:,g} to {one.high:,g}",
         f"{_format_number(train[name].min())} to {_format_number(train[name].max())}")
        for name, one in FEATURES.items()
    ]  # fmt: skip
    known = told["source"] == "california" and not dvc.data_notice(told)
    where, version = ", from the census of 1990" if known else "", dvc.data_version(told)
    return (
        f"{told['said']}{where}; sha256 `{told['sha256']['raw']}`"
        f"{f'; {version}' if version else ''}. {len(train):,} block groups to "
        f"learn from, {len(split.test):,} held back at random (seed {told['seed']}).\n\n"
        + _markdown_table(("column", "meaning", "unit", "accepted", "seen in training"), rows)
    )


def _metrics_section(version: ModelVersion, split: TrainTestSplit, predictions: np.ndarray) -> str:
    table = metrics.scores_with_intervals(split.test[TARGET], predictions)
    rows = [(name, *map(_format_number, row))
            for name, row in zip(table.index, table.to_numpy(), strict=True)]  # fmt: skip
    run = experiments.get_run(version.run_id)
    more = _extra_metrics_text(run.metrics if run else {})
    return _markdown_table(("test rows", *table.columns), rows, 1) + (f"\n\n{more}" if more else "")


def _extra_metrics_text(metrics: Mapping[str, float]) -> str:
    """What the training has found out beside."""
    said = []
    if "far_rmse" in metrics:
        far = _format_usd(metrics["far_rmse"] * USD_PER_UNIT)
        said.append(f"With whole cells of the map held out its RMSE is {far}: expect that where no "
                    "data is near.")  # fmt: skip
    if "interval_coverage_percent" in metrics:
        inside, wide = (
            metrics["interval_coverage_percent"],
            _format_usd(metrics["interval_width"] * USD_PER_UNIT),
        )
        said.append(f"Its 90 % intervals held {inside:.1f} % of the test rows, and are {wide} wide "
                    "on average.")  # fmt: skip
    return " ".join(said)


def _worst_slices_section(split: TrainTestSplit, predictions: np.ndarray) -> str:
    table = slices.worst_groups(slices.errors_by_slice(split.test, predictions, split.train))
    rows = [
        (" ".join(map(str, name)), f"{row['block groups']:,.0f}", f"{row['RMSE, $']:,.0f}",
         f"{row['bias, $']:,.0f}")
        for name, row in table.iterrows()
    ]  # fmt: skip
    heads = ("group", "block groups", "RMSE, $", "bias, $")
    return (
        f"The worst group of each way to slice the test part.\n\n{_markdown_table(heads, rows, 1)}"
    )


def _limitations_section(
    version: ModelVersion, split: TrainTestSplit, predictions: np.ndarray
) -> str:
    capped = float((split.train[TARGET] >= HOUSE_VALUE_CAP).mean())
    below = metrics.scores_by_cap(split.test[TARGET], predictions)["RMSE, $"]
    low, high = (split.train[TARGET].agg(one) * USD_PER_UNIT for one in ("min", "max"))
    return _bullet_list(
        [
            f"No value above $500,000 was recorded: {100 * capped:.1f} % of what it learnt from "
            "stands at the cap, and what is dearer is guessed as about that. Below the cap the "
            f"RMSE is {_format_usd(below.iloc[1])}.",
            "The prices are those of 1990.",
            f"It has seen {_format_usd(low)} to {_format_usd(high)}, and the ranges in the last column above. "
            "What lies outside, or where no block group is near, it can only extrapolate to.",
            "The test rows were drawn at random, so they say how good it is near places it knows.",
        ]
    )


def _gate_section(version: ModelVersion, checks: Sequence[Check]) -> str:
    rows = [(one.check, _format_number(one.value), _format_number(one.limit), "yes" if one.passed else "**no**")
            for one in checks]  # fmt: skip
    table = _markdown_table(("check", "value", "limit", "passed"), rows, 1)
    return f"{version.tags['verdict'].capitalize()}: {version.tags['reason']}.\n\n{table}"


def _reproduction_section(version: ModelVersion) -> str:
    tags = version.tags
    commit = tags.get("mlflow.source.git.commit", "")
    command = tags.get("pipeline.command", "") or "python run_pipeline.py"
    lines = [f"git checkout {commit.removesuffix('-dirty')}"] if commit else []
    lines += ["make data-pull", f".venv/bin/{command}"]
    note = "Files differed from that commit when it was made.\n\n" if "-dirty" in commit else ""
    facts = {
        "report": tags.get("report") or "none, the notebook was run by hand",
        "MLflow run": version.run_id,
        "training": tags.get("training", ""),
        "lock (sha256 of requirements.txt)": tags.get("lock_sha256", ""),
        "Python": platform.python_version(),
    }
    told = _bullet_list(f"{name}: `{value}`" for name, value in facts.items() if value)
    return f"{note}```sh\n" + "\n".join(lines) + f"\n```\n\n{told}"


def _markdown_table(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], n_text_columns: int = 9
) -> str:
    """texts: so many columns are no numbers, and stand at the left."""
    sides = ["---" if at < n_text_columns else "---:" for at in range(len(headers))]
    lines = [headers, sides, *rows]
    return "\n".join("| " + " | ".join(str(one).replace("|", "/") for one in line) + " |"
                     for line in lines)  # fmt: skip


def _bullet_list(items: Iterable[str]) -> str:
    return "\n".join(f"- {one}" for one in items)


def _format_number(value: float) -> str:
    """Four digits, and never as a power of ten if it is large."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _format_usd(dollars: float) -> str:
    return f"${dollars:,.0f}"
