"""The pages below reports/: each step's report, the run's page, the index, comparisons.

They ask nothing of any network, and run a notebook's scripts only in a frame that reaches nothing.
"""

import sys

sys.modules.setdefault(
    "rfc3987_syntax", None
)  # two seconds of import: see pipeline.execution.worker
