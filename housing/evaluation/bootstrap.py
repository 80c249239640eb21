"""The percentile bootstrap by scipy: how far a score would differ on other rows of the same kind.

Efron, Bootstrap Methods: Another Look at the Jackknife (1979).
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

RESAMPLES_PER_BATCH = 25  # resamples at once: their numbers stay in the processor's cache


def percentile_interval(
    columns: tuple[np.ndarray, ...],
    score: Callable[..., np.ndarray],
    n_resamples: int,
    confidence_level: float = 0.9,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the low and the high end of each score's interval, over rows drawn with replacement.

    columns: (n,) each; the same rows are drawn of all. score: gets (..., n) of each column and
    `axis=-1`, and returns (...) scores, or (scores, ...). Raises ValueError if confidence_level is
    not between 0 and 1, or n below 2.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"confidence_level is {confidence_level!r}, expected a number between 0 and 1"
        )
    return stats.bootstrap(
        columns,
        score,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=n_resamples,
        batch=RESAMPLES_PER_BATCH,
        confidence_level=confidence_level,
        rng=np.random.default_rng(seed),
    ).confidence_interval
