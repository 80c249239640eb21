"""What schemathesis cannot take from a JSON schema: bodies that are tables, of block groups here.

Schemathesis imports this module, as the variable SCHEMATHESIS_HOOKS names it.
"""

import schemathesis
from hypothesis import strategies as st

from app.codecs import tables
from housing.schema import FEATURES

MAX_ROWS = 5

rows = st.fixed_dictionaries(
    {name: st.floats(feature.low, feature.high) for name, feature in FEATURES.items()}
)


def table_bodies(media_type: str) -> st.SearchStrategy[bytes]:
    """Return a strategy for tables of block groups, each value in its range."""
    return st.lists(rows, min_size=1, max_size=MAX_ROWS).map(
        lambda block_groups: tables.encode_table(
            media_type, {name: [row[name] for row in block_groups] for name in FEATURES}
        )
    )


for media_type in tables.TABLE_FORMATS:
    schemathesis.openapi.media_type(media_type, table_bodies(media_type))
