"""Provider: a row, a dialect and a model id joined. It builds and reads; it holds no key and does no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec.structs import replace

from .. import _json
from ..dialects import CLIENTS, ClientDialect, StreamParser, load_client
from ..errors import (
    APIConnectionError,
    APIStatusError,
    InputTypeError,
    NotBuiltError,
    QuothError,
    ResponseParseError,
    StreamInterruptedError,
)
from ..events import ResponseFold, ResponseStart, StreamEvent, unfold
from ..types import ModelRequest, Response
from ..wire import Headers, HTTPRequest, WireReply, WireRequest
from ._address import Address, fill
from ._auth import auth_headers
from ._spec import PATHS, ProviderSpec

if TYPE_CHECKING:
    from datetime import date

    from .._catalog import ModelInfo
    from ..dialects._models import ModelPage

__all__ = ["AnswerReader", "Provider", "is_error", "told"]

Read = TypeVar("Read")


class Provider:
    """One model of one provider on one of its wires, ready to be called."""

    __slots__ = (
        "_dialect", "_others", "demanded", "denied", "dialects", "id", "known", "model", "retired", "spec", "version",
        "warns", "wire",
    )  # fmt: skip

    def __init__(self, spec: ProviderSpec, model: str, version: int = 0, dialect: str | None = None) -> None:
        self.dialects = spec.dialects
        if not spec.embeddings and not any(wire in CLIENTS for wire in self.dialects):
            load_client(spec.dialect, spec.name)
        self.spec = spec
        self.model = model
        self.id = f"{spec.name}/{model}"
        """Canonical: the same in caches, prices, records."""
        self.version = version
        self.known: ModelInfo | None = None
        """What the catalog has of the model; see ``learn``."""
        self.denied: frozenset[str] = _ONLY_EMBEDS if spec.embeds_only else frozenset()
        """What it says that the model cannot do or read."""
        self.retired = False
        """Whether a source says that it is not served any more."""
        self.warns = False
        """Whether a day is known from which it is not, of which nobody was told yet."""
        self.demanded = _wire_of_model(spec, model, ())
        """The one wire that the model answers on, where the row or the catalog says so."""
        self.wire = spec.wire(dialect or spec.dialect)
        self._dialect: ClientDialect | None = None
        self._others: dict[str, Provider] = {}

    def learn(self, known: ModelInfo | None, today: date) -> None:
        """Take what the catalog has of the model, so that no call has to ask it."""
        if known is None:
            return
        self.known, self.denied = known, self.denied | known.denied()
        self.warns, self.retired = known.retires is not None, known.is_retired(today)
        self.demanded = _wire_of_model(self.spec, self.model, known.features)

    def __repr__(self) -> str:
        return f"Provider({self.id!r}, dialect={self.wire.dialect!r})"

    @property
    def dialect(self) -> ClientDialect:
        """The dialect of its wire, loaded when it is first asked for. Raises NotBuiltError where there is none."""
        dialect = self._dialect
        if dialect is None:
            dialect = self._dialect = load_client(self.wire.dialect, self.spec.name)
        return dialect

    def speaking(self, dialect: str) -> Provider:
        """The same model on another wire of its provider. Raises KeyError where it does not speak it."""
        if dialect == self.wire.dialect:
            return self
        other = self._others.get(dialect)
        if other is None:
            other = Provider(self.spec, self.model, self.version, dialect)
            other.known, other.denied, other.retired = self.known, self.denied, self.retired
            other.demanded = self.demanded
            other = self._others.setdefault(dialect, other)
        return other

    def build(self, request: ModelRequest) -> WireRequest:
        """The request on this provider's wire, not yet addressed."""
        try:
            return self._placed(self.dialect.build_request(request, self.wire.quirks))
        except QuothError:
            raise
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InputTypeError(f"the request holds a value that JSON cannot say: {error}") from None

    def _placed(self, request: WireRequest) -> WireRequest:
        """The request where this provider takes it, and as it wants it."""
        wire = self.wire
        usual = wire.path == PATHS.get(wire.dialect)
        path = request.path if usual else _with_verb(wire.path, request.path)
        if request.path != path or wire.query:
            request = replace(request, path=path, query=(*request.query, *wire.query))
        if wire.rewrite is not None:
            from ._rewrites import WIRES

            request = WIRES[wire.rewrite](request)
        return request

    def build_listing(self, after: str | None) -> WireRequest:
        """The question which models there are. Raises NotBuiltError where the provider answers it nowhere."""
        from ..dialects._models import build_request

        if self.spec.models_path is None:
            raise NotBuiltError(f"{self.spec.name} says nowhere which models it has: its row has no models_path")
        return build_request(self.spec.models_path, after)

    def parse_listing(self, reply: WireReply) -> ModelPage:
        """One page of the answer to it."""
        from ..dialects._models import parse_page

        return parse_page(reply)

    def address(self, wire: WireRequest, address: Address, headers: Headers) -> HTTPRequest:
        """The request as it is sent: absolute, signed, with the caller's own headers."""
        path, query = wire.path, "&".join([f"{name}={value}" for name, value in wire.query])
        row = self.wire.headers
        if address.parts or "{" in path:
            parts = {"model": _quoted(self.model), **address.parts}
            path, query = fill(path, parts), fill(query, parts)
            row = tuple([(name, fill(value, parts)) for name, value in row])
        own = wire.headers + row + auth_headers(self.wire, address.api_key, token=address.token)
        if headers:  # the caller's word stands in place of ours
            given = {name for name, _ in headers}
            own = tuple([line for line in own if line[0] not in given]) + headers
        return HTTPRequest(
            method=wire.method,
            url=f"{address.base_url}{path}{'?' if query else ''}{query}",
            headers=own,
            body=wire.body,
        )

    def error(self, reply: WireReply) -> APIStatusError:
        """What the provider's "no" means."""
        from ..dialects._errors import error_from

        return error_from(self.dialect.parse_error(reply))


_ONLY_EMBEDS = frozenset({"answers"})

_ONE_WIRE = (("responses_only", "openai_responses"), ("chat_only", "openai_chat"))
"""Features of the catalog that say so."""


def _wire_of_model(spec: ProviderSpec, model: str, features: Collection[str]) -> str | None:
    lowered = model.lower()
    for prefix, dialect in spec.model_wires:
        if lowered.startswith(prefix):
            return dialect
    return next((dialect for word, dialect in _ONE_WIRE if word in features and dialect in spec.dialects), None)


def _with_verb(path: str, spelled: str) -> str:
    """The row's path; where a wire says in its own what is asked of a model (``:streamGenerateContent``), with that."""
    head, found, verb = path.rpartition("{model}:")
    _, said, own = spelled.rpartition(":")
    return f"{head}{found}{own if said else verb}" if found else path


def _quoted(model: str) -> str:
    """A model's id as one segment of a path, whatever it holds."""
    return re.sub(r"[^A-Za-z0-9._~@-]", _percent, model)


def _percent(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")])


def told(error: Exception) -> str:
    """What broke in our reading, and where: the error itself stays behind, with all that its frames hold."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" at {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"


def is_error(body: bytes) -> bool:
    """Whether a body that holds no answer says an error: some servers say it with a 200."""
    try:
        decoded = _json.decode(body)
    except ValueError:
        return False
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]
    return isinstance(decoded, dict) and bool(decoded.get("error") or decoded.get("type") == "error")


_STREAMS = ("text/event-stream", "application/vnd.amazon.eventstream", "application/x-ndjson")
"""How the labels of streams begin."""

_BLANK = b"\xef\xbb\xbf \t\r\n"
"""What may stand before a body: a byte order mark, white space."""


class Retelling(Protocol):
    """Tells an answer otherwise than the wire does: one that was asked for by a tool, as the text that it is."""

    def events(self, events: list[StreamEvent], /) -> list[StreamEvent]: ...
    def response(self, response: Response, /) -> Response: ...


class AnswerReader:
    """The body of one successful reply, whole or in pieces: bytes in, events out, and the answer so far.

    What the body is, its first bytes say and not its label: a server that was asked for a stream may answer in one
    piece, one that was asked for a whole answer may know streams only, and either may call it what it likes.
    """

    __slots__ = ("_folding", "_parser", "_pieces", "_provider", "_reply", "_told", "_whole", "_whole_body", "begun")

    def __init__(self, provider: Provider, reply: WireReply, told: Retelling | None = None) -> None:
        self._provider = provider
        self._reply = reply
        self._told = told
        self._parser: StreamParser | None = None
        self._pieces: list[bytes] = []
        """The body, as long as it is not known to be a stream."""
        self._whole_body = False
        self._folding = ResponseFold()
        self._whole: Response | None = None
        self.begun = False
        """Whether anything of the answer itself has come: more than that there will be one."""

    @property
    def _label(self) -> str:
        """What the server calls the body."""
        return self._reply.header("content-type") or ""

    @property
    def ended(self) -> bool:
        """Whether the whole answer is there."""
        return self._whole is not None or self._folding.ended

    def response(self) -> Response:
        """The answer as far as it came."""
        return self._whole or self._folding.response()

    def read(self, body: bytes) -> Response:
        """The answer of a whole body.

        Raises ResponseParseError, with its bytes, where it is none; the provider's error, where it is one.
        """
        if self._provider.dialect.is_stream(body.lstrip(_BLANK), self._label) is False:
            self._whole = self._guarded(self._read_whole, body)
            return self._whole
        self.feed(body)
        self._close()
        if not self.ended:
            raise self.interrupted()
        return self.response()

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events of these bytes. Raises ResponseParseError with them, or the provider's error."""
        if self._parser is None:
            self._pieces.append(chunk)
            if self._whole_body or not self._is_stream():
                return []
            self._parser = self._provider.dialect.stream_parser(self._provider.wire.quirks)
            chunk = self._pieces.pop()
        return self._kept(self._parser.feed, chunk)

    def _is_stream(self) -> bool:
        """Whether the body has begun as events do; it is joined anew only until that is known."""
        begun = b"".join(self._pieces).lstrip(_BLANK)
        self._pieces = [begun]
        stream = self._provider.dialect.is_stream(begun, self._label)
        self._whole_body = stream is False
        return stream is True

    def end(self) -> list[StreamEvent]:
        """What is left at the clean end of the body."""
        events = self._close()
        return list(unfold(self._whole)) if self._whole is not None else events

    def _close(self) -> list[StreamEvent]:
        """Take the end of the body: the last events of a stream, or the whole answer that it was."""
        parser = self._parser
        if parser is not None:
            return self._kept(lambda _: parser.end(), b"")
        body = b"".join(self._pieces)
        if body.strip() or not self._label.startswith(_STREAMS):  # else a stream of nothing: it was cut
            self._whole = self._guarded(self._read_whole, body)
        return []

    def _read_whole(self, body: bytes) -> Response:
        reply = self._reply if self._reply.body is body else replace(self._reply, body=body)
        try:
            response = self._provider.dialect.parse_response(reply, self._provider.wire.quirks)
            return response if self._told is None else self._told.response(response)
        except ResponseParseError:
            if not is_error(body):
                raise
            error = self._provider.error(reply)
            error.body = body
            raise error from None

    def _kept(self, read: Callable[[bytes], list[StreamEvent]], chunk: bytes) -> list[StreamEvent]:
        events = self._guarded(read, chunk)
        if self._told is not None:
            events = self._told.events(events)
        for event in events:
            self._folding.add(event)
            self.begun = self.begun or not isinstance(event, ResponseStart)
        return events

    def _guarded(self, read: Callable[[bytes], Read], body: bytes) -> Read:
        try:
            return read(body)
        except QuothError:
            raise
        except Exception as error:  # whatever our reading breaks on, the bytes were paid for
            raise ResponseParseError(
                f"{self._provider.spec.name} answered in a form that cannot be read ({told(error)}); "
                "the bytes are in .body",
                body=body,
            ) from error

    def interrupted(self, cause: APIConnectionError | APIStatusError | None = None) -> StreamInterruptedError:
        """The error of a stream that stopped before its end, with what came and what it stopped for."""
        why = f" ({cause.kind}: {cause.message})" if cause else ""
        return StreamInterruptedError(
            f"{self._provider.spec.name}: the stream stopped before its end{why}; "
            "what came is in .partial and is not the whole answer",
            partial=self.response(),
            provider_code=cause.provider_code if cause else None,
            phase="read",
        )
