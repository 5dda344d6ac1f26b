"""FakeProvider: what is scripted is what a client reads, on every wire and in every way; what it breaks, breaks so."""

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import threading
import time
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from msgspec import Struct

from quoth import Message, ModelsAPI, Reasoning, Response, Text, Tool, ToolCall, Usage, errors
from quoth.dialects import CLIENTS, load_client
from quoth.dialects._models import parse_page
from quoth.dialects.server import SERVERS, build_models, load_server
from quoth.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    ClosedError,
    DeadlineExceededError,
    InputError,
    InputTypeError,
    InternalServerError,
    ProtocolError,
    RateLimitError,
    ResponseParseError,
    StreamInterruptedError,
    TransportError,
)
from quoth.events import RefusalDelta, TextDelta
from quoth.providers import PROVIDERS
from quoth.testing import FakeProvider, Fault
from quoth.testing.fake import LOAD_FAULTS
from quoth.testing.fake._wires import PATHS
from quoth.types import ModelRequest, Refusal
from quoth.wire import ErrorInfo, Quirks

WIRES = {"chat/m-1": "openai_chat", "messages/m-1": "anthropic_messages", "responses/m-1": "openai_responses"}
CHAT, CLAUDE, _ = MODELS = list(WIRES)
every_wire = pytest.mark.parametrize("model", MODELS)

ANSWER = Response(
    message=Message.assistant(
        Reasoning(text="hm"),
        Text(text="It may — perhaps — rain."),
        ToolCall(id="t1", name="weather", arguments='{"city":"Paris"}'),
        ToolCall(id="t2", name="weather", arguments='{"city":"Rome"}'),
    ),
    finish_reason="tool_calls",
    model="",
    usage=Usage(input=30, cache_read=12, output=7, reasoning=5),
)


def whole(api, model, prompt="Hi", **options):
    return api(model, prompt, **options)


def streamed(api, model, prompt="Hi", **options):
    return api.stream(model, prompt, **options).read()


def async_whole(api, model, prompt="Hi", **options):
    return asyncio.run(api.aio(model, prompt, **options))


def async_streamed(api, model, prompt="Hi", **options):
    async def read():
        return await api.aio.stream(model, prompt, **options).read()

    return asyncio.run(read())


def api_of(fake, **settings):
    """A ModelsAPI with a provider for each wire, whatever the providers of the table speak; it tries once."""
    names = {model.partition("/")[0]: wire for model, wire in WIRES.items()}
    api = fake.models(api_keys=dict.fromkeys(names, fake.key), retries=0, **settings)
    for name, wire in names.items():
        api.register_provider(name, base_url=f"{fake.url}/v1", dialect=wire, key_variables=("NO_SUCH_KEY",))
    return api


every_way = pytest.mark.parametrize("ask", [whole, streamed, async_whole, async_streamed])


def raised(call, *arguments, **options):
    """What the call raises."""
    with pytest.raises(errors.QuothError) as caught:
        call(*arguments, **options)
    return caught.value


# What it says.


@every_wire
@every_way
def test_a_scripted_answer_is_what_the_client_reads(model, ask):
    with FakeProvider(ANSWER, piece=3) as fake:
        answer = ask(api_of(fake), model, tools=[Tool(name="weather")])
    assert [type(part) for part in answer.parts] == [Reasoning, Text, ToolCall, ToolCall]
    assert (answer.text, answer.reasoning, answer.finish_reason) == (ANSWER.text, "hm", "tool_calls")
    assert [(call.id, call.name, call.parse_arguments()) for call in answer.tool_calls] == [
        ("t1", "weather", {"city": "Paris"}),
        ("t2", "weather", {"city": "Rome"}),
    ]
    usage = answer.usage
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (30, 12, 7, 5)
    assert (answer.model, answer.id, answer.call.request_id) == (model.partition("/")[2], "fake-1", "req_1")


@every_wire
@every_way
def test_without_a_script_it_says_again_what_the_user_said_and_counts(model, ask):
    with FakeProvider() as fake:
        answer = ask(api_of(fake), model, "x" * 41, system="Be brief.")
    assert (answer.text, answer.finish_reason) == ("x" * 41, "stop")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (13, 11)  # 41 + 9 and 41 characters, by four
    assert answer.usage.source == "provider"


@given(
    fault=st.builds(
        Fault,
        answer=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60),
        piece=st.integers(1, 70),
        chunk=st.none() | st.integers(1, 300),
    ),
    model=st.sampled_from(MODELS),
    ask=st.sampled_from([whole, streamed]),
)
def test_however_a_reply_is_cut_it_reads_the_same(scripted, fault, model, ask):
    api, script = scripted
    script.append(fault)
    assert ask(api, model).text == fault.answer


@pytest.fixture(scope="module")
def scripted():
    script = []
    with FakeProvider(iter(script.pop, None)) as fake:
        yield api_of(fake), script


def test_a_streams_pieces_come_one_by_one():
    with FakeProvider("abcdef", piece=2) as fake:
        assert list(api_of(fake).stream(CHAT, "Hi")) == ["ab", "cd", "ef"]
        assert list(api_of(fake).stream(CLAUDE, "Hi")) == ["ab", "cd", "ef"]


@every_wire
def test_a_refusal_comes_in_pieces_too(model):
    refusal = Response(message=Message.assistant(Refusal(text="abcdef")), finish_reason="content_filter", model="")
    with FakeProvider(refusal, piece=2) as fake:
        events = list(api_of(fake).stream(model, "Hi").events())
    assert [event.text for event in events if isinstance(event, (TextDelta, RefusalDelta))] == ["ab", "cd", "ef"]


def test_answers_come_in_order_and_a_script_that_has_run_out_says_so():
    with FakeProvider(["one", "two"]) as fake:
        api = api_of(fake)
        assert [whole(api, CHAT).text, whole(api, CLAUDE).text] == ["one", "two"]
        for model in MODELS:
            error = raised(whole, api, model)
            assert isinstance(error, InternalServerError)
            assert "has run out: it had 2 answers" in error.message
            assert not error.retryable
        assert fake.received == 2 + len(MODELS)


def test_what_stands_alone_answers_every_request_and_an_iterator_may_have_no_end():
    with FakeProvider("always") as fake:
        assert [whole(api_of(fake), CHAT).text for _ in range(3)] == ["always"] * 3
    with FakeProvider(cycle(["a", "b"])) as fake:
        assert [whole(api_of(fake), CHAT).text for _ in range(3)] == ["a", "b", "a"]


@every_wire
def test_a_function_is_asked_with_the_request_that_was_read(model):
    def answer(request):
        return Fault(status=400, message="too many") if request.max_tokens == 9 else f"{request.temperature}"

    with FakeProvider(answer) as fake:
        api = api_of(fake)
        assert whole(api, model, temperature=0.5).text == "0.5"
        assert "too many" in raised(whole, api, model, max_tokens=9).message


@every_wire
@pytest.mark.parametrize("answer", [lambda request: 1 / 0, lambda request: object(), lambda request: None])
def test_a_function_that_fails_is_told_to_the_client(model, answer):
    with FakeProvider([answer, "well"]) as fake:
        api = api_of(fake)
        assert "the script of this FakeProvider failed" in raised(whole, api, model).message
        assert whole(api, model).text == "well"


def test_usage_is_told_in_a_chat_stream_only_to_who_asks_for_it():
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with FakeProvider("Hello") as fake:
        silent = exchange(fake, post("/v1/chat/completions", body, LAST))
        told = exchange(fake, post("/v1/chat/completions", {**body, "stream_options": {"include_usage": True}}, LAST))
    assert b"usage" not in silent
    assert b'"usage":{"prompt_tokens":1' in told


# What it refuses.

KINDS = sorted(kind for kind, cls in errors.KINDS.items() if issubclass(cls, APIStatusError) and kind != "provider")


@every_wire
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_spelled_so_that_its_kind_is_read(model, kind):
    fault = Fault(kind=kind, message="no", retry_after=0.25, request_id="req_x")
    with FakeProvider(fault) as fake:
        for ask in (whole, streamed):
            error = raised(ask, api_of(fake), model)
            assert type(error) is errors.KINDS[kind]
            assert (error.message, error.retry_after, error.request_id) == ("no", 0.25, "req_x")


@pytest.mark.parametrize("wire", sorted(SERVERS))
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "not_found"])  # which Chat says by the status alone
def test_an_error_inside_a_stream_is_spelled_so_that_its_kind_is_read(wire, kind):
    said = load_server(wire).build_stream_error(ErrorInfo(kind=kind, message="no"))
    error = raised(load_client(wire).stream_parser(Quirks()).feed, said)
    assert (type(error), error.message) == (errors.KINDS[kind], "no")


@every_wire
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529])
def test_a_status_is_answered_with_what_its_wire_means_by_it(model, status):
    with FakeProvider(status) as fake:
        error = raised(whole, api_of(fake), model)
    assert (error.status, isinstance(error, APIStatusError)) == (status, True)


def test_an_error_of_ours_is_an_answer_too():
    with FakeProvider([RateLimitError("slow", retry_after=0.5), APIStatusError("odd", status=418)]) as fake:
        api = api_of(fake)
        first, second = raised(whole, api, CHAT), raised(whole, api, CLAUDE)
    assert (type(first), first.retry_after) == (RateLimitError, 0.5)
    assert second.status == 418


@every_wire
def test_a_key_is_demanded_where_one_is_named(model):
    with FakeProvider("Hello", key="right-key-0123456789") as fake:
        assert whole(api_of(fake), model).text == "Hello"
        for ask in (whole, streamed):
            assert type(raised(ask, api_of(fake), model, api_key="wrong-key-0123456789")) is AuthenticationError
        listing = raised(fake.models(api_keys={"openai": "wrong-key-0123456789"}).list, provider="openai", refresh=True)
        assert type(listing) is AuthenticationError


def test_what_it_does_not_have_it_names():
    with FakeProvider() as fake:
        reply = exchange(fake, b"GET /v1/files HTTP/1.1\r\nhost: x\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 404 ")
        assert b".../chat/completions" in reply
        (received,) = fake.requests
    assert (received.method, received.path, received.wire, received.request) == ("GET", "/v1/files", None, None)


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"messages": []}', b"\xff", b"", b"[" * 9999])
@pytest.mark.parametrize("path", list(PATHS))
def test_a_body_that_is_no_request_is_a_bad_request(path, body):
    with FakeProvider() as fake:
        status, _, said = read_reply(exchange(fake, raw_post(f"/v1{path}", body, LAST)))
    assert status == 400
    assert b"FakeProvider cannot read the request" in said


# What it breaks.

BEFORE = [
    (Fault(cut="close"), APIConnectionError),
    (Fault(cut="reset"), APIConnectionError),
    (Fault(body=b"<html>Sorry</html>", status=502), InternalServerError),
    (Fault(body=b"<html>Sorry</html>"), ResponseParseError),
    (Fault(body=b""), ResponseParseError),
    (Fault(status=204), ResponseParseError),
    (Fault(status=302, headers=(("location", "https://other.test/"),)), errors.QuothError),
    (Fault(cut="malformed"), ProtocolError),
    (Fault(after_bytes=0), APIConnectionError),
    (Fault(cut="end", after_bytes=30), ResponseParseError),
    (Fault(after_bytes=30), APIConnectionError),
    (Fault(after_bytes=30, cut="reset"), APIConnectionError),
    (Fault(cut="error", kind="overloaded"), errors.QuothError),  # a 200 that is none
]


@every_wire
@pytest.mark.parametrize(("fault", "kind"), BEFORE, ids=lambda value: str(value)[:60])
def test_a_whole_answer_is_broken_as_told(model, fault, kind):
    with FakeProvider(fault) as fake:
        assert isinstance(raised(whole, api_of(fake), model), kind)
        assert isinstance(raised(async_whole, api_of(fake), model), kind)


INSIDE = [
    (Fault(after_events=6), StreamInterruptedError),
    (Fault(after_events=6, cut="reset"), StreamInterruptedError),
    (Fault(after_events=6, cut="end"), StreamInterruptedError),
    (Fault(after_events=6, cut="garbage"), ResponseParseError),
    (Fault(after_events=6, cut="malformed"), TransportError),
    (Fault(after_events=6, cut="error", kind="overloaded"), StreamInterruptedError),
    (Fault(after_events=6, cut="error", status=500), StreamInterruptedError),
]


@every_wire
@pytest.mark.parametrize(("fault", "kind"), INSIDE, ids=lambda value: str(value)[:60])
def test_a_stream_is_broken_as_told_after_what_came(model, fault, kind):
    with FakeProvider(fault, piece=1, pace=0.005) as fake:
        for ask in (streamed, async_streamed):
            error = raised(ask, api_of(fake), model, "abcdefghijklmnop")
            assert isinstance(error, kind)
            came = error.partial.text  # of six events, the first ones say no text
            assert "abcdefgh".startswith(came)
            assert came or fault.cut == "malformed"


@every_wire
def test_any_number_of_bytes_is_a_place_to_cut(model):
    """However many come, a cut stream never passes for a whole answer; with all of them it is one."""
    with FakeProvider() as fake:
        size = len(exchange(fake, post_stream(model)))
    counts = sorted({*range(0, size - 100, 1 + size // 500), *range(size - 100, size + 1)})
    with FakeProvider(Fault(after_bytes=count, answer="Hi") for count in counts) as fake:
        api = api_of(fake)
        outcomes = [outcome(api, model) for _ in counts]
    assert outcomes[0] == "interrupted"
    assert outcomes[-1] == "Hi"
    assert outcomes == sorted(outcomes, key=("interrupted", "Hi").index)


def outcome(api, model):
    try:
        return streamed(api, model).text
    except StreamInterruptedError:
        return "interrupted"


def post_stream(model):
    request = ModelRequest(model="m-1", messages=(Message.user("Hi"),), stream=True)
    body = load_client(WIRES[model]).build_request(request, Quirks())
    return raw_post(body.path, body.body, LAST)


@every_wire
@every_way
def test_a_stall_lasts_until_the_client_has_had_enough(model, ask):
    with FakeProvider(Fault(cut="stall", after_bytes=20)) as fake:
        assert isinstance(raised(ask, api_of(fake), model, timeout=0.1), DeadlineExceededError)
        until(lambda: fake.open_connections == 0)
    with FakeProvider(Fault(cut="stall")) as fake:
        error = raised(ask, api_of(fake), model, timeout=0.1)
        assert (type(error), error.phase) == (DeadlineExceededError, "first_byte")


def test_latency_is_as_long_as_told():
    with FakeProvider(Fault(answer="abcd", piece=1, delay=0.1, pace=0.02)) as fake:
        api = api_of(fake)
        begun = time.monotonic()
        pieces = [(piece, time.monotonic() - begun) for piece in api.stream(CHAT, "Hi")]
        took = time.monotonic() - begun
    assert [piece for piece, _ in pieces] == list("abcd")
    assert pieces[0][1] >= 0.1
    assert took >= 0.1 + 5 * 0.02


def test_headers_and_labels_are_as_told():
    fault = Fault(answer="Hello", headers=(("X-Quota", "7"),), content_type="text/plain")
    with FakeProvider(fault) as fake:
        answer = whole(api_of(fake), CHAT)
    assert answer.text == "Hello"
    headers = dict(answer.call.headers)
    assert (headers["x-quota"], headers["content-type"]) == ("7", "text/plain")


def test_an_answer_may_say_nothing_of_usage():
    with FakeProvider(Fault(answer="Hello", usage=False)) as fake:
        for model in MODELS:
            answer = streamed(api_of(fake), model)
            assert (answer.text, answer.usage.source, answer.cost.usd) == ("Hello", "missing", None)


@pytest.mark.parametrize("seed", [1, 2])
def test_chance_repeats_itself_by_its_seed(seed):
    def run():
        with FakeProvider("ok", fault_rate=0.4, faults=[Fault(status=429), Fault(status=400)], seed=seed) as fake:
            api = api_of(fake)
            return [getattr(_outcome(api), "status", "ok") for _ in range(60)]

    def _outcome(api):
        try:
            return whole(api, CHAT)
        except APIStatusError as error:
            return error

    first = run()
    assert first == run()
    assert 10 < 60 - first.count("ok") < 40
    assert {400, 429} < {*first}


def test_every_fault_for_load_fails_a_call_and_leaves_the_server_well():
    for fault in LOAD_FAULTS:
        with FakeProvider([fault, "ok", "ok"]) as fake:
            api = api_of(fake)
            with pytest.raises(errors.QuothError):
                streamed(api, CHAT, "a long question, so that there are bytes to cut")
            assert fake.received == 1
            assert streamed(api, CHAT).text == "ok"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"status": 99}, InputError),
        ({"status": 1000}, InputError),
        ({"status": True}, InputTypeError),
        ({"kind": "no_such"}, InputError),
        ({"kind": "timeout"}, InputError),
        ({"delay": -1}, InputError),
        ({"pace": float("nan")}, InputError),
        ({"delay": float("inf")}, InputError),
        ({"chunk": 0}, InputError),
        ({"piece": 0}, InputError),
        ({"after_bytes": -1}, InputError),
        ({"after_events": 1.5}, InputTypeError),
        ({"body": "text"}, InputTypeError),
    ],
)
def test_a_fault_that_cannot_be_meant_is_refused(fields, error):
    with pytest.raises(error):
        Fault(**fields)


@pytest.mark.parametrize(
    "options", [{"script": 1.5}, {"script": b"Hello", "fault_rate": 2}, {"fault_rate": 0.1, "faults": ()}, {"piece": 0}]
)
def test_a_script_that_cannot_be_meant_is_refused(options):
    with pytest.raises(InputError):
        FakeProvider(**options)


# What it keeps.


@every_wire
def test_requests_are_kept_without_their_keys(model):
    with FakeProvider() as fake:
        whole(api_of(fake), model, ["What?"], api_key="secret-key-0123456789", system="Be brief.", temperature=0)
        (received,) = fake.requests
    assert received.request.messages[-1].text == "What?"
    assert (received.request.temperature, received.request.stream) == (0, False)
    assert received.json["model"] == model.partition("/")[2]
    assert (received.method, received.wire) == ("POST", WIRES[model])
    assert "secret-key" not in repr(received) + str(received.headers) + str(received.body)
    assert "[redacted]" in dict(received.headers).values()


@pytest.mark.parametrize("name", ["Authorization", "x-goog-api-key", "cf-aig-authorization", "X-Api-Key", "cookie"])
def test_no_headers_key_is_kept(name):
    with FakeProvider() as fake:
        exchange(fake, post("/v1/messages", HELLO, LAST, f"{name}: s3cret", "x-kept: yes"))
        (received,) = fake.requests
    headers = dict(received.headers)
    assert (headers[name.lower()], headers["x-kept"]) == ("[redacted]", "yes")


def test_as_many_requests_are_kept_as_asked():
    with FakeProvider(keep=2) as fake:
        api = api_of(fake)
        for text in ("a", "b", "c"):
            whole(api, CHAT, text)
        assert [received.request.messages[-1].text for received in fake.requests] == ["b", "c"]
        assert fake.received == 3


def test_it_says_which_models_it_has():
    with FakeProvider(model_ids=["gpt-6-luna", "other-1"]) as fake:
        for provider in ("openai", "anthropic"):
            found = fake.models().list(provider=provider, refresh=True)
            assert {model.model for model in found} == {"gpt-6-luna", "other-1"}


@given(st.lists(st.text(min_size=1), max_size=5))
def test_a_list_of_models_reads_as_it_was_built(ids):
    page = parse_page(build_models(ids))
    assert (page.ids, page.after) == (tuple(ids), None)


# How it is reached.


def test_it_stands_behind_every_providers_base_url(monkeypatch):
    """On each wire that it has, and behind each variable that names its URL, with a key of the same source."""
    with FakeProvider() as fake:
        for name, value in fake.environment().items():
            monkeypatch.setenv(name, value)
        fakes, apart, asked = fake.models(), ModelsAPI(), 0
        for row in PROVIDERS:
            wires = [wire for wire in row.dialects if wire in SERVERS and row.wire(wire).rewrite is None]
            for wire in wires if row.base_url.startswith("http") and not row.embeds_only else ():
                apis = (fakes, apart) if row.base_url_variables else (fakes,)
                assert {api(f"{row.name}/some-model", "Hello", dialect=wire).text for api in apis} == {"Hello"}
                asked += len(apis)
        apart.close()
        assert fake.received == asked > 200


def test_no_url_of_any_row_leads_elsewhere():
    with FakeProvider() as fake:
        for row in PROVIDERS:
            assert "https:" not in str(
                [getattr(fake._moved(row), name) for name in row.__struct_fields__ if name not in WORDS]
            )


WORDS = ("hint", "note", "headers")
"""Fields of a row that may speak of an address."""


class Further(Struct, frozen=True):
    dialect: str
    base_url: str | None = None


class Sketch(Struct, frozen=True):
    """A row with all that can lead elsewhere."""

    base_url: str
    path: str
    query: tuple[tuple[str, str], ...]
    endpoints: tuple[Further, ...]
    base_url_variables: tuple[str, ...] = ("SOME_URL",)
    parts: tuple[tuple[str, tuple[str, ...]], ...] = (("region", ("SOME_REGION",)),)
    relocate: str | None = "somehow"


def test_no_part_of_a_row_leads_elsewhere():
    further = (Further("a", "https://other.test/anthropic"), Further("b"))
    query = (("version", "{api_version}"),)
    row = Sketch("https://{region}.llm.test/v1/{region}", "/{region}/{model}:ask", query, further)
    with FakeProvider() as fake:
        moved = Further("a", f"{fake.url}/anthropic")
        assert fake._moved(row) == Sketch(
            f"{fake.url}/v1/region",
            "/region/{model}:ask",
            (("version", "api_version"),),
            (moved, further[1]),
            (),
            (),
            None,
        )


def test_the_environment_does_not_lead_its_models_elsewhere(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://other.test/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with FakeProvider() as fake:
        assert whole(fake.models(), "openai/gpt-6-luna", "Hello").text == "Hello"


def test_a_provider_that_does_not_exist_has_no_base_url():
    with FakeProvider() as fake, pytest.raises(InputError):
        fake.base_url("nobody")


def test_every_wire_that_is_spoken_is_served_here():
    assert {*PATHS.values()} == {*SERVERS} == {*CLIENTS}


# The server itself, over plain sockets.


def raw_post(path, body, *lines, version="1.1"):
    head = [f"POST {path} HTTP/{version}", "host: x", "content-type: application/json", *lines]
    return "\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body


def post(path, body, *lines, **more):
    return raw_post(path, json.dumps(body).encode(), *lines, **more)


def connect(fake):
    return socket.create_connection(("127.0.0.1", int(fake.url.rpartition(":")[2])), timeout=10)


def exchange(fake, data, *, pieces=False):
    """Send the bytes (each alone, if asked), and read until the server has said all that it has to say."""
    with connect(fake) as sock:
        for part in [data[at : at + 1] for at in range(len(data))] if pieces else [data]:
            sock.sendall(part)
        sock.settimeout(0.3 if b"connection: close" not in data else 10)
        said = b""
        try:
            while more := sock.recv(65536):
                said += more
        except TimeoutError:
            pass
        return said


def read_reply(said):
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head.decode(), body


HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
LAST = "connection: close"


def test_requests_of_one_connection_are_answered_in_order():
    asked = [{**HELLO, "messages": [{"role": "user", "content": f"number {number}"}]} for number in range(5)]
    requests = [post("/v1/chat/completions", body) for body in asked[:-1]] + [post("/v1/messages", asked[-1], LAST)]
    with FakeProvider(delay=0.02) as fake:
        said = exchange(fake, b"".join(requests))
        places = [said.index(b"number %d" % number) for number in range(5)]
        assert (places, fake.received, fake.connections) == (sorted(places), 5, 1)


def test_a_request_may_come_byte_by_byte_in_chunks_or_after_a_hundred():
    body = json.dumps(HELLO).encode()
    chunked = b"POST /messages HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    chunked += b"".join([b"1\r\n%c\r\n" % byte for byte in body]) + b"0\r\n\r\n"
    with FakeProvider() as fake:
        assert b'"Hello"' in exchange(fake, chunked)
        assert b'"Hello"' in exchange(fake, post("/x/y/chat/completions", HELLO, LAST), pieces=True)
        early = exchange(fake, post("/v1/chat/completions", HELLO, LAST, "expect: 100-continue"))
        assert early.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_an_old_client_gets_a_stream_without_chunks():
    with FakeProvider() as fake:
        status, head, body = read_reply(exchange(fake, post("/v1/messages", {**HELLO, "stream": True}, version="1.0")))
    assert (status, "chunked" in head) == (200, False)
    assert body.startswith(b"event: message_start\ndata: {")
    assert body.endswith(b"\n\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / SMTP\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 200_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 200_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"x: a\r\n" * 20_000 + b"\r\n", 431),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\ncontent-length: 2000\r\n\r\n" + b"a" * 2000, 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n" + b"a" * 2000, 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;x=" + b"a" * 600_000, 431),
        (b"GET / HTTP/1.1\r\n\r\n" * 100, 429),
    ],
)
def test_what_is_no_request_or_too_much_is_refused_and_the_server_stays_well(data, status):
    with FakeProvider(max_body=1_000) as fake:
        assert read_reply(exchange(fake, data))[0] == status
        assert whole(api_of(fake), CHAT, "Hello").text == "Hello"


def test_a_client_that_goes_is_forgotten():
    with FakeProvider(delay=30) as fake:
        with connect(fake) as sock:
            sock.sendall(post("/v1/chat/completions", HELLO))
            until(lambda: fake.received == 1)
            assert fake.open_connections == 1
        until(lambda: fake.open_connections == 0)


def test_a_client_that_does_not_read_holds_nothing_up():
    with FakeProvider([Fault(answer="x" * 20_000_000, piece=100_000), "well"]) as fake, connect(fake) as sock:
        sock.sendall(post("/v1/chat/completions", {**HELLO, "stream": True}))
        until(lambda: fake.received == 1)
        assert whole(api_of(fake), CHAT).text == "well"


def until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


# Its life.


def test_several_run_at_once_and_leave_nothing_behind():
    gc.collect()
    threads, sockets = threading.active_count(), open_files()
    for _ in range(3):
        with FakeProvider("a") as one, FakeProvider("b") as two:
            assert (whole(api_of(one), CHAT).text, whole(api_of(two), CHAT).text) == ("a", "b")
            assert one.url != two.url
    assert threading.active_count() == threads
    gc.collect()
    assert open_files() <= sockets


def open_files():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_closing_breaks_off_what_is_under_way():
    with FakeProvider(delay=60) as fake:
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(raised(whole, api_of(fake), CHAT)))
        thread.start()
        until(lambda: fake.received == 1)
        fake.close()
        thread.join(10)
        fake.close()  # twice does no harm
    assert isinstance(outcomes[0], APIConnectionError)


def test_it_can_be_started_again():
    fake = FakeProvider("Hello")
    with pytest.raises(ClosedError):
        _ = fake.url
    for _ in range(2):
        with fake:
            assert whole(api_of(fake), CHAT).text == "Hello"
    assert fake.received == 2
    with pytest.raises(ClosedError):
        _ = fake.connections


def test_a_port_that_is_taken_is_an_error():
    with FakeProvider() as fake, pytest.raises(OSError):
        FakeProvider(port=int(fake.url.rpartition(":")[2])).start()


def test_many_calls_at_once_each_get_their_own_answer_over_few_connections():
    async def many(api):
        return await asyncio.gather(*[api.aio(MODELS[number % 2], f"number {number}") for number in range(300)])

    with FakeProvider(delay=0.05) as fake:
        answers = asyncio.run(many(api_of(fake)))
        assert [answer.text for answer in answers] == [f"number {number}" for number in range(300)]
        assert (fake.received, fake.connections <= 300) == (300, True)


def test_it_runs_as_a_process_of_its_own(tmp_path):
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps(["Hello", 403, {"answer": "cut", "after_events": 4}, {"body": "<html>", "status": 404}])
    )
    command = [sys.executable, "-m", "quoth.testing.fake", "--script", str(script), "--piece", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        program = (
            "import sys\n"
            "from quoth import models, errors\n"
            "models.configure(retries=0)\n"
            "print(models('openai/gpt-6-luna', 'Hi'))\n"
            "for _ in range(3):\n"
            "    try: models.stream('anthropic/claude-haiku-5-5', 'Hi').read()\n"
            "    except errors.QuothError as error: print(type(error).__name__)\n"
        )
        environment = {**os.environ, **told["environment"]}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        process.stdin.close()
        last = json.loads(process.stdout.readline())
        assert process.wait(10) == 0
    assert done.stdout.split() == ["Hello", "PermissionDeniedError", "StreamInterruptedError", "NotFoundError"]
    assert last["received"] == 4


def test_the_command_finds_it_by_the_environment():
    with FakeProvider() as fake:
        for model in ("openai/gpt-6-luna", "anthropic/claude-haiku-5-5"):
            done = subprocess.run(
                [sys.executable, "-m", "quoth", "--model", model, "Hello there"],
                env={**os.environ, **fake.environment()},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
            )
            assert done.stdout.strip() == "Hello there"


@pytest.mark.parametrize("script", ["{}", '[{"no_such_field": 1}]', "[1.5]", "[[]]"])
def test_a_script_file_that_cannot_be_meant_is_refused(tmp_path, script):
    path = tmp_path / "script.json"
    path.write_text(script)
    command = [sys.executable, "-m", "quoth.testing.fake", "--script", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, input="")
    assert (done.returncode, done.stdout) == (1, "")
