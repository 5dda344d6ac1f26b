"""Metrics over HTTP: our own server over real sockets, and the apps in servers that others wrote."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from urllib.error import HTTPError
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import pytest

from quoth import ModelsAPI, Settings
from quoth.errors import ConfigurationError, InputError
from quoth.instrumentation.metrics._text import CONTENT_TYPES
from quoth.metrics import asgi_app, wsgi_app

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 asks for."""
ACCEPTS = {
    "": "text",
    "*/*": "text",
    "text/plain": "text",
    PROMETHEUS: "openmetrics",
    "application/openmetrics-text": "openmetrics",
    "application/openmetrics-text; q=0, text/plain": "text",
    "text/plain, application/openmetrics-text;q=0.1": "text",
    "application/openmetrics-text;q=x": "text",
    "APPLICATION/OPENMETRICS-TEXT;Q=1.0": "openmetrics",
}


@pytest.fixture(scope="module")
def api():
    with pytest.MonkeyPatch.context() as environment:
        for name in ("QUOTH_METRICS_DIR", "QUOTH_LEDGER"):
            environment.delenv(name, raising=False)
        yield ModelsAPI(Settings())


@pytest.fixture(scope="module")
def server(api):
    with api.serve_metrics(0) as running:
        yield running


def ask(server, method="GET", path="/metrics", headers=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def test_it_listens_on_this_machine_and_says_where(server):
    assert server.host == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.port}/metrics"
    assert repr(server) == f"<metrics at {server.url}>"
    with urllib.request.urlopen(server.url, timeout=10) as reply:
        assert b"quoth_build_info{" in reply.read()


@pytest.mark.parametrize("accept", ACCEPTS, ids=range(len(ACCEPTS)))
def test_the_format_is_the_one_that_the_client_prefers(server, accept):
    status, headers, body = ask(server, headers={"Accept": accept})
    assert status == 200
    assert headers["content-type"] == CONTENT_TYPES[ACCEPTS[accept]]
    assert body.endswith(b"# EOF\n") == (ACCEPTS[accept] == "openmetrics")
    assert int(headers["content-length"]) == len(body)


def test_a_head_has_no_body_and_a_query_is_not_read(server):
    status, headers, body = ask(server, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0
    assert ask(server, path="/metrics?name[]=x")[0] == 200


@pytest.mark.parametrize("path", ["/", "/metrics/", "/favicon.ico", "/../metrics"])
def test_there_is_nothing_else(server, path):
    status, _, body = ask(server, path=path)
    assert (status, body) == (404, b"metrics are at /metrics\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_nothing_else_can_be_done(server, method):
    status, headers, body = ask(server, method, body=b"x" * 1000)
    assert (status, headers["allow"], body) == (405, "GET, HEAD", b"Method Not Allowed\n")


def test_it_says_little_of_itself(server, capfd):
    _, headers, _ = ask(server)
    assert "Python" not in headers["server"]
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"nonsense\r\n\r\n")
        client.recv(1000)
    socket.create_connection(("127.0.0.1", server.port)).close()
    assert ask(server)[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_client_that_says_nothing_holds_nobody_up(server):
    with socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server)[0] == 200


def test_metrics_that_cannot_be_told_are_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with ModelsAPI(Settings(metrics_dir=str(tmp_path / "file"))).serve_metrics(0) as server:
        status, _, body = ask(server)
    assert status == 500
    assert b"metrics cannot be told: " in body


def test_closed_is_closed(api):
    threads = threading.active_count()
    server = api.serve_metrics(0)
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    assert threading.active_count() == threads
    with api.serve_metrics(server.port) as again:
        assert again.port == server.port


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "example.com", "localhost.example.com"])
def test_an_address_that_others_reach_must_be_meant(api, host):
    with pytest.raises(ConfigurationError, match="allow_remote=True"):
        api.serve_metrics(0, host=host)


def test_an_address_that_is_meant_is_served(api):
    with api.serve_metrics(0, host="127.0.0.1", allow_remote=True) as server:
        assert ask(server)[0] == 200


@pytest.mark.parametrize("port", [-1, 65_536, "9464", True, None])
def test_what_is_no_port_is_said(api, port):
    with pytest.raises(InputError, match="the port of metrics"):
        api.serve_metrics(port)


def test_a_port_that_is_taken_is_said(api, server):
    with pytest.raises(ConfigurationError, match=rf"port {server.port} of '127.0.0.1': .*port 0"):
        api.serve_metrics(server.port)


# In servers that others wrote.


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def test_the_wsgi_app_keeps_the_rules_of_wsgi(api):
    with make_server("127.0.0.1", 0, validator(wsgi_app(api)), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/anywhere"
            request = urllib.request.Request(url, headers={"Accept": PROMETHEUS})
            with urllib.request.urlopen(request, timeout=10) as reply:
                assert reply.headers["content-type"] == CONTENT_TYPES["openmetrics"]
                assert reply.read().decode() == api.metrics(format="openmetrics")
            with pytest.raises(HTTPError, match="405"):
                urllib.request.urlopen(url, b"x", timeout=10)
        finally:
            server.shutdown()
            thread.join()


def test_the_asgi_app_runs_in_uvicorn(api):
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(asgi_app(api), port=0, log_level="critical", lifespan="auto"))
    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/anywhere"
            with urllib.request.urlopen(url, timeout=10) as reply:
                assert reply.headers["content-type"] == CONTENT_TYPES["text"]
                assert reply.read().decode() == api.metrics()
            with pytest.raises(HTTPError, match="405"):
                urllib.request.urlopen(url, b"x", timeout=10)
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus (Debian's package) is not installed")
def test_prometheus_scrapes_it(server, tmp_path):
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: quoth, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until, body = time.monotonic() + 30, b""
        while b'"version":' not in body and time.monotonic() < until:
            time.sleep(0.2)
            try:
                url = f"http://127.0.0.1:{port}/api/v1/query?query=quoth_build_info"
                with urllib.request.urlopen(url, timeout=5) as reply:
                    body = reply.read()
            except OSError:
                continue
        assert b'"__name__":"quoth_build_info"' in body
    finally:
        process.kill()
        process.wait()


def test_a_program_that_serves_ends_when_it_ends():
    code = "from quoth import models\nserver = models.serve_metrics(0)\nprint(server.port)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False, env={**os.environ}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 0
