"""FakeProvider: every provider's server, on loopback, from a script."""

from __future__ import annotations

import re
from _thread import allocate_lock
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ... import ModelsAPI, Settings, _json
from ...dialects.server import build_models
from ...embeddings import EmbeddingRequest
from ...errors import ClosedError, InputError
from ...providers import PROVIDERS, ProviderTable
from ...types import ModelRequest
from ...wire import Headers, WireRequest
from ._embeddings import EMBEDDING_PATHS, errors_of, format_of, format_server, spell_vectors
from ._play import Step, steps
from ._script import LOAD_FAULTS, Answer, Fault, Script, as_fault, failed, filled
from ._wires import PATHS, Reply, server_of, spell, wire_of

if TYPE_CHECKING:
    from ._server import Message, Server

__all__ = ["FakeProvider", "Received"]

Row = TypeVar("Row", bound=Struct)

KEY = "fake-key-0123456789"
"""The key that ``models()`` and ``environment()`` give, where none is demanded."""

LISTS = ("/models", "/api/tags")
"""How the paths end at which it says which models it has; the second is Ollama's."""

LEADS_ELSEWHERE: Mapping[str, Any] = {"base_url_variables": (), "root_variables": (), "parts": (), "relocate": None}
"""Fields of a row by which variables decide where it is, and their values where none does."""

OPEN_FIELDS = ("headers", "path", "query")
"""Fields beside the URL in which names stand in braces, for variables to fill."""

SECRETS = ("api-key", "authorization", "cookie", "secret", "token")
"""What the names of headers contain whose values are not kept, whosever they are."""


class Received(Struct, frozen=True, kw_only=True, gc=False):
    """One request that a FakeProvider was sent. Its key is not kept: the header says ``[redacted]``."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    wire: str | None
    """The dialect that is spoken at this path; None where none is."""
    request: ModelRequest | None
    """What the body asks for, as the server half of the dialect reads it; None where it cannot be read."""
    connection: int
    """The number of the connection that it came over, from 1."""
    embedding: EmbeddingRequest | None = None
    """What the body asks to embed, where the path is one of embeddings; ``wire`` is then the format's name."""

    @property
    def json(self) -> Any:
        """The body, decoded; raise ``ValueError`` where it is no JSON."""
        return _json.decode(self.body)

    def __repr__(self) -> str:
        return f"Received({self.method} {self.path}, {self.wire}, {len(self.body)} bytes)"


class FakeProvider:
    """A server on 127.0.0.1 that speaks every wire of quoth, by path, and answers from a script.

    ::

        with FakeProvider(["Hello", Fault(status=429), lambda request: request.model]) as fake:
            models = fake.models()
            assert models("openai/gpt-6-luna", "Hi").text == "Hello"
            assert fake.requests[0].request.messages[-1].text == "Hi"

    Args:
        script: what requests are answered with, in the order in which they come. A list or another iterable is
            used up, and then every further request is refused with status 501; what stands alone (a str, a
            Response, a Fault, a status, an error, a function of the ModelRequest) answers every request. Without
            a script, what the user said last is said again, each text has a vector of its own, always the same
            (``vector_of``), and tokens are counted: four characters each.
        key: the key that must be sent; None accepts any, and none.
        model_ids: what it says when it is asked for its models.
        delay, pace: seconds before each reply, and between the pieces of its body.
        piece: characters of a text in one event of a stream.
        chunk: bytes of a body that are sent at once; None: an event of a stream, or all of a whole answer.
        fault_rate: the share of requests that meet one of ``faults`` instead of the script, chosen by ``seed``.
        port: 0 is any that is free.
        keep: how many requests are kept in ``requests``, the last ones.
        max_body: bytes of a request; above it the answer is 413.

    A function of the script runs on the server's thread, and must not wait. Raises InputError or InputTypeError for
    what cannot be used, and OSError where the port is taken.
    """

    def __init__(
        self,
        script: Answer | Iterable[Answer] | None = None,
        *,
        key: str | None = None,
        model_ids: Sequence[str] = ("fake-1",),
        delay: float = 0.0,
        pace: float = 0.0,
        piece: int = 16,
        chunk: int | None = None,
        fault_rate: float = 0.0,
        faults: Sequence[Fault] = LOAD_FAULTS,
        seed: int = 0,
        port: int = 0,
        keep: int = 1_000,
        max_body: int = 32 << 20,
    ) -> None:
        self.key = key or KEY
        self.received = 0
        """How many requests have come."""
        self._demands_key = key is not None
        self._defaults = Fault(delay=delay, pace=pace, piece=piece, chunk=chunk)
        self._script = Script(self._defaults if script is None else script, fault_rate, faults, seed)
        self._model_ids = tuple(model_ids)
        self._kept: deque[Received] = deque(maxlen=keep)
        self._lock = allocate_lock()
        self._port, self._max_body = port, max_body
        self._server: Server | None = None
        self._apis: list[ModelsAPI] = []

    # Its life.

    def start(self) -> Self:
        """Listen; ``with`` does it."""
        from ._server import Limits, Server

        if self._server is None:
            server = Server(self._respond, Limits(body=self._max_body), self._port)
            server.start()
            self._server = server
        return self

    def close(self) -> None:
        """Break off what is under way, close all connections and the APIs of ``models()``, and end the thread."""
        apis, self._apis = self._apis, []
        for api in apis:
            api.close()
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> Server:
        if self._server is None:
            raise ClosedError("this FakeProvider does not run: use it in a with block, or call start()")
        return self._server

    # How it is reached.

    @property
    def url(self) -> str:
        """Its address, without a path; any path before that of a wire will do."""
        return f"http://127.0.0.1:{self._running().port}"

    def base_url(self, provider: str = "openai") -> str:
        """The base URL with which it stands in for a provider: the provider's own path at this address.

        Raises InputError where there is no such provider.
        """
        row = PROVIDERS.get(provider)
        if row is None:
            raise InputError(f"there is no provider {provider!r}")
        return self._here(row.base_url)

    def _here(self, base_url: str) -> str:
        _, _, path = base_url.partition("://")[2].partition("/")
        return f"{self.url}/{closed(path)}".rstrip("/")

    def _moved(self, row: Row) -> Row:
        """A row, or a further wire that one holds, with every URL at this address and nothing that leads elsewhere."""
        changes: dict[str, Any] = {}
        for name in row.__struct_fields__:
            value = getattr(row, name)
            if name in LEADS_ELSEWHERE:
                changes[name] = LEADS_ELSEWHERE[name]
            elif name == "base_url" and value is not None:
                changes[name] = self._here(value)
            elif name in OPEN_FIELDS and value:
                changes[name] = closed(value) if isinstance(value, str) else _closed_lines(value)
            elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
                changes[name] = tuple([self._moved(each) for each in value])
        return replace(row, **changes)

    def models(self, **settings: Any) -> ModelsAPI:
        """A ModelsAPI that finds every provider here, whatever the environment says; it is closed with this.

        ``settings`` are the fields of ``quoth.Settings``.
        """
        rows = [self._moved(row) for row in PROVIDERS if not row.base_url.startswith("local:")]
        keys = {**{row.name: self.key for row in rows}, **settings.pop("api_keys", {})}
        api = ModelsAPI(Settings(api_keys=keys, **settings), providers=ProviderTable(rows))
        self._apis.append(api)
        return api

    def environment(self) -> dict[str, str]:
        """Variables with which another program, also one that uses a provider's own SDK, finds providers here."""
        variables = {}
        for row in PROVIDERS:
            if row.base_url_variables:
                variables.update(dict.fromkeys(row.base_url_variables, self._here(row.base_url)))
                variables.update(dict.fromkeys(row.root_variables, self.url))  # each wire puts its own path behind it
                variables.update(dict.fromkeys(row.key_variables, self.key))
                variables.update({name: part for part, names in row.parts for name in names})
        return variables

    # What it was sent.

    @property
    def requests(self) -> list[Received]:
        """The requests in the order in which they came, the last ``keep`` of them."""
        with self._lock:
            return list(self._kept)

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._running().accepted

    @property
    def open_connections(self) -> int:
        """How many of them are open."""
        return len(self._running().connections)

    # On the server's thread.

    def _respond(self, message: Message) -> Iterator[Step]:
        received, why = self._read(message)
        with self._lock:
            self.received += 1
            self._kept.append(received)
        fault, reply = self._reply(message, received, why)
        return steps(reply, fault, keep_alive=message.keep_alive, chunks=message.chunks)

    def _read(self, message: Message) -> tuple[Received, str]:
        """What came, and why it asks for nothing, where that is so."""
        path, _, query = message.target.partition("?")
        request, embedding, why = None, None, ""
        format_ = format_of(path)
        wire = wire_of(path) if format_ is None else None  # both are at InvokeModel's, by the model
        if message.method == "POST":
            sent = WireRequest(path=path, body=message.body)
            try:
                if wire is not None:
                    request = server_of(wire).parse_request(sent)
                elif format_ is not None:
                    embedding = format_server(format_).parse_request(sent)
            except InputError as error:
                why = error.message
            except Exception as error:  # noqa: BLE001  # whatever reading breaks on, the client must hear of it
                why = f"{type(error).__name__}: {error}"
        received = Received(
            method=message.method,
            path=path,
            query=query,
            headers=tuple([(name, "[redacted]" if is_secret(name) else text) for name, text in message.headers]),
            body=message.body,
            wire=wire or format_,
            request=request,
            connection=message.connection,
            embedding=embedding,
        )
        return received, why

    def _reply(self, message: Message, received: Received, why: str) -> tuple[Fault, Reply]:
        format_, embedding = format_of(received.path), received.embedding
        wire = received.wire or "openai_chat" if format_ is None else errors_of(format_)
        request = received.request or ModelRequest(model="", messages=())
        try:
            if received.method == "GET" and received.path.rstrip("/").endswith(LISTS) and self._admits(message):
                return Fault(), Reply.whole(build_models(self._model_ids))
            fault = self._answer(message, received, why)
            if format_ is not None and embedding is not None:
                return fault, spell_vectors(format_, embedding, fault, self.received)
            return fault, spell(wire, request, fault, self.received)
        except Exception as error:  # noqa: BLE001  # a script that fails is told to the client, which waits for it
            fault = failed(f"the script of this FakeProvider failed: {type(error).__name__}: {error}")
            return fault, spell(wire, request, fault, self.received)

    def _answer(self, message: Message, received: Received, why: str) -> Fault:
        if not self._admits(message):
            return Fault(kind="authentication", message="the key is not the one that this FakeProvider has")
        asked = received.request or received.embedding
        if asked is None:
            return self._not_understood(received, why)
        return filled(as_fault(self._script.next(), asked), self._defaults)

    def _admits(self, message: Message) -> bool:
        """Whether the request has the key, or none is demanded."""
        given = [value for name, value in message.headers if is_secret(name)]
        return not self._demands_key or any(value in (self.key, f"Bearer {self.key}") for value in given)

    def _not_understood(self, received: Received, why: str) -> Fault:
        if received.wire is not None and received.method == "POST":
            return Fault(kind="bad_request", message=f"FakeProvider cannot read the request: {why}")
        known = ", ".join([f"POST .../{path.strip('/')}" for path in (*PATHS, *_SHOWN)])
        return Fault(
            kind="not_found",
            message=f"FakeProvider has nothing at {received.method} {received.path}; "
            f"it has GET .../models and .../api/tags, {known}",
        )


_SHOWN = [path for path in EMBEDDING_PATHS if "[" not in path]
"""Those of the paths of embeddings that name no model."""


def closed(text: str) -> str:
    """The text with what is open in it called by its name; the model's alone is filled at each call."""
    return re.sub(r"{(?!model})(\w+)}", r"\1", text)


def _closed_lines(lines: Headers) -> Headers:
    return tuple([(name, closed(value)) for name, value in lines])


def is_secret(name: str) -> bool:
    """Whether a header of this name carries a key, or what is as good as one."""
    return any(word in name for word in SECRETS)
