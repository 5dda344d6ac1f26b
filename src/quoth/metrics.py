"""Serving metrics to Prometheus: a small server of our own, and apps for a web server that is there already.

``models.serve_metrics(9464)`` is the usual way to the server. In an application that serves HTTP::

    from quoth import models
    from quoth.metrics import asgi_app, wsgi_app

    app.mount("/metrics", asgi_app(models))      # FastAPI, Starlette and other ASGI frameworks, under asyncio

An answer is text 0.0.4, or OpenMetrics where the client prefers it. GET and HEAD only.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias

from .errors import ConfigurationError, InputError
from .instrumentation.metrics._text import CONTENT_TYPES, Format

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["MetricsServer", "asgi_app", "wsgi_app"]

PATH = "/metrics"
PATIENCE = 10.0
"""Seconds that a client may take to send its request."""

Render: TypeAlias = Callable[[Format], str]
Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], Any]
Message: TypeAlias = dict[str, Any]


class Measured(Protocol):
    """Who has metrics: a ``ModelsAPI``."""

    def metrics(self, *, format: Format = "text", budgets: Collection[str] = ()) -> str: ...


class _Answer(NamedTuple):
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


def _answer(method: str, accept: str, render: Render) -> _Answer:
    if method not in ("GET", "HEAD"):
        return _plain(405, "Method Not Allowed", ("Allow", "GET, HEAD"))
    kind = _preferred(accept)
    try:
        body = render(kind).encode()
    except Exception as error:  # noqa: BLE001  # whoever asks is told; numbers that are not whole would be worse
        return _plain(500, "Internal Server Error", words=f"metrics cannot be told: {error}")
    head = body if method == "GET" else b""
    return _Answer(200, "OK", [("Content-Type", CONTENT_TYPES[kind]), ("Content-Length", str(len(body)))], head)


def _plain(status: int, reason: str, *headers: tuple[str, str], words: str = "") -> _Answer:
    body = f"{words or reason}\n".encode()
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return _Answer(status, reason, [*headers, kind, ("Content-Length", str(len(body)))], body)


def _preferred(accept: str) -> Format:
    """OpenMetrics where a client names it and likes it no less than text."""
    weights = {"text/plain": 0.0, "application/openmetrics-text": 0.0}
    for each in accept.lower().split(","):
        kind, *parameters = [part.strip() for part in each.split(";")]
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        if kind in weights:
            weights[kind] = max(weights[kind], float(weight) if weight.replace(".", "", 1).isdigit() else 0.0)
    return "openmetrics" if 0 < weights["application/openmetrics-text"] >= weights["text/plain"] else "text"


# Our own server.


class MetricsServer:
    """Answers GET /metrics on a thread of its own until it is closed: ``with models.serve_metrics(0) as server:``."""

    def __init__(self, render: Render, port: int, host: str = "127.0.0.1", *, allow_remote: bool = False) -> None:
        given: object = port
        if not isinstance(given, int) or isinstance(given, bool) or not 0 <= port <= 65_535:
            raise InputError(f"the port of metrics is from 0 (any that is free) to 65535, not {port!r:.80}")
        if not allow_remote and not _is_loopback(host):
            raise ConfigurationError(
                f"metrics on {host!r:.80} can be read from other machines, by whoever reaches it: which models are "
                "called, how often, and what they cost. If that is meant: allow_remote=True"
            )
        try:
            self._server = _Server(render, host, port)
        except OSError as error:
            raise ConfigurationError(
                f"metrics cannot be served on port {port} of {host!r:.80}: {error.strerror or error}; port 0 takes any "
                "that is free"
            ) from None
        self.host = host
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, name="quoth-serve-metrics", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where metrics are: ``http://127.0.0.1:9464/metrics``."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{PATH}"

    def close(self) -> None:
        """Stop listening. May be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<metrics at {self.url}>"


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(ThreadingHTTPServer):
    """Does not look its own name up, shares its port with nobody, and says nothing on stderr."""

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would let two servers have one port
    allow_reuse_port = False

    def __init__(self, render: Render, host: str, port: int) -> None:
        self.render = render
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "quoth", ""
    timeout = PATIENCE

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # any method
            return self._reply
        raise AttributeError(name)

    def _reply(self) -> None:
        if self.path.partition("?")[0] == PATH:
            answer = _answer(self.command, self.headers.get("Accept", ""), self.server.render)  # type: ignore[attr-defined]  # it is a _Server
        else:
            answer = _plain(404, "Not Found", words=f"metrics are at {PATH}")
        self.close_connection = True  # a body that was sent is not read
        self.send_response(answer.status, answer.reason)
        for header in (*answer.headers, ("Connection", "close")):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


# In a web server that is there already.


def wsgi_app(models: Measured, *, budgets: Collection[str] = ()) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """A WSGI application that answers with the metrics, under whatever path it is mounted."""

    render = _renderer(models, budgets)

    def app(request: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer = _answer(request["REQUEST_METHOD"], request.get("HTTP_ACCEPT", ""), render)
        start_response(f"{answer.status} {answer.reason}", answer.headers)
        return [answer.body]

    return app


def asgi_app(
    models: Measured, *, budgets: Collection[str] = ()
) -> Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]:
    """An ASGI application that answers with the metrics, under whatever path it is mounted; for asyncio."""

    render = _renderer(models, budgets)

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],  # noqa: ARG001  # a request has no body that matters
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        from asyncio import to_thread

        if scope["type"] != "http":
            return
        accept = b",".join([value for name, value in scope["headers"] if name.lower() == b"accept"]).decode("latin-1")
        answer = await to_thread(_answer, scope["method"], accept, render)
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    return app


def _renderer(models: Measured, budgets: Collection[str]) -> Render:
    def render(format: Format) -> str:
        return models.metrics(format=format, budgets=budgets)

    return render
