"""Base URLs and keys: a key goes where it belongs and nowhere else, and stands in no text."""

import copy
import ipaddress
import pickle
import traceback

import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import replace

from quoth import ModelsAPI, QuothError, Settings
from quoth.errors import APIConnectionError, AuthenticationError, ConfigurationError, MissingKeyError
from quoth.providers import ProviderSpec, ProviderTable
from quoth.providers._address import Address, Given, check_base_url, check_key, find_address, is_loopback
from quoth.testing import Reply, ScriptedTransport
from quoth.wire import HTTPRequest
from tables import chat_table

CALL_KEY, SETTINGS_KEY, VARIABLE_KEY = "sk-call-0123456789abc", "sk-settings-0123456789", "sk-variable-0123456789"
CALL_URL, SETTINGS_URL, VARIABLE_URL = "https://call.example/v1", "https://settings.example", "https://variable.example"
KEYS = (CALL_KEY, SETTINGS_KEY, VARIABLE_KEY)

ROW = ProviderSpec(
    name="openai",
    base_url="https://api.openai.com/v1",
    key_variables=("OPENAI_API_KEY", "OPENAI_KEY_OF_OLD"),
    base_url_variables=("OPENAI_BASE_URL", "OPENAI_URL_OF_OLD"),
    hint="create one at https://platform.openai.com/api-keys",
)
KEYLESS = ProviderSpec(name="mine", base_url="https://mine.example/v1")


def environment(key=None, url=None):
    return {name: value for name, value in (("OPENAI_API_KEY", key), ("OPENAI_BASE_URL", url)) if value}


def find(call=(None, None), settings=(None, None), variables=(None, None), row=ROW):
    """The (base URL, key) of sources that each are a (key, base URL)."""
    given = [Given(api_key=key, base_url=url) for key, url in (call, settings)]
    address = find_address(row, *given, environment(*variables))
    return address.base_url, address.api_key


# Which URL, which key.

SOURCES = ("call", "settings", "variables")
EVERYWHERE = {
    "call": (CALL_KEY, CALL_URL),
    "settings": (SETTINGS_KEY, SETTINGS_URL),
    "variables": (VARIABLE_KEY, VARIABLE_URL),
}


def only(picked):
    """Of every source, the key and the URL that were picked."""
    return {
        source: tuple(value if (source, at) in picked else None for at, value in enumerate(EVERYWHERE[source]))
        for source in SOURCES
    }


PICKS = st.sets(st.tuples(st.sampled_from(SOURCES), st.integers(0, 1)))


@given(PICKS)
def test_the_url_is_of_the_first_source_that_has_one(picked):
    try:
        url, _ = find(**only(picked))
    except MissingKeyError:
        return
    first = next((EVERYWHERE[source][1] for source in SOURCES if (source, 1) in picked), ROW.base_url)
    assert url == first


@given(PICKS)
def test_a_key_is_of_the_first_source_that_has_one_or_there_is_none(picked):
    first = next((EVERYWHERE[source][0] for source in SOURCES if (source, 0) in picked), None)
    try:
        _, key = find(**only(picked))
    except MissingKeyError as error:
        key = first if "is not sent to" in str(error) else None
    assert key == first


@given(PICKS)
def test_no_key_goes_to_a_url_of_a_source_before_its_own(picked):
    """The environment's key never goes to a URL of the settings or of a call; a key of the settings to no call's."""
    try:
        url, key = find(**only(picked))
    except MissingKeyError:
        return
    of_key = next(rank for rank, source in enumerate(SOURCES) if EVERYWHERE[source][0] == key)
    of_url = next((rank for rank, source in enumerate(SOURCES) if EVERYWHERE[source][1] == url), 3)
    assert of_url >= of_key


@given(PICKS)
@example({("settings", 0), ("variables", 1)})
def test_a_key_goes_to_a_url_of_its_own_source_or_to_the_providers_own(picked):
    """Else whoever sets OPENAI_BASE_URL is sent the key that a program keeps in its settings."""
    try:
        url, key = find(**only(picked))
    except MissingKeyError:
        return
    assert (key, url) in EVERYWHERE.values() or url == ROW.base_url


@given(PICKS)
def test_a_url_of_the_call_or_the_settings_without_a_key_of_its_own_is_refused_by_name(picked):
    picked = picked - {("call", 0), ("settings", 0)} | {("settings", 1)}
    with pytest.raises(MissingKeyError, match="is not sent to another host") as caught:
        find(**only(picked))
    url = CALL_URL if ("call", 1) in picked else SETTINGS_URL
    assert url in str(caught.value)
    assert caught.value.provider == "openai"


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/v1", "http://127.0.0.1", "https://[::1]:8443", "http://127.8.9.1"]
)
@pytest.mark.parametrize("source", ["call", "settings"])
def test_a_server_on_this_machine_needs_no_key_and_gets_none_of_others(source, url):
    assert find(**{source: (None, url)}, variables=(VARIABLE_KEY, None)) == (url, None)


def test_the_first_variable_that_is_set_is_taken_for_each():
    found = find_address(
        ROW,
        Given(),
        Given(),
        {"OPENAI_API_KEY": " ", "OPENAI_KEY_OF_OLD": "old", "OPENAI_BASE_URL": "", "OPENAI_URL_OF_OLD": VARIABLE_URL},
    )
    assert (found.base_url, found.api_key) == (VARIABLE_URL, "old")


def test_white_space_around_a_variable_is_taken_off():
    assert find(variables=(f" {VARIABLE_KEY}\n", f"{VARIABLE_URL}/\n")) == (VARIABLE_URL, VARIABLE_KEY)


def test_a_missing_key_prints_the_line_that_sets_it():
    with pytest.raises(MissingKeyError) as caught:
        find()
    message = str(caught.value)
    assert "export OPENAI_API_KEY=..." in message
    assert ROW.hint in message
    assert "local/smollm2" in message


@given(PICKS)
def test_a_provider_that_needs_no_key_is_never_asked_for_one(picked):
    url, key = find(**only({(source, at) for source, at in picked if at}), row=KEYLESS)
    assert key is None
    assert url in (CALL_URL, SETTINGS_URL, KEYLESS.base_url)


OPTIONAL = replace(ROW, key_optional=True)


@given(PICKS)
def test_a_key_that_is_optional_is_sent_by_the_same_law_and_missed_by_nobody(picked):
    first_key, first_url = (min((SOURCES.index(of) for of, which in picked if which == at), default=3) for at in (0, 1))
    if first_key < first_url < 3:  # it was given for another place: not dropped in silence
        with pytest.raises(MissingKeyError, match="is not sent to"):
            find(**only(picked), row=OPTIONAL)
        return
    url, key = find(**only(picked), row=OPTIONAL)
    assert key is None or (key, url) in EVERYWHERE.values() or url == ROW.base_url
    assert key is not None or url != ROW.base_url or not any(at == 0 for _, at in picked)


OPEN = replace(ROW, base_url="https://{resource}.openai.azure.com/openai/v1", parts=(("resource", ("RESOURCE",)),))
OPEN_URL = "https://mine.openai.azure.com/openai/v1"


@given(PICKS)
def test_a_url_whose_open_part_a_variable_fills_is_the_providers_own(picked):
    """So any key may go there: the end of its host stands in the row."""
    sources = only(picked)
    around = {**environment(*sources.pop("variables")), "RESOURCE": "mine"}
    given = [Given(api_key=key, base_url=url) for key, url in sources.values()]
    try:
        address = find_address(OPEN, *given, around)
    except MissingKeyError:
        return
    assert (address.api_key, address.base_url) in EVERYWHERE.values() or address.base_url == OPEN_URL


@given(PICKS)
def test_a_url_whose_whole_host_a_variable_says_is_that_variables(picked):
    row = replace(OPEN, base_url="https://{resource}/v1")
    sources = only({(source, at) for source, at in picked if at == 0})
    around = {**environment(*sources.pop("variables")), "RESOURCE": "elsewhere.example"}
    given = [Given(api_key=key, base_url=url) for key, url in sources.values()]
    try:
        address = find_address(row, *given, around)
    except MissingKeyError:
        return
    assert (address.base_url, address.api_key) == ("https://elsewhere.example/v1", VARIABLE_KEY)


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_URL_OF_OLD"])
def test_a_bad_url_of_a_variable_is_blamed_on_the_variable(name):
    with pytest.raises(ConfigurationError, match=f"environment variable {name} "):
        find_address(ROW, Given(), Given(), {"OPENAI_API_KEY": "k", name: "api.example"})


@pytest.mark.parametrize(
    "url", ["api.example/v1", "http://api.example", "ftp://api.example", "https://u:p@api.example"]
)
def test_a_bad_url_of_the_settings_is_blamed_on_the_settings(url):
    with pytest.raises(ConfigurationError, match=r"base_urls\['openai'\] of the settings"):
        Settings(base_urls={"openai": url})


@pytest.mark.parametrize("key", ["a\nb", "a\x00b", "schlüssel", "\x7f", "a\r\nx-evil: 1"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_showing_it(key):
    for source, blamed in (("settings", "of the settings"), ("variables", "environment variable OPENAI_API_KEY")):
        with pytest.raises(ConfigurationError, match=blamed) as caught:
            find(**{source: (key, None)})
        assert key not in str(caught.value)
    with pytest.raises(ConfigurationError, match="api_key"):
        ModelsAPI(Settings()).bind("gpt-4", api_key=key)


@pytest.mark.parametrize("field", ["api_keys", "base_urls"])
def test_settings_of_another_type_are_refused_in_words(field):
    with pytest.raises(ConfigurationError, match="openai"):
        ModelsAPI(Settings(transport=ScriptedTransport(), **{field: {"openai": 5}}))("gpt-4", "Hi")


@given(st.text("abcXYZ019-_.", min_size=1), st.sampled_from(["", " ", "\n", "\t \r\n"]))
def test_a_usable_key_is_taken_as_it_is_but_for_white_space_around_it(key, space):
    assert check_key(space + key + space, "x") == key


# What is a URL.

GOOD_URLS = [
    ("https://api.example", "https://api.example"),
    ("https://api.example/", "https://api.example"),
    ("https://api.example/v1//", "https://api.example/v1"),
    ("https://api.example:8443/a/b", "https://api.example:8443/a/b"),
    ("https://192.0.2.7/v1", "https://192.0.2.7/v1"),
    ("https://[2001:db8::1]:1/v1", "https://[2001:db8::1]:1/v1"),
    ("http://localhost:11434/v1", "http://localhost:11434/v1"),
    ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
    ("http://[::1]:80", "http://[::1]:80"),
    ("local://embedded", "local://embedded"),
]


@pytest.mark.parametrize(("url", "checked"), GOOD_URLS)
def test_a_base_url_is_taken_without_its_last_slash(url, checked):
    assert check_base_url(url, "x") == checked
    assert check_base_url(checked, "x") == checked


BAD_URLS = [
    "", " ", "api.example", "api.example/v1", "https://", "https:///v1", "https:api.example", "//api.example",
    "ftp://api.example", "file:///etc/passwd", "javascript:alert(1)", "https://api.example?x=1",
    "https://api.example/v1#top", "https://user@api.example", "https://user:pass@api.example",
    "https://api.example:0", "https://api.example:65536", "https://api.example:port", "https://api.example:",
    "https://api.example /v1", "https://api.example/v 1", "https://api.example\n", "\nhttps://api.example",
    "https://api.example\r\nx-evil: 1", "https://[::1", "https://[zz]", "https://a[b]", "https://api.example\tx",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_no_base_url_is_refused_with_its_source(url):
    with pytest.raises(ConfigurationError, match="MY_SOURCE is no base URL"):
        check_base_url(url, "MY_SOURCE")


@pytest.mark.parametrize("char", ["\x00", "\x01", "\x1b", "\x7f", "\u202e", "\u200b"])
@pytest.mark.parametrize("url", ["https://api{}.example", "https://api.example/v1{}"])
def test_a_control_character_anywhere_is_refused(url, char):
    with pytest.raises(ConfigurationError):
        check_base_url(url.format(char), "x")


@pytest.mark.parametrize("url", ["HTTPS://api.example", "Https://api.example"])
def test_a_url_means_the_same_in_any_case(url):
    assert check_base_url(url, "x")


def is_loopback_number(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)


@given(HOSTS, st.integers(1, 65535), st.sampled_from(["", "/", "/v1"]))
@example("localhost.evil.example", 80, "")
@example("127.0.0.1.evil.example", 80, "")
@example("127.1", 80, "")
@example("0.0.0.0", 80, "")
@example("169.254.169.254", 80, "/latest")
@example("localhost", 80, "")
def test_plain_http_goes_to_this_machine_only_and_https_anywhere(host, port, path):
    here = host == "localhost" or is_loopback_number(host)
    assert check_base_url(f"https://{host}:{port}{path}", "x")
    if here:
        assert check_base_url(f"http://{host}:{port}{path}", "x")
    else:
        with pytest.raises(ConfigurationError, match="use https"):
            check_base_url(f"http://{host}:{port}{path}", "x")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1@evil.example", "http://localhost:pw@evil.example", "http://[::1].evil"]
)
def test_a_host_that_only_begins_like_this_machine_is_refused(url):
    with pytest.raises(ConfigurationError):
        check_base_url(url, "x")


def test_a_host_that_only_begins_like_this_machine_is_not_this_machine():
    assert not is_loopback("http://127.0.0.1@evil.example")


@pytest.mark.parametrize("host", ["127.999.999.999", "127.0.0.256", "127.\u0660.0.1", "127.0.0.\uff11", "127.0.0.0001"])
def test_what_is_no_number_of_this_machine_is_a_name_of_another(host):
    assert not is_loopback(f"http://{host}")


NOT_THIS_MACHINE = [
    "127.1", "0.0.0.0", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::]", "localhost.",
    "localhost.evil.example", "localhost-evil.example", "127.0.0.1.evil.example", "127.0.0.1.", "notlocalhost",
    "localhos\u0074\u0323", "lo\u212aalhost", "\uff4cocalhost", "127.\u0660.0.1", "127.0.0.\uff11", "169.254.169.254",
    "10.0.0.1", "192.168.0.1", "localhost.localdomain", "ip6-localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", NOT_THIS_MACHINE, ids=ascii)
def test_a_doubtful_spelling_of_this_machine_is_sent_nothing_readable(host):
    """A form that systems read differently, or that a name server may answer, is none."""
    for url in (f"http://{host}", f"http://{host}:8080/v1", f"HTTP://{host.upper()}/"):
        with pytest.raises(ConfigurationError):
            check_base_url(url, "x")


TRICKS = [
    "https://api.openai.com.evil.com/v1", "https://api-openai.com/v1", "https://evil.com/api.openai.com/v1",
    "https://API.OPENAI.COM./v1", "https://api.openai.com.:443/v1", "https://api.openai.com:8443/v1",
    "https://api.openai.com\u3002evil.com/v1", "https://api.openai.com\uff0eevil.com", "https://api.openai.com%2eevil.com",
    "https://api.openai.com@evil.com/v1", "https://api.openai.com:443@evil.com/v1", "https://evil.com#api.openai.com",
    "https://evil.com?api.openai.com", "https://evil.com\\@api.openai.com", "https://\u0430pi.openai.com/v1",
    "https://api.openai.c\u043em/v1", "https://xn--pi-8ka.openai.com/v1", "//api.openai.com", "https:/api.openai.com",
    "https://evil.com/.api.openai.com", "https://api.openai.com\u2488evil.com/v1", "https://api.opena\u0131.com/v1",
]  # fmt: skip


@pytest.mark.parametrize("source", ["call", "settings", "variables"])
@pytest.mark.parametrize("url", TRICKS, ids=ascii)
def test_a_host_that_only_looks_like_the_providers_is_sent_no_key_of_another_source(url, source):
    for keys in [each for each in SOURCES if each != source]:
        around = {keys: (EVERYWHERE[keys][0], None), source: (None, url)}
        try:
            _, key = find(**around)
        except ConfigurationError:  # MissingKeyError is one: refused either way
            continue
        assert key is None


def test_the_providers_own_host_in_another_spelling_is_its_own():
    """Capitals and the usual port mean the same host; all else is another."""
    for url in ("https://API.openai.COM/v1", "https://api.openai.com:443/v1"):
        assert find(call=(CALL_KEY, None), variables=(None, url))[1] == CALL_KEY


@given(st.text(max_size=40))
def test_any_text_is_a_base_url_or_refused(text):
    try:
        checked = check_base_url(text, "x")
    except ConfigurationError:
        return
    assert checked.startswith(("https://", "http://", "local://"))
    assert not checked.endswith("/")
    assert not set(checked) & set("?#@ \r\n")


@pytest.mark.parametrize("url", ["https://user:hunter2@api.example", "https://api.example/v1?key=hunter2"])
def test_a_refused_url_shows_neither_password_nor_query(url):
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(url, "x")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://user:hunter2/x@api.example", "user:hunter2@api.example/v1", "https:user:hunter2@api.example",
     "https://api.example/#token=hunter2"],
)  # fmt: skip
def test_a_refused_url_shows_no_password_wherever_it_stands(url):
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(url, "x")
    assert "hunter2" not in str(caught.value)


# What is sent, through the API.


@pytest.fixture
def script(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "QUOTH_PRICES", "QUOTH_TIMEOUT", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return ScriptedTransport(lambda request: Reply(status=401, body=b'{"error": {"message": "no"}}'))


def sent_by(script, *, settings=None, **options):
    """The URL and the headers of the request that a call sends."""
    api = ModelsAPI(Settings(transport=script, **(settings or {})), providers=chat_table())
    with pytest.raises(AuthenticationError):
        api("gpt-4", "Hi", **options)
    request = script.requests[-1]
    return request.url, [value for name, value in request.headers if name == "authorization"]


def test_a_key_is_sent_as_the_row_says(script):
    url, sent = sent_by(script, api_key=CALL_KEY)
    assert (url, sent) == ("https://api.openai.com/v1/chat/completions", [f"Bearer {CALL_KEY}"])


def test_a_row_may_say_otherwise(script):
    table = ProviderTable()
    table.register(
        "mine", base_url="https://mine.example", auth_header="x-key", auth_prefix="", headers=(("x-version", "1"),),
        key_variables=("MINE_KEY",),
    )  # fmt: skip
    api = ModelsAPI(Settings(transport=script, api_keys={"mine": "k1"}), providers=table)
    with pytest.raises(AuthenticationError):
        api("mine/x", "Hi")
    headers = dict(script.requests[0].headers)
    assert (headers["x-key"], headers["x-version"]) == ("k1", "1")
    assert "authorization" not in headers


def test_a_key_is_read_at_each_call_so_that_a_rotated_one_is_used(script, monkeypatch):
    api = ModelsAPI(Settings(transport=script), providers=chat_table())
    binding = api.bind("gpt-4")  # needs no key
    with pytest.raises(MissingKeyError):
        binding("Hi")
    for key in ("sk-first", "sk-second"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(AuthenticationError):
            binding("Hi")
        assert ("authorization", f"Bearer {key}") in script.requests[-1].headers
    monkeypatch.setenv("OPENAI_BASE_URL", "https://moved.example")
    with pytest.raises(AuthenticationError):
        binding("Hi")
    assert script.requests[-1].url == "https://moved.example/chat/completions"


def test_the_environments_key_is_not_sent_to_a_base_url_of_the_call(script, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", VARIABLE_KEY)
    api = ModelsAPI(Settings(transport=script), providers=chat_table())
    with pytest.raises(MissingKeyError):
        api("gpt-4", "Hi", base_url="https://evil.example")
    assert script.requests == []
    _, sent = sent_by(script, base_url="http://localhost:1")
    assert sent == []
    assert all(VARIABLE_KEY not in repr(request.headers) for request in script.requests)


@pytest.mark.parametrize("name", ["api_keys", "base_urls"])
def test_settings_may_name_a_provider_as_ids_do(script, name):
    """``gemini/...`` works as an id, so does ``OpenAI/...``."""
    value = {"api_keys": SETTINGS_KEY, "base_urls": "http://localhost:1"}[name]
    sent_by(script, settings={name: {"OpenAI": value}})
    assert script.requests


def test_a_header_of_the_caller_replaces_ours_of_the_same_name(script):
    _, sent = sent_by(script, api_key=CALL_KEY, headers={"Authorization": "Custom abc"})
    assert sent == ["Custom abc"]


# No key in any text.


def objects_with_a_key():
    script = ScriptedTransport()
    settings = Settings(api_keys={"openai": CALL_KEY}, transport=script)
    api = ModelsAPI(settings, providers=chat_table())
    binding = api.bind("gpt-4", api_key=CALL_KEY, headers={"x-secret": CALL_KEY})
    call = binding.prepare("Hi")
    wire = call.provider.build(call.request)
    address = Address(base_url="https://x.example", api_key=CALL_KEY)
    request = call.provider.address(wire, address, call.headers)
    assert ("x-secret", CALL_KEY) in request.headers
    return {
        "settings": settings,
        "api": api,
        "aio": api.aio,
        "binding": binding,
        "async binding": binding.aio,
        "bound again": binding.bind(temperature=0),
        "call": call,
        "given": call.given,
        "address": address,
        "request": request,
        "provider": call.provider,
        "stream": binding.stream("Hi"),
        "async stream": binding.aio.stream("Hi"),
        "service": api._service,
    }


@pytest.mark.parametrize("name", objects_with_a_key())
def test_no_object_shows_its_key(name):
    value = objects_with_a_key()[name]
    for shown in (repr(value), str(value), f"{value}", repr([value]), repr({"a": value})):
        assert CALL_KEY not in shown


@pytest.mark.parametrize("name", ["settings", "call", "given", "address", "request"])
def test_no_object_shows_its_key_to_rich(name):
    """``rich.print``, its tracebacks with locals, and every notebook that uses it."""
    assert CALL_KEY not in repr(list(objects_with_a_key()[name].__rich_repr__()))


def failing_calls():
    return {
        "missing": (ScriptedTransport(), {"api_key": None}),
        "refused": (ScriptedTransport(Reply(status=401, body=f'{{"error": "bad key {CALL_KEY}"}}'.encode())), {}),
        "lost": (ScriptedTransport(APIConnectionError("refused")), {}),
        "unreadable": (ScriptedTransport(Reply(body=b"<html>")), {}),
        "wrong": (ScriptedTransport(), {"base_url": f"https://{CALL_KEY}@x.example"}),
    }


@pytest.mark.parametrize("case", failing_calls())
def test_no_error_holds_the_key_in_text_fields_pickle_or_locals(case, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    script, options = failing_calls()[case]
    with pytest.raises(QuothError) as caught:
        ModelsAPI(Settings(transport=script), providers=chat_table())("gpt-4", "Hi", **{"api_key": CALL_KEY, **options})
    error = caught.value
    for shown in (str(error), repr(error), repr(vars(error))):
        assert CALL_KEY not in shown
    assert CALL_KEY.encode() not in pickle.dumps(error)
    assert copy.deepcopy(error) == error


def test_a_traceback_with_the_locals_of_every_frame_shows_no_key(monkeypatch):
    """As crash reporters take it."""
    monkeypatch.setenv("OPENAI_API_KEY", VARIABLE_KEY)
    script = ScriptedTransport(APIConnectionError("refused"))
    api = ModelsAPI(Settings(transport=script), providers=chat_table())
    with pytest.raises(APIConnectionError) as caught:
        api("gpt-4", "Hi", retries=0)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "advance" in shown  # the last frame: those below held the request
    assert VARIABLE_KEY not in shown


def test_a_key_that_looks_like_none_is_not_echoed_by_an_error(monkeypatch):
    key = "correct horse battery"
    script = ScriptedTransport(Reply(status=401, body=f'{{"error": "bad key: {key}"}}'.encode()))
    with pytest.raises(AuthenticationError) as caught:
        ModelsAPI(Settings(transport=script), providers=chat_table())("gpt-4", "Hi", api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", ["e", "ollama", "EMPTY"])
def test_the_dummy_key_of_a_local_server_does_not_black_out_the_words_of_an_error(key):
    script = ScriptedTransport(Reply(status=404, body=b'{"error": "ollama: no such model, EMPTY cache"}'))
    with pytest.raises(QuothError, match="ollama: no such model, EMPTY cache"):
        ModelsAPI(Settings(transport=script), providers=chat_table())("gpt-4", "Hi", api_key=key)


def test_a_request_shows_no_query():
    request = HTTPRequest(url="https://x.example/v1?key=hunter2", headers=(("a", "hunter2"),), body=b"hunter2")
    assert repr(request) == "HTTPRequest(POST https://x.example/v1, 7 bytes)"
