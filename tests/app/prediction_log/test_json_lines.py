"""The file of JSON lines: what its rotation keeps, and what it drops."""

from app.prediction_log.json_lines import MAX_ROTATED_FILES, RotatingFile


def test_the_newest_files_are_kept_in_their_order(tmp_path):
    file = RotatingFile(tmp_path / "api.log", 10)
    for number in range(MAX_ROTATED_FILES + 3):
        file.append(b"line %d\n" % number)
        assert (tmp_path / "api.log").read_bytes() == b"line %d\n" % number
    contents = {path.name: path.read_text() for path in tmp_path.glob("api.log*")}
    newest = MAX_ROTATED_FILES + 2
    assert contents == {"api.log": f"line {newest}\n"} | {
        f"api.log.{age}": f"line {newest - age}\n" for age in range(1, MAX_ROTATED_FILES + 1)
    }
