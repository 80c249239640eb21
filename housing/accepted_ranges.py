"""The smallest and largest accepted values of the features, as arrays; `schema` says what they are.

Beside the schema, as that is read by commands which need no numpy.
"""

import numpy as np

from housing.schema import FEATURES

LOWER_LIMITS = np.array([feature.low for feature in FEATURES.values()], float)  # (8,)
UPPER_LIMITS = np.array([feature.high for feature in FEATURES.values()], float)  # (8,)
