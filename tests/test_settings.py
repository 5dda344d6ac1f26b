"""Settings and keys: which source wins, a key that no text shows, changes that are whole or not at all."""

import asyncio
import copy
import json
import logging
import pickle
import re
import runpy
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from quoth import EnvironmentKey, Message, ModelsAPI, QuothError, Response, Secret, Settings, Usage
from quoth._settings import SHARED_VARIABLES, VARIABLES, SettingsOptions
from quoth.dialects.openai_chat.server import build_response
from quoth.errors import ConfigurationError, InputError, InputTypeError, MissingKeyError
from quoth.providers import ProviderTable
from quoth.providers._auth import read_key
from quoth.testing import Reply, ScriptedTransport
from tables import chat_table

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 10.0
KEY, OTHER_KEY = "sk-test-0123456789abcdef", "sk-other-0123456789abcdef"
HELLO = Response(
    message=Message.assistant("Hello"), finish_reason="stop", model="gpt-4", usage=Usage(input=1000, output=500)
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "TEAM_KEY", *VARIABLES):
        monkeypatch.delenv(name, raising=False)


class Listening(ScriptedTransport):
    """A script that answers everything, and keeps the keys and the timeouts that it sees."""

    def __init__(self):
        super().__init__(lambda request: Reply(body=build_response(HELLO).body))
        self.timeouts = []

    def answer(self, request, deadline):
        self.timeouts.append(deadline.timeout)
        return super().answer(request, deadline)

    @property
    def keys(self):
        return [dict(request.headers).get("authorization", "").removeprefix("Bearer ") for request in self.requests]


@pytest.fixture
def script():
    return Listening()


def api_of(script, **more):
    return ModelsAPI(Settings(transport=script, async_transport=script.aio, **more), providers=chat_table())


def blocking(api, **options):
    return api("gpt-4", "Hi", **options)


def streamed(api, **options):
    return api.stream("gpt-4", "Hi", **options).read()


def asynchronous(api, **options):
    async def main():
        return await api.aio("gpt-4", "Hi", **options)

    return asyncio.run(main())


@pytest.fixture(params=[blocking, streamed, asynchronous])
def ask(request):
    return request.param


# A Secret.

SECRETS = st.text(st.characters(codec="utf-8"), min_size=4)


@given(st.text("abcdefXYZ0123456789-_", min_size=8))
def test_no_text_form_of_a_secret_shows_it(value):
    secret = Secret(value)
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s %r", (secret, secret), None)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!s:>30}", repr([secret]), repr({"key": secret})]
    shown += [record.getMessage(), repr(dir(secret)), traceback.format_exception_only(ValueError(secret))[0]]
    for text in shown:
        assert value not in text
    assert secret.reveal() == value


def test_nothing_that_walks_over_attributes_finds_a_secret():
    secret = Secret(KEY)
    assert not hasattr(secret, "__dict__")
    for name in dir(secret):
        if name != "reveal":
            assert KEY not in repr(getattr(secret, name, None))
    assert KEY not in repr(secret.reveal)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_and_what_holds_it_are_not_pickled(protocol):
    for value in (Secret(KEY), Settings(api_keys={"openai": KEY}), [Secret(KEY)]):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(value, protocol)


def test_no_encoder_writes_a_secret():
    for encode in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        with pytest.raises(TypeError) as caught:
            encode({"key": Secret(KEY)})
        assert KEY not in str(caught.value)
    assert KEY not in json.dumps({"key": Secret(KEY)}, default=str)


def test_a_secret_copies_as_itself_and_does_not_change():
    secret = Secret(KEY)
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    with pytest.raises(AttributeError):
        secret.reveal = lambda: "another"
    with pytest.raises(AttributeError):
        del secret.reveal
    with pytest.raises(InputTypeError, match="Secret"):
        Secret(5)


@given(SECRETS, SECRETS)
def test_secrets_are_equal_as_their_texts_are_and_never_equal_a_text(one, other):
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one) != one


def test_secrets_are_compared_in_constant_time(monkeypatch):
    import hmac

    asked = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: asked.append((one, other)) or True)
    assert Secret("a") == Secret("b")
    assert asked == [(b"a", b"b")]


def test_settings_hold_secrets_and_show_none():
    given = {"openai": KEY, "mine": Secret(KEY), "team": EnvironmentKey("TEAM_KEY"), "asked": lambda: KEY}
    held = Settings(api_keys=given)
    assert held.api_keys["openai"] == held.api_keys["mine"] == Secret(KEY)
    assert KEY not in repr(held)
    assert KEY not in repr(dict(held.api_keys))
    given["openai"] = OTHER_KEY
    assert held.api_keys["openai"] == Secret(KEY)


# Where a key comes from.


def sources(monkeypatch):
    monkeypatch.setenv("TEAM_KEY", f" {KEY}\n")
    return [KEY, f" {KEY}\n", Secret(KEY), EnvironmentKey("TEAM_KEY"), lambda: KEY, lambda: Secret(f"{KEY}\n")]


def test_a_key_may_come_from_a_value_a_function_or_a_variable(ask, script, monkeypatch):
    for source in sources(monkeypatch):
        ask(api_of(script), api_key=source)
        ask(api_of(script, api_keys={"OpenAI": source}))
    assert script.keys == [KEY] * 12


def test_a_function_is_asked_at_each_call_and_only_when_its_key_is_used(ask, script):
    keys = iter(["k1", "k2", "k3"])
    api = api_of(script, api_keys={"openai": lambda: next(keys), "mine": lambda: 1 / 0})
    for _ in range(2):
        ask(api)
    ask(api, api_key="own")
    ask(api)
    assert script.keys == ["k1", "k2", "own", "k3"]


def test_a_variable_is_read_at_each_call(ask, script, monkeypatch):
    api = api_of(script, api_keys={"openai": EnvironmentKey("TEAM_KEY")})
    for key in (KEY, OTHER_KEY):
        monkeypatch.setenv("TEAM_KEY", key)
        ask(api)
    assert script.keys == [KEY, OTHER_KEY]


def test_a_variable_that_is_not_set_is_named_with_the_line_that_sets_it(ask, script, monkeypatch):
    for value in (None, " "):
        if value is not None:
            monkeypatch.setenv("TEAM_KEY", value)
        with pytest.raises(MissingKeyError, match=r"export TEAM_KEY=\.\.\.") as caught:
            ask(api_of(script, api_keys={"openai": EnvironmentKey("TEAM_KEY")}))
        assert caught.value.provider == "openai"
    assert script.requests == []


@pytest.mark.parametrize("name", ["", KEY, "A B", "A=B", "1A", 5, None])
def test_what_is_no_name_of_a_variable_is_refused_and_not_shown(name):
    with pytest.raises(ConfigurationError, match="EnvironmentKey") as caught:
        EnvironmentKey(name)
    assert KEY not in str(caught.value)


def vault():
    raise PermissionError(f"no such token: {KEY}")


async def avault():
    return KEY


FAILING = [
    (vault, "vault.* raised PermissionError"),
    (lambda: None, "gave a NoneType"),
    (lambda: 5, "gave a int"),
    (KEY.encode, "gave a bytes"),
    (avault, "avault must give the key as a str, and gave a coroutine"),
    (lambda: "", "no usable key"),
    (lambda: f"{KEY}\nx", "no usable key"),
    (lambda: Secret(f"{KEY}é"), "no usable key"),
    (lambda: next(iter([])), "raised StopIteration"),
]


@pytest.mark.parametrize(("source", "words"), FAILING, ids=[words for _, words in FAILING])
@pytest.mark.parametrize("given", ["call", "settings"])
def test_a_function_that_gives_no_key_is_named_and_leaks_nothing(ask, script, source, words, given):
    api = api_of(script, api_keys={"openai": source} if given == "settings" else {})
    with pytest.raises(ConfigurationError, match=words) as caught:
        ask(api, **({"api_key": source} if given == "call" else {}))
    error = caught.value
    assert ("api_keys['openai'] of the settings" if given == "settings" else "api_key") in str(error)
    assert error.__cause__ is error.__context__ is None
    assert KEY not in "".join(traceback.format_exception(error))
    assert KEY.encode() not in pickle.dumps(error)
    assert script.requests == []
    assert api.usage().total.failed == 1


def test_a_function_that_is_interrupted_interrupts(script):
    def interrupted():
        raise KeyboardInterrupt

    api = api_of(script)
    with pytest.raises(KeyboardInterrupt):
        blocking(api, api_key=interrupted)
    assert api.usage().total.cancelled == 1


def test_a_slow_function_holds_up_no_event_loop(script):
    """It runs in a thread: here it waits for something that only the loop can do."""
    go_on = threading.Event()

    def slow():
        assert go_on.wait(PATIENCE)
        return KEY

    async def main():
        task = asyncio.create_task(api_of(script).aio("gpt-4", "Hi", api_key=slow))
        await asyncio.sleep(0)
        go_on.set()
        return await task

    assert asyncio.run(main()).text == "Hello"


def test_a_key_given_by_a_function_is_bound_to_its_url_as_any_other(ask, script):
    asked = []

    def key():
        asked.append(1)
        return KEY

    with pytest.raises(MissingKeyError, match="is not sent to"):
        ask(api_of(script, api_keys={"openai": key}), base_url="https://evil.example/v1")
    assert script.requests == []


def test_a_key_of_any_source_stands_in_no_error(ask, monkeypatch):
    plain = "correct horse battery staple"
    monkeypatch.setenv("TEAM_KEY", plain)
    for source in (plain, Secret(plain), EnvironmentKey("TEAM_KEY"), lambda: plain):
        script = ScriptedTransport(Reply(status=401, body=json.dumps({"error": f"bad key {plain}"}).encode()))
        with pytest.raises(QuothError) as caught:
            ask(api_of(script), api_key=source)
        assert plain not in str(caught.value)
        binding = api_of(script).bind("gpt-4", api_key=source)
        assert plain not in repr(binding) + repr(binding.prepare("Hi")) + repr(binding.prepare("Hi").given)


@given(st.one_of(st.none(), st.integers(), st.binary(), st.lists(st.text()), st.just(Secret(""))))
def test_whatever_is_no_source_is_refused_by_name(value):
    with pytest.raises(InputError, match=r"api_keys\['openai'\] of the settings"):
        Settings(api_keys={"openai": value})


def test_reading_a_key_gives_a_text_fit_for_a_header():
    assert read_key(lambda: f"\t{KEY} ", "api_key") == KEY


# Precedence.


def test_the_call_wins_over_what_is_configured_over_the_environment_over_the_default(ask, script, monkeypatch):
    api = api_of(script)
    with pytest.raises(MissingKeyError):
        ask(api)
    monkeypatch.setenv("OPENAI_API_KEY", "variable")
    monkeypatch.setenv("QUOTH_TIMEOUT", "50")
    ask(api)
    api.configure(api_keys={"openai": "configured"}, timeout=40)
    ask(api)
    ask(api, api_key="call", timeout=30)
    api.configure(api_keys={"openai": None}, timeout=None)
    ask(api)
    assert script.keys == ["variable", "configured", "call", "variable"]
    assert script.timeouts == [50.0, 40.0, 30.0, 50.0]
    monkeypatch.delenv("QUOTH_TIMEOUT")
    ask(api)
    assert script.timeouts[-1] == 600.0


def test_either_word_that_forbids_the_network_is_enough(ask, script, monkeypatch):
    api = api_of(script, api_keys={"openai": KEY}, offline=True)
    with pytest.raises(ConfigurationError, match="setting offline"):
        ask(api)
    monkeypatch.setenv("QUOTH_OFFLINE", "1")
    api.configure(offline=False)
    with pytest.raises(ConfigurationError, match="QUOTH_OFFLINE"):
        ask(api)
    monkeypatch.setenv("QUOTH_OFFLINE", "perhaps")
    with pytest.raises(ConfigurationError, match="QUOTH_OFFLINE"):
        ask(api)
    assert script.requests == []
    monkeypatch.setenv("QUOTH_OFFLINE", "0")
    assert ask(api).text == "Hello"


# configure.


def test_mappings_are_merged_by_name_and_everything_else_is_replaced(script):
    api = api_of(script, api_keys={"openai": "k1", "mine": "k2"}, base_urls={"mine": "https://a.example"}, timeout=5)
    api.configure(api_keys={"OpenAI": "k3", "third": "k4"}, base_urls={"third": "https://b.example"}, tags={"a": "1"})
    api.configure(tags={"b": "2"}, timeout=7)
    api.configure(tags={"a": None}, api_keys={"third": None})
    held = api._service.settings
    assert held.api_keys == {"openai": Secret("k3"), "mine": Secret("k2")}
    assert held.base_urls == {"mine": "https://a.example", "third": "https://b.example"}
    assert (held.tags, held.timeout, held.transport) == ({"b": "2"}, 7.0, script)
    api.configure(api_keys=None)
    assert api._service.settings.api_keys == {}
    api.configure()


@pytest.mark.parametrize(("wrong", "meant"), [("timeot", "timeout"), ("api_key", "api_keys"), ("price", "prices")])
def test_a_misspelt_setting_is_answered_with_the_nearest(script, wrong, meant):
    with pytest.raises(InputTypeError, match=f"no setting '{wrong}': did you mean '{meant}'"):
        api_of(script).configure(**{wrong: 1})


def test_a_setting_like_no_other_is_answered_with_all_of_them(script):
    with pytest.raises(InputTypeError) as caught:
        api_of(script).configure(zzz=1)
    assert all(name in str(caught.value) for name in Settings.__struct_fields__)


BAD = {
    "timeout": [0, -1, float("nan"), float("inf"), "5", True, [], 10**400],
    "api_keys": [5, "sk-x", ["k"], {"openai": 5}, {"openai": "a\nb"}, {5: "k"}, {"openai": ""}],
    "base_urls": [5, "https://x.example", {"openai": "x.example"}, {"openai": "http://x.example"}, {"openai": 5}],
    "prices": [5, {"a/b": {}}, "{not json", "/no/such/file.json"],
    "tags": [5, ["a"], {"a": 1}, {"": "x"}, {"a": "x" * 300}],
    "offline": [1, "yes", 0],
    "retries": [-1, "2", 1.5, True],
    "transport": [5, "http", object()],
    "async_transport": [5, object()],
    "ledger": [5, "", "mysql://host/db", b"calls.db", ":memory:"],
    "metrics_dir": [5, "", b"metrics"],
    "http": [5, {"proxy": "https://x.example"}],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in BAD for value in BAD[name]],
    ids=lambda v: "object" if type(v) is object else repr(v)[:40],
)
def test_a_bad_value_names_its_setting_and_changes_nothing(script, name, value):
    api = api_of(script, api_keys={"openai": KEY})
    before = api._service.settings
    with pytest.raises(InputError, match=name):
        api.configure(**{"timeout": 5, name: value})
    assert api._service.settings is before
    assert blocking(api).text == "Hello"
    if name != "prices":  # which are read at the first call, or when they are configured
        with pytest.raises(InputError, match=name):
            Settings(**{name: value})


def test_every_setting_has_bad_values_and_is_typed():
    assert set(BAD) == set(Settings.__struct_fields__) == set(SettingsOptions.__annotations__)


def test_prices_that_are_configured_hold_from_the_next_call_on(ask, script):
    api = api_of(script, api_keys={"openai": KEY})
    assert str(ask(api).cost) == "$0.06"
    api.configure(prices='{"openai/gpt-4": {"input": "1", "output": "0"}}')
    assert str(ask(api).cost) == "$0.001"
    api.configure(prices=None)
    assert str(ask(api).cost) == "$0.06"


def test_a_binding_follows_what_is_configured(script):
    api = api_of(script)
    binding = api.bind("gpt-4")
    for key in (KEY, OTHER_KEY):
        api.configure(api_keys={"openai": key})
        binding("Hi")
    assert script.keys == [KEY, OTHER_KEY]


def test_another_transport_carries_the_next_calls(ask, script):
    other = Listening()
    api = api_of(script, api_keys={"openai": KEY})
    ask(api)
    api.configure(transport=other, async_transport=other.aio)
    ask(api)
    assert (len(script.requests), len(other.requests)) == (1, 1)


def test_a_call_under_way_keeps_the_settings_that_it_began_with():
    """Configured while it is answered: its price, its tags and its transport are those of its beginning."""
    told = []

    def answer(request):
        api.configure(prices='{"openai/gpt-4": {"input": "1", "output": "0"}}', tags={"a": "2"}, offline=True)
        return Reply(body=build_response(HELLO).body)

    api = api_of(ScriptedTransport(answer), api_keys={"openai": KEY}, tags={"a": "1"})
    api.on_call(told.append)
    assert str(blocking(api).cost) == "$0.06"
    assert told[0].tags == {"a": "1"}
    with pytest.raises(ConfigurationError, match="offline"):
        blocking(api)
    assert told[1].tags == {"a": "2"}


def test_threads_that_configure_at_once_lose_nothing_of_each_other(script):
    api = api_of(script)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: api.configure(tags={f"t{n % 32}": str(n)}, api_keys={f"p{n}": "k"}), range(200)))
    assert len(api._service.settings.api_keys) == 200
    assert len(api._service.settings.tags) == 32


def test_a_reader_never_sees_half_of_a_change(script):
    """Key and URL are configured together: no call may take one of before and one of after."""
    api = api_of(script)
    pairs = [("k1", "https://one.example"), ("k2", "https://two.example")]
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for key, url in pairs:
                api.configure(api_keys={"openai": key}, base_urls={"openai": url})

    api.configure(api_keys={"openai": "k1"}, base_urls={"openai": "https://one.example"})
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        for _ in range(300):
            blocking(api)
        stop.set()
        changing.result(PATIENCE)
    seen = {
        (key, request.url.removesuffix("/chat/completions"))
        for key, request in zip(script.keys, script.requests, strict=True)
    }
    assert seen <= set(pairs)


# The table of variables, and the page that shows it.


def test_every_variable_of_ours_is_in_the_table_and_every_entry_is_read():
    sources = [path.read_text("utf-8") for path in (ROOT / "src" / "quoth").rglob("*.py")]
    used = {name for source in sources for name in re.findall(r"QUOTH_[A-Z_]*[A-Z]", source)}
    assert used == set(VARIABLES)
    for name in VARIABLES:
        assert sum(source.count(f'"{name}"') for source in sources) > 1, f"{name} is listed and never read"


def test_no_variable_is_read_that_no_table_names():
    sources = [path.read_text("utf-8") for path in (ROOT / "src" / "quoth").rglob("*.py")]
    read = r"(?:environ(?:ment)?(?:\.get\(|\[)|variable\((?:environ(?:ment)?, )?|flag\()\"(\w+)\""
    names = {name.upper() for source in sources for name in re.findall(read, source)}
    assert {"QUOTH_TIMEOUT", "QUOTH_OFFLINE", "QUOTH_MODEL", "NO_PROXY", "SSL_CERT_FILE"} <= names
    assert names <= {*VARIABLES, *SHARED_VARIABLES}


@pytest.fixture(scope="module")
def docs():
    return runpy.run_path(str(ROOT / "tools" / "build_docs.py"))


def test_the_page_of_settings_is_what_the_tables_say(docs):
    """``python tools/build_docs.py`` writes it."""
    for path, text in docs["pages"]().items():
        assert path.read_text("utf-8") == text, f"{path.name} is out of date: run python tools/build_docs.py"


def test_the_page_has_every_variable_setting_and_provider(docs):
    text = "".join(docs["pages"]().values())
    rows = list(ProviderTable())
    names = [*VARIABLES, *SHARED_VARIABLES, *Settings.__struct_fields__, *(row.name for row in rows)]
    names += [name for row in rows for name in (*row.key_variables, *row.base_url_variables)]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_a_page_without_its_marks_is_refused(docs):
    with pytest.raises(ValueError, match="variables"):
        docs["filled"]("no marks here", {"variables": "x"})


def test_a_settings_object_is_what_it_was_given():
    held = Settings(timeout=5, base_urls={"openai": "HTTPS://X.example/v1/"}, tags={"a": "b"})
    assert isinstance(held.tags, Mapping)
    assert (held.timeout, held.base_urls) == (5.0, {"openai": "https://x.example/v1"})
    assert (
        repr(held)
        == "Settings(timeout=5.0, api_keys=[], base_urls={'openai': 'https://x.example/v1'}, tags={'a': 'b'})"
    )
