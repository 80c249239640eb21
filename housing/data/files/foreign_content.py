"""Name what is neither CSV nor Parquet, with the way out."""

from typing import NamedTuple


class ForeignContent(NamedTuple):
    """Content that is often taken for a table."""

    magic: bytes | tuple[bytes, ...]  # it starts with this, upper and lower case alike
    name: str
    way_out: str


SAVE_AS_CSV = "in the spreadsheet program, save the sheet as CSV"
WRITE_PARQUET = "read it with the library that wrote it, and write Parquet or CSV"
FOREIGN_CONTENTS = (
    ForeignContent(b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)", SAVE_AS_CSV),
    ForeignContent(
        b"version https://git-lfs", "a pointer of Git LFS, not the data", "git lfs pull brings it"
    ),
    ForeignContent(b"outs:", "a pointer of DVC, not the data", "dvc pull brings it"),
    ForeignContent(
        b"<",
        "a web page or XML, not a table",
        "if it was downloaded, take the link of the raw file",
    ),
    ForeignContent(
        (b"{", b"["),
        "JSON",
        "write it as CSV, as by pandas: pandas.read_json(FILE).to_csv(OTHER, index=False)",
    ),
    ForeignContent(
        b"arrow1",
        "an Arrow or Feather file",
        "write it as Parquet: pandas.read_feather(FILE).to_parquet(OTHER)",
    ),
    ForeignContent(b"%pdf", "a PDF file", "find the table that it was made from"),
    ForeignContent((b"\x89png", b"\xff\xd8\xff", b"gif8"), "a picture", "give the data's file"),
    ForeignContent((b"7z\xbc\xaf", b"rar!"), "a 7-Zip or RAR archive", "unpack it first"),
    ForeignContent(b"sqlite format 3", "an SQLite database", "write the table as CSV"),
    ForeignContent(
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "a Python pickle", WRITE_PARQUET
    ),
    ForeignContent(
        (b"\x89hdf", b"\x93numpy", b"obj\x01", b"orc"), "an HDF5, NumPy, Avro or ORC file",
        WRITE_PARQUET,
    ),
)  # fmt: skip
MAX_CONTROL_SHARE = 0.05  # of the first bytes, in a text


def refuse_foreign_content(start: bytes) -> None:
    """Raise ValueError if the first bytes are of another format; its text follows a file's name."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    for content in FOREIGN_CONTENTS:
        if text.startswith(content.magic):
            raise ValueError(
                f"is {content.name}, expected a CSV or Parquet file: {content.way_out}"
            )
    sample = start[:1_000].replace(b"\0", b"")  # UTF-16 has zeros
    controls = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in sample)
    if sample and controls > MAX_CONTROL_SHARE * len(sample):
        raise ValueError("is a binary file of an unknown format, expected CSV or Parquet")
