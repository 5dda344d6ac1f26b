"""What single providers want otherwise, as pure functions that their rows name.

Two tables: ``WIRES`` change a request that a dialect has spelled, ``LOCATIONS`` a base URL that a row or a variable
gives. A way of three providers is a field of ``Quirks`` instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from .. import _json
from ..wire import WireRequest

__all__ = ["LOCATIONS", "WIRES"]


def _body(wire: WireRequest) -> dict[str, Any]:
    body: dict[str, Any] = _json.decode(wire.body)
    return body


def _random_seed(wire: WireRequest) -> WireRequest:
    """Mistral calls ``seed`` ``random_seed``, and refuses names that it does not know."""
    if b'"seed"' not in wire.body:  # mostly: nothing to decode
        return wire
    body = _body(wire)
    if "seed" not in body:
        return wire
    body["random_seed"] = body.pop("seed")
    return replace(wire, body=_json.encode(body), changes=(*wire.changes, "seed sent as random_seed"))


def _store_false(wire: WireRequest) -> WireRequest:
    """Parasail stores no responses, and answers only those who do not ask it to, which is the default of this wire."""
    body = _body(wire)
    if "store" in body:
        return wire
    return replace(wire, body=_json.encode({**body, "store": False}))


def _vertex_body(wire: WireRequest) -> WireRequest:
    """Vertex takes Claude's model from the path and the version from the body; streams have a path of their own."""
    body = {name: value for name, value in _body(wire).items() if name != "model"}
    path = wire.path.replace(":rawPredict", ":streamRawPredict") if body.get("stream") else wire.path
    return replace(wire, path=path, body=_json.encode({"anthropic_version": "vertex-2023-10-16", **body}))


WIRES: dict[str, Callable[[WireRequest], WireRequest]] = {
    "random_seed": _random_seed,
    "store_false": _store_false,
    "vertex_body": _vertex_body,
}


def _https_host(url: str) -> str:
    """Databricks' tools take the host of a workspace with its scheme or without."""
    return url if "://" in url else f"https://{url}"


OLLAMA_APIS = ("", "api", "v1")
"""The roots of Ollama's own API and of its compatible ones."""


def _ollama_host(url: str) -> str:
    """OLLAMA_HOST as Ollama reads it: the scheme, the host and the port may be missing, and the address to listen on
    (``0.0.0.0``) is this machine to who calls. The roots of its APIs are left out: each wire has its own."""
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "http", url
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host, port = authority, "" if found else "11434"  # behind a scheme Ollama takes the scheme's own port
    if host in ("", "0.0.0.0", "[::]"):  # noqa: S104  # it is replaced, not listened on
        host = "127.0.0.1"
    path = path.rstrip("/")
    beside = "" if path in OLLAMA_APIS else f"{slash}{path}"
    return f"{scheme}://{host}{':' if port else ''}{port}{beside}"


def _aws_host(url: str) -> str:
    """AWS's regions in China and its sovereign ones in Europe end otherwise than all others (botocore's partitions)."""
    for start, end in (("cn-", "com.cn"), ("eusc-", "eu")):
        url = re.sub(rf"(\.{start}[\w-]+\.amazonaws\.)com(?=/|$)", rf"\g<1>{end}", url)
    return url


def _vertex_host(url: str) -> str:
    """Vertex's regions that are none: ``global``, and the continents ``us`` and ``eu``."""
    return (
        url.replace("://global-aiplatform.", "://aiplatform.")
        .replace("://us-aiplatform.googleapis.com", "://aiplatform.us.rep.googleapis.com")
        .replace("://eu-aiplatform.googleapis.com", "://aiplatform.eu.rep.googleapis.com")
    )


LOCATIONS: dict[str, Callable[[str], str]] = {
    "aws_host": _aws_host,
    "https_host": _https_host,
    "ollama_host": _ollama_host,
    "vertex_host": _vertex_host,
}
