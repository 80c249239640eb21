import pytest

from app.metrics.metrics import Metrics
from app.model import registry_sync
from app.model.champion import ChampionLoader


@pytest.fixture
def serving(two_version_home):
    """The folder of the copy; the champion is version 2."""
    registry_sync.sync_once(two_version_home / "var" / "serving")
    return two_version_home / "var" / "serving"


@pytest.fixture
def loader(serving):
    """A worker's loader, which has loaded version 2."""
    loader = ChampionLoader(serving, Metrics(serving / "counts"))
    loader.reload_if_changed()
    return loader
