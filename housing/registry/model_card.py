"""The model card: one page that says what a registered version is for, how good, and where not.

After Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from housing.data import dvc
from housing.data.splitting import Split
from housing.evaluation import metrics, slices
from housing.models.families import FAMILIES
from housing.registry import versions as model_versions
from housing.registry.gate import Check
from housing.registry.versions import Version
from housing.schema import CAP, FEATURES, TARGET, USD
from housing.tracking import experiments

USE = """
For block groups of California in 1990: to compare places, to study what goes with house values, and
as an example of a model in production.

Not for the value of a single house, not for prices of today, not for places outside California, and
not for decisions about people, such as lending or insurance: income, age of the houses and place
stand for who lives there.
"""


def title(version: Version) -> str:
    """The card's heading."""
    return f"Model card: {version.name} version {version.version}"


def card(version: Version, split: Split, guess: np.ndarray, checks: Sequence[Check]) -> str:
    """The card as Markdown, without its title.

    guess: (n,) what the model says of the test rows. checks: what the gate asked.
    """
    parts = {
        "In short": _short(version, split, guess),
        "What it is for": USE.strip(),
        "The data": _data(split),
        "How good it is": _scores(version, split, guess),
        "Where it is worst": _worst(split, guess),
        "What it does not know": _limits(version, split, guess),
        "The gate": _gate(version, checks),
    }
    text = "\n\n".join(f"## {heading}\n\n{told}" for heading, told in parts.items())
    again = f"## How to make it again\n\n{_again(version)}\n"
    return text.replace("$", "\\$") + f"\n\n{again}"  # two plain ones would be a formula


def keep(version: Version, markdown: str) -> None:
    """Puts the card on the version in the registry."""
    model_versions.describe(version, f"# {title(version)}\n\n{markdown}")


def _short(version: Version, split: Split, guess: np.ndarray) -> str:
    rmse = metrics.with_intervals(split.test[TARGET], guess).loc["RMSE, $"]
    verdict = "was promoted" if version.tags["verdict"] == "promoted" else "was not promoted"
    notice = dvc.notice(split.manifest)
    loud = f"**{notice}.** " if notice else ""
    return (
        f"{loud}It guesses the median house value of a block group from eight numbers; its kind: "
        f"{FAMILIES[version.tags['family']].title}. On {len(guess):,} block groups that it had not "
        f"seen its RMSE is **{_usd(rmse.value)}** (90 % interval {_usd(rmse.low)} to "
        f"{_usd(rmse.high)}). It {verdict} on {version.made[:10]}."
    )


def _data(split: Split) -> str:
    told, train = split.manifest, split.train
    rows = [
        (name, one.meaning, one.unit, f"{one.low:,g} to {one.high:,g}",
         f"{_number(train[name].min())} to {_number(train[name].max())}")
        for name, one in FEATURES.items()
    ]  # fmt: skip
    known = told["source"] == "california" and not dvc.notice(told)
    where, version = ", from the census of 1990" if known else "", dvc.of(told)
    return (
        f"{told['said']}{where}; sha256 `{told['sha256']['raw']}`"
        f"{f'; {version}' if version else ''}. {len(train):,} block groups to "
        f"learn from, {len(split.test):,} held back at random (seed {told['seed']}).\n\n"
        + _table(("column", "meaning", "unit", "accepted", "seen in training"), rows)
    )


def _scores(version: Version, split: Split, guess: np.ndarray) -> str:
    table = metrics.with_intervals(split.test[TARGET], guess)
    rows = [(name, *map(_number, row))
            for name, row in zip(table.index, table.to_numpy(), strict=True)]  # fmt: skip
    run = experiments.run(version.run_id)
    more = _more(run.metrics if run else {})
    return _table(("test rows", *table.columns), rows, 1) + (f"\n\n{more}" if more else "")


def _more(known: Mapping[str, float]) -> str:
    """What the training has found out beside."""
    said = []
    if "far_rmse" in known:
        far = _usd(known["far_rmse"] * USD)
        said.append(f"With whole cells of the map held out its RMSE is {far}: expect that where no "
                    "data is near.")  # fmt: skip
    if "interval_coverage_percent" in known:
        inside, wide = known["interval_coverage_percent"], _usd(known["interval_width"] * USD)
        said.append(f"Its 90 % intervals held {inside:.1f} % of the test rows, and are {wide} wide "
                    "on average.")  # fmt: skip
    return " ".join(said)


def _worst(split: Split, guess: np.ndarray) -> str:
    table = slices.worst(slices.slices(split.test, guess, split.train))
    rows = [
        (" ".join(map(str, name)), f"{row['block groups']:,.0f}", f"{row['RMSE, $']:,.0f}",
         f"{row['bias, $']:,.0f}")
        for name, row in table.iterrows()
    ]  # fmt: skip
    heads = ("group", "block groups", "RMSE, $", "bias, $")
    return f"The worst group of each way to slice the test part.\n\n{_table(heads, rows, 1)}"


def _limits(version: Version, split: Split, guess: np.ndarray) -> str:
    capped = float((split.train[TARGET] >= CAP).mean())
    below = metrics.cap(split.test[TARGET], guess)["RMSE, $"]
    low, high = (split.train[TARGET].agg(one) * USD for one in ("min", "max"))
    return _list(
        [
            f"No value above $500,000 was recorded: {100 * capped:.1f} % of what it learnt from "
            "stands at the cap, and what is dearer is guessed as about that. Below the cap the "
            f"RMSE is {_usd(below.iloc[1])}.",
            "The prices are those of 1990.",
            f"It has seen {_usd(low)} to {_usd(high)}, and the ranges in the last column above. "
            "What lies outside, or where no block group is near, it can only extrapolate to.",
            "The test rows were drawn at random, so they say how good it is near places it knows.",
        ]
    )


def _gate(version: Version, checks: Sequence[Check]) -> str:
    rows = [(one.check, _number(one.value), _number(one.limit), "yes" if one.passed else "**no**")
            for one in checks]  # fmt: skip
    table = _table(("check", "value", "limit", "passed"), rows, 1)
    return f"{version.tags['verdict'].capitalize()}: {version.tags['reason']}.\n\n{table}"


def _again(version: Version) -> str:
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
    told = _list(f"{name}: `{value}`" for name, value in facts.items() if value)
    return f"{note}```sh\n" + "\n".join(lines) + f"\n```\n\n{told}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]], texts: int = 9) -> str:
    """texts: so many columns are no numbers, and stand at the left."""
    sides = ["---" if at < texts else "---:" for at in range(len(heads))]
    lines = [heads, sides, *rows]
    return "\n".join("| " + " | ".join(str(one).replace("|", "/") for one in line) + " |"
                     for line in lines)  # fmt: skip


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {one}" for one in items)


def _number(value: float) -> str:
    """Four digits, and never as a power of ten if it is large."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _usd(dollars: float) -> str:
    return f"${dollars:,.0f}"
