import json

from housing.registry import versions
from housing.tracking import handover

MANIFEST = {
    "source": "sample",
    "said": "A GENERATED SAMPLE",
    "rows": {"raw": 2_000},
    "sha256": {"raw": "1e23f93fa47dae0cf524034d886f5eee"},
}


def test_data_champion_and_results_are_handed_to_the_runner(champion_home, tmp_path, monkeypatch):
    handover_file = tmp_path / "handover.json"
    monkeypatch.setenv("PIPELINE_HANDOVER", str(handover_file))
    headline = {"best": "tree", "error": handover.error_usd(44_159.4, champion_dollars=45_000)}
    links = {
        "model version: 1": versions.version_url(versions.get_champion("california-housing-sample"))
    }
    pages = {"model_card": ("Model card: 1", "# It")}
    texts = handover.publish(headline, MANIFEST, links=links, extra_pages=pages)
    assert texts == {"best": "tree", "error": "$44,159"}
    content = json.loads(handover_file.read_text())
    assert content["headline"]["error"] == {
        "value": 44_159.4,
        "text": "$44,159",
        "better": "lower",
        "before": 45_000,
    }
    assert content["notice"] == "A GENERATED SAMPLE"
    assert content["data"] == "Generated sample, 2,000 block groups, sha256 1e23f93fa47d"
    assert content["pages"] == {"model_card": {"title": "Model card: 1", "markdown": "# It"}}
    assert content["champion"] == "california-housing-sample version 1"
    assert content["links"] == {
        "model version: 1": "http://127.0.0.1:5000/#/models/california-housing-sample/versions/1"
    }


def test_without_a_runner_the_results_are_only_returned(home):
    assert handover.publish({"rows": 5}, MANIFEST) == {"rows": "5"}
