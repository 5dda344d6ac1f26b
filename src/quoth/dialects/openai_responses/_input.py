"""Conversations as the flat list of items that the wire knows, and back.

What a model wrote in a row is one assistant's message here; every other message item and every result of a tool is a
message of its own. The wire cannot tell two assistant's messages in a row from one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...errors import UnsupportedContentError
from ...types import Message, Part, Reasoning, ToolCall
from .._kept import FOREIGN, Wire, overlay
from ._items import (
    begin_item,
    content_form,
    exact,
    is_item,
    item_type,
    message_item,
    read_content,
    read_message_item,
    read_output_item,
    read_result,
    residue_of,
    write_content,
    write_item,
)
from ._words import FIELD, FORM, ITEM, NAME, RESIDUES, RESULTS, ROLES

__all__ = ["read_input", "read_instructions", "write_input", "write_items"]


# Writing.


def write_input(messages: Sequence[Message], changes: list[str]) -> Wire:
    """The body's ``instructions`` and ``input``, where there are any; ``changes`` takes what could not be said.

    Raises:
        UnsupportedContentError: a part has no form on this wire.
    """
    wire: Wire = {}
    if messages and (text := _told_apart(messages[0], "instructions")) is not None:
        wire["instructions"] = text
        messages = messages[1:]
    if len(messages) == 1 and (text := _told_apart(messages[0], "input")) is not None:
        wire["input"] = text
    elif messages:
        wire["input"] = write_items(messages, changes)
    return wire


def _told_apart(message: Message, field: str) -> str | None:
    """The text of a message that stood in a field of its own, and still is such a text."""
    if not message.provider_data or residue_of(message).get(FIELD) != field or message.name is not None:
        return None
    content = write_content(message.parts, None, message.role)
    return content if isinstance(content, str) else None


def write_items(messages: Sequence[Message], changes: list[str], *, spare_reasoning: bool = False) -> list[Wire]:
    """Spell a conversation as items.

    ``spare_reasoning`` says whether reasoning that came over another wire becomes an item; a client leaves it out,
    because providers take back only their own.
    """
    kinds: dict[str, str] = {}
    items: list[Wire] = []
    for message in messages:
        items += _write_message(message, kinds, changes, spare_reasoning=spare_reasoning)
    return items


def _write_message(
    message: Message, kinds: dict[str, str], changes: list[str], *, spare_reasoning: bool
) -> Iterator[Wire]:
    if message.name is not None:
        changes.append("name of a message left out: this wire has no field for it")
    if message.role == "tool" and not (message.parts and all(is_item(part) for part in message.parts)):
        raise UnsupportedContentError(
            "a tool message holds ToolResult parts and nothing else: build it with Message.tool(call, '...')"
        )
    content: list[Part] = []
    for part in message.parts:
        if _left_out(part, changes, spare_reasoning=spare_reasoning):
            continue
        own = is_item(part)
        if content and (own or ITEM in residue_of(part)):
            yield _write_message_item(message, content)
            content = []
        if own:
            _note_calls((part,), kinds)
            yield write_item(part, kinds, changes)
        else:
            content.append(part)
    if content or not (message.parts or message.role == "assistant"):  # an answer may have no items
        yield _write_message_item(message, content)


def _note_calls(parts: Iterable[Part], kinds: dict[str, str]) -> None:
    """Remember which type of item each call is: its result is called after it."""
    for part in parts:
        if isinstance(part, ToolCall):
            kinds[part.id] = item_type(residue_of(part))


def _left_out(part: Part, changes: list[str], *, spare_reasoning: bool) -> bool:
    """Whether a part is one that this wire does not take back; ``changes`` says so."""
    if RESIDUES.foreign(part):
        changes.append(FOREIGN)
        return True
    if not isinstance(part, Reasoning):
        return False
    if NAME not in part.provider_data:
        if not spare_reasoning:
            changes.append("reasoning that came over another wire left out: this one takes back only its own")
        return not spare_reasoning
    if residue_of(part).get(FIELD) != "body":
        return False
    changes.append("reasoning that stood beside the items left out: no item can carry it")
    return True


def _write_message_item(message: Message, content: list[Part]) -> Wire:
    data = residue_of(message)
    mark: Mapping[str, Any] = residue_of(content[0]).get(ITEM, {}) if content else {}
    wire = message_item(message.role, content, mark.get(FORM) or data.get(FORM))
    return overlay(overlay(wire, data), mark) if data or mark else wire


# Reading.


def read_instructions(spelled: str) -> Message:
    """The body's ``instructions`` as the first message."""
    return Message(role="system", parts=read_content(spelled, "system"), provider_data={NAME: {FIELD: "instructions"}})


def read_input(spelled: str | Sequence[Wire]) -> list[Message]:
    """Read the input of a request; building it gives the same items again."""
    if isinstance(spelled, str):
        return [Message(role="user", parts=read_content(spelled, "user"), provider_data={NAME: {FIELD: "input"}})]
    messages: list[Message] = []
    written: list[Part] = []  # by the assistant, in a row
    kinds: dict[str, str] = {}
    for item in spelled:
        message = _read_other(item, kinds)
        if message is None:
            written += (parts := _read_written(item, after=written))
            _note_calls(parts, kinds)
            continue
        if written:
            messages.append(Message(role="assistant", parts=tuple(written)))
            written = []
        messages.append(message)
    if written:
        messages.append(Message(role="assistant", parts=tuple(written)))
    return messages


def _read_other(item: Wire, kinds: Mapping[str, str]) -> Message | None:
    """A message of somebody else, or the result of a tool; None for what belongs to the assistant."""
    kind = item_type(item)
    if kind in RESULTS.values():
        return Message(role="tool", parts=(read_result(item, kinds),))
    role = item.get("role")
    if kind != "message" or role == "assistant":
        return None
    ours = ROLES.get(role, "user") if isinstance(role, str) else "user"
    parts = read_content(item.get("content"), ours)
    form = content_form(item.get("content"), parts)
    draft = Message(role=ours, parts=parts, provider_data={NAME: form} if form else {})
    return exact(draft, item, _write_message_item(draft, [*parts]))


def _read_written(item: Wire, *, after: Sequence[Part]) -> list[Part]:
    """The parts of an item of the assistant; an item that adds nothing and follows none needs no mark."""
    if item_type(item) != "message":
        return read_output_item(item)
    parts, mark = read_message_item(item)
    follows = bool(after) and not is_item(after[-1])
    return begin_item(parts, mark) if mark or follows else parts
