"""Slow, malformed and hostile clients are answered or disconnected; all others are served."""

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

from benchmarks.support import local_service
from benchmarks.support.local_service import run_service
from housing.schema import FEATURES

pytestmark = pytest.mark.slow
TIMEOUT_SECONDS = 2  # for headers, for a body, and for a client to read an answer
ROW = orjson.dumps({name: feature.example for name, feature in FEATURES.items()})
PREDICT_REQUEST = local_service.post_request(ROW)
HEALTH_REQUEST = b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n"


@pytest.fixture(scope="module")
def service(shared_champion_home, tmp_path_factory):
    """Run the real service with short timeouts."""
    home = tmp_path_factory.mktemp("defence") / "a home"
    shutil.copytree(shared_champion_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(home))
        with run_service(
            home, WORKERS=1, HEADER_SECONDS=TIMEOUT_SECONDS, BODY_SECONDS=TIMEOUT_SECONDS
        ) as service:
            yield service


@contextlib.contextmanager
def connected(service, *sent, buffer=None):
    """Open a connection and send some bytes; buffer: the size of its receive buffer."""
    with socket.socket() as client:
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(20)
        client.connect(("127.0.0.1", service.port))
        for data in sent:
            client.sendall(data)
        yield client


def read_responses(client, count, heads=()):
    """Return status, headers and body of the next responses, up to count.

    heads: the indices of those to HEAD requests, which have no body.
    """
    file, responses = client.makefile("rb"), []
    while len(responses) < count:
        line = file.readline()
        if not line:
            break
        headers = {}
        for header_line in iter(file.readline, b"\r\n"):
            name, _, value = header_line.decode().partition(":")
            headers[name.lower()] = value.strip()
        status = int(line.split()[1])
        if status == 100:
            continue
        size = 0 if len(responses) in heads else int(headers.get("content-length", 0))
        responses.append((status, headers, file.read(size)))
    return responses


def send_once(service, *sent, **options):
    """Send some bytes on a new connection; return the single response."""
    with connected(service, *sent, **options) as client:
        [response] = read_responses(client, 1)
        return response


def is_closed(client, seconds):
    """Return whether the service closes the connection in time, after whatever it sends."""
    client.settimeout(seconds)
    try:
        while client.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def worker_memory(service):
    """Return the resident memory of the worker in bytes."""
    [worker] = service.workers()
    status = Path(f"/proc/{worker}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def check_others_are_served(service):
    """Check that the service answers a request of another client within a second."""
    started = time.monotonic()
    status, _, body = send_once(service, PREDICT_REQUEST)
    assert status == 200
    assert json.loads(body)["prediction"]
    assert time.monotonic() - started < 1


def count_open_sockets(service):
    """Return how many sockets the worker holds open."""
    [worker] = service.workers()
    count = 0
    for descriptor in Path(f"/proc/{worker}/fd").iterdir():
        with contextlib.suppress(OSError):  # a descriptor that was closed in between
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def test_a_client_that_does_not_read_a_long_answer_is_disconnected(service):
    body = orjson.dumps([json.loads(ROW)] * 10_000)
    sockets_before = count_open_sockets(service)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connected(service, local_service.post_request(body), buffer=4_096))
        time.sleep(1.5)
        check_others_are_served(service)
        local_service.wait_until(
            lambda: count_open_sockets(service) <= sockets_before, TIMEOUT_SECONDS + 15
        )


def test_a_client_that_sends_requests_and_reads_nothing_is_disconnected_and_costs_no_memory(
    service,
):
    check_others_are_served(service)
    memory_before = worker_memory(service)
    with connected(service, buffer=4_096) as client:
        client.settimeout(0.5)
        deadline, sent = time.monotonic() + TIMEOUT_SECONDS + 10, 0
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    sent += client.send(HEALTH_REQUEST * 1_000)
                assert worker_memory(service) - memory_before < 30_000_000
            pytest.fail(f"after {sent:,} bytes the connection is still open")
    check_others_are_served(service)


def test_small_answers_that_are_not_read_are_discarded(service):
    """Each request asks to close its connection, which stays open until its answer is read."""
    sockets_before = count_open_sockets(service)
    request = b"GET /openapi.json HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connected(service, request, buffer=2_048))
        local_service.wait_until(
            lambda: count_open_sockets(service) <= sockets_before, TIMEOUT_SECONDS + 15
        )
        check_others_are_served(service)


def test_pipelined_requests_are_answered_in_their_order(service):
    with connected(
        service, PREDICT_REQUEST + HEALTH_REQUEST + PREDICT_REQUEST * 500 + HEALTH_REQUEST
    ) as client:
        responses = read_responses(client, 503)
    assert [status for status, *_ in responses] == [200] * 503
    are_predictions = ["prediction" in json.loads(body) for _, _, body in responses]
    assert are_predictions == [True, False] + [True] * 500 + [False]


def test_pipelined_requests_that_come_in_pieces_are_answered(service):
    requests = (
        PREDICT_REQUEST + local_service.post_request(b" " * 3_000 + ROW) + HEALTH_REQUEST
    ) * 20
    for size in (7, 100, 2_047, 2_049):
        with connected(service) as client:
            sending = threading.Thread(
                target=lambda size=size, client=client: [
                    client.sendall(requests[start : start + size])
                    for start in range(0, len(requests), size)
                ]
            )
            sending.start()
            assert [status for status, *_ in read_responses(client, 60)] == [200] * 60
            sending.join()


def test_bodies_longer_than_a_single_read_are_complete(service):
    rows = orjson.dumps([json.loads(ROW)] * 3_000)
    chunked = b"".join(
        b"%x\r\n%s\r\n" % (len(chunk), chunk)
        for chunk in (rows[start : start + 5_000] for start in range(0, len(rows), 5_000))
    )
    head = (
        b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    with connected(
        service, local_service.post_request(rows) + head + chunked + b"0\r\n\r\n" + PREDICT_REQUEST
    ) as client:
        responses = read_responses(client, 3)
    assert [status for status, *_ in responses] == [200] * 3
    assert [len(json.loads(body).get("predictions", [1])) for *_, body in responses] == [
        3_000,
        3_000,
        1,
    ]


@pytest.mark.parametrize("pieces", [1, 7, 70])
def test_the_limit_of_the_headers_holds_for_any_number_of_pieces(service, pieces):
    def request_of(size):
        head = b"GET /health HTTP/1.1\r\nhost: here\r\nx: "
        return head + b"a" * (size - len(head) - 4) + b"\r\n\r\n"

    for size, expected in ((65_536, 200), (65_537, 431), (70_000, 431), (1_000_000, 431)):
        request = request_of(size)
        with connected(service) as client:
            step = len(request) // pieces + 1
            with contextlib.suppress(ConnectionError):
                for start in range(0, len(request), step):
                    client.sendall(request[start : start + step])
                    time.sleep(0.001)
            [(status, head, body)] = read_responses(client, 1)
        assert status == expected
        if status == 431:
            assert head["connection"] == "close"
            assert b"65,536 bytes" in body
    check_others_are_served(service)


@pytest.mark.parametrize(
    "offer",
    [
        b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
        b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==",
        b"connection: upgrade, close\r\nupgrade: TLS/1.0",
        b"connection: upgrade\r\nupgrade: foo/2",
    ],
)
def test_another_protocol_is_not_spoken_and_its_offer_costs_nothing(service, offer):
    asking = PREDICT_REQUEST.replace(b"host: here", b"host: here\r\n" + offer)
    assert send_once(service, asking)[0] == 200
    start = len(asking) - len(ROW)
    assert send_once(service, asking[:start], asking[start:])[0] == 200
    head = asking[:start].replace(b"content-length: %d" % len(ROW), b"transfer-encoding: chunked")
    assert send_once(service, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(ROW), ROW))[0] == 200
    page = HEALTH_REQUEST.replace(b"host: here", b"host: here\r\n" + offer)
    assert send_once(service, page)[0] == 200
    if b"close" not in offer:
        with connected(service) as client:
            for request in (asking, page, PREDICT_REQUEST, asking, HEALTH_REQUEST):
                client.sendall(request)
                assert read_responses(client, 1)[0][0] == 200


def test_a_client_that_waits_for_100_continue_gets_it(service):
    start = len(PREDICT_REQUEST) - len(ROW)
    head = PREDICT_REQUEST[: start - 2] + b"expect: 100-continue\r\n\r\n"
    with connected(service, head) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(ROW)
        assert read_responses(client, 1)[0][0] == 200
    large = head.replace(b"content-length: %d" % len(ROW), b"content-length: 9000000")
    assert send_once(service, large)[0] == 413


@pytest.mark.parametrize("path", [b"/predict", b"/invocations", b"/nothing"])
def test_a_body_over_the_limit_is_refused_with_the_limit(service, path):
    for framing in (b"content-length: 9000000", b"transfer-encoding: chunked"):
        head = b"POST %s HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n%s\r\n\r\n" % (
            path,
            framing,
        )
        body = b"%x\r\n" % 9_000_000 + b" " * 9_000_000 + b"\r\n0\r\n\r\n"
        if b"length" in framing:
            body = b" " * 9_000_000
        started = time.monotonic()
        with connected(service, head, body) as client:
            [(status, _, text)] = read_responses(client, 1)
            assert status == 413
            assert b"8,000,000 bytes" in text
            assert is_closed(client, 5)
        assert time.monotonic() - started < 5


def test_a_client_that_sends_without_end_is_disconnected(service):
    head = PREDICT_REQUEST[: -len(ROW)].replace(
        b"content-length: %d" % len(ROW), b"transfer-encoding: chunked"
    )
    memory_before = worker_memory(service)
    for endless in (
        b"1000\r\n" + b"a" * 4_096 + b"\r\n",
        b"1;" + b"a" * 4_096,
        b"0\r\nx: " + b"a" * 4_096,
        b"1\r\n{\r\n",
    ):
        with connected(service, head) as client:
            started = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - started < 15:
                    client.sendall(endless[:6] if b"a" not in endless else endless)
                    endless = endless if endless[:2] in (b"10", b"1\r") else b"a" * 4_096
                pytest.fail("the service reads without end")
        assert worker_memory(service) - memory_before < 60_000_000
    check_others_are_served(service)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nhost: h",
        b"\r\n",
        HEALTH_REQUEST + b"GET /",
        PREDICT_REQUEST[:-5],
        b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n",
    ],
)
def test_a_client_that_dribbles_is_disconnected_and_others_are_served(service, sent):
    with connected(service, sent) as client:
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < TIMEOUT_SECONDS * 2 + 4:
                client.sendall(b"\r\n" if sent == b"\r\n" else b"1" if sent else b"")
                check_others_are_served(service)
                time.sleep(0.2)
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    received = client.recv(65_536)
                    if not received or b" 408 " in received or b" 400 " in received:
                        return
                client.setblocking(True)
            pytest.fail("the client can dribble for ever")


def test_two_thousand_idle_connections_delay_no_request(service):
    async def time_requests_beside_idle_connections():
        idle = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(2_000)]
        durations = []
        for _ in range(50):
            client, started = local_service.Client(service.port), time.monotonic()
            status, _, _ = await client.send(PREDICT_REQUEST)
            assert status == 200
            durations.append(time.monotonic() - started)
            client.close()
        for _, writer in idle:
            writer.close()
        return durations

    assert max(local_service.run_coroutine(time_requests_beside_idle_connections())) < 1


@pytest.mark.parametrize(
    "request_line",
    [
        b"TRACE / HTTP/1.1",
        b"CONNECT here:1 HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"OPTIONS /predict HTTP/1.1",
        b"PUT /predict HTTP/1.1",
        b"DELETE /predictions HTTP/1.1",
        b"PATCH / HTTP/1.1",
        b"PROPFIND / HTTP/1.1",
        b"HEAD / HTTP/1.1",
        b"BREW /pot HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.0",
        b"GET / HTTP/3.0",
        b"GET /",
        b"PRI * HTTP/2.0",
        b"GET  / HTTP/1.1",
        b"GET \x00 HTTP/1.1",
        b"GET http://[::1 HTTP/1.1",
        b"GET http://here:99999999/ HTTP/1.1",
        b"GET //// HTTP/1.1",
        b"GET /%00%ff%fe HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /?%ff=\xff HTTP/1.1",
        b"GET /static/../schema.sql HTTP/1.1",
        b"GET /static/%2e%2e/schema.sql HTTP/1.1",
        b"GET /reports/%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        b"GET /reports/..%2f..%2fetc/passwd HTTP/1.1",
        b"GET /reports/\\..\\x HTTP/1.1",
        b"POST /predict/ HTTP/1.1",
        b"POST /PREDICT HTTP/1.1",
        b"POST //predict HTTP/1.1",
        b"GET /reports/" + b"a" * 400 + b" HTTP/1.1",
        b"GET /" + b"a" * 60_000 + b" HTTP/1.1",
        b"GET /reports/" + b"a/" * 5_000 + b" HTTP/1.1",
        b"GET /reports/%00 HTTP/1.1",
        b"GET /reports/%ed%a0%80 HTTP/1.1",
        b"GET /predictions/%ed%a0%80 HTTP/1.1",
        b"GET /predictions?request_id=%ed%a0%80%00 HTTP/1.1",
        b"GET /static/%00 HTTP/1.1",
        b"GET /static/" + b"a" * 400 + b" HTTP/1.1",
        b"GET /predictions?limit=1e9 HTTP/1.1",
        b"GET /predictions?limit=100000000000000000000 HTTP/1.1",
        b"GET /predictions?" + b"a=1&" * 500 + b" HTTP/1.1",
        b"GET /?" + b"a&" * 20_000 + b" HTTP/1.1",
    ],
)
def test_malformed_requests_are_answered_or_refused_but_cause_no_server_error(
    service, request_line
):
    request = request_line + b"\r\nhost: here\r\nconnection: close\r\n\r\n"
    with connected(service, request) as client:
        responses = read_responses(client, 1, heads=[0] if request_line.startswith(b"HEAD") else [])
    for status, head, body in responses:
        assert 200 <= status < 500, body
        assert b"Traceback" not in body
        if "json" in head.get("content-type", ""):
            json.loads(body)
    assert responses or request_line == b"GET /"


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 5\r\ncontent-length: 6",
        b"content-length: -1",
        b"content-length: +5",
        b"content-length: 0x5",
        b"content-length: 5, 5",
        b"content-length: 99999999999999999999999",
        b"content-length: 5\r\ntransfer-encoding: chunked",
        b"content-length:",
        b"content-length: 5 5",
        b"transfer-encoding: chunked\r\ncontent-length: 5",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding: identity",
        b"transfer-encoding : chunked",
        b"transfer-encoding:\x0bchunked",
        b"content-length: 5\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity",
        b" content-length: 5",
        b"x: y\r\n content-length: 5",
        b"x\x00: y\r\ncontent-length: 0",
        b"x: \x00",
        b": y",
    ],
)
def test_no_second_request_is_smuggled_in_a_body(service, framing):
    smuggled = b"GET /smuggled HTTP/1.1\r\nhost: here\r\n\r\n"
    request = b"POST /predict HTTP/1.1\r\nhost: here\r\n%s\r\n\r\n" % framing
    with connected(service, request + b"0\r\n\r\n" + smuggled) as client:
        client.settimeout(TIMEOUT_SECONDS + 6)
        responses = []
        with contextlib.suppress(ConnectionError, TimeoutError):
            responses = read_responses(client, 3)
    assert all(status < 500 for status, _, _ in responses)
    assert not [body for _, _, body in responses[1:] if b"smuggled" in body or b"/smuggled" in body]
    check_others_are_served(service)


def test_garbage_behind_requests_is_refused_and_ends_the_connection(service):
    with connected(service, PREDICT_REQUEST + HEALTH_REQUEST) as client:
        responses = read_responses(client, 2)
        client.sendall(b"\x00\x01\x02 garbage\r\n\r\n")
        responses += read_responses(client, 1)
        assert is_closed(client, 5)
    assert [status for status, *_ in responses] == [200, 200, 400]
    assert json.loads(responses[0][2])["prediction"]


def test_a_client_that_leaves_before_the_answer_leaves_no_traceback(service):
    explain_request = local_service.post_request(
        orjson.dumps([json.loads(ROW)] * 100), path="/predict?explain=true"
    )
    for sent in (
        explain_request + PREDICT_REQUEST,
        explain_request + PREDICT_REQUEST * 50,
        explain_request * 2 + PREDICT_REQUEST[:-9],
        explain_request[:-5],
        PREDICT_REQUEST + b"\x00",
    ):
        for delay_ms in range(10):
            with connected(service, sent) as client:
                time.sleep(delay_ms / 1_000)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(1)
    check_others_are_served(service)
    assert "Traceback" not in service.output()


def test_garbage_after_100_continue_leaves_no_traceback(service):
    head = (
        b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
        b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for _ in range(5):
        assert send_once(service, head + b"no size\r\n")[0] == 400
    check_others_are_served(service)
    assert "Traceback" not in service.output()
