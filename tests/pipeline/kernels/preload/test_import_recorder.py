"""What is recorded of an import that is done in advance."""

import sys

from pipeline.kernels.preload.import_recorder import ImportRecorder

MODULE = """
import warnings
warnings.simplefilter('default', FutureWarning, append=True)
warnings.simplefilter('ignore', UserWarning)
warnings.simplefilter('error', BytesWarning)
"""


def test_appended_filters_of_warnings_are_told_from_inserted_ones(tmp_path, monkeypatch):
    (tmp_path / "filtering.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    recorder = ImportRecorder()
    with recorder.record():
        __import__("filtering")
    monkeypatch.delitem(sys.modules, "filtering")
    record = recorder.records["filtering"]
    assert [(entry[0], entry[2]) for entry in record.added_filters] == [
        ("error", BytesWarning),
        ("ignore", UserWarning),
    ]
    assert [entry[:3] for entry in record.appended_filters] == [("default", None, FutureWarning)]
