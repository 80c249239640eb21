import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from housing.data.files import table_files
from housing.data.files.number_parsing import find_texts, parse_frame
from housing.data.synthetic import generate_sample

FRAME = generate_sample(120)
CSV = FRAME.to_csv(index=False).encode()


def parquet_bytes(frame=FRAME, **options):
    return frame.to_parquet(**options)


def compress(content, codec, tmp_path):
    path = tmp_path / "compressed"
    with pa.output_stream(str(path), compression=codec) as stream:
        stream.write(content)
    return path.read_bytes()


def zip_bytes(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_bytes(mode="w:gz", **members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        folder = tarfile.TarInfo("housing")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


PACKINGS = {
    "none": lambda content, _: content,
    "gzip": lambda content, _: gzip.compress(content),
    "gzip of two members": lambda content, _: (
        gzip.compress(content[:999]) + gzip.compress(content[999:])
    ),
    "bzip2": lambda content, _: bz2.compress(content),
    "xz": lambda content, _: lzma.compress(content),
    "zstd": lambda content, folder: compress(content, "zstd", folder),
    "zstd of two frames": lambda content, folder: (
        compress(content[:999], "zstd", folder) + compress(content[999:], "zstd", folder)
    ),
    "lz4": lambda content, folder: compress(content, "lz4", folder),
    "zip": lambda content, _: zip_bytes(**{"data/a.csv": content, "__MACOSX/._a.csv": b"x"}),
    "tgz": lambda content, _: tar_bytes(**{"housing/a.csv": content, "housing/._a.csv": b"x"}),
    "zip in gzip": lambda content, _: gzip.compress(zip_bytes(**{"a.csv": content})),
}


@pytest.mark.parametrize("content", [CSV, parquet_bytes()], ids=["csv", "parquet"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_is_read_however_it_is_packed_and_whatever_its_ending(tmp_path, packing, content):
    path = tmp_path / "data.txt"
    path.write_bytes(PACKINGS[packing](content, tmp_path))
    assert table_files.read_table(path).frame.equals(FRAME)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", ","), ("\t", ","), ("|", "."),
                                                   (" ", "."), (",", ",")])  # fmt: skip
def test_separators_decimal_marks_and_encodings_are_recognized(
    tmp_path, encoding, separator, decimal
):
    path = tmp_path / "data.csv"
    FRAME.to_csv(path, sep=separator, decimal=decimal, encoding=encoding, index=False)
    assert table_files.read_table(path).frame.equals(FRAME)


def read(tmp_path, content, **options):
    path = tmp_path / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return table_files.read_table(path, **options)


def test_a_latin_1_file_is_read(tmp_path):
    table = read(tmp_path, "Größe;b\n1,5;é\n".encode("latin-1"))
    assert table.frame.to_dict("list") == {"Größe": [1.5], "b": ["é"]}
    assert table.file_format.describe() == "LATIN-1, separated by semicolons, decimal commas"


def test_latin_1_far_behind_an_ascii_start_is_read(tmp_path):
    content = b"a,b\n" + b"1,x\n" * 100_000 + "2,é\n".encode("latin-1")
    assert read(tmp_path, content).frame.b.iloc[-1] == "é"


def test_a_zero_byte_in_a_text_does_not_make_it_utf_16(tmp_path):
    frame = read(tmp_path, "a,b\n1,2\n3,4\0\n").frame
    assert find_texts(frame.b).to_dict() == {1: "4\0"}


def test_spaces_after_the_separators_are_no_part_of_a_name_or_number(tmp_path):
    table = read(tmp_path, '"a", "b"\n1, 2\n')
    assert table.frame.to_dict("list") == {"a": [1.0], "b": [2.0]}


def test_a_description_beside_the_data_is_no_second_data_file(tmp_path):
    content = zip_bytes(**{"README.md": b"# Data", "a.csv": CSV})
    assert read(tmp_path, content).frame.equals(FRAME)


def test_excel_s_separator_line_is_obeyed(tmp_path):
    table = read(tmp_path, "sep=;\r\na;b\r\n1,5;2\r\n")
    assert table.frame.to_dict("list") == {"a": [1.5], "b": [2.0]}


def test_row_names_of_r_get_a_column_without_a_name(tmp_path):
    table = read(tmp_path, '"a" "b"\n"1" 1.5 2\n"2" 3 NA\n')
    assert list(table.frame) == ["", "a", "b"]
    assert table.frame.a.tolist() == [1.5, 3]


def test_a_separator_at_the_end_of_each_row_makes_an_empty_column(tmp_path):
    table = read(tmp_path, "a;b\n1;2;\n3;4;\n")
    assert list(table.frame) == ["a", "b", ""]
    assert table.frame.b.tolist() == [2, 4]


def test_what_is_no_number_stays_text_beside_the_numbers(tmp_path):
    table = read(tmp_path, "a,b\n1,2\n+1.5e1,$3\n oops ,\nNA,4\n")
    assert find_texts(table.frame.a).to_dict() == {2: "oops"}
    assert find_texts(table.frame.b).to_dict() == {1: "$3"}
    assert table.frame.a.tolist()[:2] == [1.0, 15.0]
    assert table.frame.isna().sum().to_dict() == {"a": 1, "b": 1}


def test_numbers_with_thousands_separators_or_of_both_marks_stay_text(tmp_path):
    frame = read(tmp_path, 'a,b\n"1,138",3.5\n').frame
    assert find_texts(frame.a).to_dict() == {0: "1,138"}
    frame = read(tmp_path, "a;b\n1,5;1.138\n2,5;2\n").frame
    assert find_texts(frame.a).to_dict() == {0: "1,5", 1: "2,5"}


def test_numbers_are_read_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).lognormal(0, 9, 500)
    frame = read(tmp_path, pd.DataFrame({"a": values}).to_csv(index=False)).frame
    assert (frame.a.to_numpy() == values).all()


def test_a_row_with_too_many_or_too_few_values_is_empty_and_named(tmp_path):
    table = read(tmp_path, "a,b\n1,2\n3\n\n4,5,6\n7,8\n9,10,11\n")
    assert table.ragged_rows == {
        1: "1 value, expected 2", 2: "3 values, expected 2", 4: "3 values, expected 2",
    }  # fmt: skip
    assert table.frame.a.dropna().to_dict() == {0: 1, 3: 7}


@pytest.mark.parametrize("content", [CSV, parquet_bytes()], ids=["csv", "parquet"])
def test_chunks_have_the_rows_in_order(tmp_path, content):
    (tmp_path / "data").write_bytes(content)
    chunks = list(table_files.iter_tables(tmp_path / "data", 50))
    assert [len(chunk.frame) for chunk in chunks] == [50, 50, 20]
    assert pd.concat([chunk.frame for chunk in chunks]).equals(FRAME)


@pytest.mark.parametrize("rows_per_chunk", [1, 2, 7])
def test_ragged_rows_are_in_the_chunk_of_their_place(tmp_path, rows_per_chunk):
    lines = ["1,2"] * 10
    lines[0] = lines[4] = lines[5] = lines[9] = "x"
    (tmp_path / "data").write_text("a,b\n" + "\n".join(lines))
    chunks = list(table_files.iter_tables(tmp_path / "data", rows_per_chunk))
    frame = pd.concat([chunk.frame for chunk in chunks])
    assert frame.index.tolist() == list(range(10))
    assert frame.index[frame.a.isna()].tolist() == [0, 4, 5, 9]
    assert sorted(row for chunk in chunks for row in chunk.ragged_rows) == [0, 4, 5, 9]
    for chunk in chunks:
        assert set(chunk.ragged_rows) <= set(chunk.frame.index)


def test_a_table_read_as_text_gives_the_same_numbers(tmp_path):
    table = read(tmp_path, "id;a\n007;1,50\n008;\n", as_text=True)
    assert table.frame["id"].tolist() == ["007", "008"]
    assert table.frame.a.iloc[0] == "1,50"
    numbers = parse_frame(table.frame, table.file_format.dialect.decimal)
    assert numbers["id"].tolist() == [7, 8]
    assert numbers.a.isna().tolist() == [False, True]


def test_a_nameless_index_and_other_types_of_parquet_are_read(tmp_path):
    frame = pd.DataFrame({"a": ["1.5", "x"], "b": pd.array([1, None], "Int64")}, index=[5, 9])
    frame["c"] = pd.array([1.5, 2], pd.ArrowDtype(pa.decimal128(5, 2)))
    frame["d"] = pd.Categorical(["2", "3"])
    table = read(tmp_path, parquet_bytes(frame))
    assert list(table.frame) == ["a", "b", "c", "d", ""]
    assert find_texts(table.frame.a).to_dict() == {1: "x"}
    assert table.frame.c.tolist() == [1.5, 2]
    assert table.frame.d.tolist() == [2, 3]
    assert table.frame.b.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, expected a header"),
        (b" \r\n\n", "is empty, expected a header"),
        (b"a,b\n", "has no row"),
        (b"a,b", "has no row"),
        (b"1.5,2\n3,4\n", r"has numbers in its first line \(1.5,2\)"),
        (b'[{"a": 1}]', "JSON"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"outs:\n- md5: 1\n", "dvc pull"),
        (b"\xd0\xcf\x11\xe0", "an old Excel file"),
        (b"\x80\x04\x95", "a Python pickle"),
        (bytes(range(256)), "a binary file"),
        (zip_bytes(**{"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "save the sheet as"),
        (zip_bytes(**{"a.csv": CSV, "b.csv": CSV}), r"2 files, expected one \(a.csv, b.csv\)"),
        (zip_bytes(), "without a file"),
        (b"a,b\n1," + b"9" * 3_000_000, "a row may be longer than"),
        (gzip.compress(CSV)[:900], r"gzip: .*damaged or incomplete"),
        (lzma.compress(CSV)[:900], r"xz: .*damaged or incomplete"),
        (bz2.compress(CSV)[:900], r"bzip2: .*damaged or incomplete"),
        (parquet_bytes()[:900], "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_way_out(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, content)
    assert str(tmp_path / "data.csv") in str(error.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(LookupError, match="no file"):
        table_files.read_table(tmp_path / "data.csv")
    with pytest.raises(LookupError, match="is a folder"):
        table_files.read_table(tmp_path)
    with pytest.raises(LookupError, match="is a pipe or device"):
        table_files.read_table(Path("/dev/null"))


def test_a_line_of_white_space_is_no_row(tmp_path):
    path = tmp_path / "blank.csv"
    path.write_text("a,b\n1,2\n  \n3,4\n5\n\t\n6,7\n8,9,9\n   \n")
    table = table_files.read_table(path)
    assert table.frame["a"].tolist() == pytest.approx([1, 3, np.nan, 6, np.nan], nan_ok=True)
    assert table.ragged_rows == {2: "1 value, expected 2", 4: "3 values, expected 2"}
