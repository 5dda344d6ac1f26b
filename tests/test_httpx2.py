"""httpx2 behind the same seam: the transport's own suite, where its promises can hold.

The tests come from test_transport.py and run again here with another ``shell``. What is left out is what
``transport/_httpx2.py`` says that it does not promise.
"""

from __future__ import annotations

import asyncio

import pytest

import test_transport
from quoth.errors import APIConnectionError, ProtocolError
from servers import RawServer, canned, echo
from test_transport import BROKEN, Aio, Blocking, Client, assert_nothing_left, failure, open_sockets, own_threads

httpx2 = pytest.importorskip("httpx2", reason="the extra httpx2 is not installed")
behind_the_seam = pytest.importorskip("quoth.transport._httpx2")
post = test_transport.request

KEPT = [
    "client",
    "black_hole",
    "test_a_black_hole_exceeds_a_nearer_deadline",
    "test_a_call_without_a_timeout_has_none",
    "test_a_closed_stream_cannot_be_read",
    "test_a_deadline_that_has_passed_sends_nothing",
    "test_a_large_body_goes_out_and_comes_back",
    "test_a_name_that_nobody_knows_fails_in_the_look_up",
    "test_a_refused_connection_was_not_sent",
    "test_a_server_that_does_not_read_exceeds_the_deadline_in_the_sending",
    "test_a_server_that_never_answers_exceeds_the_deadline_in_the_first_byte",
    "test_a_server_that_closes_at_once_may_have_seen_the_request",
    "test_a_server_that_resets_at_once_may_have_seen_the_request",
    "test_a_stream_that_is_let_go_ends_its_connection",
    "test_a_three_hundred_without_a_location_is_a_reply",
    "test_a_url_that_cannot_be_used_is_refused",
    "test_an_error_of_the_server_is_a_reply",
    "test_calls_in_a_row_share_a_connection",
    "test_many_calls_at_once_each_get_their_own_reply",
    "test_names_are_looked_up",
    "test_pieces_of_a_body_come_as_they_are_sent",
    "test_the_head_comes_before_the_body",
    "test_what_a_closing_server_says_is_read_and_its_connection_not_kept",
]
globals().update({name: getattr(test_transport, name) for name in KEPT})


class Httpx2Blocking(Blocking):
    name = "httpx2, blocking"

    def transport(self, settings):
        transport = behind_the_seam.HTTPX2Transport(
            httpx2.Client(trust_env=False, limits=httpx2.Limits(max_connections=None))
        )
        self._transports.append(transport)
        return transport


class Httpx2Aio(Aio):
    name = "httpx2, asyncio"

    def transport(self, settings):
        transport = behind_the_seam.AsyncHTTPX2Transport(
            httpx2.AsyncClient(trust_env=False, limits=httpx2.Limits(max_connections=None))
        )
        self._transports.append(transport)
        return transport

    def close(self):
        for transport in self._transports:
            transport.close()
        self._runner.run(asyncio.sleep(0.01))
        super().close()


@pytest.fixture(params=[Httpx2Blocking, Httpx2Aio], ids=lambda shell: shell.name)
def shell(request):
    sockets, threads = open_sockets(), own_threads()
    shell = request.param()
    yield shell
    shell.close()
    del shell
    assert_nothing_left(sockets, threads)


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_an_error(client: Client, status):
    def script(peer):
        peer.read_request()
        peer.reply(b"", status, b"Location: https://other.test/")

    with RawServer(script) as server:
        with pytest.raises(ProtocolError, match="redirects are not followed") as caught:
            client.open(post(server.url()))
        assert caught.value.status == status
        assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["short body", "cut chunks"])
def test_a_body_cut_short_is_an_error(client: Client, name):
    with RawServer(canned(BROKEN[name])) as server:
        error = failure(client, server.url())
    assert (type(error), error.phase, error.sent) == (APIConnectionError, "read", "yes")


@pytest.mark.parametrize("reply", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http_is_a_protocol_error(client: Client, reply):
    def script(peer):
        peer.read_request()
        peer.send(reply)

    with RawServer(script) as server, pytest.raises(ProtocolError):
        client.call(post(server.url()))


def test_headers_go_out_as_they_are(client: Client):
    with RawServer(echo) as server:
        assert client.call(post(server.url())) == (200, b"hello")
        assert b"\r\nauthorization: Bearer " in server.requests[0][0].lower().replace(b"bearer", b"Bearer")
