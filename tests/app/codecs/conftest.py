"""Fixtures of the codecs' tests that go through the API."""

import pytest


@pytest.fixture
def client(api):
    """The API, run by each of its hosts in turn."""
    return api
