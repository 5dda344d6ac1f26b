"""Which proxy, and for whom: the rules of the environment's variables, without a network."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from quoth.errors import ConfigurationError
from quoth.transport._config import HTTPSettings, Proxies, TLSSettings
from quoth.transport._proxy import bypasses, environment_proxies, parse_proxy, select_proxy
from quoth.transport._url import split_url


def origin(url: str):
    return split_url(url)[0]


def proxies(**environment: str) -> Proxies:
    return environment_proxies(environment)[0]


def test_without_variables_there_is_no_proxy():
    assert proxies() == Proxies()


def test_each_scheme_has_its_variable_and_all_proxy_serves_the_rest():
    assert proxies(HTTP_PROXY="http://h:1", HTTPS_PROXY="http://s:2", ALL_PROXY="http://a:3") == Proxies(
        http="http://h:1", https="http://s:2"
    )
    assert proxies(ALL_PROXY="http://a:3") == Proxies(http="http://a:3", https="http://a:3")


def test_lower_case_comes_first_and_an_empty_value_is_none():
    assert proxies(https_proxy="http://low:1", HTTPS_PROXY="http://high:1").https == "http://low:1"
    assert proxies(https_proxy="", HTTPS_PROXY="http://high:1").https == "http://high:1"


def test_under_cgi_the_variable_that_a_client_can_set_is_not_believed():
    assert proxies(REQUEST_METHOD="GET", HTTP_PROXY="http://evil:1").http is None
    assert proxies(REQUEST_METHOD="GET", http_proxy="http://own:1").http == "http://own:1"
    assert proxies(REQUEST_METHOD="GET", HTTPS_PROXY="http://own:1").https == "http://own:1"


@pytest.mark.parametrize(
    ("url", "host", "port", "authorization"),
    [
        ("http://proxy:3128", "proxy", 3128, None),
        ("proxy:3128", "proxy", 3128, None),
        ("HTTP://proxy/", "proxy", 80, None),
        ("http://[::1]:8080", "::1", 8080, None),
        ("http://user:pass@proxy:1", "proxy", 1, "Basic dXNlcjpwYXNz"),
        ("http://us%40er:p%3Ass@proxy:1", "proxy", 1, "Basic dXNAZXI6cDpzcw=="),
        ("user@proxy:1", "proxy", 1, "Basic dXNlcjo="),
    ],
)
def test_a_proxys_url_is_read(url, host, port, authorization):
    proxy = parse_proxy(url, "HTTPS_PROXY")
    assert (proxy.host, proxy.port, proxy.authorization) == (host, port, authorization)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://user:hidden@proxy:1",
        "https://user:hidden@proxy:1",
        "http://user:hidden@",
        "http://user:hidden@pro xy:1",
        "http://user:hidden@proxy:port",
        "http://user:hidden@proxy:1/path",
        "http://user:hid/den@proxy:1",
    ],
)
def test_a_bad_proxy_names_the_variable_and_not_its_value(url):
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        parse_proxy(url, "HTTPS_PROXY")
    assert "hid" not in f"{caught.value!r}{caught.value.__context__!r}"


def test_nothing_that_holds_credentials_shows_them():
    url = "http://user:hidden@proxy:1"
    settings = HTTPSettings(proxies=Proxies(http=url), tls=TLSSettings(client_key_password="hidden"))
    proxy = parse_proxy(url, "HTTP_PROXY")
    assert "hidden" not in f"{settings!r}{proxy!r}{proxy}"
    assert "Basic" not in f"{proxy!r}{proxy}"


@pytest.mark.parametrize(
    ("entry", "covered", "left"),
    [
        ("*", ["http://any.test", "http://1.2.3.4"], []),
        ("example.test", ["http://example.test", "http://api.EXAMPLE.test."], ["http://badexample.test"]),
        (".example.test", ["http://example.test", "http://api.example.test"], ["http://example.test.evil"]),
        ("*.example.test", ["http://api.example.test"], ["http://other.test"]),
        ("Example.TEST:8080", ["http://example.test:8080"], ["http://example.test", "https://example.test"]),
        ("example.test:443", ["https://example.test"], ["http://example.test"]),
        ("10.1.2.3", ["http://10.1.2.3"], ["http://10.1.2.30", "http://110.1.2.3"]),
        ("10.0.0.0/8", ["http://10.9.8.7"], ["http://11.0.0.1", "http://10.example.test"]),
        ("::1", ["http://[::1]"], ["http://[::2]"]),
        ("[::1]:8080", ["http://[::1]:8080"], ["http://[::1]"]),
        ("fd00::/8", ["http://[fd12::1]"], ["http://[fe80::1]", "http://10.0.0.1"]),
        ("10.0.0.0/99", [], ["http://10.0.0.1"]),
        (".", [], ["http://example.test"]),
    ],
)
def test_an_entry_of_no_proxy_covers_what_it_says(entry, covered, left):
    for url in covered:
        assert bypasses(origin(url), (entry,)), url
    for url in left:
        assert not bypasses(origin(url), (entry,)), url


def test_no_proxy_is_a_list_with_commas_or_spaces():
    assert proxies(NO_PROXY="a.test, b.test c.test,,").bypass == ("a.test", "b.test", "c.test")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "app.localhost"])
def test_loopback_needs_no_proxy_of_the_environment(monkeypatch, host):
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy:1")
    assert select_proxy(origin(f"http://{host}:8080/"), None) is None
    assert select_proxy(origin("http://api.example.test/"), None) is not None


def test_a_proxy_that_was_set_holds_for_loopback_too():
    proxies = Proxies(http="http://127.0.0.2:1", https="http://proxy:1")
    for url, host in (("http://127.0.0.1/", "127.0.0.2"), ("https://127.0.0.1/", "proxy")):
        chosen = select_proxy(origin(url), proxies)
        assert chosen is not None
        assert chosen.host == host


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_what_is_readable_is_sent_to_no_proxy_on_another_machine(host):
    """Plain http is for this machine only: through such a proxy the key would leave it."""
    assert select_proxy(origin(f"http://{host}/"), Proxies(http="http://proxy:1")) is None


def test_a_name_that_only_begins_like_this_machine_takes_the_proxy_of_the_environment(monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    for host in ("127.evil.test", "localhost.evil.test", "notlocalhost", "127.0.0.1.evil.test"):
        assert select_proxy(origin(f"https://{host}/"), None) is not None


label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
name = st.lists(label, min_size=1, max_size=4).map(".".join)


@given(name, st.integers(1, 65535), st.sampled_from(["http", "https"]))
def test_an_origin_comes_back_from_its_own_spelling(host, port, scheme):
    found, target = split_url(f"{scheme}://{host.upper()}:{port}/p?q=/@:")
    assert (found.scheme, found.host, found.port, target) == (scheme, host, port, "/p?q=/@:")
    again, _ = split_url(f"{found.scheme}://{found.authority}")
    assert again == found


@given(st.text(max_size=30))
def test_any_text_is_an_origin_or_a_configuration_error(text):
    try:
        found, target = split_url(f"http://{text}")
    except ConfigurationError:
        return
    assert found.host.isascii()
    assert target.isascii()
    assert not set("\r\n\0 @") & set(found.host + target.partition("?")[0].replace("@", ""))
