import json

import pytest

from app.settings import load_settings
from app.shadow.challenger_sync import challenger_folder
from app.shadow.process import ShadowProcess
from app.shadow.status import ShadowState
from tests.support.logged_predictions import prediction_row, write_log
from tests.support.served_champion import MODEL_NAME, serve_version, version_files


@pytest.fixture
def log(home):
    """A prediction log without rows."""
    return write_log(home / "var" / "logs.db")


@pytest.fixture
def shadow_settings(home, log):
    """The settings of a service that shadows every request."""
    return load_settings() | {"SHADOW_SHARE": 1.0, "DATABASE": str(log)}


@pytest.fixture
def challenger_copy(shadow_settings, served_champion):
    """The folder of the local copy of the challenger: version 2, the champion's own files."""
    folder = challenger_folder(shadow_settings)
    serve_version(folder, "2", version_files(served_champion.folder))
    (folder / "registry.json").write_text(json.dumps({"state": ShadowState.ANSWERING}))
    return folder


@pytest.fixture
def shadow(shadow_settings, challenger_copy):
    """The challenger's process, which has looked at the log once."""
    process = ShadowProcess(shadow_settings)
    process.step()
    yield process
    process.close()


@pytest.fixture
def log_rows(log):
    """Return a function that logs so many rows of the champion, and returns their ids."""
    count = 0

    def add(n_rows, **columns):
        nonlocal count
        rows = [
            prediction_row(number, model_name=MODEL_NAME, **columns)
            for number in range(count, count + n_rows)
        ]
        count += n_rows
        write_log(log, rows)
        return [row["id"] for row in rows]

    return add
