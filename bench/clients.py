"""Each client by its own documented way, and the cases that it is put through. Runs in the client's own environment.

    python bench/clients.py NAME '{"plain": "http://127.0.0.1:1234", ...}'      # then a case a line on stdin

A class a client: made once for a URL, then called often. Its ``program`` is what a user would write in a fresh process:
an import, and the first answer. Retries and logging stand at their defaults; what telemetry a client has is switched
off by its documented variable (``QUIET``). quoth has costs, usage totals, records and its retry policy on.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

from loopback import KEY, LATENCY, MODELS, PROMPT, SAID, TEXT, Bare, BareAsync, events_in

QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else importing it fetches a file from the network, with retries
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "ANY_LLM_DISABLE_TELEMETRY": "1",
}
MESSAGES = [{"role": "user", "content": PROMPT}]
MODEL = MODELS["chat"]


class Client(Protocol):
    """What every client offers here. ``wire`` is how it speaks, ``package`` where its version stands."""

    wire: ClassVar[str]
    package: ClassVar[str]
    program: ClassVar[tuple[str, str]]

    def __init__(self, root: str) -> None: ...
    def call(self) -> str: ...
    def stream(self) -> Iterator[str]: ...
    async def acall(self) -> str: ...
    def astream(self) -> AsyncIterator[str]: ...


class Floor(Client):
    wire, package = "chat", ""
    program = (
        "import socket, ssl, json",
        (
            "from urllib.parse import urlsplit\nat = urlsplit(URL)\n"
            "sock = socket.create_connection((at.hostname, at.port))\n"
            "body = json.dumps({'model': MODEL, 'messages': [{'role': 'user', 'content': PROMPT}]}).encode()\n"
            "size = b'%d' % len(body)\n"
            "head = b'POST /v1/chat/completions HTTP/1.1\\r\\nhost: a\\r\\ncontent-length: ' + size\n"
            "sock.sendall(head + b'\\r\\n\\r\\n' + body)\n"
            "answer = json.loads(sock.recv(65536).partition(b'\\r\\n\\r\\n')[2])['choices'][0]['message']['content']"
        ),
    )

    def __init__(self, root: str) -> None:
        authority = os.environ.get("SSL_CERT_FILE")
        self.bare, self.abare = Bare(root, authority), BareAsync(root, authority)

    def call(self) -> str:
        return str(self.bare.call()["choices"][0]["message"]["content"])

    def stream(self) -> Iterator[str]:
        rest = b""
        for piece in self.bare.stream():
            events, rest = events_in(piece, rest)
            yield from texts_of(events)

    async def acall(self) -> str:
        return str((await self.abare.call())["choices"][0]["message"]["content"])

    async def astream(self) -> AsyncIterator[str]:
        rest = b""
        async for piece in self.abare.stream():
            events, rest = events_in(piece, rest)
            for text in texts_of(events):
                yield text


def texts_of(events: list[Any]) -> list[str]:
    choices = [choice for event in events for choice in event["choices"]]
    return [text for choice in choices if (text := choice["delta"].get("content"))]


class Quoth(Client):
    wire, package, base = "chat", "quoth", "/v1"
    model = f"openai/{MODEL}"
    program = ("from quoth import models", "answer = str(models('openai/' + MODEL, PROMPT))")

    def __init__(self, root: str) -> None:
        from quoth import ModelsAPI, Settings

        provider = self.model.partition("/")[0]
        self.models = ModelsAPI(Settings(base_urls={provider: root + self.base}, api_keys={provider: KEY}))

    def call(self) -> str:
        answer = self.models(self.model, PROMPT)
        assert answer.cost.usd
        return answer.text

    def stream(self) -> Iterator[str]:
        return iter(self.models.stream(self.model, PROMPT))

    async def acall(self) -> str:
        return (await self.models.aio(self.model, PROMPT)).text

    async def astream(self) -> AsyncIterator[str]:
        async for text in self.models.aio.stream(self.model, PROMPT):
            yield text


class QuothBound(Quoth):
    program = (
        "from quoth import models",
        "ask = models.bind('openai/' + MODEL)\nanswer = str(ask(PROMPT))",
    )

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.ask = self.models.bind(self.model)

    def call(self) -> str:
        return self.ask(PROMPT).text

    def stream(self) -> Iterator[str]:
        return iter(self.ask.stream(PROMPT))

    async def acall(self) -> str:
        return (await self.ask.aio(PROMPT)).text

    async def astream(self) -> AsyncIterator[str]:
        async for text in self.ask.aio.stream(PROMPT):
            yield text


class QuothMessages(Quoth):
    wire, model = "messages", f"anthropic/{MODELS['messages']}"
    program = ("from quoth import models", "answer = str(models('anthropic/' + MODEL, PROMPT, max_tokens=500))")


class QuothGemini(Quoth):
    wire, base, model = "gemini", "/v1beta", f"google/{MODELS['gemini']}"
    program = ("from quoth import models", "answer = str(models('google/' + MODEL, PROMPT))")


class LM15(Client):
    wire, package = "chat", "lm15"
    program = (
        "from lm15 import Message, OpenAIChatLM, Request",
        (
            "lm = OpenAIChatLM(api_key=KEY, base_url=URL + '/v1')\n"
            "answer = lm.complete(Request(model=MODEL, messages=(Message.user(PROMPT),))).text"
        ),
    )

    def __init__(self, root: str) -> None:
        self.library = import_module("lm15")
        self.lm = self.library.OpenAIChatLM(api_key=KEY, base_url=root + "/v1")
        self.alm = self.library.AsyncOpenAIChatLM(api_key=KEY, base_url=root + "/v1")

    def request(self) -> Any:
        return self.library.Request(model=MODEL, messages=(self.library.Message.user(PROMPT),))

    def text(self, event: Any) -> str:
        is_text = isinstance(event, self.library.StreamDeltaEvent) and isinstance(event.delta, self.library.TextDelta)
        return str(event.delta.text) if is_text else ""

    def call(self) -> str:
        return str(self.lm.complete(self.request()).text)

    def stream(self) -> Iterator[str]:
        for event in self.lm.stream(self.request()):
            yield self.text(event)

    async def acall(self) -> str:
        return str((await self.alm.complete(self.request())).text)

    async def astream(self) -> AsyncIterator[str]:
        async for event in self.alm.stream(self.request()):
            yield self.text(event)


class OpenAI(Client):
    wire, package = "chat", "openai"
    program = (
        "from openai import OpenAI",
        (
            "client = OpenAI(api_key=KEY, base_url=URL + '/v1')\n"
            "messages = [{'role': 'user', 'content': PROMPT}]\n"
            "answer = client.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content"
        ),
    )

    def __init__(self, root: str) -> None:
        openai = import_module("openai")
        self.create = openai.OpenAI(api_key=KEY, base_url=root + "/v1").chat.completions.create
        self.acreate = openai.AsyncOpenAI(api_key=KEY, base_url=root + "/v1").chat.completions.create
        self.options: dict[str, Any] = {"model": MODEL}

    def call(self) -> str:
        return str(self.create(messages=MESSAGES, **self.options).choices[0].message.content)

    def stream(self) -> Iterator[str]:
        for chunk in self.create(messages=MESSAGES, stream=True, **self.options):
            yield chunk.choices[0].delta.content or "" if chunk.choices else ""

    async def acall(self) -> str:
        return str((await self.acreate(messages=MESSAGES, **self.options)).choices[0].message.content)

    async def astream(self) -> AsyncIterator[str]:
        async for chunk in await self.acreate(messages=MESSAGES, stream=True, **self.options):
            yield chunk.choices[0].delta.content or "" if chunk.choices else ""


class Anthropic(Client):
    wire, package = "messages", "anthropic"
    program = (
        "from anthropic import Anthropic",
        (
            "client = Anthropic(api_key=KEY, base_url=URL)\n"
            "messages = [{'role': 'user', 'content': PROMPT}]\n"
            "answer = client.messages.create(model=MODEL, max_tokens=500, messages=messages).content[0].text"
        ),
    )

    def __init__(self, root: str) -> None:
        anthropic = import_module("anthropic")
        self.messages = anthropic.Anthropic(api_key=KEY, base_url=root).messages
        self.amessages = anthropic.AsyncAnthropic(api_key=KEY, base_url=root).messages
        self.asked = {"model": MODELS["messages"], "max_tokens": 500, "messages": MESSAGES}

    def call(self) -> str:
        return str(self.messages.create(**self.asked).content[0].text)

    def stream(self) -> Iterator[str]:
        with self.messages.stream(**self.asked) as stream:
            yield from stream.text_stream

    async def acall(self) -> str:
        return str((await self.amessages.create(**self.asked)).content[0].text)

    async def astream(self) -> AsyncIterator[str]:
        async with self.amessages.stream(**self.asked) as stream:
            async for text in stream.text_stream:
                yield text


class Google(Client):
    wire, package = "gemini", "google-genai"
    program = (
        "from google import genai",
        (
            "client = genai.Client(api_key=KEY, http_options={'base_url': URL})\n"
            "answer = client.models.generate_content(model=MODEL, contents=PROMPT).text"
        ),
    )

    def __init__(self, root: str) -> None:
        genai = import_module("google.genai")
        self.client = genai.Client(api_key=KEY, http_options={"base_url": root})
        self.asked = {"model": MODELS["gemini"], "contents": PROMPT}

    def call(self) -> str:
        return str(self.client.models.generate_content(**self.asked).text)

    def stream(self) -> Iterator[str]:
        for chunk in self.client.models.generate_content_stream(**self.asked):
            yield chunk.text or ""

    async def acall(self) -> str:
        return str((await self.client.aio.models.generate_content(**self.asked)).text)

    async def astream(self) -> AsyncIterator[str]:
        async for chunk in await self.client.aio.models.generate_content_stream(**self.asked):
            yield chunk.text or ""


class LiteLLM(OpenAI):
    package = "litellm"
    program = (
        "from litellm import completion",
        (
            "messages = [{'role': 'user', 'content': PROMPT}]\n"
            "answer = completion('openai/' + MODEL, messages, api_base=URL + '/v1', api_key=KEY)"
            ".choices[0].message.content"
        ),
    )

    def __init__(self, root: str) -> None:
        litellm = import_module("litellm")
        self.create, self.acreate = litellm.completion, litellm.acompletion
        self.options = {"model": f"openai/{MODEL}", "api_base": root + "/v1", "api_key": KEY}


class AnyLLM(OpenAI):
    package = "any-llm-sdk"
    program = (
        "from any_llm import AnyLLM",
        (
            "llm = AnyLLM.create('openai', api_key=KEY, api_base=URL + '/v1')\n"
            "messages = [{'role': 'user', 'content': PROMPT}]\n"
            "answer = llm.completion(model=MODEL, messages=messages).choices[0].message.content"
        ),
    )

    def __init__(self, root: str) -> None:
        llm = import_module("any_llm").AnyLLM.create("openai", api_key=KEY, api_base=root + "/v1")
        self.create, self.acreate, self.options = llm.completion, llm.acompletion, {"model": MODEL}


class AISuite(OpenAI):
    package = "aisuite"
    program = (
        "import aisuite",
        (
            "client = aisuite.Client({'openai': {'api_key': KEY, 'base_url': URL + '/v1'}})\n"
            "messages = [{'role': 'user', 'content': PROMPT}]\n"
            "answer = client.chat.completions.create(model='openai:' + MODEL, messages=messages)"
            ".choices[0].message.content"
        ),
    )

    def __init__(self, root: str) -> None:
        client = import_module("aisuite").Client({"openai": {"api_key": KEY, "base_url": root + "/v1"}})
        self.create, self.acreate = client.chat.completions.create, client.chat.completions.acreate
        self.options = {"model": f"openai:{MODEL}"}


class Instructor(OpenAI):
    package = "instructor"
    program = (
        "import instructor",
        (
            "client = instructor.from_provider('openai/' + MODEL, api_key=KEY, base_url=URL + '/v1')\n"
            "messages = [{'role': 'user', 'content': PROMPT}]\n"
            "answer = client.create(messages=messages, response_model=None).choices[0].message.content"
        ),
    )

    def __init__(self, root: str) -> None:
        make = import_module("instructor").from_provider
        at = {"api_key": KEY, "base_url": root + "/v1"}
        self.create = make(f"openai/{MODEL}", **at).create
        self.acreate = make(f"openai/{MODEL}", async_client=True, **at).create
        self.options = {"response_model": None}


class PydanticAI(Client):
    """By its direct requests: an Agent's run takes two to three times as much."""

    wire, package = "chat", "pydantic-ai-slim"
    program = (
        (
            "from pydantic_ai import ModelRequest, direct\n"
            "from pydantic_ai.models.openai import OpenAIChatModel\n"
            "from pydantic_ai.providers.openai import OpenAIProvider"
        ),
        (
            "model = OpenAIChatModel(MODEL, provider=OpenAIProvider(api_key=KEY, base_url=URL + '/v1'))\n"
            "answer = direct.model_request_sync(model, [ModelRequest.user_text_prompt(PROMPT)]).parts[0].content"
        ),
    )

    def __init__(self, root: str) -> None:
        self.direct = import_module("pydantic_ai.direct")
        provider = import_module("pydantic_ai.providers.openai").OpenAIProvider(api_key=KEY, base_url=root + "/v1")
        self.model = import_module("pydantic_ai.models.openai").OpenAIChatModel(MODEL, provider=provider)
        self.ask = import_module("pydantic_ai").ModelRequest.user_text_prompt

    def text(self, event: Any) -> str:
        if event.event_kind == "part_start":
            return event.part.content or ""
        return event.delta.content_delta or "" if event.event_kind == "part_delta" else ""

    def call(self) -> str:
        return str(self.direct.model_request_sync(self.model, [self.ask(PROMPT)]).parts[0].content)

    def stream(self) -> Iterator[str]:
        with self.direct.model_request_stream_sync(self.model, [self.ask(PROMPT)]) as stream:
            for event in stream:
                yield self.text(event)

    async def acall(self) -> str:
        return str((await self.direct.model_request(self.model, [self.ask(PROMPT)])).parts[0].content)

    async def astream(self) -> AsyncIterator[str]:
        async with self.direct.model_request_stream(self.model, [self.ask(PROMPT)]) as stream:
            async for event in stream:
                yield self.text(event)


class LangChain(Client):
    wire, package = "chat", "langchain-openai"
    program = (
        "from langchain_openai import ChatOpenAI",
        "answer = ChatOpenAI(model=MODEL, api_key=KEY, base_url=URL + '/v1').invoke(PROMPT).content",
    )

    def __init__(self, root: str) -> None:
        self.llm = import_module("langchain_openai").ChatOpenAI(model=MODEL, api_key=KEY, base_url=root + "/v1")

    def call(self) -> str:
        return str(self.llm.invoke(PROMPT).content)

    def stream(self) -> Iterator[str]:
        for chunk in self.llm.stream(PROMPT):
            yield chunk.content

    async def acall(self) -> str:
        return str((await self.llm.ainvoke(PROMPT)).content)

    async def astream(self) -> AsyncIterator[str]:
        async for chunk in self.llm.astream(PROMPT):
            yield chunk.content


class LLM(Client):
    """Simon Willison's llm; an endpoint of one's own is a model in a file."""

    wire, package = "chat", "llm"
    program = (
        "import llm",
        (
            "import os, pathlib\n"
            "pathlib.Path(os.environ['LLM_USER_PATH'], 'extra-openai-models.yaml').write_text("
            "f'- {{model_id: first, model_name: {MODEL}, api_base: {URL}/v1}}')\n"
            "answer = llm.get_model('first').prompt(PROMPT, key=KEY, stream=False).text()"
        ),
    )

    def __init__(self, root: str) -> None:
        llm = import_module("llm")
        name = root.rpartition(":")[2]
        row = f"- {{model_id: '{name}', model_name: {MODEL}, api_base: '{root}/v1'}}\n"
        Path(os.environ["LLM_USER_PATH"], "extra-openai-models.yaml").write_text(row, "utf-8")
        self.model, self.amodel = llm.get_model(name), llm.get_async_model(name)

    def call(self) -> str:
        return str(self.model.prompt(PROMPT, key=KEY, stream=False).text())

    def stream(self) -> Iterator[str]:
        return iter(self.model.prompt(PROMPT, key=KEY))

    async def acall(self) -> str:
        return str(await self.amodel.prompt(PROMPT, key=KEY, stream=False).text())

    async def astream(self) -> AsyncIterator[str]:
        async for text in self.amodel.prompt(PROMPT, key=KEY):
            yield text


class Mirascope(Client):
    wire, package = "chat", "mirascope"
    program = (
        "from mirascope import llm",
        (
            "llm.register_provider('openai:completions', scope='openai/', api_key=KEY, base_url=URL + '/v1')\n"
            "answer = llm.Model('openai/' + MODEL).call(PROMPT).text()"
        ),
    )

    def __init__(self, root: str) -> None:
        llm = import_module("mirascope.llm")
        scope = f"openai/{MODEL}-{root.rpartition(':')[2]}"
        llm.register_provider("openai:completions", scope=scope, api_key=KEY, base_url=root + "/v1")
        self.model = llm.Model(scope)

    def call(self) -> str:
        return str(self.model.call(PROMPT).text())

    def stream(self) -> Iterator[str]:
        yield from self.model.stream(PROMPT).text_stream(sep="")

    async def acall(self) -> str:
        return str((await self.model.call_async(PROMPT)).text())

    async def astream(self) -> AsyncIterator[str]:
        async for text in (await self.model.stream_async(PROMPT)).text_stream(sep=""):
            yield text


CLIENTS: dict[str, type[Client]] = {
    "floor": Floor,
    "quoth": Quoth,
    "quoth bound": QuothBound,
    "quoth messages": QuothMessages,
    "quoth gemini": QuothGemini,
    "lm15": LM15,
    "openai": OpenAI,
    "anthropic": Anthropic,
    "google-genai": Google,
    "litellm": LiteLLM,
    "any-llm": AnyLLM,
    "aisuite": AISuite,
    "pydantic-ai": PydanticAI,
    "langchain": LangChain,
    "llm": LLM,
    "mirascope": Mirascope,
    "instructor": Instructor,
}


# The cases. Each gives its figures: "cpu" and "wall" in microseconds a call (milliseconds a stream), and more.

Figures = dict[str, Any]


class Bench:
    """One client, made once for each URL and for each of the two worlds."""

    def __init__(self, name: str, roots: dict[str, str]) -> None:
        self.make, self.roots = CLIENTS[name], roots
        self.made: dict[tuple[str, bool], Client] = {}
        self.loop = asyncio.new_event_loop()

    def client(self, manner: str, *, aio: bool = False) -> Client:
        if (manner, aio) not in self.made:
            self.made[manner, aio] = self.make(self.roots[manner])
        return self.made[manner, aio]

    def await_(self, work: Coroutine[Any, Any, Figures]) -> Figures:
        return self.loop.run_until_complete(work)

    def blocking(self, manner: str, seconds: float) -> Figures:
        call = self.client(manner).call
        check(call(), TEXT)
        taken: list[float] = []
        return self._timed(lambda until: _repeat(call, until, taken, 3), seconds, taken)

    def threads(self, count: int, seconds: float) -> Figures:
        call = self.client("plain").call
        check(call(), TEXT)
        ready, go = threading.Barrier(count + 1), threading.Barrier(count + 1)
        taken: list[list[float]] = [[] for _ in range(count)]
        failed: list[Exception] = []
        until = 0.0

        def work(mine: list[float]) -> None:
            try:
                call()
                ready.wait()
                go.wait()
                _repeat(call, until, mine, 2)
            except Exception as problem:  # noqa: BLE001  # it is raised again by the main thread
                failed.append(problem)
                ready.abort()
                go.abort()

        pool = [threading.Thread(target=work, args=(mine,), daemon=True) for mine in taken]
        for thread in pool:
            thread.start()
        try:
            ready.wait()
            begun, used = time.perf_counter(), time.process_time()
            until = begun + seconds
            go.wait()
        except threading.BrokenBarrierError:
            raise _first(failed) from None
        for thread in pool:
            thread.join()
        if failed:
            raise _first(failed)
        every = [each for mine in taken for each in mine]
        return _figures(time.process_time() - used, time.perf_counter() - begun, every)

    async def asyncio(self, manner: str, count: int, seconds: float) -> Figures:
        call = self.client(manner, aio=True).acall
        for text in await asyncio.gather(*[call() for _ in range(count)]):
            check(text, TEXT)
        taken: list[float] = []
        begun, used = time.perf_counter(), time.process_time()

        async def work() -> None:
            done = 0
            while done < 2 or time.perf_counter() < begun + seconds:
                started = time.perf_counter()
                await call()
                taken.append(time.perf_counter() - started)
                done += 1

        await asyncio.gather(*[work() for _ in range(count)])
        figures = _figures(time.process_time() - used, time.perf_counter() - begun, taken)
        if manner == "slow":
            figures["p50"], figures["p99"] = (round(figures[each] - LATENCY * 1e3, 3) for each in ("p50", "p99"))
        return figures

    def stream(self, manner: str, seconds: float) -> Figures:
        client = self.client(manner)
        check(client.call(), TEXT)
        firsts: list[float] = []

        def one() -> None:
            pieces: list[str] = []
            started = time.perf_counter()
            for text in client.stream():
                if text:
                    if not pieces:
                        firsts.append(time.perf_counter() - started)
                    pieces.append(text)
            check("".join(pieces), "".join(SAID))

        return self._timed(lambda until: _repeat(one, until, [], 1), seconds, firsts, per=1e3)

    async def astream(self, manner: str, seconds: float) -> Figures:
        client = self.client(manner, aio=True)
        check(await client.acall(), TEXT)
        firsts: list[float] = []
        begun, used = time.perf_counter(), time.process_time()
        while not firsts or time.perf_counter() < begun + seconds:
            pieces: list[str] = []
            started = time.perf_counter()
            async for text in client.astream():
                if text:
                    if not pieces:
                        firsts.append(time.perf_counter() - started)
                    pieces.append(text)
            check("".join(pieces), "".join(SAID))
        return _figures(time.process_time() - used, time.perf_counter() - begun, firsts, per=1e3)

    def memory(self, seconds: float, most: int) -> Figures:
        call = self.client("plain").call
        begun = time.perf_counter()
        _repeat(call, begun + seconds / 10, [], 20)
        before, taken = resident_mb(), 0
        while taken < most and time.perf_counter() < begun + seconds:
            call()
            taken += 1
        return {"calls": taken, "before": before, "after": resident_mb()}

    def _timed(self, work: Callable[[float], None], seconds: float, taken: list[float], per: float = 1e6) -> Figures:
        begun, used = time.perf_counter(), time.process_time()
        work(begun + seconds)
        return _figures(time.process_time() - used, time.perf_counter() - begun, taken, per)


def _repeat(call: Callable[[], Any], until: float, taken: list[float], least: int) -> None:
    done = 0
    while done < least or time.perf_counter() < until:
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
        done += 1


def _first(failed: list[Exception]) -> Exception:
    return next((each for each in failed if not isinstance(each, threading.BrokenBarrierError)), failed[0])


def _figures(cpu: float, wall: float, taken: list[float], per: float = 1e6) -> Figures:
    """CPU and wall for each of what was taken, and the 50th and 99th percentile in milliseconds."""
    ordered, count = sorted(taken), len(taken)
    return {
        "cpu": round(cpu / count * per, 2),
        "wall": round(wall / count * per, 2),
        "calls": count,
        "p50": round(ordered[count // 2] * 1e3, 3),
        "p99": round(ordered[min(count - 1, count * 99 // 100)] * 1e3, 3),
    }


def check(said: str, expected: str) -> None:
    if said != expected:
        raise AssertionError(f"{len(said)} characters instead of {len(expected)}: {said[:80]!r}")


def resident_mb() -> float | None:
    """This process's resident memory; on macOS its peak; on Windows None."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2)
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 2)


CASES: dict[str, Callable[[Bench, float], Figures]] = {
    "blocking": lambda bench, seconds: bench.blocking("plain", seconds),
    "8 threads": lambda bench, seconds: bench.threads(8, seconds),
    "32 threads": lambda bench, seconds: bench.threads(32, seconds),
    "64 threads": lambda bench, seconds: bench.threads(64, seconds),
    "asyncio 1": lambda bench, seconds: bench.await_(bench.asyncio("plain", 1, seconds)),
    "asyncio 50": lambda bench, seconds: bench.await_(bench.asyncio("plain", 50, seconds)),
    "asyncio 500": lambda bench, seconds: bench.await_(bench.asyncio("plain", 500, seconds)),
    "asyncio 1, 100 ms": lambda bench, seconds: bench.await_(bench.asyncio("slow", 1, seconds)),
    "asyncio 50, 100 ms": lambda bench, seconds: bench.await_(bench.asyncio("slow", 50, seconds)),
    "asyncio 500, 100 ms": lambda bench, seconds: bench.await_(bench.asyncio("slow", 500, seconds)),
    "burst": lambda bench, seconds: bench.stream("plain", seconds),
    "paced": lambda bench, seconds: bench.stream("paced", seconds),
    "asyncio burst": lambda bench, seconds: bench.await_(bench.astream("plain", seconds)),
    "asyncio paced": lambda bench, seconds: bench.await_(bench.astream("paced", seconds)),
    "TLS": lambda bench, seconds: bench.blocking("tls", seconds),
    "TLS, new connection": lambda bench, seconds: bench.blocking("closing", seconds),
}


def main(name: str, roots: str) -> None:
    """Answer each case on stdin by a line: its figures, or {"error": ...}. What a client prints goes nowhere."""
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    bench = Bench(name, json.loads(roots))
    for line in sys.stdin:
        case, seconds, *most = json.loads(line)
        try:
            figures = bench.memory(seconds, *most) if case == "memory" else CASES[case](bench, seconds)
        except Exception as problem:  # noqa: BLE001  # whatever a client raises is its figure
            figures = {"error": f"{type(problem).__name__}: {problem}"[:300]}
        said.write(json.dumps(figures) + "\n")
        said.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
