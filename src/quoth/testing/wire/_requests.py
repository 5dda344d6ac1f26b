"""Requests: what a client really sent is read by the server half, built again by the client half, and says the same.

What a dialect spells otherwise on purpose is a *normalisation*: an exact path, and the value before and after. Each
that occurs is counted and printed. Any other difference, at any depth, is a failure.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from ...errors import InputError, QuothError
from ...providers._spec import PATHS, Wire
from ...types import ModelRequest
from ...wire import HTTPRequest, WireReply, WireRequest, header
from ._reading import Difference, same_json

__all__ = [
    "ABSENT",
    "ANYTHING",
    "TEXT",
    "Normalisation",
    "RequestCheck",
    "check_request",
    "differing_paths",
    "wire_request",
]

CHECK = "request"


class _Mark:
    """What stands in a normalisation for a value that differs from request to request."""

    __slots__ = ("_spelled",)

    def __init__(self, spelled: str) -> None:
        self._spelled = spelled

    def __repr__(self) -> str:
        return self._spelled


ABSENT = _Mark("absent")
"""No value at all."""
ANYTHING = _Mark("x")
"""Any value that the request says; in what is built, that same value."""
TEXT = _Mark('"x"')
"""The same, where it is a text."""


class Normalisation(Struct, frozen=True, kw_only=True):
    """One spelling that a dialect changes on purpose: at this exact path, from this value to that."""

    path: str
    said: Any
    built: Any = ABSENT
    to: str = ""
    """Where what was said stands afterwards, if it moves."""
    there: Any = ANYTHING
    """And how it is spelled there."""
    beside: str = ""
    """The field of the request that must be there."""

    def explains(self, path: str, request: Any, differing: Differing) -> bool:
        """Whether the difference at ``path`` is this normalisation; ``differing`` holds all of the request."""
        if path not in (self.path, self.to) or (self.beside and not request.get(self.beside)):
            return False
        said, built = differing.get(self.path, (ABSENT, ABSENT))
        if not _matches(said, self.said) or not _same(built, _filled(self.built, said)):
            return False
        if not self.to:
            return True
        before, after = differing.get(self.to, (ABSENT, ABSENT))
        return before is ABSENT and _same(after, _filled(self.there, said))

    def __str__(self) -> str:
        if self.to and self.there is ANYTHING:
            return f"{self.path} -> {self.to}, the same value"
        target = f"{self.to}: {_spelled(self.there)}" if self.to else _spelled(self.built)
        beside = f" (beside $.{self.beside})" if self.beside else ""
        return f"{self.path}: {_spelled(self.said)} -> {target}{beside}"


Differing: TypeAlias = Mapping[str, tuple[Any, Any]]
"""By path, what a request says and what was built."""


def _matches(value: Any, pattern: Any) -> bool:
    if pattern is TEXT:
        return isinstance(value, str)
    return value is not ABSENT if pattern is ANYTHING else _same(value, pattern)


def _same(value: Any, other: Any) -> bool:
    if value is ABSENT or other is ABSENT:
        return value is other
    return same_json(value, other)


def _filled(pattern: Any, said: Any) -> Any:
    """What a pattern stands for, given what the request says."""
    if pattern is ANYTHING or pattern is TEXT:
        return said
    if isinstance(pattern, list):
        return [_filled(item, said) for item in pattern]
    return {key: _filled(item, said) for key, item in pattern.items()} if isinstance(pattern, dict) else pattern


def _spelled(pattern: Any) -> str:
    """A pattern as JSON, in which marks stand for themselves."""
    if isinstance(pattern, _Mark):
        return repr(pattern)
    if isinstance(pattern, list):
        return f"[{', '.join([_spelled(item) for item in pattern])}]"
    if isinstance(pattern, dict):
        return "{" + ", ".join([f"{json.dumps(key)}: {_spelled(item)}" for key, item in pattern.items()]) + "}"
    return json.dumps(pattern)


MEANT = ("anthropic-beta", "anthropic-version", "openai-beta")
"""Headers of a request that change what it asks for."""


_VERSION = r"/v\d\w*"
_FORM = "alt"
"""Google's parameter of the form in which an answer is asked for: events, or one JSON array."""


class Builds(Protocol):
    """A provider, as far as its requests are looked at."""

    model: str
    wire: Wire

    def build(self, request: Any) -> WireRequest: ...


class Reads(Protocol):
    """A server half, as far as it reads requests."""

    def parse_request(self, request: WireRequest) -> Any: ...


class RequestCheck(Struct, kw_only=True):
    """What came of one request: what differs, what was spelled otherwise on purpose, or why it was not compared."""

    differences: list[Difference] = []
    normalised: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    """What was not compared, and why."""
    request: ModelRequest | None = None
    """What was asked, where it could be read."""


def wire_request(request: HTTPRequest, path: str) -> WireRequest:
    """A recorded request as the server half is given it; ``path`` is the part behind the provider's base URL."""
    return WireRequest(
        method=request.method,
        path=path,
        query=tuple(parse_qsl(urlsplit(request.url).query, keep_blank_values=True)),
        headers=request.headers,
        body=request.body,
    )


def check_request(
    request: HTTPRequest,
    reply: WireReply,
    *,
    provider: Builds,
    server: Reads,
    known: tuple[Normalisation, ...],
    versions: bool = False,
) -> RequestCheck:
    """Read a recorded request and build it again; ``versions`` says that paths begin with one, of several."""
    try:
        said = json.loads(request.body)
    except ValueError:
        return RequestCheck(notes=Counter(["a request that is no JSON"]))
    normalised = Counter[str]()
    in_path = "{model}" in provider.wire.path and "{model}" not in PATHS.get(provider.wire.dialect, "")
    if isinstance(said, dict) and "model" not in said and in_path:
        said = {**said, "model": provider.model}
        request = replace(request, body=json.dumps(said).encode())
        normalised["$.model: absent -> the model of the URL"] += 1
    try:
        parsed = server.parse_request(wire_request(request, urlsplit(request.url).path))
    except InputError as error:
        if reply.status in (400, 422):
            return RequestCheck(notes=Counter(["a request that is refused before sending, as the provider refused it"]))
        return RequestCheck(differences=[Difference(check=CHECK, what="refused", found=str(error))])
    try:
        built = provider.build(parsed)
        again = provider.build(server.parse_request(built))
    except QuothError as error:
        return RequestCheck(differences=[Difference(check=CHECK, what="cannot be built", found=str(error))])
    result = _compare(said, json.loads(built.body), known)
    result.request = parsed
    result.normalised += normalised
    result.differences += _compare_envelope(request, built, result.normalised, versions=versions)
    result.notes.update(_carried_beside(request, provider))
    if not same_json(json.loads(again.body), json.loads(built.body)):
        what = "built, read and built once more"
        result.differences.append(Difference(check=CHECK, what=what, expected=built.body, found=again.body))
    return result


def _compare(said: Any, built: Any, known: tuple[Normalisation, ...]) -> RequestCheck:
    differing = {path: (one, other) for path, one, other in differing_paths(said, built)}
    result = RequestCheck()
    for path, (one, other) in differing.items():
        rule = next((rule for rule in known if rule.explains(path, said, differing)), None)
        if rule is None:
            result.differences.append(Difference(check=CHECK, what=path, expected=one, found=other))
        elif path == rule.path:
            result.normalised[str(rule)] += 1
    return result


def differing_paths(said: Any, built: Any, path: str = "$") -> Iterator[tuple[str, Any, Any]]:
    """The paths at which two JSON values differ, as deep as they go; a missing value is ``absent``."""
    if isinstance(said, dict) and isinstance(built, dict):
        for key in dict.fromkeys([*said, *built]):
            yield from differing_paths(said.get(key, ABSENT), built.get(key, ABSENT), f"{path}.{key}")
    elif isinstance(said, list) and isinstance(built, list) and len(said) == len(built):
        for index, (one, other) in enumerate(zip(said, built, strict=True)):
            yield from differing_paths(one, other, f"{path}[{index}]")
    elif said is ABSENT or built is ABSENT or not same_json(said, built):
        yield path, said, built


def _compare_envelope(
    request: HTTPRequest, built: WireRequest, normalised: Counter[str], *, versions: bool
) -> Iterator[Difference]:
    """The method, the end of the path (a name in braces stands for any), and that the body is called JSON."""
    url = urlsplit(request.url)
    said_path = unquote(url.path)  # a colon may be written either way
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(unquote(built.path)))
    version = re.match(_VERSION, built.path) if versions else None
    if version and not re.search(f"{path}/?$", said_path):
        path = path.removeprefix(re.escape(version[0]))
        spoken = re.search(_VERSION, url.path)
        normalised[f"the version in the path: {spoken[0] if spoken else ABSENT} -> {version[0]}"] += 1
    if not re.search(f"{path}/?$", said_path):
        yield Difference(check=CHECK, what="path", expected=url.path, found=built.path)
    form, asked = dict(parse_qsl(url.query)).get(_FORM), dict(built.query).get(_FORM)
    if form is None and asked is not None:
        normalised[f"?{_FORM}: absent -> {asked}"] += 1
    elif form != asked:
        yield Difference(check=CHECK, what=f"?{_FORM}", expected=form, found=asked)
    pairs = [("method", request.method, built.method)]
    if said := header(request.headers, "content-type"):
        ours = header(built.headers, "content-type") or ""
        pairs.append(("content-type", said.partition(";")[0].strip().lower(), ours))
    for what, one, other in pairs:
        if one != other:
            yield Difference(check=CHECK, what=what, expected=one, found=other)


def _carried_beside(request: HTTPRequest, provider: Builds) -> Iterator[str]:
    """Headers that mean something and are neither the dialect's nor the row's: a call gives them as ``headers=``."""
    for name in MEANT:
        said = header(request.headers, name)
        if said is not None and said != header(provider.wire.headers, name):
            yield f"the header {name}, which a call gives as headers="
