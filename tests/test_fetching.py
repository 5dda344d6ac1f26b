"""Fetching from an address that others wrote: the public internet only, to the very addresses that were judged."""

import asyncio
import socket
import time

import pytest
from hypothesis import given, strategies as st

from quoth import Audio, Document, Image, media
from quoth.errors import (
    APIConnectionError,
    ConfigurationError,
    DeadlineExceededError,
    InputError,
    InputTypeError,
    ProtocolError,
    QuothError,
)
from quoth.transport._blocking_connect import resolve
from quoth.transport._config import TLSSettings
from quoth.transport._public import MOST_REDIRECTS, fetch_public, is_public
from servers import RawServer
from test_transport import server_context

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    trustme = pytest.importorskip("trustme", reason="trustme makes the certificates of the TLS tests")
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    chain = ca.issue_cert("127.0.0.1", "site.test", "other.test").private_key_and_cert_chain_pem
    chain.write_to_path(str(folder / "server.pem"))
    return folder


class Resolver:
    """Answers each look-up with the next address, in the end with the last one. The port is always the server's."""

    def __init__(self, server, *addresses):
        self.server = server
        self.addresses = list(addresses)
        self.asked = []

    def __call__(self, plan, _limit):
        self.asked.append(plan.host)
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, self.server.port))]


def fetch(server, authority, url="https://site.test/cat.png", resolver=None, **more):
    """Fetch from a server on this machine, which only the arguments of the inner function permit."""
    options = {"timeout": 5, "most": 1_000_000, "allow": {"127.0.0.1"}.__contains__, **more}
    tls = TLSSettings(ca_file=str(authority / "ca.pem"))
    return fetch_public(url, look_up=resolver or Resolver(server, "127.0.0.1"), tls=tls, **options)


def answering(*replies):
    """A server's script: each is a body, or a tuple of status, headers and body."""

    def script(peer):
        for reply in replies:
            peer.read_request()
            status, lines, body = (200, (), reply) if isinstance(reply, bytes) else reply
            peer.reply(body, status, *lines)

    return script


def redirect(to, status=302):
    return answering((status, (b"location: " + to.encode(),), b""))


# Which addresses are public.

NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::",
    "2001::1", "2001:0:7f00:1::", "100::1", "5f00::1", "localhost", "", "2130706433",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "168.63.129.15", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_of_the_public_internet_is_none(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_one(address):
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address):
    """But for IPv4 in the form of IPv6, of which Python's versions think differently."""
    if is_public(str(address)) and not str(address).startswith(("::ffff:", "64:ff9b::")):
        assert address.is_global
        assert not address.is_multicast


SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
    "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "localhost",
    "localhost.", "LOCALHOST", "127.0.0.1.", "169.254.169.254", "2852039166", "[fd00:ec2::254]", "[64:ff9b::7f00:1]",
    "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS, ids=ascii)
def test_however_this_machine_or_its_network_is_spelled_nothing_is_sent_there(host):
    """Through the public verb, with the real resolver. What a system cannot look up is an error as well."""
    with RawServer(answering(PNG)) as server:
        with pytest.raises(QuothError) as caught:
            media.fetch(f"https://{host}:{server.port}/cat.png", timeout=2)
        assert server.connections == []
    assert isinstance(caught.value, (InputError, ConfigurationError, APIConnectionError))


@pytest.mark.parametrize(
    "url",
    [
        "http://site.test/cat.png", "ftp://site.test/cat.png", "file:///etc/passwd", "data:image/png;base64,aaaa",
        "//site.test/cat.png", "/etc/passwd", "cat.png", "", "https://", "https://user:hunter2@site.test/cat.png",
        "https://user@site.test/", "https://site.test\\@127.0.0.1/", "https://site.test/a b",
        "https://site.test/\r\nx-evil: 1", "https://site.test:0/", "https://site.test:99999/", "gopher://site.test",
        "https://[fe80::1%25eth0]/",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_url_is_refused_before_anything_is_looked_up(url):
    def never(*_):
        raise AssertionError

    with pytest.raises((InputError, ConfigurationError)) as caught:
        fetch_public(url, timeout=1, most=100, look_up=never)
    assert "hunter2" not in str(caught.value)


def test_a_name_with_one_address_that_is_not_public_is_refused_whole():
    def both(*_):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443)),
        ]

    with pytest.raises(InputError, match="public internet") as caught:
        fetch_public("https://site.test/", timeout=1, most=100, look_up=both)
    assert "10.0.0.1" not in str(caught.value)  # what a name means in here is nobody's business


# Over real sockets.


def test_a_picture_is_fetched_with_nothing_of_ours_in_the_request(authority, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://user:hunter2@127.0.0.1:1")
    with RawServer(answering(PNG), tls=server_context(authority)) as server:
        assert fetch(server, authority, "https://site.test/cat.png?x=1") == (PNG, "https://site.test/cat.png?x=1")
        head = server.requests[0][0].decode().split("\r\n")
    assert head[0] == "GET /cat.png?x=1 HTTP/1.1"
    names = sorted(line.partition(":")[0] for line in head[1:])
    assert names == ["accept", "accept-encoding", "host", "user-agent"]


def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(authority):
    """DNS rebinding: it is looked up once, and what was judged is what is connected to."""
    with RawServer(answering(PNG), tls=server_context(authority)) as server:
        resolver = Resolver(server, "127.0.0.1", "10.0.0.1")
        assert fetch(server, authority, resolver=resolver)[0] == PNG
    assert resolver.asked == ["site.test"]


def test_a_redirect_is_looked_up_and_judged_anew(authority):
    with RawServer(redirect("https://other.test/dog.png"), answering(PNG), tls=server_context(authority)) as server:
        resolver = Resolver(server, "127.0.0.1")
        assert fetch(server, authority, resolver=resolver) == (PNG, "https://other.test/dog.png")
        assert resolver.asked == ["site.test", "other.test"]
    with RawServer(redirect("https://site.test/again"), answering(PNG), tls=server_context(authority)) as server:
        with pytest.raises(InputError, match="public internet"):  # the name means another machine by now
            fetch(server, authority, resolver=Resolver(server, "127.0.0.1", "127.0.0.2"))
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    "to",
    ["https://127.0.0.2/", "https://127.2/", "http://site.test/", "file:///etc/passwd", "https://user:pw@site.test/",
     "https://2130706434/", "https://[::1]/", "//127.0.0.2/", "https://[/", "ftp://site.test/", "data:image/png,a"],
)  # fmt: skip
def test_a_redirect_to_what_may_not_be_fetched_is_refused(authority, to):
    with RawServer(redirect(to), answering(PNG), tls=server_context(authority)) as server:
        calls = []

        def look_up(plan, limit):
            calls.append(plan.host)
            return resolve(plan, limit) if len(calls) > 1 else Resolver(server, "127.0.0.1")(plan, limit)

        with pytest.raises((InputError, ConfigurationError)):
            fetch(server, authority, resolver=look_up)
        assert len(server.connections) == 1


def test_three_redirects_are_followed_and_no_more(authority):
    hop = redirect("next.png")
    with RawServer(*[hop] * MOST_REDIRECTS, answering(PNG), tls=server_context(authority)) as server:
        assert fetch(server, authority) == (PNG, "https://site.test/next.png")
    with RawServer(hop, tls=server_context(authority)) as server:
        with pytest.raises(InputError, match="after 3 redirects"):
            fetch(server, authority)
        assert len(server.connections) == MOST_REDIRECTS + 1


def test_a_cookie_that_is_set_is_not_sent_back(authority):
    first = answering((302, (b"location: /b.png", b"set-cookie: id=1; path=/"), b""))
    with RawServer(first, answering(PNG), tls=server_context(authority)) as server:
        fetch(server, authority)
        assert b"cookie" not in server.requests[1][0].lower()


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 404, 500])
def test_what_is_no_answer_is_an_error(authority, status):
    server = RawServer(answering((status, (), b"")), tls=server_context(authority))
    with server, pytest.raises(InputError, match=f"status {status}"):
        fetch(server, authority)


@pytest.mark.parametrize("form", ["length", "chunked", "until closed", "gzip"])
def test_a_body_is_read_no_further_than_its_cap(authority, form):
    import gzip

    def script(peer):
        peer.read_request()
        big = PNG + bytes(3_000_000)
        if form == "length":
            peer.reply(big)
        elif form == "gzip":
            peer.reply(gzip.compress(big), 200, b"content-encoding: gzip")
        elif form == "chunked":
            peer.send(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                peer.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        else:
            peer.send(b"HTTP/1.1 200 X\r\n\r\n")
            while True:
                peer.send(bytes(0x10000))

    server = RawServer(script, tls=server_context(authority))
    with server, pytest.raises(ProtocolError, match="larger than the cap of 1,000,000 bytes"):
        fetch(server, authority)


@pytest.mark.parametrize("form", ["no handshake", "no head", "drips head", "drips body", "redirects slowly"])
def test_it_takes_no_longer_than_its_time_in_all(authority, form):
    def script(peer):
        peer.read_request()
        if form == "redirects slowly":
            time.sleep(0.25)
            return peer.reply(b"", 302, b"location: /again")
        if form == "drips body":
            peer.send(b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n")
        while form != "no head":
            peer.send(b"x" if form == "drips body" else b"X")
            time.sleep(0.05)
        return peer.wait_until_closed()

    def silent(peer):
        peer.wait_until_closed()

    def dripping(peer):
        peer.read_request()
        for byte in b"HTTP/1.1 200 X\r\n" + b"x-long: 1\r\n" * 500:
            peer.send(bytes([byte]))
            time.sleep(0.05)

    tls = None if form == "no handshake" else server_context(authority)
    play = {"no handshake": silent, "drips head": dripping}.get(form, script)
    with RawServer(play, tls=tls) as server:
        begun = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            fetch(server, authority, timeout=0.6)
        assert time.monotonic() - begun < 1.6


def test_a_certificate_that_nobody_trusts_is_refused(authority):
    server = RawServer(answering(PNG), tls=server_context(authority))
    look_up = Resolver(server, "127.0.0.1")
    with server, pytest.raises(APIConnectionError, match="not trusted") as caught:
        fetch_public("https://site.test/", timeout=5, most=100, allow=lambda _: True, look_up=look_up)
    assert caught.value.phase == "tls"


def test_a_server_that_breaks_off_is_an_error_of_the_connection(authority):
    def cut(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\nxyz")

    with RawServer(cut, tls=server_context(authority)) as server, pytest.raises(APIConnectionError):
        fetch(server, authority)


# What came is what it is.

KINDS = {
    "image": (PNG, Image),
    "sound": (b"RIFF\x10\x00\x00\x00WAVEfmt ", Audio),
    "pdf": (b"%PDF-1.7 ...", Document),
    "word": (b"PK\x03\x04...word/document.xml", Document),
}
NOTHING = {
    "page": b"<!doctype html><html>", "text": b"root:x:0:0:root", "json": b'{"AccessKeyId": "x"}', "empty": b"",
    "archive": b"PK\x03\x04 plain", "film": b"\x00\x00\x00\x18ftypmp42", "program": b"\x7fELF\x02",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_say_what_was_fetched_whatever_the_label_says(kind):
    data, expected = KINDS[kind]
    part = media._part((data, "https://site.test/a/report.pdf?x=1"))
    assert isinstance(part, expected)
    assert part.data == data
    assert part.media_type
    assert getattr(part, "filename", "report.pdf") == "report.pdf"


@pytest.mark.parametrize("kind", NOTHING)
def test_what_is_neither_picture_nor_document_nor_sound_is_refused(kind):
    with pytest.raises(InputError, match="no image, document or audio") as caught:
        media._part((NOTHING[kind], "https://site.test/cat.png"))
    assert NOTHING[kind].decode("latin-1")[:9] not in str(caught.value) or not NOTHING[kind]


def test_the_verbs_for_both_worlds_refuse_alike(monkeypatch):
    with pytest.raises(InputError, match="public internet"):
        media.fetch("https://127.0.0.1/")
    with pytest.raises(InputError, match="public internet"):
        asyncio.run(media.afetch("https://127.0.0.1/"))
    with pytest.raises(InputTypeError, match="a str, not bytes"):
        media.fetch(b"https://site.test/")
    monkeypatch.setenv("QUOTH_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match="QUOTH_OFFLINE"):
        media.fetch("https://127.0.0.1/")
