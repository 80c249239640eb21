"""Fixtures of the service's tests.

Every test of the API takes `api` or `start_api`, and so runs twice: against the Flask app alone,
and, marked as slow, against `python -m app`.
"""

from contextlib import ExitStack, closing

import pytest

from housing.schema import FEATURES
from tests.support.api_client import FlaskApi, ServerApi, run_server, state_settings
from tests.support.served_champion import train_champion

HUGE_LOG_BYTES = 10**12  # the log of the server that tests share is never rotated


@pytest.fixture
def block_group():
    """The example block group, as JSON would give it."""
    return {name: feature.example for name, feature in FEATURES.items()}


@pytest.fixture(scope="session")
def served_champion(tmp_path_factory):
    """A small decision tree as the service loads it; no test may change its files."""
    return train_champion(tmp_path_factory.mktemp("champion") / "serving")


@pytest.fixture(params=["flask", pytest.param("server", marks=pytest.mark.slow)])
def api_host(request):
    """What runs the API: `flask` for the app alone, `server` for `python -m app`."""
    return request.param


@pytest.fixture
def start_api(api_host, home, served_champion, caplog):
    """Return a function that starts the API with settings, its files in the home's var/."""
    folder = home / "var"
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:

        def start(**settings):
            settings = state_settings(folder, served_champion.folder) | settings
            if api_host == "flask":
                return stack.enter_context(closing(FlaskApi(settings, caplog)))
            started_settings = stack.enter_context(run_server(settings))
            return stack.enter_context(closing(ServerApi(started_settings)))

        yield start


@pytest.fixture(scope="session")
def shared_server(served_champion, tmp_path_factory):
    """The settings of a server that runs for all tests with the default settings."""
    folder = tmp_path_factory.mktemp("server")
    settings = state_settings(folder, served_champion.folder) | {"LOG_BYTES": HUGE_LOG_BYTES}
    with run_server(settings) as started_settings:
        yield started_settings


@pytest.fixture
def api(api_host, request):
    """The API with default settings and a champion; the server is one that tests share."""
    if api_host == "flask":
        yield request.getfixturevalue("start_api")()
    else:
        with closing(ServerApi(request.getfixturevalue("shared_server"))) as server_api:
            yield server_api
