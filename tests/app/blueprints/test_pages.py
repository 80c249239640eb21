"""The HTML pages, as text."""

import re

from housing.schema import FEATURES


def test_the_page_names_every_feature_and_loads_nothing_from_other_hosts(api):
    page = api.get("/").text
    for name, feature in FEATURES.items():
        assert name in page
        assert feature.meaning in page
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)


def test_the_api_reference_loads_only_files_of_the_service(api):
    page = api.get("/docs").text
    files = re.findall(
        r"""<(?:script|link rel="stylesheet")[^>]* ?(?:src|href)=["']([^"']+)""", page
    )
    assert len(files) == 4
    assert not re.search(r"<script(?![^>]*src=)|<style|style=| on\w+=", page)
    for file in files:
        response = api.get(file)
        assert response.status_code == 200
        assert response.mimetype in ("text/javascript", "text/css")


def test_the_page_of_a_sample_s_champion_says_so(api):
    assert "generated sample" in api.get("/").text
