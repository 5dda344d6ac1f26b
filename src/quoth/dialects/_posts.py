"""Posting JSON: the headers, and whether the answer is asked for as a stream."""

from __future__ import annotations

from ..errors import UnsupportedParameterError
from ..types import ModelRequest
from ..wire import Quirks
from ._kept import Wire

__all__ = ["HEADERS", "STREAM_HEADERS", "ask_for_stream", "require_tools"]

HEADERS = (("content-type", "application/json"), ("accept", "application/json"))
STREAM_HEADERS = (("content-type", "application/json"), ("accept", "text/event-stream"))


def require_tools(body: Wire, quirks: Quirks) -> None:
    """Raise UnsupportedParameterError where a body has tools and the server would ignore them."""
    if body.get("tools") and not quirks.tools:
        raise UnsupportedParameterError(f"this server ignores tools silently. {quirks.tools_hint}".rstrip())


def ask_for_stream(body: Wire, request: ModelRequest, quirks: Quirks, changes: list[str]) -> bool:
    """Ask for a stream, where one is wanted or the server knows nothing else, and say whether it was.

    Raises:
        UnsupportedParameterError: a stream was asked for in ``extra`` alone.
    """
    if not (request.stream or quirks.stream_only):
        if body.get("stream"):
            raise UnsupportedParameterError(
                "extra holds 'stream', but a whole answer was asked for: use models.stream(...)"
            )
        return False
    if not request.stream:
        changes.append("sent as a stream: the server answers in streams only")
    body["stream"] = True
    return True
