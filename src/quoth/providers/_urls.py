"""Which row a URL belongs to: the table read backwards, for recordings, replay and who asks whose a host is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ._spec import ProviderSpec

__all__ = ["is_own_host", "own_hosts", "part_of_host", "row_of_url"]

_LOOPBACK = ("127.0.0.1", "0.0.0.0", "[::1]")  # noqa: S104  # compared, not listened on
STREAM_VERBS = {
    "converse": "converse-stream",
    "generateContent": "streamGenerateContent",
    "invoke": "invoke-with-response-stream",
    "rawPredict": "streamRawPredict",
}
"""Verbs that end a path, and by which a stream of the same is asked for."""
_PART = "[^.:@]+"
"""What a name in braces of a host may stand for."""
_PORTS = {"https": ":443", "http": ":80"}


def row_of_url(rows: Iterable[ProviderSpec], url: str) -> tuple[ProviderSpec, str] | None:
    """The row and the wire that a request to this URL belongs to; None where nobody's host has such a path.

    A wire whose whole URL fits is taken before one of the same host with another root (``/v1`` or ``/beta`` in
    place of none), and of several the one that leaves least open.
    """
    host, path = _split(url)
    found: list[tuple[bool, int, ProviderSpec, str]] = []
    for row in rows:
        for dialect in row.dialects:
            wire = row.wire(dialect)
            if not wire.path:
                continue
            hosts = [pattern for pattern in own_hosts(row) if _matches(pattern, host)]
            if not hosts:
                continue
            _, own_path = _split(wire.base_url)
            whole = re.fullmatch(_pattern(own_path + wire.path), path) is not None
            asked = _asked(path, wire.path)
            anybody = all(_is_open(pattern) for pattern in hosts)  # then a path alone says too little
            if whole or (not anybody and re.fullmatch(f".*{_pattern(wire.path)}", asked)):
                found.append((whole, len(re.sub(r"{\w+}", "", f"{wire.base_url}{wire.path}")), row, dialect))
    if not found:
        return None
    _, _, row, dialect = max(found, key=lambda each: each[:2])  # the first of equals
    return row, dialect


def _asked(path: str, own: str) -> str:
    """A path in the words of the row's own, where that asks for the same: for a stream by another verb, or, of
    Google, under another version. Any other path as it is."""
    verb = re.split(r"[/:]", own)[-1]
    if streamed := STREAM_VERBS.get(verb):
        path = re.sub(f"(?<=[/:]){streamed}$", verb, path)
    if "{model}:" in own and own.startswith("/v"):
        path = re.sub(r"^/v\d\w*(?=/)", own[: own.index("/", 1)], path)
    return path


def own_hosts(row: ProviderSpec) -> list[str]:
    """The hosts of a row, with their ports, where names in braces may stand for anything without a dot."""
    urls = [row.base_url, *[wire.base_url for wire in row.endpoints if wire.base_url]]
    return [*dict.fromkeys(_split(url)[0] for url in urls), *row.hosts]


def part_of_host(row: ProviderSpec, host: str, part: str) -> str | None:
    """What stands in a host for a name in braces of the row's own ones; None where it is another host."""
    for pattern in own_hosts(row):
        head, named, tail = pattern.partition(f"{{{part}}}")
        if named and (found := re.fullmatch(f"{_pattern(head, _PART)}({_PART}){_pattern(tail, _PART)}", host)):
            return found[1]
    return None


_known: dict[tuple[int, str], tuple[ProviderSpec, bool]] = {}
"""Answers of ``is_own_host``, which every call with a base URL asks: 7 us of its 139. The row stands beside its id, so
that nobody else can have that.
"""
_MOST_KNOWN = 1_024


def is_own_host(row: ProviderSpec, url: str) -> bool:
    """Whether a URL leads to one of the row's own hosts."""
    known = _known.get((id(row), url))
    if known is None:
        host, _ = _split(url)
        known = row, any(_matches(pattern, host) for pattern in own_hosts(row))
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[id(row), url] = known
    return known[1]


def _matches(pattern: str, host: str) -> bool:
    """Whether a host is the one of a row. A name in braces that is the whole host stands for any name at all."""
    if "{" not in pattern:
        return host == pattern
    if _is_open(pattern):
        return "." in host and re.fullmatch(r"[\w.-]+", host) is not None
    return re.fullmatch(_pattern(pattern, _PART), host) is not None


def _is_open(pattern: str) -> bool:
    return re.fullmatch(r"{\w+}", pattern) is not None


def _pattern(text: str, part_of_it: str = "[^/]+") -> str:
    """A text as an expression, where a name in braces stands for a part: of a path, one segment or less of it."""
    return "".join(
        part_of_it if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", text) if part
    )


def _split(url: str) -> tuple[str, str]:
    """Host with port, and path, in the form in which they are compared: one slash at a time, no port that is usual."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host = authority.lower().removesuffix(_PORTS.get(scheme, "\n"))
    for name in _LOOPBACK:
        if host.partition(":")[0] == name or host.startswith(f"{name}:"):
            host = "localhost" + host.removeprefix(name)
    path = (slash + path).partition("?")[0].partition("#")[0].rstrip("/")
    while "//" in path:
        path = path.replace("//", "/")
    return host, path
