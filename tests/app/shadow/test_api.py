"""What the API says of the challenger: beside a logged prediction, and as metrics."""

from pathlib import Path

from app import create_app
from benchmarks.support.local_service import sum_metric
from housing.prediction_log import shadow_answers
from tests.support.api_client import state_settings
from tests.support.shadow_answers import shadow_answer, write_answers


def test_a_logged_prediction_shows_what_the_challenger_answered(start_api, block_group):
    api = start_api()
    prediction_id = api.post("/predict", json=block_group).json["id"]
    assert api.get(f"/predictions/{prediction_id}").json["shadow"] == []
    log = Path(api.settings["DATABASE"])
    write_answers(log, [shadow_answer(prediction_id, 2.5), shadow_answer("another")])
    [answer] = api.get(f"/predictions/{prediction_id}").json["shadow"]
    expected = shadow_answer(prediction_id, 2.5)._asdict() | {"prediction_usd": 250_000}
    del expected["prediction_id"]
    assert answer == expected


def test_answers_that_cannot_be_read_hide_no_prediction(start_api, block_group):
    api = start_api()
    prediction_id = api.post("/predict", json=block_group).json["id"]
    shadow_answers.shadow_path(Path(api.settings["DATABASE"])).write_bytes(b"no database" * 99)
    response = api.get(f"/predictions/{prediction_id}")
    assert (response.status_code, response.json["shadow"]) == (200, [])


def test_metrics_have_the_challenger_only_if_it_is_to_answer(start_api):
    api = start_api(SHADOW_SHARE=0.0)
    assert b"housing_shadow" not in api.get("/metrics").data


def test_metrics_say_that_the_challenger_has_not_answered_yet(home, served_champion):
    (home / "var").mkdir()
    settings = state_settings(home / "var", served_champion.folder) | {"SHADOW_SHARE": 0.5}
    page = create_app(settings).test_client().get("/metrics").data
    assert sum_metric(page, "housing_shadow_rows_total") == 0
    assert sum_metric(page, "housing_shadow_info", state="starting") == 1
