"""A worker's connections, over real sockets: each limit ends what exceeds it, and nothing else."""

import contextlib
import json
import random
import socket
import threading
import time

import pytest
import uvicorn

from app import create_app
from app.server import asgi, connection
from app.server.asgi import AsgiApp
from app.server.connection import MAX_HEAD_BYTES, Connection

MAX_CONNECTIONS = 20
HEALTH_REQUEST = b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n"
LIMITS = {"HEADER_SECONDS": 0.5, "BODY_SECONDS": 0.5, "MAX_CONTENT_LENGTH": 100_000}
RECEIVE_BUFFER_BYTES = 4_000_000
LARGE_BODY = b" " * 3_000_000 + b"{}"


class Worker:
    """A worker of the service in a thread."""

    def __init__(self, **settings: int) -> None:
        self.app = AsgiApp(create_app({**LIMITS, **settings}), MAX_CONNECTIONS)
        self.listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self.app, http=Connection, loop="uvloop", ws="none", lifespan="on", log_config=None
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))

    def start(self) -> None:
        self.thread.start()

    def connect(self, *parts: bytes) -> socket.socket:
        """Open a connection and send some bytes."""
        client = socket.create_connection(self.listener.getsockname(), timeout=10)
        for part in parts:
            client.sendall(part)
        return client

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(tmp_path_factory.mktemp("home")))
        for module in (asgi, connection):
            patch.setattr(module, "LINGER_SECONDS", LIMITS["BODY_SECONDS"])
        worker = Worker()
        worker.start()
        yield worker
        worker.stop()


def read_all(client):
    """Return what the worker sends until it closes the connection."""
    received = b""
    with client, contextlib.suppress(ConnectionError):
        while data := client.recv(65_536):
            received += data
    return received


def send_slowly(client, data, times):
    for _ in range(times):
        client.sendall(data)
        time.sleep(0.001)


def read_health(client):
    """Return the status of the response to a request for /health on a connection that stays."""
    received = b""
    while not received.endswith(b"}"):
        received += client.recv(65_536)
    [status] = statuses(received)
    return status


def statuses(received):
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def post_request(path, body):
    head = b"POST %b HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n"
    return head % (path, len(body)) + body


def send_in_parts(client, requests, generator):
    """Send the requests one behind the other, with pauses, most of them before a body."""
    unsent = b""
    for request in requests:
        head_size = request.index(b"\r\n\r\n") + 4
        cut = generator.choice([head_size, head_size, generator.randrange(len(request))])
        for part in (request[:cut], request[cut:]):
            unsent += part
            if generator.random() < 0.5:
                client.sendall(unsent)
                unsent = b""
                time.sleep(generator.choice([0, 0.001, 0.02]))
    client.sendall(unsent)


def with_close(request):
    return request.replace(b"host: here", b"host: here\r\nconnection: close")


def test_a_connection_serves_one_request_after_the_other(worker):
    client = worker.connect()
    for _ in range(3):
        client.sendall(HEALTH_REQUEST)
        assert read_health(client) == 200
    client.sendall(with_close(HEALTH_REQUEST))
    assert statuses(read_all(client)) == [200]


@pytest.mark.parametrize("count", [1, 3, 500])
def test_pipelined_requests_are_answered(worker, count):
    client = worker.connect()
    sending = threading.Thread(
        target=client.sendall, args=(HEALTH_REQUEST * count + with_close(HEALTH_REQUEST),)
    )
    sending.start()
    assert statuses(read_all(client)) == [200] * (count + 1)
    sending.join()


@pytest.mark.parametrize("path", [b"/predict", b"/nothing"])
def test_a_body_may_arrive_after_the_response_before_it(worker, path):
    head = b"POST %s HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n" % path
    client = worker.connect(head + b"{}" + head)
    received = client.recv(65_536)
    time.sleep(0.1)
    client.sendall(b"{}" + with_close(HEALTH_REQUEST))
    received += read_all(client)
    assert len(set(statuses(received)[:2])) == 1
    assert statuses(received)[2:] == [200]


@pytest.mark.parametrize("seed", range(5))
def test_how_the_bytes_of_requests_arrive_changes_no_response(worker, seed):
    generator = random.Random(seed)
    kinds = [
        HEALTH_REQUEST,
        post_request(b"/predict", b"{}"),
        post_request(b"/predict", b" " * 90_000 + b"{}"),
        post_request(b"/nothing", b" " * 90_000),
        post_request(b"/nothing", b"{}").replace(b"2\r\n\r\n{}", b"2\r\nupgrade: h2c\r\n\r\n{}"),
    ]
    expected = [statuses(read_all(worker.connect(with_close(kind)))) for kind in kinds]
    choices = generator.choices(range(len(kinds)), k=25)
    requests = [*(kinds[index] for index in choices), with_close(HEALTH_REQUEST)]
    client = worker.connect()
    sending = threading.Thread(target=send_in_parts, args=(client, requests, generator))
    sending.start()
    received = statuses(read_all(client))
    sending.join()
    assert received == [status for index in choices for status in expected[index]] + [200]


@pytest.mark.parametrize("sent", [b"", b"GET", HEALTH_REQUEST[:-2], b"\r\n"])
def test_a_request_that_is_never_complete_ends_its_connection(worker, sent):
    assert read_all(worker.connect(sent)) == b""


def test_a_body_that_is_late_is_refused_in_words(worker):
    received = read_all(
        worker.connect(b"POST /predict HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\nx")
    )
    assert statuses(received) == [408]
    problem = json.loads(received.partition(b"\r\n\r\n")[2])
    assert problem["detail"] == "the body did not arrive within 0.5 seconds"


@pytest.mark.parametrize("path", [b"/predict", b"/invocations", b"/nothing"])
@pytest.mark.parametrize("framing", [b"content-length: 200000", b"transfer-encoding: chunked"])
def test_a_body_that_is_too_large_is_refused_in_words(worker, path, framing):
    head = b"POST %s HTTP/1.1\r\nhost: here\r\n%s\r\n\r\n" % (path, framing)
    body = b"%x\r\n" % 200_000 + b" " * 200_000 + b"\r\n0\r\n\r\n"
    received = read_all(worker.connect(head, body if b"chunked" in framing else b" " * 200_000))
    assert statuses(received) == [413]
    assert b"the body is larger than 100,000 bytes" in received


@pytest.mark.parametrize("chunk_bytes", [0, 100, 1_000_000])
def test_a_large_body_is_read_to_its_end(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setenv("HOUSING_HOME", str(tmp_path))
    framing, body = b"content-length: %d" % len(LARGE_BODY), LARGE_BODY
    if chunk_bytes:
        framing = b"transfer-encoding: chunked"
        chunks = [
            LARGE_BODY[at : at + chunk_bytes] for at in range(0, len(LARGE_BODY), chunk_bytes)
        ]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    worker = Worker(MAX_CONTENT_LENGTH=len(LARGE_BODY), BODY_SECONDS=10)
    worker.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    try:
        head = b"POST /nothing HTTP/1.1\r\nhost: here\r\n%b\r\n\r\n" % framing
        requests = (head + body) * 2 + with_close(HEALTH_REQUEST)
        client = worker.connect()
        sending = threading.Thread(target=client.sendall, args=(requests,))
        sending.start()
        time.sleep(0.3)
        worker.start()  # by now there is much to be read at once
        assert statuses(read_all(client)) == [404, 404, 200]
        sending.join()
    finally:
        worker.stop()


@pytest.mark.parametrize(
    ("size", "status"), [(MAX_HEAD_BYTES, 200), (MAX_HEAD_BYTES + 1, 431), (10_000_000, 431)]
)
def test_headers_are_limited_to_the_byte(worker, size, status):
    request = with_close(HEALTH_REQUEST).replace(b"\r\n\r\n", b"\r\nx: \r\n\r\n")
    request = request.replace(b"x: ", b"x: " + b"a" * (size - len(request)))
    assert statuses(read_all(worker.connect(request))) == [status]


def test_a_body_whose_chunks_have_an_endless_frame_ends_its_connection(worker):
    client = worker.connect(b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1;")
    with client, pytest.raises(ConnectionError):
        send_slowly(client, b"a" * 4_096, 1_000)


def test_an_offer_of_another_protocol_costs_nothing(worker):
    offer = b"connection: upgrade, close\r\nUpgrade: h2c\r\ncontent-length: 2"
    request = HEALTH_REQUEST.replace(b"GET /health", b"POST /predict").replace(
        b"host: here", b"host: here\r\ncontent-type: application/json\r\n" + offer
    )
    received = read_all(worker.connect(request, b"[]"))
    assert statuses(received) == [503]  # there is no champion: the body was read


def test_what_is_no_http_is_refused_and_more_of_it_is_ignored(worker):
    client = worker.connect(b"\x00\x01\r\n\r\n")
    assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")
    with contextlib.suppress(ConnectionError):
        client.sendall(b"\x00\x01\r\n\r\n" + HEALTH_REQUEST)
    assert read_all(client) == b""


def test_a_client_that_reads_no_response_is_disconnected(worker):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    client.connect(worker.listener.getsockname())
    client.settimeout(10)
    client.sendall(HEALTH_REQUEST.replace(b"/health", b"/openapi.json") * 200)
    time.sleep(4 * LIMITS["BODY_SECONDS"])
    with client:
        assert len(statuses(read_all(client))) < 200


def test_an_idle_connection_makes_room_for_another(worker):
    idle = [worker.connect() for _ in range(MAX_CONNECTIONS)]
    assert statuses(read_all(worker.connect(with_close(HEALTH_REQUEST)))) == [200]
    for client in idle:
        client.close()


def test_a_worker_that_stops_answers_what_is_sent_meanwhile_and_closes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOUSING_HOME", str(tmp_path))
    worker = Worker()
    worker.start()
    client = worker.connect(HEALTH_REQUEST)
    assert read_health(client) == 200
    worker.app.pool.is_stopping = True
    client.sendall(HEALTH_REQUEST)
    received = read_all(client)
    assert statuses(received) == [200]
    assert b"\r\nconnection: close\r\n" in received
    worker.stop()
