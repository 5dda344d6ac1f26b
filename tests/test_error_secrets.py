"""No key leaves with an error: not in its text, its fields, its pickle, nor in anything its traceback leads to."""

import asyncio
import contextlib
import gc
import os
import pickle
import signal
import sys
import traceback
import types
from pathlib import Path

import pytest

import quoth
from quoth import ModelsAPI, Settings
from quoth.errors import QuothError
from quoth.providers import ProviderTable
from quoth.providers.credentials import HeaderCredentials, register_credentials
from quoth.wire import HTTPRequest, WireReply
from servers import RawServer

KEY = "zq9-5e3f0b71c2d84a96-plain"
"""It looks like no key that anybody issues, so nothing but knowing it can take it out."""

NOT_OURS = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type, types.MethodType, os._Environ)


def answer(status, body=b"{}", *lines):
    def script(peer):
        while True:
            peer.read_request()
            peer.reply(body, status, *lines)

    return script


def reset(peer):
    peer.read_request()
    peer.reset()


def cut(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 900\r\n\r\n")
    peer.send(b'data: {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}\n\n')
    peer.reset()


def stall(peer):
    peer.read_request()
    peer.wait_until_closed()


ECHO = b'{"error": {"message": "the key %b is wrong", "code": "%b"}}' % (KEY.encode(), KEY.encode())
WAYS_TO_FAIL = {
    "refused": answer(401, ECHO),
    "overloaded": answer(529),
    "limited": answer(429, ECHO, b"retry-after: 500"),
    "broken": answer(500, b"<html>" + KEY.encode()),
    "unreadable": answer(200, b"<html>" + KEY.encode()),
    "an error in a 200": answer(200, ECHO),
    "reset": reset,
    "cut": cut,
    "no HTTP": lambda peer: (peer.read_request(), peer.send(b"what?\r\n\r\n")),
    "silent": stall,
}


def blocking(api, **options):
    return api("mine/m", "Hi", **options)


def streamed(api, **options):
    return api.stream("mine/m", "Hi", **options).read()


def bound(api, **options):
    return api.bind("mine/m", **options)("Hi")


def in_a_loop(api, **options):
    async def main():
        return await api.aio("mine/m", "Hi", **options)

    return asyncio.run(main())


def streamed_in_a_loop(api, **options):
    async def main():
        return await api.aio.stream("mine/m", "Hi", **options).read()

    return asyncio.run(main())


def in_a_run(api, **options):
    api.run("mine/m", "Hi", **options)


def in_a_run_of_a_loop(api, **options):
    asyncio.run(api.aio.run("mine/m", "Hi", **options))


def in_a_chat(api, **options):
    api.chat("mine/m", **options)("Hi")


def in_a_turn(api, **options):
    api.chat("mine/m")("Hi", **options)


def in_a_streamed_turn(api, **options):
    api.chat("mine/m").stream("Hi", **options).read()


def in_a_turn_of_a_loop(api, **options):
    asyncio.run(api.chat("mine/m").aio("Hi", **options))


RUNS = [in_a_run, in_a_run_of_a_loop, in_a_chat, in_a_turn, in_a_streamed_turn, in_a_turn_of_a_loop]


def api_of(server, fields=None, **settings):
    table = ProviderTable()
    table.register("mine", base_url=server.url("/v1"), key_variables=("MINE_KEY",), **(fields or {}))
    return ModelsAPI(Settings(timeout=0.5, **settings), providers=table)


def leads_to(value, seen, depth=0):
    """Every text that can be reached over attributes, slots, fields and elements."""
    if id(value) in seen or depth > 25 or isinstance(value, NOT_OURS):
        return
    seen[id(value)] = value
    if isinstance(value, (str, bytes, bytearray)):
        yield value if isinstance(value, str) else bytes(value).decode("latin-1")
        return
    yield from (text for inner in _inside(value) for text in leads_to(inner, seen, depth + 1))


def _inside(value):
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    names = [*getattr(value, "__dict__", {})]
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else [*slots]
    names += getattr(type(value), "__struct_fields__", ())
    found = [getattr(value, name, None) for name in names if name != "__weakref__"]
    return found if hasattr(value, "__dict__") or names else gc.get_referents(value)


HOUSE = str(Path(quoth.__file__).parent)


def frames_of(error):
    """The frames of quoth that the traceback of an error, or of what led to it, holds."""
    waiting, found, seen = [error], [], set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__]
        frames = [frame for frame, _ in traceback.walk_tb(each.__traceback__)]
        found += [frame for frame in frames if frame.f_code.co_filename.startswith(HOUSE)]
    return found


@pytest.mark.parametrize("given", ["option", "settings", "environment", "function"])
@pytest.mark.parametrize("ask", [blocking, streamed, bound, in_a_loop, streamed_in_a_loop, *RUNS])
@pytest.mark.parametrize("failure", WAYS_TO_FAIL)
def test_no_key_leaves_with_an_error(failure, ask, given, monkeypatch):
    monkeypatch.delenv("MINE_KEY", raising=False)
    if given == "environment":
        monkeypatch.setenv("MINE_KEY", KEY)
    settings = {"api_keys": {"mine": KEY}} if given == "settings" else {}
    options = {"option": {"api_key": KEY}, "function": {"api_key": lambda: KEY}}.get(given, {})
    with RawServer(WAYS_TO_FAIL[failure]) as server:
        check_that_no_key_leaves(server, api_of(server, **settings), lambda api: ask(api, **options, retries=0))


def embedded(api):
    api.embed("mine/m", ["a"], retries=0)


def embedded_in_a_loop(api):
    asyncio.run(api.aio.embed("mine/m", ["a"], retries=0))


def listed(api):
    api.list(provider="mine", refresh=True)


def listed_in_a_loop(api):
    asyncio.run(api.aio.list(provider="mine", refresh=True))


@pytest.mark.parametrize("ask", [embedded, embedded_in_a_loop, listed, listed_in_a_loop])
@pytest.mark.parametrize("failure", ["refused", "broken", "unreadable", "reset", "cut"])
def test_no_key_leaves_with_an_error_of_the_other_verbs(failure, ask):
    with RawServer(WAYS_TO_FAIL[failure]) as server:
        check_that_no_key_leaves(server, api_of(server, {"models_path": "/models"}, api_keys={"mine": KEY}), ask)


AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


class TokenSource:
    def find(self, asked):
        return HeaderCredentials({"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize("source", ["aws", "token"])
@pytest.mark.parametrize("ask", [blocking, streamed, bound, in_a_loop, streamed_in_a_loop, *RUNS])
@pytest.mark.parametrize("failure", ["refused", "broken", "cut", "unreadable"])
def test_nothing_of_credentials_leaves_with_an_error(failure, ask, source, monkeypatch):
    """A key's id, its secret and a session token are all the same text here."""
    monkeypatch.delenv("MINE_KEY", raising=False)
    if source == "aws":
        # All of it now: the first look for credentials loads it, within the short time that these calls have.
        for name in ("botocore.session", "botocore.credentials", "botocore.auth"):
            pytest.importorskip(name, reason="the extra bedrock is not installed")
        for name in AWS:
            monkeypatch.setenv(name, KEY)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
    register_credentials("token", TokenSource)
    fields = {"credentials": source, "credentials_service": "x", "parts": (("region", ("AWS_REGION",)),)}
    with RawServer(WAYS_TO_FAIL[failure]) as server:
        check_that_no_key_leaves(server, api_of(server, fields), lambda api: ask(api, retries=0))


def check_that_no_key_leaves(server, api, ask):
    """Fail where anything that the error of a call leads to holds the key."""
    with pytest.raises(QuothError) as caught:
        ask(api)
    api.close()
    error = caught.value
    assert server.requests
    assert KEY.encode() in server.requests[0][0]  # else there would be nothing to hide
    for shown in (str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))):
        assert KEY not in shown
    assert KEY.encode() not in pickle.dumps(error)
    assert error.__cause__ is error.__context__ is None
    frames = frames_of(error)
    assert frames
    assert {frame.f_code.co_name for frame in frames} & {
        "advance",
        "arun",
        "open",
        "__call__",
        "generate",
        "read",
        "run",
    }
    for frame in frames:
        for name, value in frame.f_locals.items():
            seen = {}
            assert not [text for text in leads_to(value, seen) if KEY in text], f"{name} in {frame.f_code.co_name}"
            assert not [each for each in seen.values() if isinstance(each, (HTTPRequest, WireReply))], name


@pytest.mark.parametrize("wrong", [{"temprature": 1}, {"temperature": "warm"}, {"api_key": KEY + "\n" + KEY}])
@pytest.mark.parametrize("ask", [blocking, streamed, bound, in_a_loop, streamed_in_a_loop, *RUNS])
def test_no_key_leaves_with_an_error_about_another_option(ask, wrong):
    with RawServer(stall) as server, pytest.raises(QuothError) as caught:
        ask(api_of(server), **{"api_key": KEY, **wrong})
    for frame in frames_of(caught.value):
        for name, value in frame.f_locals.items():
            assert not [text for text in leads_to(value, {}) if KEY in text], f"{name} in {frame.f_code.co_name}"


def test_the_walk_finds_what_is_there():
    class Slotted:
        __slots__ = ("inner",)

    slotted = Slotted()
    slotted.inner = [{"a": (f"Bearer {KEY}".encode(),)}]
    assert any(KEY in text for text in leads_to(slotted, {}))


def texts_of_frames(error):
    """All texts that the locals of quoth's frames lead to, of an error and of what led to it."""
    for frame in frames_of(error):
        for name, value in frame.f_locals.items():
            yield from ((f"{name} in {frame.f_code.co_name}", text) for text in leads_to(value, {}))


def shown_with_locals(error):
    """As crash reporters show it, but without the frames of this file, which know the key."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    waiting = [shown]
    while waiting:
        each = waiting.pop()
        each.stack = traceback.StackSummary.from_list([line for line in each.stack if line.filename != __file__])
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
    return "".join(shown.format())


async def asked_of_a_loop(api):
    await api.aio("mine/m", "Hi")


async def streamed_of_a_loop(api):
    await api.aio.stream("mine/m", "Hi").read()


async def run_of_a_loop(api):
    await api.aio.run("mine/m", "Hi")


async def chat_of_a_loop(api):
    await api.chat("mine/m").aio("Hi")


@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("ask", [asked_of_a_loop, streamed_of_a_loop, run_of_a_loop, chat_of_a_loop])
def test_no_key_leaves_with_a_timeout_of_asyncio(ask, halfway):
    """What interrupts a call went through the frames that sent it, and a reporter shows what they hold."""

    def half(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{")
        peer.wait_until_closed()

    async def main(api):
        async with asyncio.timeout(0.3):
            await ask(api)

    with RawServer(half if halfway else stall) as server:
        api = api_of(server, api_keys={"mine": KEY})
        with pytest.raises(TimeoutError) as caught:
            asyncio.run(main(replace_timeout(api)))
        assert KEY.encode() in server.requests[0][0]
        api.close()
    assert KEY not in shown_with_locals(caught.value)
    assert not [place for place, text in texts_of_frames(caught.value) if KEY in text]


def replace_timeout(api):
    api.configure(timeout=30)
    return api


@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")
@pytest.mark.parametrize("ask", [blocking, streamed, bound, in_a_run, in_a_chat, in_a_streamed_turn])
def test_no_key_leaves_with_ctrl_c(ask):
    def interrupting(peer):
        peer.read_request()
        os.kill(os.getpid(), signal.SIGINT)
        peer.wait_until_closed()

    with RawServer(interrupting) as server:
        api = replace_timeout(api_of(server, api_keys={"mine": KEY}))
        with pytest.raises(KeyboardInterrupt) as caught:
            ask(api)
        assert KEY.encode() in server.requests[0][0]
        api.close()
    assert KEY not in shown_with_locals(caught.value)
    assert not [place for place, text in texts_of_frames(caught.value) if KEY in text]


class BrokenTransport:
    """A transport of somebody else's, with a bug; it holds what it was given in its frame."""

    def open(self, request, deadline):
        data = dict(request.headers)
        raise LookupError(str(len(data)))

    def close(self):
        pass


class TwiceBrokenTransport(BrokenTransport):
    def open(self, request, deadline):
        try:
            super().open(request, deadline)
        except LookupError as error:
            raise LookupError("again") from error


@pytest.mark.parametrize("transport", [BrokenTransport, TwiceBrokenTransport])
def test_no_key_leaves_with_a_bug_of_what_carries_requests(transport):
    """Of its own frames, and of the user's, an error that is none of ours keeps what it has."""
    api = ModelsAPI(Settings(transport=transport(), api_keys={"openai": KEY}))
    with pytest.raises(LookupError) as caught:
        api("openai/gpt-4", "Hi", max_tokens=5)
    assert not [place for place, text in texts_of_frames(caught.value) if KEY in text]
    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert {"open", "_tries"} <= {*names}
    assert not {"send", "_drive", "_do", "_send"} & {*names}


ECHOED_IN_AN_ANSWER = ("unreadable", "an error in a 200")
"""While middleware handles these, the call is under way, and its frames hold the answer, with what it echoes."""


@pytest.mark.parametrize("failure", ["refused", "broken", *ECHOED_IN_AN_ANSWER, "reset", "cut", "none"])
@pytest.mark.parametrize("ask", [blocking, streamed, in_a_loop, streamed_in_a_loop, in_a_run])
def test_no_key_is_in_reach_of_hooks_and_middleware(failure, ask):
    """Of what they are given, and of what ``sys.exc_info`` says where they run."""
    found, called = [], []

    def look(*values):
        called.append(values)
        found.extend(text for value in values for text in leads_to(value, {}) if KEY in text)
        error = sys.exc_info()[1]
        if error is not None and not (failure in ECHOED_IN_AN_ANSWER and isinstance(values[0], QuothError)):
            found.extend(f"{place} of {error!r}" for place, text in texts_of_frames(error) if KEY in text)

    def around(request, following):
        look(request)
        try:
            response = yield from following(request)
        except QuothError as error:
            look(error)
            raise
        look(response)
        return response

    whole = answer(200, b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}')
    with RawServer(WAYS_TO_FAIL.get(failure, whole)) as server:
        api = api_of(server, api_keys={"mine": KEY}, retries=0)
        api.on_call(look)
        api.use(around)
        with contextlib.suppress(QuothError):
            ask(api)
        api.close()
    assert len(called) == 3
    assert not found
