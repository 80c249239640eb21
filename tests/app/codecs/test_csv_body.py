"""CSV as spreadsheets, pandas and R write it is read; of any other each problem is named."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import csv_body, csv_text, tables
from app.codecs.tables import CSV_MEDIA_TYPE
from app.problem_details import MAX_REPORTED_ERRORS, RequestError
from housing.schema import FEATURE_NAMES, FEATURES
from tests.app.codecs.test_tables import post_predict, problems

EXAMPLE = [float(feature.example) for feature in FEATURES.values()]
HEADER = ",".join(FEATURE_NAMES)
ROW = ",".join(map(str, EXAMPLE))
FRAME = pd.DataFrame([EXAMPLE] * 3, columns=FEATURE_NAMES)


def row_with(**values):
    """Return the example row as CSV, with other texts for some of its features."""
    cells = dict(zip(FEATURE_NAMES, map(str, EXAMPLE), strict=True)) | values
    return ",".join(cells.values())


def decode(text, max_rows=100, allow_extra_columns=False):
    body = text if isinstance(text, bytes) else text.encode()
    return tables.decode_table(CSV_MEDIA_TYPE, body, max_rows, allow_extra_columns)


def errors_of(text, max_rows=100, **options):
    """Return what is wrong with a body that is refused."""
    with pytest.raises(RequestError) as raised:
        decode(text, max_rows, **options)
    return raised.value.errors


def places(text, **options):
    """Return the row and the field of each problem."""
    return [(error.row, error.field) for error in errors_of(text, **options)]


READABLE = {
    "line feeds": f"{HEADER}\n{ROW}\n",
    "no line end": f"{HEADER}\n{ROW}",
    "carriage returns": f"{HEADER}\r{ROW}\r",
    "both": f"{HEADER}\r\n{ROW}\r\n",
    "blank lines at the end": f"{HEADER}\r\n{ROW}\r\n\r\n\r\n",
    "spaces at the end": f"{HEADER}\n{ROW}\n   \n\t\n",
    "blank lines at the start": f"\n \n{HEADER}\n\n{ROW}\n",
    "a byte order mark": f"\ufeff{HEADER}\n{ROW}\n",
    "UTF-16": f"{HEADER}\n{ROW}\n".encode("utf-16"),
    "UTF-16, big-endian": b"\xfe\xff" + f"{HEADER}\n{ROW}\n".encode("utf-16-be"),
    "UTF-32": f"{HEADER}\n{ROW}\n".encode("utf-32"),
    "Unicode text of Excel": f"{HEADER}\r\n{ROW}\r\n".replace(",", "\t").encode("utf-16"),
    "quotes around all": FRAME.head(1).to_csv(index=False, quoting=csv.QUOTE_ALL),
    "quotes around names": FRAME.head(1).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC),
    "spaces around all": f"{HEADER}\n{ROW}\n".replace(",", " , "),
    "spaces before quotes": f'"{HEADER}"\n"{ROW}"\n'.replace(",", '", "'),
    "plus signs": f"{HEADER}\n+{ROW}\n",
    "an index of pandas": FRAME.head(1).to_csv(),
    "an index that pandas has named": FRAME.head(1).rename_axis("Unnamed: 0").to_csv(),
    "an index of two levels": FRAME.head(1).set_index([["a"], ["b"]]).to_csv(),
    "row names of R": f'"",{HEADER}\n"1",{ROW}\n',
    "a comma after all": f"{HEADER},\n{ROW},\n",
    "semicolons": FRAME.head(1).to_csv(sep=";", index=False),
    "semicolons and decimal commas": FRAME.head(1).to_csv(sep=";", decimal=",", index=False),
    "tabs and an index": FRAME.head(1).to_csv(sep="\t"),
    "bars": FRAME.head(1).to_csv(sep="|"),
}


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE)
def test_what_spreadsheets_pandas_and_r_write_is_read(text):
    assert decode(text).tolist() == [EXAMPLE]


def test_a_blank_line_is_no_row():
    assert len(decode(f"{HEADER}\n{ROW}\n\n{ROW}\n\n")) == 2
    assert len(decode(f"{HEADER}\n{ROW}\n\n  \n{ROW}\n\n", max_rows=2)) == 2
    assert places(f"{HEADER}\n{ROW}\n,,,,,,,\n") == [(1, name) for name in FEATURE_NAMES]


def test_every_wrong_value_is_named_with_its_row_and_line():
    body = "\n".join([
        HEADER,
        row_with(MedInc="old", HouseAge="", AveRooms="99999"),
        "",
        ROW,
        row_with(Latitude="nan", Longitude='"1,1"', MedInc=" "),
        row_with(Population="1e999"),
    ])  # fmt: skip
    errors = errors_of(body)
    assert [(error.row, error.field) for error in errors] == [
        (0, "MedInc"), (0, "HouseAge"), (0, "AveRooms"),
        (2, "MedInc"), (2, "Latitude"), (2, "Longitude"), (3, "Population"),
    ]  # fmt: skip
    assert [error.problem.partition(", exp")[0] for error in errors] == [
        "row 0: MedInc is 'old'",
        "row 0: HouseAge is missing",
        "row 0: AveRooms is 99999",
        "row 2: MedInc is missing",
        "row 2: Latitude is 'nan'",
        "row 2: Longitude is '1,1' (numbers have a point and no comma; or separate the columns by "
        "semicolons)",
        "row 3: Population is not a finite number",
    ]
    assert errors[3].problem.endswith(" (line 5 of the body; rows count from 0)")


def test_rows_of_another_width_are_named_beside_wrong_values():
    body = f"{HEADER}\n{ROW},1\n{ROW}\n1,2\n{row_with(MedInc='x')}\n7\n"
    errors = errors_of(body)
    assert [(error.row, error.field) for error in errors] == [
        (0, None), (2, None), (3, "MedInc"), (4, None)
    ]  # fmt: skip
    assert errors[0].problem == (
        "row 0: 9 fields, expected 8 as in the header; a value with a comma in it needs quotes "
        "(line 2 of the body; rows count from 0)"
    )
    assert errors[3].problem.startswith("row 4: 1 field, expected 8 as in the header (line 6")
    unclosed = errors_of(f'{HEADER}\n"{ROW}\n{ROW}\n')
    assert "a quote may not be closed" in unclosed[0].problem
    [endless] = errors_of(f'{HEADER}\n{ROW}\n"' + "1,\n" * 50_000)
    assert endless.problem.startswith("the body is not CSV that can be read: row 1, which begins")


@pytest.mark.parametrize("bad_row", [row_with(MedInc="x"), row_with(MedInc=""), "1", ROW + ",1",
                                     row_with(MedInc="21")])  # fmt: skip
def test_of_very_many_problems_the_first_are_named_and_the_others_counted(bad_row):
    errors = errors_of(f"{HEADER}\n" + f"{ROW}\n{bad_row}\n" * 250, max_rows=500)
    assert [error.row for error in errors[:-1]] == list(range(1, 2 * MAX_REPORTED_ERRORS, 2))
    sentences = {error.problem.partition(": ")[2].partition(" (line")[0] for error in errors[:-1]}
    assert len(sentences) == 1
    assert errors[-1].problem == "and 150 more problems"


def test_a_wrong_value_after_many_rows_of_another_width_is_named():
    errors = errors_of(f"{HEADER}\n" + "1\n" * 50 + row_with(HouseAge="old") + "\n")
    assert errors[-1].problem.startswith("row 50: HouseAge is 'old', expected")


def test_decimals_of_two_kinds_are_not_guessed():
    german = ROW.replace(",", ";").replace(".", ",")
    body = f"{HEADER.replace(',', ';')}\n{german}\n{german}\n8.3;{german.partition(';')[2]}\n"
    [error] = errors_of(body)
    assert error.problem.startswith("row 2: MedInc is '8.3' (the other decimals have a comma)")
    thousands = ROW.replace(",", ";").replace("322.0", "1,322")
    [error] = errors_of(f"{HEADER.replace(',', ';')}\n{thousands}\n")
    assert error.problem.startswith("row 0: Population is '1,322' (numbers have a point and no")
    [error] = errors_of(f"{HEADER.replace(',', ';')}\n8;41;6;1;1,322;2;37;-122\n")
    assert error.problem.startswith("row 0: Population is '1,322' (numbers have a point and no")
    whole = f"{HEADER.replace(',', ';')}\n8,3;41;6;1;322;2;37,0;-122,0\n"
    assert decode(whole)[0].tolist() == [8.3, 41, 6, 1, 322, 2, 37, -122]
    assert {error.field for error in errors_of(FRAME.to_csv(decimal=",", index=False))} == {
        name for name, value in zip(FEATURE_NAMES, EXAMPLE, strict=True) if value % 1
    } | {"HouseAge", "Population"}


@pytest.mark.parametrize(("body", "expected"), [
    ("", "the body is empty"),
    (" \n\r\n", "the body is empty"),
    (f"{ROW}\n{ROW}\n", f"the first line is '{ROW[:40]}"),
    (HEADER.lower(), "the first line is 'medinc,"),
    (f"sep=;\n{HEADER}\n{ROW}\n", "the first line is 'sep=;', expected a header with MedInc"),
    (HEADER.replace(",", " "), "the first line is 'MedInc HouseAge"),
    (f"{HEADER}\n{ROW}\n".encode("utf-16-le"), "the first line is 'M\\x00e"),
    ("<html><body>", "the first line is '<html><body>', expected"),
    (HEADER, "the list has 0 rows"),
    (f"{HEADER}\n\n", "the list has 0 rows"),
    (f"{HEADER},MedInc\n{ROW},1\n", "the column MedInc is there more than once"),
    (f"id,{HEADER}\n1,{ROW}\n", "'id' is not a field of a block group"),
    (f"{HEADER}\n1\0{ROW}\n", "row 0: MedInc is '1\\x008.3252'"),
    (f"{HEADER}\n".encode() + b"\xe9" + ROW.encode(), "row 0: MedInc is '\ufffd8.3252'"),
    (f"{HEADER}\n{row_with(MedInc='0x1')}\n", "row 0: MedInc is '0x1'"),
    (f"{HEADER}\n{row_with(MedInc='1_0')}\n", "row 0: MedInc is '1_0'"),
    (f"{HEADER}\n{row_with(Longitude='−122')}\n", "row 0: Longitude is '−122'"),
    (b"PAR1", "the body is a Parquet file, not CSV with a header; its media type is "),
    (b"ARROW1\0\0", "the body is an Arrow file, not CSV"),
    (b"\x1f\x8b\x08", "the body is compressed by gzip, not CSV with a header; name it by the"),
    (b"PK\x03\x04", "the body is a zip archive or an Excel workbook, not CSV"),
])  # fmt: skip
def test_what_cannot_be_read_is_told_by_what_it_is(body, expected):
    assert errors_of(body)[0].problem.startswith(expected)


def test_all_wrong_columns_are_named_at_once():
    header = HEADER.replace("MedInc", "Income").replace("HouseAge", "houseage")
    errors = errors_of(f"{header}\n{ROW}\n")
    assert [error.field for error in errors] == ["MedInc", "HouseAge", "Income", "houseage"]
    assert "did you mean HouseAge?" in errors[3].problem
    assert "send the table to /invocations, which ignores them" in errors[2].problem


def test_columns_of_text_may_hold_separators_line_ends_and_any_encoding():
    named = f'name,{HEADER}\n"Los Angeles, CA\nUSA",{ROW}\n'
    assert decode(named, allow_extra_columns=True).tolist() == [EXAMPLE]
    assert decode(named, max_rows=1, allow_extra_columns=True).tolist() == [EXAMPLE]
    german = f"Stra\u00dfe;{HEADER};x;x\nM\u00fcller, 1;{ROW};1;2\n".replace(HEADER, "HEADER")
    german = german.replace(ROW, ROW.replace(",", ";")).replace("HEADER", HEADER.replace(",", ";"))
    assert decode(german.encode("latin-1"), allow_extra_columns=True).tolist() == [EXAMPLE]
    rows = [f'"a\nb{index}",{ROW}' for index in range(30_000)]  # of more than one block of pyarrow
    text = "\n".join([f"name,{HEADER}", *rows])
    assert len(decode(text, max_rows=30_000, allow_extra_columns=True)) == 30_000
    bad_row = f"x,{row_with(MedInc='y')}"
    [error] = errors_of(f"{text}\n{bad_row}", 30_001, allow_extra_columns=True)
    assert (error.row, error.field) == (30_000, "MedInc")
    assert "(line 60,002 of the body" in error.problem


def test_the_rows_of_a_body_are_counted_without_blank_ones():
    assert len(decode(f"{HEADER}\n" + f"{ROW}\n\n" * 100)) == 100
    for line_end in ("\n", "\r", "\r\n"):
        for blank_line in (line_end, f" \t{line_end}"):
            rows = f"{ROW}{line_end}" * 50
            assert len(decode(f"{HEADER}{line_end}{blank_line}{rows}{rows}")) == 100
            assert len(decode(f"{HEADER}{line_end}{rows}{blank_line}{rows}")) == 100
    for rows in (f"{ROW}\n" * 101, f"{ROW}\r" * 101, f"{ROW}\n\n" * 101, "x\n" * 101):
        [error] = errors_of(f"{HEADER}\n{rows}")
        assert error.problem == "the list has 101 rows, expected 1 to 100"


features_strategy = st.tuples(
    *[st.floats(feature.low, feature.high, allow_nan=False) for feature in FEATURES.values()]
)


@given(
    rows=st.lists(features_strategy, min_size=1, max_size=20),
    separator=st.sampled_from(csv_text.DELIMITERS),
    decimal=st.sampled_from(".,"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    index=st.booleans(),
    order=st.permutations(FEATURE_NAMES),
)
@settings(max_examples=100, deadline=None)
def test_valid_rows_are_read_as_pandas_has_written_them(
    rows, separator, decimal, line_end, quoting, encoding, index, order
):
    frame = pd.DataFrame(rows, columns=FEATURE_NAMES, dtype=float)
    text = frame[[*order]].to_csv(
        sep=separator,
        decimal="." if separator == "," else decimal,
        lineterminator=line_end,
        quoting=quoting,
        index=index,
    )
    assert (decode(text.encode(encoding)) == frame.to_numpy()).all()


cells_strategy = st.sampled_from(["1", "x", "", " ", "-1", "1e3", "nan", "60000", "1;2", "'", "?"])


@given(rows=st.lists(st.lists(cells_strategy, min_size=7, max_size=9), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_every_problem_is_named_whatever_the_rows_hold(rows):
    """Compared with a reading of each cell by itself."""
    expected = []
    for row, cells in enumerate(rows):
        if len(cells) != len(FEATURE_NAMES):
            expected.append((row, None))
            continue
        for (name, feature), cell in zip(FEATURES.items(), cells, strict=True):
            try:
                is_valid = feature.low <= float(cell) <= feature.high
            except ValueError:
                is_valid = False
            if not is_valid:
                expected.append((row, name))
    file = io.StringIO()
    csv.writer(file).writerows([FEATURE_NAMES, *rows])
    if not expected:
        assert len(decode(file.getvalue())) == len(rows)
        return
    total = len(expected)
    assert places(file.getvalue())[:MAX_REPORTED_ERRORS] == expected[:MAX_REPORTED_ERRORS]
    if total > MAX_REPORTED_ERRORS:
        assert errors_of(file.getvalue())[-1].problem == f"and {total - 100} more problems"


@pytest.mark.parametrize("text", [
    f"{HEADER}\n" + f"{ROW}\n" * 100 + "\n\n",
    f"{HEADER}\r" + f"{ROW}\r" * 100 + "\r",
    READABLE["semicolons and decimal commas"],
    READABLE["quotes around all"],
    READABLE["UTF-16"],
    f"{HEADER},\n" + f'{ROW},"a\nb"\n' * 30_000,  # of more than one block of pyarrow
])  # fmt: skip
def test_a_good_body_is_not_parsed_twice(monkeypatch, text):
    """Python's parser takes ten times as long."""
    monkeypatch.setattr(csv_body, "_parse_precisely", None)
    max_rows = 100_000 if "a\nb" in str(text) else 100
    assert (decode(text, max_rows) == np.array([EXAMPLE])).all()


@pytest.mark.parametrize("media_type", ["text/csv; charset=utf-8", "application/csv", "Text/X-CSV"])
def test_csv_has_other_names_too(client, media_type):
    response = post_predict(client, media_type, f"{HEADER}\n{ROW}\n".encode())
    assert response.status_code == 200, response.text
    assert response.mimetype == CSV_MEDIA_TYPE


def test_mlflow_s_protocol_names_every_problem_of_csv(client):
    body = f"id,{HEADER}\n1,{row_with(MedInc='old', HouseAge='')}\n2,{ROW},3\n\n".encode()
    response = client.post("/invocations", data=body, content_type=CSV_MEDIA_TYPE)
    assert response.status_code == 400
    assert response.json["error_code"] == "BAD_REQUEST"
    message = response.json["message"]
    assert "row 0: MedInc is 'old', expected a number" in message
    assert "row 0: HouseAge is missing, expected a number" in message
    assert "row 1: 10 fields, expected 9 as in the header" in message
    assert len(problems(post_predict(client, CSV_MEDIA_TYPE, body))) == 1  # the column id
