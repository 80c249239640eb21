import pytest

from app import create_app
from app.model import registry_sync
from housing.schema import FEATURES


@pytest.fixture
def block_group():
    """The example block group, as JSON would give it."""
    return {name: feature.example for name, feature in FEATURES.items()}


@pytest.fixture
def app(champion_home):
    """The app with the sample's champion; its log is in a folder of its own."""
    registry_sync.sync_once(champion_home / "var" / "serving")
    return create_app()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def client_without_champion(home):
    """A client of an app that has no champion yet."""
    return create_app().test_client()
