"""What live traffic says of a version beside the champion, for the commands that change it."""

from typing import TYPE_CHECKING

from housing.prediction_log.reader import log_path
from housing.prediction_log.shadow_answers import ModelKey, shadow_path

if TYPE_CHECKING:
    from housing.monitoring.comparison.model_comparison import ModelComparison


def resolve_version(name: str, version: str) -> str:
    """Return the number of a version that may be named by its alias `challenger`.

    Raises LookupError if no version has that alias.
    """
    from housing.registry import versions

    if version != versions.CHALLENGER:
        return version
    challenger = versions.find_by_alias(name, versions.CHALLENGER)
    if challenger is None:
        raise LookupError(f"{name} has no challenger: name a version, `champions --all` lists them")
    return challenger.version


def compare_with_champion(name: str, number: str) -> "ModelComparison | None":
    """Compare a version with the champion on the rows that both have answered.

    Returns None if the version has never answered beside a champion, or there is no champion.
    Raises RuntimeError if the log cannot be read.
    """
    log = log_path()
    shadow_file = shadow_path(log)
    if not shadow_file.exists():
        return None
    # takes a second: pandas and scipy
    from housing.monitoring.comparison.model_comparison import load_comparison
    from housing.prediction_log.months import archive_paths
    from housing.registry import versions

    champion = versions.get_champion(name)
    if champion is None or champion.version == number:
        return None
    report = load_comparison(
        log, shadow_file, archive_paths(), ModelKey(name, number), champion.version
    )
    return report.comparison if report else None


def compare_challenger(name: str) -> "ModelComparison | None":
    """Compare the challenger with the champion; None if there is none, or nothing to compare."""
    from housing.registry import versions

    if not shadow_path(log_path()).exists():
        return None
    challenger = versions.find_by_alias(name, versions.CHALLENGER)
    return compare_with_champion(name, challenger.version) if challenger else None
