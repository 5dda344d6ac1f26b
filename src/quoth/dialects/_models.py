"""Asking a provider which models it has: the operation that the wires built so far spell alike."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .. import _json
from ..errors import ResponseParseError
from ..wire import WireReply, WireRequest

__all__ = ["ModelPage", "build_request", "parse_page"]


class ModelPage(Struct, frozen=True, kw_only=True, gc=False):
    """One page of ids; ``after`` asks for the next one, None where this is the last."""

    ids: tuple[str, ...]
    after: str | None = None


def build_request(path: str, after: str | None) -> WireRequest:
    """Ask for the models behind ``after``, or from the first on. ``after_id`` is Anthropic's; only it has pages."""
    query = (("after_id", after),) if after else ()
    return WireRequest(method="GET", path=path, query=query, headers=(("accept", "application/json"),))


def parse_page(reply: WireReply) -> ModelPage:
    """Read ``{"data": [{"id": ...}], "has_more": ..., "last_id": ...}``; entries without an id are passed over.

    Raises:
        ResponseParseError: the reply is no list of models.
    """
    try:
        answer = _json.decode(reply.body)
    except ValueError:
        answer = None
    data: Any = answer.get("data") if isinstance(answer, dict) else answer  # some servers give the bare list
    if not isinstance(data, list):
        raise ResponseParseError("the reply is no list of models", status=reply.status, body=reply.body)
    ids = [entry.get("id") for entry in data if isinstance(entry, dict)]
    last = answer.get("last_id") if isinstance(answer, dict) and answer.get("has_more") is True else None
    return ModelPage(
        ids=tuple([id_ for id_ in ids if isinstance(id_, str) and id_]),
        after=last if isinstance(last, str) and last else None,
    )
