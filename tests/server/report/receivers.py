"""Who gets reports in tests: a real mail server and a real web server."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from otel_chat.client.local_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@dataclass
class Mailbox:
    """What the mail server got, and what it says to the next ones."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    breaks_off: bool = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Takes a message, unless told otherwise."""
        if self.answers:
            return self.answers.pop(0)
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        if self.breaks_off:
            server.transport.abort()
        return "250 taken"

    @property
    def subjects(self) -> list[str]:
        """Those of what it got."""
        return [str(message["Subject"]) for message in self.messages]


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key in one file, made for a test."""
    path = folder / "server.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (folder / "cert.pem").read_text())
    return path


@contextlib.contextmanager
def mail_server(certified: Path | None = None) -> Iterator[Mailbox]:
    """A mail server; with a certificate it wants TLS and a login."""
    box = Mailbox()

    def login(_server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
        box.users.append(f"{data.login.decode()} {data.password.decode()}")
        return AuthResult(success=data.password == b"right")

    more: dict[str, Any] = {}
    if certified is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certified)
        more = {
            "tls_context": context, "require_starttls": True, "authenticator": login,
            "auth_required": True,
        }  # fmt: skip
    box.port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **more)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Site:
    """What a web server got, and what it answers next; 0 hangs up."""

    address: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@contextlib.contextmanager
def web_server() -> Iterator[Site]:
    """A web server that takes what is posted."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            site.requests.append((self.path, dict(self.headers.items()), body))
            status = site.answers.pop(0) if site.answers else 200
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", "0")
            if status == 302:
                self.send_header("location", f"{site.address}/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
