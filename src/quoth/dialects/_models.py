"""Asking a provider which models it has: the operation that the wires built so far spell nearly alike."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from .. import _json
from ..errors import ResponseParseError
from ..wire import WireReply, WireRequest

__all__ = ["ModelPage", "build_request", "parse_page"]


class ModelPage(Struct, frozen=True, kw_only=True, gc=False):
    """One page of ids; ``after``, as ``name=value``, asks for the next one, None where this is the last."""

    ids: tuple[str, ...]
    after: str | None = None


def build_request(path: str, after: str | None) -> WireRequest:
    """Ask for the page ``after``, or for the first one."""
    name, _, value = (after or "").partition("=")
    query = ((name, value),) if after else ()
    return WireRequest(method="GET", path=path, query=query, headers=(("accept", "application/json"),))


def parse_page(reply: WireReply) -> ModelPage:
    """Read ``{"data": [{"id": ...}]}``, or Google's ``{"models": [{"name": "models/..."}]}``.

    Entries without an id are passed over. Further pages follow where there is a ``nextPageToken`` (Google) or
    ``has_more`` says so of those behind the ``last_id`` (Anthropic).

    Raises:
        ResponseParseError: the reply is no list of models.
    """
    try:
        answer = _json.decode(reply.body)
    except ValueError:
        answer = None
    body: dict[str, Any] = answer if isinstance(answer, dict) else {"data": answer}  # some servers give the bare list
    field, data = next(((FIELDS[key], body[key]) for key in FIELDS if isinstance(body.get(key), list)), ("", None))
    if data is None:
        raise ResponseParseError("the reply is no list of models", status=reply.status, body=reply.body)
    ids = [entry.get(field) for entry in data if isinstance(entry, dict)]
    return ModelPage(
        ids=tuple([id_.removeprefix("models/") for id_ in ids if isinstance(id_, str) and id_]), after=_after(body)
    )


FIELDS = {"data": "id", "models": "name"}
"""Where the models are listed, and the field of an entry that is its id."""


def _after(body: dict[str, Any]) -> str | None:
    """The query of the next page; a token goes back as it came, fit for a URL."""
    token, last = body.get("nextPageToken"), body.get("last_id") if body.get("has_more") is True else None
    name, value = ("pageToken", token) if token else ("after_id", last)
    if not isinstance(value, str) or not value:
        return None
    return f"{name}={re.sub(r'[^A-Za-z0-9._~-]', _percent, value)}"


def _percent(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")])
