"""The percentile bootstrap: how far a score would differ on other rows of the same kind.

Efron, Bootstrap Methods: Another Look at the Jackknife (1979).
"""

from collections.abc import Callable

import numpy as np

RESAMPLES_PER_CHUNK = 50  # resamples at once: their numbers stay in the processor's cache


def percentile_interval(
    score_rows: Callable[[np.ndarray], np.ndarray],
    n_rows: int,
    n_resamples: int,
    confidence_level: float = 0.9,
    seed: int = 0,
) -> np.ndarray:
    """Return (2, ...) the low and the high end of the confidence interval of each score.

    score_rows: scores resamples; it gets (resamples, n_rows) row numbers, drawn with replacement,
    and returns (resamples, ...) scores. Raises ValueError if confidence_level is not between 0 and
    1.
    """
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"confidence_level is {confidence_level!r}, expected a number between 0 and 1"
        )
    rng = np.random.default_rng(seed)
    scores = []
    for start in range(0, n_resamples, RESAMPLES_PER_CHUNK):
        chunk_size = min(RESAMPLES_PER_CHUNK, n_resamples - start)
        scores.append(score_rows(rng.integers(n_rows, size=(chunk_size, n_rows))))
    tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    return np.quantile(np.concatenate(scores), tails, axis=0)
