"""The client half: what Anthropic Messages spells and reads, in the envelope of InvokeModel."""

from __future__ import annotations

from binascii import a2b_base64

from msgspec.structs import replace

from ... import _json
from ..._framing import AWSMessage, SSEEvent
from ...errors import ResponseParseError
from ...types import ModelRequest, Response
from ...wire import Quirks, WireReply, WireRequest
from .._aws import CONTENT_TYPE, AWSEvents, is_stream, parse_error
from .._kept import Wire
from .._paths import quoted
from .._posts import HEADERS
from .._streams import BODY_LIMIT, decode_event
from ..anthropic_messages import client as messages
from ..anthropic_messages._stream import MessagesStreamParser
from ..anthropic_messages.client import parse_usage

__all__ = ["NAME", "build_request", "is_stream", "parse_error", "parse_response", "parse_usage", "stream_parser"]

NAME: str = "bedrock_invoke"

PATH = "/model/{model}/invoke"
"""Where a whole answer is asked for."""

WHOLE, STREAMED = "invoke", "invoke-with-response-stream"

VERSION = "bedrock-2023-05-31"
"""The one version of this wire that there is: ``anthropic_version``, which it demands."""

CHUNK = "chunk"
"""The type of the frames that hold an event."""

STREAM_HEADERS = (("content-type", "application/json"), ("accept", CONTENT_TYPE))


def build_request(request: ModelRequest, quirks: Quirks) -> WireRequest:
    """Spell the request as Anthropic Messages does; raise what that raises."""
    wire = messages.build_request(request, quirks)
    body: Wire = _json.decode(wire.body)
    model, streamed = str(body.pop("model")), body.pop("stream", False) is True
    return replace(
        wire,
        path=f"/model/{quoted(model)}/{STREAMED if streamed else WHOLE}",
        headers=STREAM_HEADERS if streamed else HEADERS,
        body=_json.encode({"anthropic_version": VERSION, **body}),
    )


def parse_response(reply: WireReply, quirks: Quirks) -> Response:
    """Read a whole answer; raise what Anthropic Messages raises."""
    return messages.parse_response(reply, quirks)


def stream_parser(quirks: Quirks) -> MessagesStreamParser:
    """A fresh parser for one streamed answer."""
    return messages.stream_parser(quirks, AWSEvents(_unwrapped))


def _unwrapped(message: AWSMessage) -> SSEEvent:
    """The event of Anthropic's that a frame holds: ``{"bytes": "eyJ0eXBlIjoi..."}``; nothing where it holds none."""
    if message.word(":event-type") != CHUNK:
        return SSEEvent(data=b"")
    said = (decode_event(message.payload) or {}).get("bytes")
    try:
        return SSEEvent(data=a2b_base64(said, strict_mode=True) if isinstance(said, str) else b"")
    except ValueError:
        raise ResponseParseError(
            "a frame of the stream holds no base64; it begins in .body", status=200, body=message.payload[:BODY_LIMIT]
        ) from None
