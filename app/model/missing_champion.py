"""Why a registry that answers has no champion to serve."""

from __future__ import annotations

from app.model.states import ModelState

MAX_LISTED_NAMES = 10  # of versions or models, in a sentence


def missing_champion_state(model_name: str | None) -> tuple[ModelState, str]:
    """Return why the registry has no champion to serve, and what its sentence needs."""
    from housing.registry import versions

    pipeline_names = [versions.MODEL_NAMES["california"], versions.MODEL_NAMES["sample"]]
    names = [model_name] if model_name else pipeline_names
    for name in names:
        numbers = [version.version for version in versions.list_versions(name)]
        if numbers:
            return ModelState.NO_CHAMPION, f"{name} has the versions {_list_newest(numbers)}"
    registered_models = _registered_models()
    if not registered_models and model_name in (None, *versions.MODEL_NAMES.values()):
        return ModelState.NONE_YET, ""
    expected, others = " or ".join(names), ", ".join(registered_models) or "no model"
    return ModelState.UNKNOWN_MODEL, f"{expected}, and the registry has {others}"


def is_registry_empty() -> bool:
    """Return whether nothing has ever been registered, as in a store that was just created."""
    from housing.tracking import store

    return not (store.exists() and store.client().search_registered_models(max_results=1))


def _registered_models() -> list[str]:
    """Return the names of the registered models, without the histories of aliases."""
    from housing.tracking import store

    if not store.exists():
        return []
    models = store.client().search_registered_models()
    names = [model.name for model in models if not model.name.endswith("-history")]
    return names[:MAX_LISTED_NAMES]


def _list_newest(numbers: list[str]) -> str:
    omission = ["…"] if len(numbers) > MAX_LISTED_NAMES else []
    return ", ".join(omission + numbers[-MAX_LISTED_NAMES:])
