"""The pages below reports/: the report of each step, the page of a run, the index, comparisons.

A page loads nothing from any network and runs the scripts of a notebook only in a sandboxed frame.
"""

import sys

# None makes the import of this package fail at once: it takes two seconds, and jsonschema works
# without it (see pipeline.execution.worker)
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
