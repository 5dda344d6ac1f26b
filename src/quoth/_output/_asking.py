"""A request with an output type, as one provider is asked: in its own form of an answer, by a tool, or in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from .. import _json
from ..types import Message, ModelRequest, OutputFormat, Text, Tool, ToolChoice
from ._reading import TOOL, Reading
from ._rewriting import Rewritten, rewrite
from ._rules import RULES, Rules, Way

if TYPE_CHECKING:
    from ..providers._provider import Provider
    from ._forms import Form

__all__ = ["Asked", "ask_for"]

FREE = Rules(object_root=True)
"""For a schema that no provider compiles: it is read by the model, as the parameters of a tool or as words."""

NO_FORM_FOR_ANY_OBJECT = frozenset({"anthropic_messages"})
"""Dialects that have none: there the words must do."""


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """A request as it is sent, and how its answer is to be read."""

    request: ModelRequest
    reading: Reading
    changes: tuple[str, ...] = ()


def ask_for(form: Form, provider: Provider, request: ModelRequest) -> Asked:
    """Ask this provider for this form, in the best way that it has for it."""
    if form.exact is not None:
        return Asked(request=replace(request, output=form.exact), reading=Reading(form, "schema"))
    name, rules = _rules_of(provider)
    why = list[str]()
    for way in rules.ways:
        reasons = WAYS[way].hindrances(form, name, provider, request)
        if not reasons:
            return WAYS[way].ask(form, name, request, why)
        why += [reason for reason in reasons if reason not in why]
    return WAYS["words"].ask(form, name, request, why)


def _rules_of(provider: Provider) -> tuple[str, Rules]:
    name = provider.wire.quirks.output_rules or provider.wire.dialect
    rules = RULES.get(name, RULES["words"])
    if rules.by_catalog and "structured_output" in provider.denied:
        return "words", replace(rules, ways=("tool", "words"))
    return name, rules


def _rewritten(form: Form, name: str) -> Rewritten:
    """The schema by these rules, or by none: made once."""
    known = form.rewritten.get(name)
    if known is None:
        known = form.rewritten[name] = rewrite(form.schema, RULES.get(name, FREE))
    return known


# The ways: what hinders each, and how it asks.

_FREE = ""

Hindrances: TypeAlias = "Callable[[Form, str, Provider, ModelRequest], tuple[str, ...]]"
Ask: TypeAlias = "Callable[[Form, str, ModelRequest, list[str]], Asked]"


class _Way(Struct, frozen=True, gc=False):
    hindrances: Hindrances
    ask: Ask


def _nothing(form: Form, name: str, provider: Provider, request: ModelRequest) -> tuple[str, ...]:  # noqa: ARG001  # one form for all ways
    return ()


def _unsayable(form: Form, name: str, provider: Provider, request: ModelRequest) -> tuple[str, ...]:  # noqa: ARG001  # as above
    return _rewritten(form, name).unsayable


def _by_schema(form: Form, name: str, request: ModelRequest, why: list[str]) -> Asked:  # noqa: ARG001  # as above
    rewritten, rules = _rewritten(form, name), RULES[name]
    wanted = OutputFormat(schema=rewritten.schema, name=form.name if rules.named else None, strict=rules.strict)
    return Asked(
        request=replace(request, output=wanted),
        reading=Reading(form, "schema", wrapped=rewritten.wrapped),
        changes=rewritten.changes,
    )


def _loosely(form: Form, name: str, request: ModelRequest, why: list[str]) -> Asked:  # noqa: ARG001  # as above
    rewritten = _rewritten(form, _FREE)
    wanted = OutputFormat(schema=rewritten.schema, name=form.name, strict=False)
    return Asked(
        request=replace(request, output=wanted),
        reading=Reading(form, "loose", wrapped=rewritten.wrapped),
        changes=(*rewritten.changes, f"output not held to its schema there ({'; '.join(why)})"),
    )


def _no_tool(form: Form, name: str, provider: Provider, request: ModelRequest) -> tuple[str, ...]:  # noqa: ARG001  # as above
    """A tool that must be called is none where it may not be forced, or where the model has tools of the caller's."""
    if request.tools:
        return ("the call has tools of its own",)
    if request.reasoning not in (None, "none", 0):
        return ("a model that thinks cannot be made to call a tool",)
    if "tools" in provider.denied or not provider.wire.quirks.tools:
        return ("the model takes no tools",)
    return ()


def _by_tool(form: Form, name: str, request: ModelRequest, why: list[str]) -> Asked:  # noqa: ARG001  # as above
    rewritten = _rewritten(form, _FREE)
    tool = Tool(name=TOOL, description="Give the answer, in this form.", parameters=rewritten.schema)
    choice = ToolChoice(mode="tool", name=TOOL)
    return Asked(
        request=replace(request, output=None, tools=(tool,), tool_choice=choice),
        reading=Reading(form, "tool", wrapped=rewritten.wrapped),
        changes=(*rewritten.changes, _told("output asked for by a tool that must be called", why)),
    )


def _no_object(form: Form, name: str, provider: Provider, request: ModelRequest) -> tuple[str, ...]:  # noqa: ARG001  # as above
    return ("the wire has no form for any JSON object",) if provider.wire.dialect in NO_FORM_FOR_ANY_OBJECT else ()


def _by_object(form: Form, name: str, request: ModelRequest, why: list[str]) -> Asked:
    asked = _in_words(form, name, request, why)
    return Asked(
        request=replace(asked.request, output=OutputFormat()),
        reading=Reading(form, "object", wrapped=asked.reading.wrapped),
        changes=(*asked.changes[:-1], _told("output asked for as any JSON object, with its schema in words", why)),
    )


def _in_words(form: Form, name: str, request: ModelRequest, why: list[str]) -> Asked:  # noqa: ARG001  # as above
    rewritten = _rewritten(form, _FREE)
    return Asked(
        request=replace(request, output=None, messages=_told_in_system(request.messages, _words(rewritten.schema))),
        reading=Reading(form, "words", wrapped=rewritten.wrapped),
        changes=(*rewritten.changes, _told("output asked for in words", why)),
    )


WAYS: dict[Way, _Way] = {
    "schema": _Way(_unsayable, _by_schema),
    "loose": _Way(_nothing, _loosely),
    "tool": _Way(_no_tool, _by_tool),
    "object": _Way(_no_object, _by_object),
    "words": _Way(_nothing, _in_words),
}


def _told(words: str, why: list[str]) -> str:
    return f"{words} ({'; '.join(why)})" if why else words


def _words(schema: Mapping[str, object]) -> str:
    return (
        "Answer with one JSON object and nothing else: no explanation, no code fence. It must be valid by this JSON "
        f"Schema:\n{_json.encode(schema).decode()}"
    )


def _told_in_system(messages: tuple[Message, ...], words: str) -> tuple[Message, ...]:
    """Behind what the system message says; some models take only one, so no second is made."""
    if not messages or messages[0].role != "system":
        return (Message.system(words), *messages)
    first = messages[0]
    *before, last = first.parts or (Text(text=""),)
    behind = [replace(last, text=f"{last.text}\n\n{words}")] if isinstance(last, Text) else [last, Text(text=words)]
    parts = (*before, *behind)
    return (replace(first, parts=parts), *messages[1:])
