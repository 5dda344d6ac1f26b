"""Servers for the transport's tests: a raw one that says what it is told, and real ones that others wrote.

All listen on 127.0.0.1 (or ::1) only, in threads or processes that end with their ``with`` block.
"""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

PATIENCE = 20.0
"""Seconds after which a server's thread gives up; nothing waits so long unless a test has failed."""


class Peer:
    """The server's end of one connection, in the hands of a script."""

    def __init__(self, sock: socket.socket, server: RawServer) -> None:
        self.sock = sock
        self.server = server
        self.buffer = b""

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def read_request(self) -> bytes:
        """The next request's body; head and body are kept on the server."""
        head = self.read_head()
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(self.buffer) < length:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        self.server.requests.append((head, body))
        return body

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reply(self, body: bytes = b"ok", status: int = 200, *lines: bytes) -> None:
        head = [b"HTTP/1.1 %d X" % status, *lines, b"Content-Length: %d" % len(body), b"", b""]
        self.send(b"\r\n".join(head) + body)

    def reset(self) -> None:
        """End the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_until_closed(self) -> None:
        """Wait until the client has gone; what it still says is dropped."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass
        self.server.goodbyes.release()


Script = Callable[[Peer], object]


class RawServer:
    """Runs one script a connection: the first for the first, the last for all further ones."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None, family: int = socket.AF_INET) -> None:
        self._scripts = scripts
        self._tls = tls
        self._family = family
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections: list[tuple[str, int]] = []
        self.goodbyes = threading.Semaphore(0)
        self.failures: list[BaseException] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(
            ("::1" if self._family == socket.AF_INET6 else "127.0.0.1", 0), family=self._family, backlog=256
        )
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def _start(self, work: Callable[..., object], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, address = self._listener.accept()
            except OSError:
                return
            self._socks.append(sock)
            script = self._scripts[min(len(self.connections), len(self._scripts) - 1)]
            self.connections.append(address)
            self._start(self._serve, sock, script)

    def _serve(self, sock: socket.socket, script: Script) -> None:
        sock.settimeout(PATIENCE)
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                self._socks.append(sock)
                sock.do_handshake()
            script(Peer(sock, self))
        except (OSError, EOFError):
            pass  # the client has gone, which is often the point
        except BaseException as error:  # noqa: BLE001  # the test that started the server raises it
            self.failures.append(error)
        finally:
            sock.close()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._socks):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # wakes the thread, and leaves TLS to it
        for thread in self._threads:
            thread.join(PATIENCE)
        for sock in self._socks:
            sock.close()
        if self.failures:
            raise self.failures[0]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"


def canned(data: bytes) -> Script:
    """Read a request, send these bytes, and close."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(data)

    return script


def echo(peer: Peer) -> None:
    """Answer every request with its own body, for as long as there are requests."""
    while True:
        peer.reply(peer.read_request())


def never(peer: Peer) -> None:
    """Read, and never answer."""
    peer.read_request()
    peer.wait_until_closed()


def tunnel(port: int) -> Script:
    """Be a proxy that connects every CONNECT to this port, whatever host it names."""

    def script(peer: Peer) -> None:
        peer.server.requests.append((peer.read_head(), b""))
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as far:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(far, peer.sock))
            back.start()
            _copy(peer.sock, far)
            back.join(PATIENCE)

    return script


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


# Real servers. Each speaks the same little application: POST /echo gives the body back, POST /stream gives it
# back in chunks of ten bytes, POST /status/418 gives that status, and POST /gzip gives it packed.


class _StandardHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = int(self.path.rpartition("/")[2]) if self.path.startswith("/status/") else 200
        self.send_response(status)
        if self.path == "/stream":
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for start in range(0, len(body), 10):
                piece = body[start : start + 10]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _StandardServer(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # with the default of 5, a burst of connections waits for a second


@contextmanager
def standard_server(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The standard library's http.server, with keep-alive. Gives its base URL."""
    server = _StandardServer(("127.0.0.1", 0), _StandardHandler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


UVICORN_APPLICATION = """
import gzip


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"]
    status = int(path.rpartition("/")[2]) if path.startswith("/status/") else 200
    headers = []
    if path == "/gzip":
        body, headers = gzip.compress(body), [(b"content-encoding", b"gzip")]
    if path != "/stream":
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if path == "/stream":
        for start in range(0, len(body), 10):
            await send({"type": "http.response.body", "body": body[start : start + 10], "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": body})
"""


@contextmanager
def uvicorn_server(folder: Path, certificate: Path | None = None) -> Iterator[str]:
    """uvicorn in a process of its own. Gives its base URL."""
    (folder / "application.py").write_text(UVICORN_APPLICATION)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "application:application", "--port", str(port), "--log-level", "error"]
    if certificate is not None:
        command += ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(certificate)]
    with _process(command, folder, port):
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"


NGINX_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 1m; keepalive_timeout 30; gzip on; gzip_types *; gzip_min_length 1;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port}{tls};
    {certificate}
    location /static {{ alias {folder}; }}
    location /early {{ return 204; }}
    location /close {{ keepalive_timeout 0; return 200 "closed"; }}
    location /move {{ return 301 https://other.test/new; }}
    location / {{ proxy_pass {upstream}; proxy_http_version 1.1; proxy_buffering off; }}
  }}
}}
"""


@contextmanager
def nginx_server(folder: Path, upstream: str, certificate: Path | None = None) -> Iterator[str]:
    """nginx before another server. Gives its base URL; bodies above 1 MB are answered 413."""
    port = free_port()
    (folder / "nginx.conf").write_text(
        NGINX_CONFIGURATION.format(
            folder=folder,
            port=port,
            upstream=upstream,
            tls=" ssl" if certificate else "",
            certificate=f"ssl_certificate {certificate}; ssl_certificate_key {certificate};" if certificate else "",
        )
    )
    (folder / "page.txt").write_text("a page " * 2000)
    with _process([nginx_program() or "", "-c", str(folder / "nginx.conf"), "-p", str(folder)], folder, port):
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"


def nginx_program() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def _process(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "output.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(port, process, folder)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not start: {(folder / 'output.log').read_text()}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
