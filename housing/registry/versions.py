"""The model registry: which versions there are, and which of them serves."""

from __future__ import annotations  # the service reads the registry without pandas or scikit-learn

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from housing import paths
from housing.inference import training_domain
from housing.models import persistence
from housing.registry import alias_history, artifacts
from housing.schema import NAMES
from housing.tracking import probe, store
from housing.tracking import tags as run_tags
from housing.tracking.store import MlflowException, mlflow, reached

if TYPE_CHECKING:
    import numpy as np
    from sklearn.base import RegressorMixin

    from housing.data.splitting import Split
    from housing.evaluation.calibration import Bounds
    from housing.tracking.experiments import Candidate

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_NAMES = probe.MODEL_NAMES
ROOM = 5_000  # characters of a description in MLflow's databases
MORE = "\n\n*The rest is in the tag* `card`."


class Version(NamedTuple):
    """A registered model version, and where it came from."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]
    made: str = ""  # UTC, ISO 8601


@reached
def load_version(found: Version) -> RegressorMixin:
    """The registered version's scikit-learn model; ValueError as `stored.load` raises it."""
    with TemporaryDirectory() as folder:
        return persistence.load(artifacts.download(found, Path(folder)))


@reached
def version(name: str, number: str) -> Version:
    """The registered version of that number; LookupError if there is none."""
    try:
        return _version(store.client().get_model_version(name, number))
    except MlflowException as missing:
        if missing.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise LookupError(f"there is no version {number} of {name}") from None


@reached
def versions(name: str) -> list[Version]:
    """All registered versions of that name, oldest first."""
    if not store.exists():
        return []
    found = store.client().search_model_versions(f"name = '{name}'")
    return sorted(map(_version, found), key=lambda one: int(one.version))


@reached
def served(name: str | None = None) -> Version | None:
    """The champion that answers: of the model of that name, else of the real one, else of the
    one that learnt from the sample; None if there is none.
    """
    names = [name] if name else [MODEL_NAMES[one] for one in ("california", "sample")]
    return next(filter(None, map(champion, names)), None)


@reached
def champion(name: str) -> Version | None:
    """The version that the alias champion names; None if there is none, or no store yet."""
    if not store.exists():
        return None
    try:
        return _version(store.client().get_model_version_by_alias(name, CHAMPION))
    except MlflowException as missing:
        if missing.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(found: mlflow.entities.model_registry.ModelVersion) -> Version:
    at = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC).isoformat()
    return Version(found.name, str(found.version), found.run_id, dict(found.tags), at)


@reached
def register(
    candidate: Candidate,
    split: Split,
    graph: bytes,
    examples: np.ndarray | Bounds,
    promoted: bool,
    reason: str,
    checks: Sequence[Mapping[str, Any]] = (),
    judged: Version | None = None,
) -> Version:
    """A new version of the model that the data's source names, its graph in the model's folder.

    examples: (n,) the model's answers on the first n test rows, kept beside the graph, or with them
    the ends of their intervals. The alias
    champion moves to it if it is promoted; else it becomes the challenger, with the reason. So it
    does if judged, the champion that it was compared with, is champion no more. checks: what the
    gate asked, kept as gate.json in the candidate's run and as a tag of the version.
    """
    client, name = store.client(), MODEL_NAMES[split.manifest["source"]]
    given = examples if isinstance(examples, tuple) else (examples,)
    answers = dict(zip(("predictions", "lows", "highs"), given, strict=False))
    rows = split.test[NAMES][: len(given[0])].to_numpy()
    known = training_domain.learn(split.train)
    kept = artifacts.add_graph(client, candidate, graph, rows, answers, known)
    try:
        client.create_registered_model(name)
    except MlflowException as known:
        if known.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = run_tags.tags(split.manifest) | {
        "family": candidate.family,
        "training": candidate.training,
        "cv_rmse": f"{candidate.cv_rmse:.6f}",
        "test_rmse": f"{candidate.test_rmse:.6f}",
        "verdict": "promoted" if promoted else "refused",
        "reason": reason,
        "gate": json.dumps(list(checks)),
        **kept,
    }
    client.log_dict(candidate.run_id, {"promoted": promoted, "checks": list(checks)}, "gate.json")
    made = client.create_model_version(
        name,
        f"models:/{candidate.model_id}",
        candidate.run_id,
        tags=tags,
        model_id=candidate.model_id,
    )
    return _place(_version(made)._replace(tags=tags), judged)


def _place(made: Version, judged: Version | None) -> Version:
    """Moves the alias that the gate's verdict gives it; gives the version as it is then."""
    verdict, reason = made.tags["verdict"], made.tags["reason"]
    if verdict == "promoted":
        try:
            before = judged.version if judged else ""
            alias_history.move(made.name, CHAMPION, made.version, verdict, reason, before)
            return made
        except alias_history.Overtaken as faster:
            verdict, reason = "refused", f"{faster}; run the pipeline again"
            for name, value in (("verdict", verdict), ("reason", reason)):
                store.client().set_model_version_tag(made.name, made.version, name, value)
    alias_history.move(made.name, CHALLENGER, made.version, verdict, reason)
    return made._replace(tags=made.tags | {"verdict": verdict, "reason": reason})


def check_source(found: Version) -> None:
    """Raises ValueError if it learnt from other data than its name says: a sample is no champion
    of the real model."""
    source = found.tags.get("data_source", "")
    if MODEL_NAMES.get(source) != found.name:
        raise ValueError(
            f"{found.name} version {found.version} learnt from the source {source!r}, whose models "
            f"are named {MODEL_NAMES.get(source, 'otherwise')}: it may not serve as {found.name}"
        )


@reached
def export(found: Version, folder: Path) -> dict[str, Any]:
    """Copies what serving needs into the folder: graph, examples, domain, and about.json.

    Gives what about.json says: name, version, alias, run id, data source, metrics, report, commit.
    Raises ValueError if a file is not the one that was registered, or the version learnt from other
    data than its name says.
    """
    check_source(found)
    place = found.tags.get("served", "served")
    with TemporaryDirectory() as aside:
        for one in (artifacts.download(found, Path(aside), place) / place).iterdir():
            paths.write_whole(folder / one.name, one.read_bytes())
    about = {
        "name": found.name,
        "version": found.version,
        "alias": CHAMPION,
        "run_id": found.run_id,
        "source": found.tags["data_source"],
        "family": found.tags["family"],
        "metrics": {one: float(found.tags[one]) for one in ("cv_rmse", "test_rmse")},
        "data_sha256": found.tags["raw_sha256"],
        "data_version": found.tags.get("data_version", ""),
        "report": found.tags.get("report", ""),
        "commit": found.tags.get("mlflow.source.git.commit", ""),
        "reason": found.tags["reason"],
    }
    paths.write_whole(folder / "about.json", json.dumps(about, indent=2).encode())
    return about


def page(version: Version) -> str:
    """Where MLflow's own pages show it."""
    return f"{store.pages()}/models/{version.name}/versions/{version.version}"


@reached
def describe(version: Version, markdown: str) -> None:
    """Keeps a text with the version: whole as the tag `card`, and as far as it fits, up to a whole
    section, as MLflow's description."""
    client, short = store.client(), markdown
    if len(short) > ROOM:
        short = markdown[: ROOM - len(MORE)].rpartition("\n## ")[0] + MORE
    client.set_model_version_tag(version.name, version.version, "card", markdown)
    client.update_model_version(version.name, version.version, short)
