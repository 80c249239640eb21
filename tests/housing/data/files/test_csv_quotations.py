import pytest

from housing.data.errors import DataError
from housing.data.files import table_files
from housing.data.synthetic import generate_sample


@pytest.fixture
def lines():
    frame = generate_sample(300).assign(note="by the sea")
    return frame.to_csv(index=False).splitlines()


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("as_text", [False, True])
def test_an_open_quotation_mark_is_named_and_loses_no_rows(tmp_path, lines, line_end, as_text):
    path = tmp_path / "open.csv"
    lines[250] = lines[250].replace("by the sea", '"by the sea')
    path.write_text(line_end.join(lines), newline="")
    message = r"open.csv, row 250, column note: the quotation mark before 'by the sea' .* 50 lines"
    with pytest.raises(DataError, match=message):
        table_files.read_table(path, as_text)


def test_a_closed_quotation_may_have_lines_and_separators(tmp_path, lines):
    path = tmp_path / "notes.csv"
    lines[5] = lines[5].replace("by the sea", '"by the sea,\nnear a bay, and ""quiet"""')
    path.write_text("\n".join(lines))
    frame = table_files.read_table(path, as_text=True).frame
    assert len(frame) == 300
    assert frame["note"][4] == 'by the sea,\nnear a bay, and "quiet"'
