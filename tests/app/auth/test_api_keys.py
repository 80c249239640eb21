"""API keys: once there are any, a request without one is refused."""

import base64
import json
import stat
import time

import pytest

from app.auth.api_keys import hash_key, read_keys
from app.auth.rate_limit import MAX_TRACKED_KEYS, RateLimiter
from app.cli import keys


@pytest.fixture
def add_key(home, capsys):
    """Return a function that adds a key by the command and returns it."""

    def add(name, *options):
        assert keys.main(["add", name, *options]) == 0
        return capsys.readouterr().out.strip()

    return add


def test_a_key_is_accepted_in_every_header_that_may_carry_it(start_api, add_key, block_group):
    key = add_key("ann")
    api = start_api()
    basic = base64.b64encode(f"anybody:{key}".encode()).decode()
    for headers in (
        {"X-API-Key": key},
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Basic {basic}"},
    ):
        assert api.post("/predict", json=block_group, headers=headers).status_code == 200
        assert api.get("/", headers=headers).status_code == 200
    for headers in ({}, {"X-API-Key": key[:-1]}, {"Authorization": "Basic ="}):
        for response in (
            api.post("/predict", json=block_group, headers=headers),
            api.get("/predictions", headers=headers),
        ):
            assert response.status_code == 401
            # each in a header of its own: Chromium asks for a key only if it reads Basic
            schemes = [value.split()[0] for value in response.headers.getlist("WWW-Authenticate")]
            assert schemes == ["Bearer", "Basic"]
    assert {api.get(path).status_code for path in ("/health", "/ready", "/ping")} == {200}
    [*_, oldest] = api.get("/predictions", headers={"X-API-Key": key}).json["predictions"]
    assert oldest["caller"] == "ann"


def test_the_file_of_keys_does_not_reveal_a_key(add_key, home):
    key = add_key("ann")
    keys_file = home / "var" / "keys.json"
    assert key not in keys_file.read_text()
    assert stat.S_IMODE(keys_file.stat().st_mode) == 0o600


def test_a_revoked_key_is_refused_and_the_others_stay_valid(start_api, add_key, block_group):
    ann, bob = add_key("ann"), add_key("bob")
    api = start_api()
    assert keys.main(["revoke", "ann"]) == 0
    api.wait_until_files_are_read()
    statuses = [
        api.post("/predict", json=block_group, headers={"X-API-Key": key}).status_code
        for key in (ann, bob)
    ]
    assert statuses == [401, 200]
    assert keys.main(["revoke", "bob"]) == 0
    api.wait_until_files_are_read()
    assert api.get("/model", headers={"X-API-Key": bob}).status_code == 401


def test_the_first_key_protects_a_running_service(start_api, add_key):
    api = start_api()
    assert api.get("/model").status_code == 200
    add_key("ann")
    api.wait_until_files_are_read()
    assert api.get("/model").status_code == 401


def keys_json(**fields):
    return json.dumps([{"name": "ann", "sha256": "a" * 64, "per_minute": 0} | fields])


@pytest.mark.parametrize("text", [
    "", "[", '[{"name": "ann"}]', "3", "null", "{}", '["ann"]', "[[]]", "[" * 100_000, "\ud800",
    keys_json(sha256=3), keys_json(sha256=None), keys_json(sha256=""), keys_json(sha256="a" * 63),
    keys_json(sha256="a" * 128), keys_json(sha256="é" * 64), keys_json(sha256="A" * 64),
    keys_json(sha256="g" * 64), keys_json(sha256="a" * 64 + "\n"), keys_json(sha256=["a" * 64]),
    keys_json(sha256="\ud800" * 64), keys_json(per_minute="many"), keys_json(per_minute=-1),
    keys_json(per_minute=1e400), keys_json(per_minute=1.5), keys_json(per_minute=10**400),
    keys_json(per_minute=True), keys_json(per_minute=None), keys_json(name=3), keys_json(name=""),
    keys_json(name="a\nb"), keys_json(name="\ud800"), keys_json(name="a" * 101),
])  # fmt: skip
def test_a_damaged_file_of_keys_is_not_read(tmp_path, text):
    (tmp_path / "keys.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match="cannot be read as a file of API keys"):
        read_keys(tmp_path / "keys.json")


@pytest.mark.parametrize("text", ["[", keys_json(sha256="é" * 64), keys_json(name="\ud800")])
def test_with_a_damaged_file_of_keys_every_request_is_refused_and_the_log_says_why(
    start_api, home, add_key, text
):
    valid_key = add_key("ann")
    (home / "var" / "keys.json").write_bytes(text.encode(errors="surrogatepass"))
    api = start_api()
    for key in (valid_key, "x", "é", ""):
        assert api.get("/model", headers={"X-API-Key": key}).status_code == 401
    assert "cannot be read as a file of API keys" in api.messages()
    assert keys.main(["list"]) == 1


def test_with_a_folder_in_place_of_the_keys_every_request_is_refused(start_api, home, add_key):
    key = add_key("ann")
    api = start_api()
    keys_file = home / "var" / "keys.json"
    keys_file.unlink()
    keys_file.mkdir()
    api.wait_until_files_are_read()
    assert api.get("/model", headers={"X-API-Key": key}).status_code == 401
    assert "cannot be read as a file of API keys" in api.messages()


def test_each_key_has_a_limit_of_its_own_however_many_there_are(tmp_path):
    """Also where the hashes of keys have the first or the last digits in common."""
    workers = [RateLimiter(tmp_path / "keys.limits") for _ in range(2)]
    similar_hashes = [f"{'a' * 56}{number:08x}" for number in range(50)]
    similar_hashes += [f"{number:08x}{'a' * 56}" for number in range(50)]
    hashes = [hash_key(f"key {number}") for number in range(300)]
    for key_hash in [*hashes, *similar_hashes]:
        waits = [workers[turn % 2].acquire(key_hash, 3) for turn in range(5)]
        assert waits[:3] == [0, 0, 0]
        assert min(waits[3:]) > 0


def test_the_record_of_a_key_is_reused_once_its_requests_are_paid_off(tmp_path, monkeypatch):
    rate_limiter, clock = RateLimiter(tmp_path / "keys.limits"), [time.time()]
    monkeypatch.setattr("app.auth.rate_limit.time.time", lambda: clock[0])
    for turn in range(3):
        for number in range(MAX_TRACKED_KEYS):
            assert rate_limiter.acquire(hash_key(f"{turn} {number}"), 1) == 0
        assert 0 < rate_limiter.acquire(hash_key("one more"), 1) <= 60  # until a record is free
        clock[0] += 61
    assert rate_limiter.acquire(hash_key("one more"), 1) == 0
    clock[0] -= 86_400  # the clock is set back
    assert 0 < rate_limiter.acquire(hash_key("one more"), 1) <= 60
    assert rate_limiter.acquire(hash_key("another"), 1) == 0


def test_a_key_s_limit_holds_across_all_workers(start_api, add_key):
    headers = {"X-API-Key": add_key("ann", "--per-minute", "5")}
    other_headers = {"X-API-Key": add_key("bob")}
    workers = [start_api(), start_api()]
    responses = [workers[turn % 2].get("/model", headers=headers) for turn in range(8)]
    assert [response.status_code for response in responses] == [200] * 5 + [429] * 3
    assert 0 < int(responses[-1].headers["Retry-After"]) <= 12
    assert "the key ann may send 5 requests a minute" in responses[-1].json["detail"]
    page = workers[0].get("/metrics", headers=other_headers).text
    assert 'housing_shed_requests_total{why="limit"} 3.0' in page


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["a\nb"], "the name is 'a\\nb', expected 1 to 100 characters on one line"),
        (["a" * 101], "expected 1 to 100 characters on one line"),
        (["ann", "--per-minute", "-1"], "-1, expected a number from 0 to 1,000,000,000"),
    ],
)
def test_a_key_with_an_invalid_name_or_limit_is_not_created(home, capsys, options, problem):
    assert keys.main(["add", *options]) == 1
    assert problem in capsys.readouterr().err
    assert not (home / "var" / "keys.json").exists()


def test_two_keys_cannot_have_the_same_name(add_key, capsys):
    add_key("ann")
    assert keys.main(["add", "ann"]) == 1
    assert "there is a key ann already" in capsys.readouterr().err
    assert keys.main(["revoke", "bob"]) == 1
    assert "there is no key 'bob'; there are: ann" in capsys.readouterr().err
    records = json.loads((keys.paths.var() / "keys.json").read_text())
    assert [record["name"] for record in records] == ["ann"]
