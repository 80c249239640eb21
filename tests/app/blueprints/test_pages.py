"""The HTML pages, as text."""

import re

import pytest

from housing.schema import FEATURES


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_name_every_feature_and_load_nothing_from_other_hosts(api, path):
    page = api.get(path).text
    for name, feature in FEATURES.items():
        assert name in page
        assert feature.meaning in page
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)


def test_the_page_of_a_sample_s_champion_says_so(api):
    assert "generated sample" in api.get("/").text
