"""Reading recorded exchanges: one JSON object a line.

``{"id", "request": {"method", "url", "headers": [[name, value], ...], "body" | "body_b64"},
"response": {"status", "headers", "body" | "body_b64"}, "meta": {"provider", "api", ...}}``
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from ...wire import Headers, HTTPRequest, WireReply
from .readers._frames import is_framed

__all__ = ["Exchange", "read_file", "recordings"]

_STREAM = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*(data|event|id|retry)?:")
"""How a body of server-sent events begins."""


class Exchange(Struct, frozen=True, kw_only=True):
    """One recorded request and its reply; ``request`` is None where only the reply was kept."""

    id: str
    file: str
    reply: WireReply
    request: HTTPRequest | None = None
    provider: str = ""
    kind: str = ""
    """What its recorder calls the operation (``chat``, ``embeddings``)."""

    @property
    def path(self) -> str:
        """The path of the URL, without its query."""
        return urlsplit(self.request.url).path if self.request else ""

    @property
    def failed(self) -> bool:
        """Whether the status says so."""
        return self.reply.status >= 400

    @property
    def streamed(self) -> bool:
        """Whether the body is a stream: of events or frames, as its first bytes say, or of lines, as its label does."""
        lines = (self.reply.header("content-type") or "").startswith("application/x-ndjson")
        return lines or _STREAM.match(self.reply.body) is not None or is_framed(self.reply.body)


def recordings(folder: Path) -> list[Path]:
    """The files of a folder, by name."""
    return sorted(folder.glob("*.jsonl"))


def read_file(path: Path) -> Iterator[Exchange | str]:
    """The exchanges of a file; what is wrong with it, in place of a line that is none."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield _exchange(json.loads(line), path.name, number)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                yield f"line {number} is no exchange: {type(error).__name__}: {error}"


def _exchange(line: dict[str, Any], file: str, number: int) -> Exchange:
    request, response, meta = line.get("request"), line["response"], line.get("meta") or {}
    return Exchange(
        id=str(line.get("id") or f"line {number}"),
        file=file,
        request=HTTPRequest(
            method=request["method"].upper(),
            url=request["url"],
            headers=_headers(request),
            body=_body(request),
        )
        if request
        else None,
        reply=WireReply(status=int(response["status"]), headers=_headers(response), body=_body(response)),
        provider=str(meta.get("provider") or ""),
        kind=str(meta.get("api") or ""),
    )


def _headers(message: dict[str, Any]) -> Headers:
    found = message.get("headers") or []
    lines = found.items() if isinstance(found, dict) else found
    return tuple([(str(name).lower(), str(value)) for name, value in lines])


def _body(message: dict[str, Any]) -> bytes:
    encoded, text = message.get("body_b64"), message.get("body")
    if encoded is not None:
        return a2b_base64(encoded)
    return (text or "").encode("utf-8", "surrogatepass")
