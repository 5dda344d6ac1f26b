"""How users annotate. Read by mypy --strict and pyright, never run.

A line with ``type: ignore[code]`` must be an error of that code: where it is one no longer, the unused comment
is reported instead.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# The comments name mypy's codes; for pyright they say only that there is an error.
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, Unpack, assert_type

import msgspec

from quoth import (
    AsyncStream,
    Budget,
    BudgetState,
    Chat,
    Cost,
    EnvironmentKey,
    FunctionTool,
    Image,
    Message,
    ModelBinding,
    ModelInfo,
    ModelsAPI,
    ProviderInfo,
    Response,
    RetryPolicy,
    Run,
    Secret,
    Settings,
    Stream,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
    media,
    models,
)
from quoth._estimating import Estimate, Repricing
from quoth._options import CallOptions
from quoth.embeddings import EmbeddingResponse
from quoth.errors import OutputInvalidError, QuothError, RateLimitError
from quoth.events import StreamEvent, TextDelta, ToolCallStart
from quoth.instrumentation import CallRecord, HookHandle, Tally, UsageReport, UsageTotals
from quoth.instrumentation.ledger import Ledger, LedgerCheck
from quoth.instrumentation.otel import Tracing
from quoth.metrics import MetricsServer, asgi_app, wsgi_app
from quoth.middleware import Flow, Next
from quoth.providers import ProviderSpec
from quoth.providers.credentials import Asked, HeaderCredentials, register_credentials
from quoth.testing import Reply, ScriptedTransport
from quoth.transport import AsyncTransport, Transport
from quoth.types import CostTotal, FinishReason, ModelRequest, OutputFormat, Part
from quoth.wire import HTTPRequest

# A call, and what it gives.


def call() -> None:
    answer = models("gpt-4", "Hello")
    assert_type(answer, Response)
    assert_type(answer.text, str)
    assert_type(str(answer), str)
    assert_type(answer.message, Message)
    assert_type(answer.parts, tuple[Part, ...])
    assert_type(answer.tool_calls, tuple[ToolCall, ...])
    assert_type(answer.finish_reason, FinishReason)
    assert_type(answer.usage, Usage)
    assert_type(answer.usage.total_tokens, int | None)
    assert_type(answer.cost, Cost)
    assert_type(answer.cost.usd, Decimal | None)
    assert_type(answer.reasoning, str)
    assert_type(answer.refusal, str | None)


def get_weather(city: str, days: int = 1) -> str:
    return f"{city}: rain for {days} days"


async def look_up(word: str) -> dict[str, str]:
    return {word: "a word"}


def run_tools() -> None:
    run = models.run("gpt-4", "Hello", tools=[get_weather, FunctionTool(look_up, timeout=5)], max_rounds=3)
    assert_type(run, Run)
    assert_type(run.response, Response)
    assert_type(run.calls[0].error, str | None)
    assert_type(run.cost, CostTotal)
    models.run("gpt-4", "Hello", tools=[get_weather], max_round=3)  # type: ignore[call-arg]
    models("gpt-4", "Hello", max_rounds=3)  # type: ignore[call-overload]


async def talk() -> None:
    chat = models.chat("gpt-4", tools=[get_weather], trim=10, approve=lambda call: call.name != "look_up")
    assert_type(chat, Chat)
    assert_type(chat("Hello", temperature=0), Response)
    assert_type(await chat.aio("Hello"), Response)
    for piece in chat.stream("Hello"):
        assert_type(piece, str)
    async for piece in chat.aio.stream("Hello"):
        assert_type(piece, str)
    assert_type(chat.messages, tuple[Message, ...])
    assert_type(chat.switch("gpt-5"), tuple[str, ...])
    assert_type(chat.fork(), Chat)
    assert_type(models.load_chat("chat.json"), Chat)
    chat("Hello", trim=3)  # type: ignore[call-arg]


def unknown_is_not_zero(answer: Response) -> Decimal:
    return answer.cost.usd  # type: ignore[return-value]


def values_are_frozen(answer: Response) -> None:
    answer.model = "another"  # type: ignore[misc]
    answer.usage.input = 0  # type: ignore[misc]


def values_are_built_by_keyword() -> None:
    Text(text="Hello")
    Text("Hello")  # type: ignore[call-arg]


# Options: one table for all verbs; a wrong name or type is an error before anything runs.


def options() -> None:
    models("gpt-4", "Hi", system="Be brief.", temperature=0, max_tokens=200, timeout=30, seed=1, top_p=0.5)
    models("gpt-4", "Hi", dialect="chat", check="strict", reasoning="low")
    models("gpt-4", "Hi", reasoning=1024)
    models("gpt-4", "Hi", stop="END")
    models("gpt-4", "Hi", stop=["END", "STOP"])
    models("gpt-4", "Hi", api_key="k", base_url="https://host/v1", headers={"x-team": "a"})
    models("gpt-4", "Hi", extra={"openai": {"store": False}})


def wrong_options() -> None:
    models("gpt-4", "Hi", temprature=0)  # type: ignore[call-overload]
    models.stream("gpt-4", "Hi", temprature=0)  # type: ignore[call-overload]
    models.bind("gpt-4", temprature=0)  # type: ignore[call-overload]
    models.bind("gpt-4")("Hi", temprature=0)  # type: ignore[call-overload]
    models.aio.stream("gpt-4", "Hi", temprature=0)  # type: ignore[call-overload]
    models.aio.bind("gpt-4", temprature=0)  # type: ignore[call-overload]


def wrong_verbs() -> None:
    models.strem("gpt-4", "Hi")  # type: ignore[attr-defined]


def options_of_wrong_types() -> None:
    models("gpt-4", "Hi", max_tokens="200")  # type: ignore[call-overload]
    models("gpt-4", "Hi", temperature="hot")  # type: ignore[call-overload]
    models("gpt-4", "Hi", stop=1)  # type: ignore[call-overload]
    models("gpt-4", "Hi", check="loud")  # type: ignore[call-overload]
    models("gpt-4", "Hi", headers=["x-team: a"])  # type: ignore[call-overload]
    models("gpt-4", "Hi", extra={"openai": True})  # type: ignore[dict-item]
    models(4, "Hi")  # type: ignore[call-overload]
    models("gpt-4")  # type: ignore[call-overload]


def ask_briefly(prompt: str, **options: Unpack[CallOptions]) -> str:
    """A function of the user's own that hands options through."""
    return models("gpt-4", prompt, **options).text


def hand_options_through() -> None:
    defaults: CallOptions = {"temperature": 0, "max_tokens": 50}
    models("gpt-4", "Hi", **defaults)
    ask_briefly("Hi", temperature=0)
    ask_briefly("Hi", temprature=0)  # type: ignore[call-arg]
    misspelt: CallOptions = {"temprature": 0}  # type: ignore[typeddict-unknown-key]
    del misspelt


# Prompts and conversations.


def prompts() -> None:
    models("gpt-4", Image(url="https://host/cat.png"))
    models("gpt-4", ["What is this?", Image(url="https://host/cat.png")])
    models("gpt-4", Message.user("2+2?"))
    models("gpt-4", [{"role": "user", "content": "2+2?"}])
    models("gpt-4", 4)  # type: ignore[call-overload]
    models("gpt-4", b"bytes")  # type: ignore[arg-type]
    models("gpt-4", models("gpt-4", "Hi"))  # type: ignore[call-overload]


async def what_is_fetched(url: str) -> None:
    models("gpt-4", ["What is this?", media.fetch(url)])
    models("gpt-4", ["What is this?", await media.afetch(url, timeout=5)])
    media.fetch(b"https://host/cat.png")  # type: ignore[arg-type]
    if isinstance(found := media.fetch(url, max_bytes=1_000_000), Image):
        assert_type(found, Image)


def a_conversation_grows() -> list[Message]:
    conversation = [Message.system("Be brief."), Message.user("2+2?", Image(url="https://host/cat.png"))]
    answer = models("gpt-4", conversation)
    conversation.append(answer.message)
    conversation.append(Message.user("times 3?"))
    assert_type(models("gpt-4", conversation), Response)
    return conversation


def dicts_from_elsewhere(history: list[dict[str, Any]], typed: Sequence[Mapping[str, object]]) -> None:
    models("gpt-4", history)
    models("gpt-4", typed)


def parts(message: Message) -> list[str]:
    texts: list[str] = []
    for part in message.parts:
        match part:
            case Text(text=text):
                texts.append(assert_type(text, str))
            case ToolCall(name=name):
                texts.append(assert_type(name, str))
            case _:
                pass
    return texts


# Tools.


def tools() -> None:
    weather = Tool(name="weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
    answer = models("gpt-4", "Weather in Paris?", tools=[weather], tool_choice="required")
    models("gpt-4", "Weather?", tools=[{"type": "function", "function": {"name": "weather"}}])
    models("gpt-4", "Weather?", tools=[weather], tool_choice=ToolChoice(mode="tool", name="weather"))
    models("gpt-4", "Weather?", tools=weather)  # type: ignore[call-overload]
    ToolChoice(mode="perhaps")  # type: ignore[arg-type]
    results = [Message.tool(call, "18 degrees") for call in answer.tool_calls]
    models("gpt-4", [Message.user("Weather in Paris?"), answer.message, *results], tools=[weather])


# Bindings.


def bindings() -> None:
    fast = models.bind("gpt-4", temperature=0)
    assert_type(fast, ModelBinding)
    assert_type(fast.id, str)
    assert_type(fast("Hello"), Response)
    assert_type(fast("Hello", max_tokens=5), Response)
    assert_type(fast.stream("Hello"), Stream)
    assert_type(fast.bind(max_tokens=5), ModelBinding)


def summarize(model: ModelBinding, text: str) -> str:
    """A binding is what a user's function takes."""
    return model(["Summarize:", text]).text


# Streams.


def streams() -> None:
    stream = models.stream("gpt-4", "Tell me a story")
    assert_type(stream, Stream)
    for piece in stream:
        assert_type(piece, str)
    assert_type(stream.response, Response)
    with models.stream("gpt-4", "Tell me a story") as opened:
        assert_type(opened, Stream)
        assert_type(opened.read(), Response)
    pieces: Iterator[str] = iter(models.stream("gpt-4", "Hi"))
    del pieces


def events() -> None:
    for event in models.stream("gpt-4", "Hi").events():
        assert_type(event, StreamEvent)
        match event:
            case TextDelta(text=text):
                assert_type(text, str)
            case ToolCallStart(name=name):
                assert_type(name, str)
            case _:
                pass


async def a_stream_is_not_of_the_other_world() -> None:
    async for _ in models.stream("gpt-4", "Hi"):  # type: ignore[attr-defined]
        pass
    for _ in models.aio.stream("gpt-4", "Hi"):  # type: ignore[attr-defined]
        pass


# Async: the same words under .aio.


async def asynchronous() -> None:
    answer = await models.aio("gpt-4", "Hello", temperature=0)
    assert_type(answer, Response)
    async for piece in models.aio.stream("gpt-4", "Hello"):
        assert_type(piece, str)
    async with models.aio.stream("gpt-4", "Hello") as stream:
        assert_type(stream, AsyncStream)
        async for event in stream.events():
            assert_type(event, StreamEvent)
        assert_type(await stream.read(), Response)
    fast = models.bind("gpt-4", temperature=0)
    assert_type(await fast.aio("Hello"), Response)
    assert_type(await models.aio.bind("gpt-4")("Hello", seed=1), Response)
    forgotten: str = models.aio("gpt-4", "Hello").text  # type: ignore[attr-defined]
    del forgotten


async def wrong_options_of_an_awaited_call() -> None:
    await models.aio("gpt-4", "Hi", temprature=0)  # type: ignore[call-overload]
    await models.bind("gpt-4").aio("Hi", temprature=0)  # type: ignore[call-overload]


async def pieces(prompt: str) -> AsyncIterator[str]:
    """What a web handler gives."""
    async for piece in models.aio.stream("gpt-4", prompt):
        yield piece


# Errors.


def errors() -> float | None:
    try:
        models("gpt-4", "Hi")
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
        return error.retry_after
    except QuothError as error:
        assert_type(error.kind, str)
        assert_type(error.partial, Response | None)
    except TimeoutError:
        pass
    return None


# A program's own settings, providers and transports.


def settings() -> None:
    own = ModelsAPI(Settings(timeout=30, api_keys={"openai": "k"}))
    assert_type(own("gpt-4", "Hi"), Response)
    assert_type(own.usage(), UsageReport)
    spec = own.register_provider("mine", base_url="https://host/v1", key_variables=("MINE_KEY",))
    assert_type(spec, ProviderSpec)
    Settings(timeuot=30)  # type: ignore[call-arg]
    ProviderSpec(name="mine", base_url="https://host/v1", keys=("K",))  # type: ignore[call-arg]


def keys() -> None:
    models("gpt-4", "Hi", api_key=Secret("k"))
    models("gpt-4", "Hi", api_key=EnvironmentKey("TEAM_KEY"))
    models("gpt-4", "Hi", api_key=lambda: "k")
    models("gpt-4", "Hi", api_key=5)  # type: ignore[call-overload]
    Settings(api_keys={"openai": lambda: Secret("k"), "mine": EnvironmentKey("MINE_KEY")})
    assert_type(Secret("k").reveal(), str)


class TokenSource:
    def find(self, asked: Asked) -> HeaderCredentials:
        reply = asked.carry(HTTPRequest(url="https://tokens.example"), 5.0)
        return HeaderCredentials({"authorization": reply.body.decode()}, parts={"tenant": "blue"})


def credentials() -> None:
    register_credentials("mine", TokenSource)
    register_credentials("mine", TokenSource())  # type: ignore[arg-type]
    register_credentials("mine", dict)  # type: ignore[arg-type]
    HeaderCredentials({"authorization": 5})  # type: ignore[dict-item]
    models.register_provider("gate", base_url="https://gate.example/v1", credentials="mine")


def configuring() -> None:
    models.configure(timeout=30, api_keys={"openai": "k", "mine": None}, tags={"service": "search"}, prices=None)
    models.configure(timeuot=30)  # type: ignore[call-arg]
    models.configure(timeout="30")  # type: ignore[arg-type]


# Who asks, and who counts.


def records() -> None:
    models("gpt-4", "Hi", tags={"feature": "search"})
    models("gpt-4", "Hi", tags={"feature": 1})  # type: ignore[dict-item]
    with models.tag(feature="search", user="u1"), models.track() as tally:
        assert_type(tally, Tally)
    assert_type(tally.total, UsageTotals)
    assert_type(models.usage().tags, Mapping[str, Mapping[str, UsageTotals]])
    assert_type(models.usage().providers["openai"].usd, Decimal)
    models.tag(feature=1)  # type: ignore[arg-type]


def carried(number: int, *, word: str) -> float:
    return number + len(word)


async def carried_async(number: int) -> str:
    return str(number)


async def carrying() -> None:
    assert_type(models.carry(carried)(1, word="x"), float)
    assert_type(await models.carry(carried_async)(1), str)
    models.carry(carried)("1", word="x")  # type: ignore[arg-type]


def note(record: CallRecord) -> None:
    assert_type(record.tags, Mapping[str, str])


def hooks() -> None:
    handle = models.on_call(note)
    assert_type(handle, HookHandle)
    handle.remove()
    models.on_call(carried)  # type: ignore[arg-type]
    assert_type(models.log_calls(format="json", tags=["feature"]), HookHandle)
    assert_type(models.trace(capture="SPAN_ONLY", propagate=True), Tracing)
    models.trace(capture="ALL")  # type: ignore[arg-type]
    models.log_calls(format="xml")  # type: ignore[arg-type]


def transports() -> ModelsAPI:
    def answer(request: HTTPRequest) -> Reply:
        return Reply(status=200, body=request.body)

    script = ScriptedTransport(Reply(body=b"{}"), Reply(body=(b"{", ConnectionError("cut"))), answer)
    blocking: Transport = script
    asynchronous: AsyncTransport = script.aio
    wrong: Transport = script.aio  # type: ignore[assignment]
    del wrong
    return ModelsAPI(Settings(transport=blocking, async_transport=asynchronous))


# What is known of models and providers.


def knowing() -> None:
    assert_type(models.list(), list[ModelInfo])
    assert_type(
        models.list(provider="openai", kind="chat", input="image", feature=("tools", "vision")), list[ModelInfo]
    )
    assert_type(models.info("gpt-4"), ModelInfo)
    assert_type(models.info("gpt-4").context_window, int | None)
    assert_type(models.providers(), list[ProviderInfo])
    assert_type(models.providers()[0].key_variable, str | None)
    models.list("openai")  # type: ignore[call-arg]
    models.list(kind="chatting")  # type: ignore[arg-type]


# What a call costs.


def costing(response: Response, record: CallRecord) -> None:
    assert_type(response.cost.usd, Decimal | None)
    assert_type(response.cost.known_usd, Decimal)
    assert_type(sum([response.cost], CostTotal()), Cost | CostTotal)
    assert_type(response.cost + response.cost, CostTotal)
    assert_type(models.estimate("gpt-4", "Hi", max_tokens=5, output_tokens=3), Estimate)
    assert_type(models.compare("Hi", ["gpt-4"], temperature=0), list[Estimate])
    assert_type(models.reprice([record], as_of="2026-12-01"), Repricing)
    models.register_price("openai/gpt-4", input="2", output=10)
    models.register_price("openai/gpt-4", {"input": "2"})
    models("gpt-4", "Hi", price={"input": "2", "output": "10"})
    models("gpt-4", "Hi", price="2")  # type: ignore[call-overload]


# Budgets.


def budgets(response: Response) -> None:
    team = models.budget("500", name="team-a", per="month")
    assert_type(team, Budget)
    assert_type(team.spent, Decimal)
    assert_type(team.left, Decimal)
    assert_type(team.state, BudgetState)
    assert_type(models.budgets(), tuple[BudgetState, ...])
    users = models.budget(Decimal(5), by="user", per="day", tags={"a": "b"}, hard=False, estimate="expected")
    assert_type(users["u1"], Budget)
    assert_type(models("gpt-4", "Hi", budget=team), Response)
    assert_type(models.bind("gpt-4", budget=[team, users])("Hi", on_budget="cap"), Response)
    with models.budget(5) as entered:
        assert_type(entered, Budget)
    assert_type(response.cost.nano, int | None)
    models.budget(5.0)  # type: ignore[arg-type]
    models.budget("5", per="hour")  # type: ignore[arg-type]
    models("gpt-4", "Hi", budget="5.00")  # type: ignore[arg-type]
    models("gpt-4", "Hi", on_budget="ignore")  # type: ignore[call-overload]


# Reliability.


def reliability() -> None:
    policy = RetryPolicy(retries=3, longest_wait=10)
    assert_type(models("gpt-4", "Hello", retries=0), Response)
    assert_type(
        models("gpt-4", "Hello", retries=policy, fallback=["claude-sonnet-5-5", models.bind("gpt-4")]), Response
    )
    models.bind("gpt-4", fallback=(models.bind("gpt-4").aio,))
    models("gpt-4", "Hello", retries="2")  # type: ignore[call-overload]
    models("gpt-4", "Hello", fallback=[5])  # type: ignore[list-item]
    models.configure(retries=None)


def middleware(request: ModelRequest, next: Next) -> Flow:
    assert_type(request.model, str)
    response = yield from next(request)
    assert_type(response, Response)
    return response


def use_middleware() -> None:
    remove = models.use(middleware)
    remove()


# Embeddings.


def embeddings(error: QuothError) -> None:
    answer = models.embed("text-embedding-3-small", ["a", "b"], dimensions=256, input_type="query", truncate=True)
    assert_type(answer, EmbeddingResponse)
    assert_type(answer.vectors, tuple[tuple[float, ...], ...])
    assert_type(answer[0], tuple[float, ...])
    assert_type(list(answer), list[tuple[float, ...]])
    assert_type(models.bind("text-embedding-3-small").embed("a").vector, tuple[float, ...])
    assert_type(error.embedded, EmbeddingResponse | None)
    models.embed("text-embedding-3-small", "a", input_type="search")  # type: ignore[arg-type]
    models.embed("text-embedding-3-small", "a", fallback=["x"])  # type: ignore[call-arg]
    models.embed("text-embedding-3-small", [1])  # type: ignore[list-item]


async def async_embeddings() -> None:
    assert_type(await models.aio.embed("text-embedding-3-small", ("a", "b")), EmbeddingResponse)
    assert_type(await models.aio.bind("text-embedding-3-small").embed("a"), EmbeddingResponse)


# Output types.


@dataclass
class Point:
    x: int


class Invoice(msgspec.Struct):
    number: int


class Place(NamedTuple):
    city: str


class Titled(TypedDict):
    title: str


class Color(Enum):
    RED = "red"


def outputs(schema: dict[str, Any]) -> None:
    assert_type(models("gpt-4", "Hi", output=Invoice), Response[Invoice])
    assert_type(models("gpt-4", "Hi", output=Invoice).parsed, Invoice)
    assert_type(models("gpt-4", "Hi", output=Point, temperature=0, repairs=1).parsed.x, int)
    assert_type(models("gpt-4", "Hi", output=Place).parsed, Place)
    assert_type(models("gpt-4", "Hi", output=Titled).parsed, Titled)
    assert_type(models("gpt-4", "Hi", output=Color).parsed, Color)
    assert_type(models("gpt-4", "Hi", output=Literal["a", "b"]).parsed, Literal["a", "b"])
    assert_type(models("gpt-4", "Hi", output=list[Invoice]).parsed, list[Invoice])
    assert_type(models("gpt-4", "Hi", output=dict[str, int]).parsed, dict[str, int])
    assert_type(models("gpt-4", "Hi", output=Invoice | None).parsed, Invoice | None)
    assert_type(models("gpt-4", "Hi", output=Invoice | Point).parsed, Invoice | Point)
    assert_type(models("gpt-4", "Hi", output=Annotated[int, msgspec.Meta(ge=0)]).parsed, int)
    assert_type(models("gpt-4", "Hi", output=schema), Response)
    assert_type(models("gpt-4", "Hi", output=OutputFormat(schema=schema)), Response)
    models("gpt-4", "Hi", output=5)  # type: ignore[call-overload]
    models("gpt-4", "Hi", output=Invoice, temprature=0)  # type: ignore[call-overload]
    wrong: str = models("gpt-4", "Hi", output=int).parsed  # type: ignore[assignment]
    del wrong


def outputs_of_bindings_and_streams() -> None:
    bound = models.bind("gpt-4", output=Invoice)
    assert_type(bound, ModelBinding[Invoice])
    assert_type(bound("Hi").parsed, Invoice)
    assert_type(bound.bind(temperature=0)("Hi").parsed, Invoice)
    assert_type(bound("Hi", output=list[int]).parsed, list[int])
    stream = models.stream("gpt-4", "Hi", output=Invoice | None)
    for value in stream.objects():
        assert_type(value, Invoice | None)
    assert_type(stream.response.parsed, Invoice | None)
    assert_type(bound.stream("Hi").read().parsed, Invoice)


async def outputs_under_asyncio() -> None:
    assert_type((await models.aio("gpt-4", "Hi", output=Invoice)).parsed, Invoice)
    assert_type((await models.aio.bind("gpt-4", output=Invoice)("Hi")).parsed, Invoice)
    stream = models.aio.stream("gpt-4", "Hi", output=list[int])
    async for value in stream.objects():
        assert_type(value, list[int])
    assert_type((await stream.read()).parsed, list[int])


def total(answer: Response[Invoice]) -> int:
    """What a user's function takes; and any Response is a Response."""
    anything: Response = answer
    return anything.usage.total_tokens or answer.parsed.number


def output_errors() -> None:
    try:
        assert_type(models("gpt-4", "Hi", output=int).parsed, int)
    except OutputInvalidError as error:
        assert_type(error.path, str | None)
        assert_type(error.response, Response | None)


# The ledger.


def of_the_ledger(api: ModelsAPI) -> None:
    api.configure(ledger="usage.db")
    assert_type(api.ledger, Ledger)
    assert_type(api.ledger.total(since="2026-11-01", user="u1"), UsageTotals)
    assert_type(api.ledger.totals("day"), dict[str, UsageTotals])
    assert_type(api.ledger.records(tags={"feature": "search"}), Iterator[CallRecord])
    assert_type(api.ledger.check(), LedgerCheck)
    assert_type(api.flush(), bool)
    api.ledger.total(colour="red")  # type: ignore[call-arg]


# Metrics.


def of_metrics(api: ModelsAPI) -> None:
    assert_type(api.metrics(), str)
    assert_type(api.metrics(format="openmetrics", budgets=["team-a"]), str)
    with api.serve_metrics(9464) as server:
        assert_type(server, MetricsServer)
        assert_type((server.url, server.port), tuple[str, int])
    api.register_metrics().remove()
    asgi_app(api, budgets=("team-a",))
    wsgi_app(models)
    api.configure(metrics_dir="metrics")
    api.metrics(format="json")  # type: ignore[arg-type]
    api.serve_metrics(0, exposed=True)  # type: ignore[call-arg]
