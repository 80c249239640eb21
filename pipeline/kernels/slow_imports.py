"""Avoid an import that costs more than all others of nbformat together."""

import sys


def skip_rfc3987_syntax() -> None:
    """Make the import of rfc3987_syntax fail. Call before nbformat or papermill is imported.

    jsonschema, which nbformat validates notebooks with, imports this grammar of internationalised
    web addresses if it can. That takes two seconds, for a check of formats that no notebook needs;
    without the grammar jsonschema skips the check.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
