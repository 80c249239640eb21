"""What predictions are written as: three columns, in formats that a file's ending names."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import pyarrow as pa

PREDICTION_COLUMNS = pa.schema(
    [
        ("prediction", pa.float64()),
        ("prediction_usd", pa.float64()),
        ("problem", pa.string()),
        ("warnings", pa.string()),
    ]
)
PARQUET_ENDING = ".parquet"
SEPARATORS = {".csv": ",", ".tsv": "\t"}
PACKINGS = (".gz", ".bz2", ".xz", ".zst", ".lz4")
FORMATS_TEXT = f"{PARQUET_ENDING}, {', '.join(SEPARATORS)}, or .csv.gz ({', '.join(PACKINGS)})"
# of files that are read too; their predictions are written in the format on the right
READ_ONLY_ENDINGS = {
    ".pq": PARQUET_ENDING,
    ".parquet.gz": PARQUET_ENDING,
    ".parquet.zip": PARQUET_ENDING,
    ".csv.zip": ".csv",
    ".tsv.zip": ".tsv",
    ".tab": ".tsv",
}


class TableFormat(NamedTuple):
    """Parquet, or text with a separator, packed or not."""

    ending: str  # of a file's name, such as ".csv.gz"
    separator: str  # "" for Parquet
    packing: str = ""  # the ending of the compression, "" for none

    @property
    def is_text(self) -> bool:
        """Whether it is text with a separator, which has neither types nor metadata."""
        return bool(self.separator)


FORMATS = {PARQUET_ENDING: TableFormat(PARQUET_ENDING, "")} | {
    ending + packing: TableFormat(ending + packing, separator, packing)
    for (ending, separator), packing in product(SEPARATORS.items(), ["", *PACKINGS])
}


def find_format(name: str) -> TableFormat | None:
    """Return the format that the ending of a file's name stands for; None for any other."""
    lower_name = name.lower()
    return next((FORMATS[ending] for ending in FORMATS if lower_name.endswith(ending)), None)


def parse_format(name: str) -> TableFormat:
    """Return the format of a name such as "csv.gz". Raises ValueError if there is none."""
    table_format = FORMATS.get("." + name.lower().lstrip("."))
    if table_format is None:
        raise ValueError(f"--format is {name!r}, expected one of {FORMATS_TEXT}")
    return table_format


def is_table_name(name: str) -> bool:
    """Return whether a file of a folder is taken for a table, by the ending of its name."""
    return name.lower().endswith((*FORMATS, *READ_ONLY_ENDINGS))


def scored_name(name: str, table_format: TableFormat | None = None) -> str:
    """Return the name of the file for the predictions of an input file.

    It is the input's own unless another format is wanted, or nothing is written in the input's.
    """
    if table_format is None and find_format(name):
        return name
    endings = (*FORMATS, *READ_ONLY_ENDINGS)
    ending = max((end for end in endings if name.lower().endswith(end)), key=len, default="")
    stem = name[: len(name) - len(ending)]
    if not ending and "." in name.strip("."):
        stem = name.rpartition(".")[0]
    own_ending = READ_ONLY_ENDINGS.get(ending, ".csv")
    return stem + (table_format.ending if table_format else own_ending)
