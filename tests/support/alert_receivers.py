"""Receivers of messages on ports of this machine: a webhook, and a mail server."""

import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

Server = TypeVar("Server", bound=socketserver.BaseServer)


class WebhookReceiver(ThreadingHTTPServer):
    """A webhook. It answers with the statuses in turn, and with 200 once they are used up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _WebhookHandler)
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.refuses_unknown_fields = False  # as Google Chat does
        self.url = f"http://127.0.0.1:{self.server_port}/services/T0/s3cret"


class _WebhookHandler(BaseHTTPRequestHandler):
    server: WebhookReceiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if self.server.refuses_unknown_fields and body.keys() != {"text"}:
            status = 400
        answer = f"status {status} at {self.path}".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


class MailReceiver(socketserver.ThreadingTCPServer):
    """A mail server. With a TLS context it offers STARTTLS, and takes any password after it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, tls_context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _MailHandler)
        self.tls_context = tls_context
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.commands: list[str] = []
        self.responses: dict[str, list[str]] = {}  # command -> answers in place of the usual ones
        self.port = self.server_address[1]


class _MailHandler(socketserver.StreamRequestHandler):
    server: MailReceiver

    def handle(self) -> None:
        self._answer("220 receiver")
        while line := self.rfile.readline().decode().strip():
            self.server.commands.append(line)
            command = line.split()[0].upper()
            special_responses = self.server.responses.get(command)
            if special_responses:
                self._answer(special_responses.pop(0))
            elif command == "EHLO":
                extensions = ["receiver"]
                if self.server.tls_context and not isinstance(self.connection, ssl.SSLSocket):
                    extensions += ["STARTTLS"]
                extensions += ["AUTH PLAIN"]
                self._answer("\r\n".join(f"250-{name}" for name in extensions) + "\r\n250 8BITMIME")
            elif command == "STARTTLS":
                self._answer("220 go ahead")
                self.connection = self.server.tls_context.wrap_socket(self.request, True)
                self.rfile = self.connection.makefile("rb")
            elif command == "DATA":
                self._take_mail()
            else:
                self._answer({"AUTH": "235 ok", "QUIT": "221 bye"}.get(command, "250 ok"))
            if command == "RCPT":
                self.server.recipients.append(line.partition("<")[2].rstrip(">"))

    def _take_mail(self) -> None:
        self._answer("354 go ahead")
        content = b""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            content += line
        self.server.mails.append(message_from_bytes(content, policy=policy.default))
        self._answer("250 taken")

    def _answer(self, text: str) -> None:
        self.connection.sendall(f"{text}\r\n".encode())


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Let a receiver serve in a thread until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
