"""Provider: a row, a dialect and a model id joined. It builds and reads; it holds no key and does no I/O."""

from __future__ import annotations

from ..dialects import ClientDialect, StreamParser, load_client
from ..dialects._errors import error_from
from ..errors import APIConnectionError, APIStatusError, QuothError, ResponseParseError, StreamInterruptedError
from ..events import ResponseFold, StreamEvent
from ..types import ModelRequest, Response
from ..wire import Headers, HTTPRequest, WireReply, WireRequest
from ._address import Address
from ._auth import auth_headers
from ._spec import ProviderSpec

__all__ = ["Provider", "StreamReader"]


class Provider:
    """One model of one provider, ready to be called."""

    __slots__ = ("dialect", "id", "model", "spec", "version")

    def __init__(self, spec: ProviderSpec, model: str, version: int = 0) -> None:
        self.spec = spec
        self.model = model
        self.id = f"{spec.name}/{model}"
        """Canonical: the same in caches, prices, records."""
        self.version = version
        self.dialect: ClientDialect = load_client(spec.dialect, spec.name)

    def __repr__(self) -> str:
        return f"Provider({self.id!r}, dialect={self.spec.dialect!r})"

    def build(self, request: ModelRequest) -> WireRequest:
        """The request on this provider's wire, not yet addressed."""
        return self.dialect.build_request(request, self.spec.quirks)

    def address(self, wire: WireRequest, address: Address, headers: Headers) -> HTTPRequest:
        """The request as it is sent: absolute, signed, with the caller's own headers last."""
        query = "&".join([f"{name}={value}" for name, value in wire.query])
        return HTTPRequest(
            method=wire.method,
            url=f"{address.base_url}{wire.path}{'?' if query else ''}{query}",
            headers=wire.headers + self.spec.headers + auth_headers(self.spec, address.api_key) + headers,
            body=wire.body,
        )

    def parse_response(self, reply: WireReply) -> Response:
        """The answer of a whole reply, also where the server gave it as a stream.

        Raises ResponseParseError, with the whole body, where it is no answer.
        """
        if (reply.header("content-type") or "").startswith("text/event-stream"):
            reader = StreamReader(self)
            reader.feed(reply.body)
            reader.end()
            if not reader.ended:
                raise reader.interrupted()
            return reader.response()
        try:
            return self.dialect.parse_response(reply, self.spec.quirks)
        except QuothError:
            raise
        except Exception as error:  # whatever our reading breaks on, the bytes were paid for
            raise self.unreadable(reply.body, error) from error

    def unreadable(self, body: bytes, error: Exception) -> ResponseParseError:
        """The error for bytes that our own reading broke on."""
        return ResponseParseError(
            f"{self.spec.name} answered in a form that cannot be read ({type(error).__name__}: {error}); "
            "the bytes are in .body",
            body=body,
        )

    def error(self, reply: WireReply) -> APIStatusError:
        """What the provider's "no" means."""
        return error_from(self.dialect.parse_error(reply))


class StreamReader:
    """One streamed reply of one provider: bytes in, events out, and the answer so far."""

    __slots__ = ("_folding", "_parser", "_provider")

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._parser: StreamParser = provider.dialect.stream_parser(provider.spec.quirks)
        self._folding = ResponseFold()

    @property
    def ended(self) -> bool:
        return self._folding.ended

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events of these bytes. Raises ResponseParseError with them, or the provider's error."""
        try:
            return self._kept(self._parser.feed(chunk))
        except QuothError:
            raise
        except Exception as error:  # whatever our reading breaks on, the bytes were paid for
            raise self._provider.unreadable(chunk, error) from error

    def end(self) -> list[StreamEvent]:
        """What is left at the clean end of the body."""
        return self._kept(self._parser.end())

    def _kept(self, events: list[StreamEvent]) -> list[StreamEvent]:
        for event in events:
            self._folding.add(event)
        return events

    def response(self) -> Response:
        """The answer as far as it came."""
        return self._folding.response()

    def interrupted(self, cause: APIConnectionError | None = None) -> StreamInterruptedError:
        """The error of a stream that stopped before its end, with what came."""
        why = f" ({cause.message})" if cause else ""
        return StreamInterruptedError(
            f"{self._provider.spec.name}: the stream stopped before its end{why}; "
            "what came is in .partial and is not the whole answer",
            partial=self.response(),
            phase="read",
        )
