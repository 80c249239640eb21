"""Clients that are slow, odd or hostile: they are answered or cut, and all others are served."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import struct
import threading
import time
from pathlib import Path

import orjson
import pytest

from benchmarks.support import local_service as real
from benchmarks.support.local_service import running
from housing.schema import FEATURES

pytestmark = pytest.mark.slow
SECONDS = 2  # for headers, a body, or an answer to be taken
ROW = orjson.dumps({name: feature.example for name, feature in FEATURES.items()})
ASK = real.post(ROW)
PAGE = b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n"


@pytest.fixture(scope="module")
def service(shared_champion_home, tmp_path_factory):
    """The real service, with little patience."""
    home = tmp_path_factory.mktemp("defended") / "a home"
    shutil.copytree(shared_champion_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(home))
        with running(home, WORKERS=1, HEADER_SECONDS=SECONDS, BODY_SECONDS=SECONDS) as started:
            yield started


@contextlib.contextmanager
def connected(service, *sent, buffer=None):
    """A connection on which some bytes were sent."""
    with socket.socket() as client:
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(20)
        client.connect(("127.0.0.1", service.port))
        for one in sent:
            client.sendall(one)
        yield client


def answers(client, count, heads=()):
    """Status, headers and body of the next answers; heads: which of them are to HEAD."""
    file, found = client.makefile("rb"), []
    while len(found) < count:
        line = file.readline()
        if not line:
            break
        head = {}
        for one in iter(file.readline, b"\r\n"):
            name, _, value = one.decode().partition(":")
            head[name.lower()] = value.strip()
        status = int(line.split()[1])
        if status == 100:
            continue
        size = 0 if len(found) in heads else int(head.get("content-length", 0))
        found.append((status, head, file.read(size)))
    return found


def once(service, *sent, **options):
    """The one answer to what is sent."""
    with connected(service, *sent, **options) as client:
        [answer] = answers(client, 1)
        return answer


def ended(client, seconds):
    """Whether the service ends the connection within these seconds, whatever it says before."""
    client.settimeout(seconds)
    try:
        while client.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def memory(service):
    """Bytes that its worker holds."""
    [worker] = service.workers()
    told = Path(f"/proc/{worker}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", told)[1]) * 1024


def served(service):
    """That another is answered, and at once."""
    started = time.monotonic()
    status, _, body = once(service, ASK)
    assert status == 200
    assert json.loads(body)["prediction"]
    assert time.monotonic() - started < 1


def open_sockets(service):
    [worker] = service.workers()
    held = Path(f"/proc/{worker}/fd").iterdir()
    found = 0
    for one in held:
        with contextlib.suppress(OSError):
            found += str(one.readlink()).startswith("socket:")
    return found


def test_who_does_not_read_a_long_answer_is_cut(service):
    body = orjson.dumps([json.loads(ROW)] * 10_000)
    before = open_sockets(service)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connected(service, real.post(body), buffer=4_096))
        time.sleep(1.5)
        served(service)
        real.until(lambda: open_sockets(service) <= before, SECONDS + 15)


def test_who_asks_on_and_on_and_reads_nothing_is_cut_and_costs_nothing(service):
    served(service)
    before = memory(service)
    with connected(service, buffer=4_096) as client:
        client.settimeout(0.5)
        end, sent = time.monotonic() + SECONDS + 10, 0
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < end:
                with contextlib.suppress(TimeoutError):
                    sent += client.send(PAGE * 1_000)
                assert memory(service) - before < 30_000_000
            pytest.fail(f"after {sent:,} bytes the connection still holds")
    served(service)


def test_small_answers_that_nobody_takes_are_thrown_away(service):
    """Each of them closes its connection, which waits until the answer is taken."""
    before = open_sockets(service)
    page = b"GET /docs HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connected(service, page, buffer=2_048))
        real.until(lambda: open_sockets(service) <= before, SECONDS + 15)


def test_requests_that_come_together_are_answered_in_their_order(service):
    with connected(service, ASK + PAGE + ASK * 500 + PAGE) as client:
        found = answers(client, 503)
    assert [one[0] for one in found] == [200] * 503
    kinds = ["prediction" in json.loads(body) for _, _, body in found]
    assert kinds == [True, False] + [True] * 500 + [False]


def test_requests_that_come_together_in_pieces_are_answered_too(service):
    whole = (ASK + real.post(b" " * 3_000 + ROW) + PAGE) * 20
    for size in (7, 100, 2_047, 2_049):
        with connected(service) as client:
            sending = threading.Thread(
                target=lambda size=size, client=client: [
                    client.sendall(whole[at : at + size]) for at in range(0, len(whole), size)
                ]
            )
            sending.start()
            assert [one[0] for one in answers(client, 60)] == [200] * 60
            sending.join()


def test_longer_bodies_than_are_read_at_once_are_whole(service):
    rows = orjson.dumps([json.loads(ROW)] * 3_000)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in
                       (rows[at : at + 5_000] for at in range(0, len(rows), 5_000)))  # fmt: skip
    head = (b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n")  # fmt: skip
    with connected(service, real.post(rows) + head + chunked + b"0\r\n\r\n" + ASK) as client:
        found = answers(client, 3)
    assert [one[0] for one in found] == [200] * 3
    assert [len(json.loads(one[2]).get("predictions", [1])) for one in found] == [3_000, 3_000, 1]


@pytest.mark.parametrize("pieces", [1, 7, 70])
def test_the_limit_of_headers_holds_in_however_many_pieces_they_come(service, pieces):
    def asked(size):
        head = b"GET /health HTTP/1.1\r\nhost: here\r\nx: "
        return head + b"a" * (size - len(head) - 4) + b"\r\n\r\n"

    for size, expected in ((65_536, 200), (65_537, 431), (70_000, 431), (1_000_000, 431)):
        whole = asked(size)
        with connected(service) as client:
            step = len(whole) // pieces + 1
            with contextlib.suppress(ConnectionError):
                for at in range(0, len(whole), step):
                    client.sendall(whole[at : at + step])
                    time.sleep(0.001)
            [(status, head, body)] = answers(client, 1)
        assert status == expected
        if status == 431:
            assert head["connection"] == "close"
            assert "65,536 bytes" in json.loads(body)["detail"]
    served(service)


@pytest.mark.parametrize("offer", [
    b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==",
    b"connection: upgrade, close\r\nupgrade: TLS/1.0", b"connection: upgrade\r\nupgrade: foo/2",
])  # fmt: skip
def test_another_protocol_is_not_spoken_and_its_offer_costs_nothing(service, offer):
    asking = ASK.replace(b"host: here", b"host: here\r\n" + offer)
    assert once(service, asking)[0] == 200
    start = len(asking) - len(ROW)
    assert once(service, asking[:start], asking[start:])[0] == 200
    head = asking[:start].replace(b"content-length: %d" % len(ROW), b"transfer-encoding: chunked")
    assert once(service, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(ROW), ROW))[0] == 200
    page = PAGE.replace(b"host: here", b"host: here\r\n" + offer)
    assert once(service, page)[0] == 200
    if b"close" not in offer:
        with connected(service, asking + page + ASK + PAGE) as client:
            assert [one[0] for one in answers(client, 4)] == [200] * 4


def test_who_waits_for_100_continue_gets_it(service):
    start = len(ASK) - len(ROW)
    head = ASK[: start - 2] + b"expect: 100-continue\r\n\r\n"
    with connected(service, head) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(ROW)
        assert answers(client, 1)[0][0] == 200
    large = head.replace(b"content-length: %d" % len(ROW), b"content-length: 9000000")
    assert once(service, large)[0] == 413


@pytest.mark.parametrize("path", [b"/predict", b"/invocations", b"/nothing"])
def test_who_sends_too_much_is_told_so(service, path):
    for framing in (b"content-length: 9000000", b"transfer-encoding: chunked"):
        head = (b"POST %s HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n%s\r\n\r\n"
                % (path, framing))  # fmt: skip
        body = b"%x\r\n" % 9_000_000 + b" " * 9_000_000 + b"\r\n0\r\n\r\n"
        if b"length" in framing:
            body = b" " * 9_000_000
        started = time.monotonic()
        with connected(service, head, body) as client:
            [(status, _, text)] = answers(client, 1)
            assert status == 413
            assert b"8,000,000 bytes" in text
            assert ended(client, 5)
        assert time.monotonic() - started < 5


def test_who_sends_without_end_is_cut(service):
    head = ASK[: -len(ROW)].replace(b"content-length: %d" % len(ROW), b"transfer-encoding: chunked")
    before = memory(service)
    for endless in (b"1000\r\n" + b"a" * 4_096 + b"\r\n", b"1;" + b"a" * 4_096,
                    b"0\r\nx: " + b"a" * 4_096, b"1\r\n{\r\n"):  # fmt: skip
        with connected(service, head) as client:
            begun = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - begun < 15:
                    client.sendall(endless[:6] if b"a" not in endless else endless)
                    endless = endless if endless[:2] in (b"10", b"1\r") else b"a" * 4_096
                pytest.fail("it takes all that is sent")
        assert memory(service) - before < 60_000_000
    served(service)


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nhost: h", b"\r\n", PAGE + b"GET /",
                                  ASK[:-5], b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked"
                                  b"\r\n\r\n1\r\n"])  # fmt: skip
def test_who_dribbles_is_cut_and_others_are_served(service, sent):
    with connected(service, sent) as client:
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < SECONDS * 2 + 4:
                client.sendall(b"\r\n" if sent == b"\r\n" else b"1" if sent else b"")
                served(service)
                time.sleep(0.2)
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    told = client.recv(65_536)
                    if not told or b" 408 " in told or b" 400 " in told:
                        return
                client.setblocking(True)
            pytest.fail("it may dribble for ever")


def test_two_thousand_that_ask_nothing_keep_nobody_waiting(service):
    async def crowd():
        idle = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(2_000)]
        took = []
        for _ in range(50):
            client, started = real.Client(service.port), time.monotonic()
            status, _, _ = await client.ask(ASK)
            assert status == 200
            took.append(time.monotonic() - started)
            client.close()
        for _, writer in idle:
            writer.close()
        return took

    assert max(real.run_coroutine(crowd())) < 1


@pytest.mark.parametrize("request_line", [
    b"TRACE / HTTP/1.1", b"CONNECT here:1 HTTP/1.1", b"CONNECT / HTTP/1.1", b"OPTIONS * HTTP/1.1",
    b"OPTIONS /predict HTTP/1.1", b"PUT /predict HTTP/1.1", b"DELETE /predictions HTTP/1.1",
    b"PATCH / HTTP/1.1", b"PROPFIND / HTTP/1.1", b"HEAD / HTTP/1.1", b"BREW /pot HTTP/1.1",
    b"get / HTTP/1.1", b"GET / HTTP/0.9", b"GET / HTTP/1.0", b"GET / HTTP/3.0", b"GET /",
    b"PRI * HTTP/2.0", b"GET  / HTTP/1.1", b"GET \x00 HTTP/1.1", b"GET http://[::1 HTTP/1.1",
    b"GET http://here:99999999/ HTTP/1.1", b"GET //// HTTP/1.1", b"GET /%00%ff%fe HTTP/1.1",
    b"GET /\xff HTTP/1.1", b"GET /?%ff=\xff HTTP/1.1", b"GET /static/../schema.sql HTTP/1.1",
    b"GET /static/%2e%2e/schema.sql HTTP/1.1", b"GET /reports/%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
    b"GET /reports/..%2f..%2fetc/passwd HTTP/1.1", b"GET /reports/\\..\\x HTTP/1.1",
    b"POST /predict/ HTTP/1.1", b"POST /PREDICT HTTP/1.1", b"POST //predict HTTP/1.1",
    b"GET /reports/" + b"a" * 400 + b" HTTP/1.1", b"GET /" + b"a" * 60_000 + b" HTTP/1.1",
    b"GET /reports/" + b"a/" * 5_000 + b" HTTP/1.1", b"GET /reports/%00 HTTP/1.1",
    b"GET /reports/%ed%a0%80 HTTP/1.1", b"GET /predictions/%ed%a0%80 HTTP/1.1",
    b"GET /predictions?request_id=%ed%a0%80%00 HTTP/1.1", b"GET /static/%00 HTTP/1.1",
    b"GET /static/" + b"a" * 400 + b" HTTP/1.1", b"GET /predictions?limit=1e9 HTTP/1.1",
    b"GET /predictions?limit=100000000000000000000 HTTP/1.1",
    b"GET /predictions?" + b"a=1&" * 500 + b" HTTP/1.1", b"GET /?" + b"a&" * 20_000 + b" HTTP/1.1",
])  # fmt: skip
def test_odd_requests_are_answered_or_refused_but_no_failure_of_ours(service, request_line):
    asking = request_line + b"\r\nhost: here\r\nconnection: close\r\n\r\n"
    with connected(service, asking) as client:
        found = answers(client, 1, heads=[0] if request_line.startswith(b"HEAD") else [])
    for status, head, body in found:
        assert 200 <= status < 500, body
        assert b"Traceback" not in body
        if "json" in head.get("content-type", ""):
            json.loads(body)
    assert found or request_line == b"GET /"


@pytest.mark.parametrize("framing", [
    b"content-length: 5\r\ncontent-length: 6", b"content-length: -1", b"content-length: +5",
    b"content-length: 0x5", b"content-length: 5, 5", b"content-length: 99999999999999999999999",
    b"content-length: 5\r\ntransfer-encoding: chunked", b"content-length:", b"content-length: 5 5",
    b"transfer-encoding: chunked\r\ncontent-length: 5", b"transfer-encoding: xchunked",
    b"transfer-encoding: chunked, identity", b"transfer-encoding: identity",
    b"transfer-encoding : chunked", b"transfer-encoding:\x0bchunked", b"content-length: 5\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding: identity", b" content-length: 5",
    b"x: y\r\n content-length: 5", b"x\x00: y\r\ncontent-length: 0", b"x: \x00", b": y",
])  # fmt: skip
def test_no_second_request_is_smuggled_in_a_body(service, framing):
    smuggled = b"GET /smuggled HTTP/1.1\r\nhost: here\r\n\r\n"
    asking = b"POST /predict HTTP/1.1\r\nhost: here\r\n%s\r\n\r\n" % framing
    with connected(service, asking + b"0\r\n\r\n" + smuggled) as client:
        client.settimeout(SECONDS + 6)
        found = []
        with contextlib.suppress(ConnectionError, TimeoutError):
            found = answers(client, 3)
    assert all(status < 500 for status, _, _ in found)
    assert not [body for _, _, body in found[1:] if b"smuggled" in body or b"/smuggled" in body]
    served(service)


def test_what_was_asked_before_garbage_is_answered_before_it_is_refused(service):
    with connected(service, ASK + PAGE + b"\x00\x01\x02 garbage\r\n\r\n") as client:
        found = answers(client, 3)
        assert ended(client, 5)
    assert [one[0] for one in found] == [200, 200, 400]
    assert json.loads(found[0][2])["prediction"]


def test_who_leaves_before_the_answer_leaves_no_word_in_the_log(service):
    long = real.post(orjson.dumps([json.loads(ROW)] * 100), path="/predict?explain=true")
    for sent in (long + ASK, long + ASK * 50, long * 2 + ASK[:-9], long[:-5], ASK + b"\x00"):
        for at in range(10):
            with connected(service, sent) as client:
                time.sleep(at / 1_000)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(1)
    served(service)
    assert "Traceback" not in service.output()


def test_who_waits_for_100_continue_and_sends_garbage_leaves_no_word_in_the_log(service):
    head = (b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
            b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n")  # fmt: skip
    for _ in range(5):
        assert once(service, head + b"no size\r\n")[0] == 400
    served(service)
    assert "Traceback" not in service.output()
