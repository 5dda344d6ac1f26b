"""After real calls no public object, error, log or traceback shows the key, however it is looked at."""

import asyncio
import copy
import io
import logging
import pickle
import traceback

import msgspec
import pytest

from faults import CHAT, JSON, KEY, reply, serving
from quoth import EnvironmentKey, Image, ModelsAPI, Secret, Settings
from quoth.errors import AuthenticationError, QuothError
from quoth.providers import ProviderTable
from quoth.providers.credentials import HeaderCredentials
from quoth.testing import FakeProvider
from servers import RawServer
from test_error_secrets import leads_to
from ways import WAYS

ECHO = b'{"error": {"message": "the key %b is wrong", "code": "%b"}}' % (KEY.encode(), KEY.encode())


def api_of(server):
    table = ProviderTable()
    table.register("mine", base_url=server.url("/v1"), key_variables=("MINE_KEY",))
    return ModelsAPI(Settings(api_keys={"mine": KEY}, timeout=10, retries=0), providers=table)


def texts_of(value):
    """What can be seen of a value: as text, by its attributes, copied, and pickled where it can be."""
    yield from (str(value), repr(value), f"{value}", repr(getattr(value, "__dict__", None)))
    for look in (
        lambda: pickle.dumps(value).decode("latin-1"),
        lambda: repr(copy.copy(value)),
        lambda: pickle.dumps(copy.deepcopy(value)).decode("latin-1"),
        lambda: repr(msgspec.to_builtins(value)),
        lambda: msgspec.json.encode(value).decode(),
    ):
        try:
            yield look()
        except Exception as error:  # noqa: BLE001  # what cannot be copied must say so without the key
            yield "".join(traceback.format_exception(error))


@pytest.fixture
def log():
    """All that is logged, by anyone, at DEBUG."""
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("way", WAYS)
def test_no_public_object_shows_the_key_after_an_answer(way, log, recwarn):
    with RawServer(serving(CHAT)) as server:
        api, records = api_of(server), []
        handle = api.on_call(records.append)
        answer = WAYS[way](api, model="mine/m")
        binding = api.bind("mine/m")
        stream = api.stream("mine/m", "Hi")
        whole = stream.read()
        seen = [answer, whole, answer.call, answer.usage, answer.cost, answer.message, *records, api.usage(), handle]
        for value in (*seen, stream, binding, api, api.aio, api.providers()):
            assert not [text for text in texts_of(value) if KEY in text], type(value)
        for value in seen[:-1]:  # what holds results holds nothing that leads to the key either
            assert not [text for text in leads_to(value, {}) if KEY in text], type(value)
        assert KEY.encode() in server.requests[0][0]  # else there would be nothing to find
        api.close()
    assert len(records) == 2
    assert KEY not in log.getvalue()
    assert not [warning for warning in recwarn if KEY in str(warning.message)]


@pytest.mark.parametrize("way", WAYS)
def test_no_error_shows_the_key_that_the_provider_echoes_even_with_the_locals_of_its_traceback(way, log):
    with RawServer(reply(ECHO, JSON, status=401)) as server:
        api, records = api_of(server), []
        api.on_call(records.append)
        with pytest.raises(AuthenticationError) as caught:
            WAYS[way](api, model="mine/m")
        error = caught.value
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        logging.getLogger("application").error("failed", exc_info=error)
        seen = ["".join(shown.format()), *texts_of(error), *map(repr, records), repr(api.usage())]
        assert not [text for text in seen if KEY in text]
        assert KEY.encode() in server.requests[0][0]
        api.close()
    assert KEY not in log.getvalue()


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


MODEL = "openai/gpt-6-luna"


def met_by_a_program(api, folder):
    """Everything that a program is given by the verbs of the API, or can ask it for."""
    met = []
    api.on_call(lambda record: met.append(("a record in a hook", record)))

    def around(request, following):
        met.append(("a request in middleware", request))
        response = yield from following(request)
        met.append(("a response in middleware", response))
        return response

    remove = api.use(around)
    met.extend({"the API": api, "its aio": api.aio, "remove": remove, "a response": api(MODEL, "Hi")}.items())
    stream = api.stream(MODEL, "Hi there")
    met.append(("a stream before", stream))
    met.extend((f"an event {event.__class__.__name__}", event) for event in stream.events())
    met.extend({"a stream after": stream, "its response": stream.response}.items())
    binding, keyed = api.bind(MODEL), api.bind(MODEL, api_key=KEY, headers={"x-own": "1"})
    keyed("Hi")
    met.extend({"a binding": binding, "with a key": keyed, "a binding's aio": keyed.aio}.items())
    chat = api.chat(MODEL, api_key=KEY, tools=[add])
    chat("Hi")
    chat.save(folder / "chat.json")
    met.extend(
        {"a chat": chat, "its aio": chat.aio, "its fork": chat.fork(), "loaded": api.load_chat(chat.to_json())}.items()
    )
    run = api.run(MODEL, "Hi", tools=[add], api_key=KEY)
    met.extend({"a run": run, "vectors": api.embed("openai/text-embedding-3-small", ["a", "b"])}.items())
    with api.budget("5", name="b") as budget, api.track() as tally, api.tag(feature="x"):
        api(MODEL, Image(url="https://x.example/a.png"), check="off")
    met.extend({"a budget": budget, "budgets": api.budgets(), "a tally": tally, "usage": api.usage()}.items())
    met.extend({"models": api.list(provider="openai", refresh=True), "info": api.info(MODEL)}.items())
    met.extend({"providers": api.providers(), "an estimate": api.estimate(MODEL, "Hi")}.items())
    api.ledger.flush(10)
    api.ledger.export(folder / "calls.csv")
    api.ledger.export(folder / "calls.jsonl")
    met.extend({"the ledger": api.ledger, "rows": api.ledger.recent(50), "totals": api.ledger.totals("model")}.items())
    met.append(("check", api.ledger.check()))
    met.extend(asyncio.run(met_in_a_loop(api)))
    return met


async def met_in_a_loop(api):
    stream = api.aio.stream(MODEL, "Hi there")
    met = [("an async stream before", stream)]
    async for _ in stream:
        met.append(("an async stream within", stream))
        break
    stream.close()
    run = await api.aio.run(MODEL, "Hi", tools=[add], api_key=KEY)
    vectors = await api.aio.embed("openai/text-embedding-3-small", ["a"])
    return [*met, ("an async stream after", stream), ("an async run", run), ("async vectors", vectors)]


def test_nothing_that_a_program_is_given_shows_or_leads_to_the_key_nor_any_file(log, recwarn, tmp_path):
    with FakeProvider(key=KEY) as fake:
        api = fake.models(ledger=str(tmp_path / "calls.db"))
        met = met_by_a_program(api, tmp_path)
        for name, value in met:
            assert not [text for text in texts_of(value) if KEY in text], name
            assert not [text for text in leads_to(value, {}) if KEY in text], name
        assert len({name for name, _ in met}) > 35
        assert all(KEY not in str(request.headers) for request in fake.requests)  # what a test keeps of a request
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        assert {"chat.json", "calls.csv", "calls.jsonl", "calls.db", "calls.db-wal"} <= {path.name for path in files}
        assert not [path.name for path in files if KEY.encode() in path.read_bytes()]
        api.close()
    assert KEY not in log.getvalue()
    assert not [warning for warning in recwarn if KEY in str(warning.message)]


@pytest.mark.parametrize("stream", [False, True])
def test_no_log_of_httpx2_shows_the_key(log, stream):
    httpx2 = pytest.importorskip("httpx2", reason="the extra httpx2 is not installed")
    from quoth.transport.http import AsyncHTTPX2Transport, HTTPX2Transport

    async def in_one_loop(fake):
        async with httpx2.AsyncClient() as client:
            api = fake.models(async_transport=AsyncHTTPX2Transport(client))
            await (api.aio.stream(MODEL, "Hi").read() if stream else api.aio(MODEL, "Hi"))

    with FakeProvider(key=KEY) as fake, httpx2.Client() as client:
        api = fake.models(transport=HTTPX2Transport(client))
        ask = WAYS["streamed" if stream else "whole"]
        ask(api, model=MODEL)
        with pytest.raises(AuthenticationError) as caught:
            ask(api, model=MODEL, api_key="another")
        asyncio.run(in_one_loop(fake))
    assert "HTTP" in log.getvalue()  # it does log
    assert KEY not in log.getvalue()
    assert not [text for text in leads_to(vars(caught.value), {}) if "another" in text]


def aws_credentials():
    from quoth.providers.credentials._sigv4 import AWSCredentials

    return AWSCredentials(KEY, KEY, KEY, service="bedrock")


HOLDERS = {
    "a secret": lambda: Secret(KEY),
    "settings": lambda: Settings(api_keys={"openai": KEY, "anthropic": Secret(KEY), "google": lambda: KEY}),
    "a variable": lambda: Settings(api_keys={"openai": EnvironmentKey("MY_KEY")}),
    "header credentials": lambda: HeaderCredentials({"authorization": f"Bearer {KEY}"}),
    "AWS credentials": aws_credentials,
    "an API": lambda: ModelsAPI(Settings(api_keys={"openai": KEY})),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_must_hold_the_key_does_not_show_it(holder, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    value = HOLDERS[holder]()
    assert not [text for text in texts_of(value) if KEY in text]
    assert not [text for text in leads_to(value, {}) if KEY in text]
    if holder != "a variable":
        with pytest.raises(TypeError):
            pickle.dumps(value)


@pytest.mark.parametrize("wrong", [KEY + "\n", KEY + "\x00", f"{KEY}\r\nx: y", KEY + "\u00e9", f"Bearer\u2028{KEY}"])
def test_a_key_that_cannot_be_used_is_not_shown_by_what_refuses_it(wrong, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{wrong}x".replace("\x00", "\x01"))  # no variable holds a NUL
    for ask in (
        lambda: ModelsAPI()("openai/gpt-4", "Hi"),
        lambda: ModelsAPI()("openai/gpt-4", "Hi", api_key=f"{wrong}x"),
        lambda: Settings(api_keys={"openai": f"{wrong}x"}),
        lambda: ModelsAPI()("openai/gpt-4", "Hi", headers={"x-key": f"{wrong}x"}),
        lambda: EnvironmentKey(f"{wrong}x"),
    ):
        with pytest.raises(QuothError) as caught:
            ask()
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert KEY not in repr(vars(caught.value))
