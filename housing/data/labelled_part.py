"""The part of the data that comes from the prediction log: rows whose true value is known.

`housing.retraining` reads and checks them; here is what the split's files and manifest have of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from housing.schema import HOUSE_VALUE_CAP, TARGET
from housing.text import count_text

# a run with nothing to do reads the manifest, and needs neither pandas nor numpy
if TYPE_CHECKING:
    import pandas as pd

MANIFEST_ENTRY = "labelled"


@dataclass(frozen=True)
class LabelledRecord:
    """What the manifest says of the labelled rows. Times are UTC, ISO 8601."""

    train_rows: int  # labelled rows to train on
    since: str  # the time of the oldest of them
    until: str  # ... and of the newest
    recent_rows: int  # recent test rows: newer than all of those
    recent_since: str
    recent_until: str
    versions: Mapping[str, int]  # the model version that answered -> rows
    left_out: Mapping[str, int]  # why -> labelled rows that are in neither part
    replaced_rows: int  # older training rows of block groups with a newer true value
    capped_rows: int  # whose true value was above the cap
    factors: Mapping[str, float]  # region -> today's prices / those of the data; empty: the same

    def describe(self) -> str:
        """Describe the rows in a part of a sentence."""
        return (
            f"{count_text(self.train_rows, 'labelled row')} of {self.since[:10]} to "
            f"{self.until[:10]} to train on and {self.recent_rows:,} newer ones to test"
            f"{self.describe_factors()}"
        )

    def describe_factors(self) -> str:
        """Say by what the older values were multiplied; empty if they stay as they are."""
        if not self.factors:
            return ""
        if len(set(self.factors.values())) == 1:
            return f"; older values × {next(iter(self.factors.values())):.3f}"
        factors = ", ".join(f"{region} {factor:.3f}" for region, factor in self.factors.items())
        return f"; older values × {factors}"


class LabelledPart(NamedTuple):
    """The training part with labelled rows, and the recent test part."""

    train: pd.DataFrame  # (n, 9): the older rows at today's prices, then the labelled ones
    recent: pd.DataFrame  # (m, 9): none of them, and none that is newer, is trained on
    origins: pd.DataFrame  # where each labelled row of both comes from, by its number
    record: LabelledRecord


def read_record(manifest: Mapping[str, Any]) -> LabelledRecord | None:
    """Return what a manifest says of labelled rows; None if its split has none."""
    entry = manifest.get(MANIFEST_ENTRY)
    return LabelledRecord(**entry) if entry else None


def record_entry(record: LabelledRecord) -> dict[str, Any]:
    """Return the entry of the manifest that `read_record` reads."""
    return asdict(record)


def revalue(frame: pd.DataFrame, factors: Mapping[str, float]) -> pd.DataFrame:
    """Return the rows with their house values multiplied by the factor of their region.

    frame: (n, 9). factors: region -> factor; empty for the frame itself. A capped value stays at
    the cap, as nobody knows how far above it was, and no value is above it.
    """
    from housing import geography

    if not factors:
        return frame
    values = frame[TARGET] * geography.assign_regions(frame).map(factors).astype(float)
    values = values.clip(upper=HOUSE_VALUE_CAP).mask(
        frame[TARGET] >= HOUSE_VALUE_CAP, frame[TARGET]
    )
    return frame.assign(**{TARGET: values})
