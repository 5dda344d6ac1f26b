"""The server half: what Anthropic Messages reads and builds, in the envelope of InvokeModel."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from ... import _json
from ..._framing import SSEFramer
from ...types import ModelRequest, Response
from ...wire import WireReply, WireRequest
from .._aws import build_error, build_event, build_stream_error
from .._media import write_base64
from .._paths import target_of
from .._requests import json_object
from ..anthropic_messages import server as messages
from .client import CHUNK, STREAMED, VERSION

__all__ = ["build_error", "build_events", "build_response", "build_stream_error", "parse_request"]


def parse_request(request: WireRequest) -> ModelRequest:
    """Read a request.

    Raises:
        InputError: the body is none of Anthropic Messages, or the path names no model.
    """
    model, verb = target_of(request.path)
    body = json_object(request)
    if body.get("anthropic_version") == VERSION:
        del body["anthropic_version"]
    body |= {"model": model, "stream": verb == STREAMED}
    return messages.parse_request(replace(request, body=_json.encode(body)))


def build_response(response: Response) -> WireReply:
    """Spell a whole answer."""
    return messages.build_response(response)


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as a stream of frames; texts come in pieces of ``piece`` characters."""
    for spelled in messages.build_events(response, piece=piece):
        for event in SSEFramer().feed(spelled):
            yield build_event(CHUNK, _json.encode({"bytes": write_base64(event.data)}))
