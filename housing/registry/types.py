"""What the modules of the registry pass to each other."""

from typing import NamedTuple


class ModelVersion(NamedTuple):
    """A registered model version, and where it came from."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]
    created_at: str = ""  # UTC, ISO 8601
