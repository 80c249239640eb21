"""Where there are API keys, nobody is let in without one."""

import base64
import json
import stat
import time

import pytest

from app import create_app
from app.auth.api_keys import KEY_FILE_CHECK_SECONDS, hash_key
from app.auth.rate_limit import MAX_TRACKED_KEYS, RateLimiter
from app.cli import keys
from app.model import registry_sync


@pytest.fixture
def key(champion_home, capsys):
    """Makes a key, and gives it."""

    def add(name, *more):
        assert keys.main(["add", name, *more]) == 0
        return capsys.readouterr().out.strip()

    registry_sync.sync_once(champion_home / "var" / "serving")
    return add


def look(app):
    """As after the second in which a running service looks at the file again."""
    assert KEY_FILE_CHECK_SECONDS <= 1
    app.extensions["guard"]._next_check_at = 0


def test_each_way_to_bring_a_key_is_understood(key, block_group, champion_home):
    given = key("ann")
    client = create_app().test_client()
    basic = base64.b64encode(f"anybody:{given}".encode()).decode()
    for headers in ({"X-API-Key": given}, {"Authorization": f"Bearer {given}"},
                    {"Authorization": f"Basic {basic}"}):  # fmt: skip
        assert client.post("/predict", json=block_group, headers=headers).status_code == 200
        assert client.get("/", headers=headers).status_code == 200
    for headers in ({}, {"X-API-Key": given[:-1]}, {"Authorization": "Basic ="}):
        for refused in (client.post("/predict", json=block_group, headers=headers),
                        client.get("/predictions", headers=headers)):  # fmt: skip
            assert refused.status_code == 401
            assert "Bearer" in refused.headers["WWW-Authenticate"]
    assert {client.get(path).status_code for path in ("/health", "/ready", "/ping")} == {200}
    [*_, last] = client.get("/predictions", headers={"X-API-Key": given}).json["predictions"]
    assert last["caller"] == "ann"


def test_what_is_kept_of_a_key_does_not_tell_it(key, champion_home):
    given = key("ann")
    file = champion_home / "var" / "keys.json"
    assert given not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_revoked_key_is_refused_and_the_others_hold(key, block_group):
    ann, bob = key("ann"), key("bob")
    app = create_app()
    client = app.test_client()
    assert keys.main(["revoke", "ann"]) == 0
    look(app)
    status = [client.post("/predict", json=block_group, headers={"X-API-Key": one}).status_code
              for one in (ann, bob)]  # fmt: skip
    assert status == [401, 200]
    assert keys.main(["revoke", "bob"]) == 0
    look(app)
    assert client.get("/model", headers={"X-API-Key": bob}).status_code == 401


def test_the_first_key_closes_the_door_of_a_service_that_runs(champion_home, key):
    app = create_app()
    client = app.test_client()
    assert client.get("/model").status_code == 200
    key("ann")
    look(app)
    assert client.get("/model").status_code == 401


def entry(**other):
    return json.dumps([{"name": "ann", "sha256": "a" * 64, "per_minute": 0} | other])


@pytest.mark.parametrize("text", [
    "", "[", '[{"name": "ann"}]', "3", "null", "{}", '["ann"]', "[[]]", "[" * 100_000, "\ud800",
    entry(sha256=3), entry(sha256=None), entry(sha256=""), entry(sha256="a" * 63),
    entry(sha256="a" * 128), entry(sha256="é" * 64), entry(sha256="A" * 64), entry(sha256="g" * 64),
    entry(sha256="a" * 64 + "\n"), entry(sha256=["a" * 64]), entry(sha256="\ud800" * 64),
    entry(per_minute="many"), entry(per_minute=-1), entry(per_minute=1e400), entry(per_minute=1.5),
    entry(per_minute=10**400), entry(per_minute=True), entry(per_minute=None), entry(name=3),
    entry(name=""), entry(name="a\nb"), entry(name="\ud800"), entry(name="a" * 101),
])  # fmt: skip
def test_keys_that_cannot_be_read_let_nobody_in_and_the_log_says_so(
    champion_home, key, text, caplog
):
    given = key("ann")
    (champion_home / "var" / "keys.json").write_bytes(text.encode(errors="surrogatepass"))
    client = create_app().test_client()
    for one in (given, "x", "é", ""):
        assert client.get("/model", headers={"X-API-Key": one}).status_code == 401
    assert "holds no keys that can be read" in caplog.text
    assert keys.main(["list"]) == 1


def test_keys_in_a_place_that_cannot_be_looked_at_let_nobody_in(champion_home, key, caplog):
    given = key("ann")
    app = create_app()
    file = champion_home / "var" / "keys.json"
    file.unlink()
    file.mkdir()
    look(app)
    assert app.test_client().get("/model", headers={"X-API-Key": given}).status_code == 401
    assert "holds no keys that can be read" in caplog.text


def test_each_key_has_a_limit_of_its_own_however_many_there_are(tmp_path):
    """Of 300 keys some share the first digits of what they are kept by, or the end of these."""
    workers = [RateLimiter(tmp_path / "keys.limits") for _ in range(2)]
    alike = [f"{'a' * 56}{at:08x}" for at in range(50)] + [
        f"{at:08x}{'a' * 56}" for at in range(50)
    ]
    for one in [*(hash_key(f"key {at}") for at in range(300)), *alike]:
        waits = [workers[at % 2].acquire(one, 3) for at in range(5)]
        assert waits[:3] == [0, 0, 0]
        assert min(waits[3:]) > 0


def test_a_limit_is_kept_no_longer_than_it_says_anything(tmp_path, monkeypatch):
    spent, now = RateLimiter(tmp_path / "keys.limits"), [time.time()]
    monkeypatch.setattr("app.auth.rate_limit.time.time", lambda: now[0])
    for turn in range(3):
        for at in range(MAX_TRACKED_KEYS):
            assert spent.acquire(hash_key(f"{turn} {at}"), 1) == 0
        assert 0 < spent.acquire(hash_key("one more"), 1) <= 60  # until there is room
        now[0] += 61
    assert spent.acquire(hash_key("one more"), 1) == 0
    now[0] -= 86_400  # somebody sets the clock back
    assert 0 < spent.acquire(hash_key("one more"), 1) <= 60
    assert spent.acquire(hash_key("another"), 1) == 0


def test_a_key_asks_no_more_often_than_it_may_in_whatever_worker(key, block_group):
    headers = {"X-API-Key": key("ann", "--per-minute", "5")}
    apps = [create_app() for _ in range(2)]
    workers = [one.test_client() for one in apps]
    answers = [workers[at % 2].get("/model", headers=headers) for at in range(8)]
    assert [one.status_code for one in answers] == [200] * 5 + [429] * 3
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 12
    assert "the key ann may ask 5 times a minute" in answers[-1].json["detail"]
    page = apps[0].extensions["metrics"].exposition()
    assert b'housing_shed_requests_total{why="limit"} 3.0' in page


def test_a_name_is_given_once(key, capsys):
    key("ann")
    assert keys.main(["add", "ann"]) == 1
    assert "there is a key ann already" in capsys.readouterr().err
    assert keys.main(["revoke", "bob"]) == 1
    assert "there is no key 'bob'; there are: ann" in capsys.readouterr().err
    assert [one["name"] for one in json.loads((keys.paths.var() / "keys.json").read_text())] == [
        "ann"
    ]
