"""Requests: what a client really sent is read by the server half, built again by the client half, and says the same.

What a dialect spells otherwise on purpose is a *normalisation*: an exact path, and the value before and after. Each
that occurs is counted and printed. Any other difference, at any depth, is a failure.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from ...dialects.server import ServerDialect
from ...errors import InputError, QuothError
from ...providers._provider import Provider
from ...wire import HTTPRequest, WireReply, WireRequest, header
from ._reading import Difference, same_json

__all__ = ["ABSENT", "Normalisation", "RequestCheck", "check_request", "differing_paths", "wire_request"]

CHECK = "request"

ABSENT = "absent"
"""How a value that is not there is printed; ``_Absent`` is how it is held."""


class _Absent:
    """No value at all."""

    def __repr__(self) -> str:
        return ABSENT


NOTHING = _Absent()

Form = Literal["null", "false", "empty list", "one text", "moved", "asks for usage", "turns on the dial"]


class Normalisation(Struct, frozen=True, kw_only=True):
    """One spelling that a dialect changes on purpose: at this exact path, from this form."""

    path: str
    form: Form
    to: str = ""
    """Where a value that is moved stands afterwards."""
    beside: str = ""
    """The field of the request that must be there."""

    def explains(self, path: str, said: Any, built: Any, *, request: Any, whole: Mapping[str, tuple[Any, Any]]) -> bool:
        """Whether a difference at ``path`` is this normalisation; ``whole`` holds all differences of the request."""
        if self.form == "moved":
            return self._moved(path, whole)
        if path != self.path or (self.beside and not request.get(self.beside)):
            return False
        match self.form:
            case "null":
                return said is None and built is NOTHING
            case "false":
                return said is False and built is NOTHING
            case "empty list":
                return said == [] and built is NOTHING
            case "one text":
                return isinstance(said, str) and built == [said]
            case "turns on the dial":
                return said is NOTHING and same_json(built, {"type": "enabled"})
            case _:
                return said is NOTHING and same_json(built, {"include_usage": True})

    def _moved(self, path: str, whole: Mapping[str, tuple[Any, Any]]) -> bool:
        if path not in (self.path, self.to) or self.path not in whole or self.to not in whole:
            return False
        (gone, nothing), (before, there) = whole[self.path], whole[self.to]
        return nothing is NOTHING and before is NOTHING and same_json(gone, there)


MEANT = ("anthropic-beta", "anthropic-version", "openai-beta")
"""Headers of a request that change what it asks for."""


class RequestCheck(Struct, kw_only=True):
    """What came of one request: what differs, what was spelled otherwise on purpose, or why it was not compared."""

    differences: list[Difference] = []
    normalised: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    """What was not compared, and why."""


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
    provider: Provider,
    server: ServerDialect,
    known: tuple[Normalisation, ...],
) -> RequestCheck:
    """Read a recorded request and build it again."""
    try:
        said = json.loads(request.body)
    except ValueError:
        return RequestCheck(notes=Counter(["a request that is no JSON"]))
    normalised = Counter[str]()
    if isinstance(said, dict) and "model" not in said and "{model}" in provider.wire.path:
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
    result.normalised += normalised
    result.differences += _compare_envelope(request, built)
    result.notes.update(_carried_beside(request, provider))
    if not same_json(json.loads(again.body), json.loads(built.body)):
        what = "built, read and built once more"
        result.differences.append(Difference(check=CHECK, what=what, expected=built.body, found=again.body))
    return result


def _compare(said: Any, built: Any, known: tuple[Normalisation, ...]) -> RequestCheck:
    found = {path: (one, other) for path, one, other in differing_paths(said, built)}
    result = RequestCheck()
    for path, (one, other) in found.items():
        rule = next((rule for rule in known if rule.explains(path, one, other, request=said, whole=found)), None)
        if rule is None:
            result.differences.append(Difference(check=CHECK, what=path, expected=one, found=other))
        elif path == rule.path:
            result.normalised[_spelled(rule, one, other)] += 1
    return result


def _spelled(rule: Normalisation, said: Any, built: Any) -> str:
    if rule.form == "moved":
        return f"{rule.path} -> {rule.to}, the same value"
    if rule.form == "one text":
        return f'{rule.path}: "x" -> ["x"]'
    beside = f" (beside $.{rule.beside})" if rule.beside else ""
    return f"{rule.path}: {_json(said)} -> {_json(built)}{beside}"


def _json(value: Any) -> str:
    return ABSENT if value is NOTHING else json.dumps(value)


def differing_paths(said: Any, built: Any, path: str = "$") -> Iterator[tuple[str, Any, Any]]:
    """The paths at which two JSON values differ, as deep as they go; a missing value is ``absent``."""
    if isinstance(said, dict) and isinstance(built, dict):
        for key in dict.fromkeys([*said, *built]):
            yield from differing_paths(said.get(key, NOTHING), built.get(key, NOTHING), f"{path}.{key}")
    elif isinstance(said, list) and isinstance(built, list) and len(said) == len(built):
        for index, (one, other) in enumerate(zip(said, built, strict=True)):
            yield from differing_paths(one, other, f"{path}[{index}]")
    elif said is NOTHING or built is NOTHING or not same_json(said, built):
        yield path, said, built


def _compare_envelope(request: HTTPRequest, built: WireRequest) -> Iterator[Difference]:
    """The method, the end of the path (a name in braces stands for any), and that the body is called JSON."""
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(built.path))
    if not re.search(f"{path}$", urlsplit(request.url).path):
        yield Difference(check=CHECK, what="path", expected=urlsplit(request.url).path, found=built.path)
    pairs = [("method", request.method, built.method)]
    if said := header(request.headers, "content-type"):
        ours = header(built.headers, "content-type") or ""
        pairs.append(("content-type", said.partition(";")[0].strip().lower(), ours))
    for what, one, other in pairs:
        if one != other:
            yield Difference(check=CHECK, what=what, expected=one, found=other)


def _carried_beside(request: HTTPRequest, provider: Provider) -> Iterator[str]:
    """Headers that mean something and are neither the dialect's nor the row's: a call gives them as ``headers=``."""
    for name in MEANT:
        said = header(request.headers, name)
        if said is not None and said != header(provider.wire.headers, name):
            yield f"the header {name}, which a call gives as headers="
