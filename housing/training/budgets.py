"""How long a search may take: the trials, folds and minutes of each named budget."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from housing.models.families import FAMILIES


class Budget(NamedTuple):
    """Limits of a search."""

    n_trials: dict[str, int]  # settings tried, by family
    n_folds: int  # of the cross-validation
    max_minutes: float  # after that no further batch is proposed; each family has one at least
    # by family: initial settings that are worth their time in this budget
    param_overrides: Mapping[str, dict[str, Any]] = MappingProxyType({})


BUDGETS = {
    "quick": Budget(dict.fromkeys(FAMILIES, 1), n_folds=2, max_minutes=1),
    "default": Budget(
        {"linear": 8, "tree": 8, "forest": 1, "boosting": 3, "neighbours": 3, "blend": 1},
        n_folds=3,
        max_minutes=2,
    ),
    "thorough": Budget(
        {"linear": 40, "tree": 40, "forest": 12, "boosting": 48, "neighbours": 48, "blend": 48},
        n_folds=5,
        max_minutes=60,
        param_overrides={
            "blend": {
                "trees": 600,
                "learning_rate": 0.055,
                "leaves": 32,
                "narrow_trees": 600,
                "networks": 2,
            }
        },
    ),
}
