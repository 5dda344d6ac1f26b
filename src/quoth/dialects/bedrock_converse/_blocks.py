"""Parts as content blocks of this wire, and back: what both halves share.

A block is an object with one member, whose name says what it is: ``{"text": "Hi"}``, ``{"toolUse": {...}}``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from ... import _json
from ...types import Audio, Document, Image, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from .._arguments import read_arguments, write_arguments
from .._kept import Wire, overlay
from ._files import FORMATS, Spelling, read_file, write_file
from ._words import FORM, NAME, RESIDUES, SAID

__all__ = [
    "CALL",
    "CITED",
    "SERVERS_OWN",
    "opaque",
    "read_answer_block",
    "read_block",
    "residue_of",
    "write_answer_block",
    "write_block",
]

residue_of = RESIDUES.of

CITED = "citationsContent"
"""The block of a text with its sources."""

CALL = "toolUse"

SERVERS_OWN = "server_tool_use"
"""The type of a tool call that the server makes and answers itself."""


# Writing.


def write_block(part: Part, spelling: Spelling) -> Wire:
    """Spell one block.

    Raises:
        UnsupportedContentError: the part has no form on this wire.
    """
    data = residue_of(part)
    if not data:
        return _WRITERS[type(part)](part, spelling)
    if isinstance(part, Text) and not part.text and FORM not in data and _has_member(data):
        return overlay({}, data)  # a block that no part of ours is: a point of a cache, a server's tool call
    return overlay(_WRITERS[type(part)](part, spelling), data)


def _has_member(data: Any) -> bool:
    return any(not key.startswith(":") for key in data)


def _write_text(text: Text, _spelling: Spelling) -> Wire:
    form = residue_of(text).get(FORM)
    if form == "cited":
        return {CITED: {"content": [{"text": text.text}]}}
    if form == "json":
        try:
            return {"json": _json.decode(text.text.encode("utf-8", "surrogatepass"))}
        except ValueError:
            pass
    return {"text": text.text}


def _write_reasoning(reasoning: Reasoning, _spelling: Spelling) -> Wire:
    return {"reasoningContent": {"reasoningText": {"text": reasoning.text}}}


def _write_refusal(refusal: Refusal, spelling: Spelling) -> Wire:
    spelling.changes.append("a refusal that came over another wire sent as text: this one has no part for it")
    return {"text": refusal.text}


def _write_call(call: ToolCall, spelling: Spelling) -> Wire:
    return {
        "toolUse": {"toolUseId": call.id, "name": call.name, "input": write_arguments(call.arguments, spelling.changes)}
    }


def _write_result(result: ToolResult, spelling: Spelling) -> Wire:
    wire: Wire = {
        "toolUseId": result.call_id,
        "content": [write_block(part, spelling) for part in result.parts],
    }
    if result.is_error:
        wire["status"] = "error"
    return {"toolResult": wire}


_WRITERS: dict[type, Callable[[Any, Spelling], Wire]] = {
    Text: _write_text,
    Image: write_file,
    Audio: write_file,
    Document: write_file,
    Reasoning: _write_reasoning,
    Refusal: _write_refusal,
    ToolCall: _write_call,
    ToolResult: _write_result,
}


# Reading.


def read_block(block: Wire) -> Part:
    """Read one block exactly; one of an unknown kind is opaque."""
    kind = next((key for key in _READERS if key in block), "")
    read = _READERS[kind](block[kind]) if kind else None
    if read is None or (isinstance(read, Text) and not read.text and FORM not in residue_of(read) and len(block) > 1):
        return opaque(block)
    return RESIDUES.exact(read, block, write_block(read, Spelling()))


def read_answer_block(block: Wire) -> Part:
    """Read one block of an answer. That a call is a ``tool_use`` some say, and none may be sent: it is only noted."""
    part = read_block(block)
    data = residue_of(part)
    if isinstance(part, ToolCall) and isinstance(inner := data.get(CALL), dict) and isinstance(inner.get("type"), str):
        rest = {key: value for key, value in inner.items() if key != "type"}
        data = {**data, CALL: rest, SAID: {"type": inner["type"]}}
        return replace(part, provider_data={NAME: {key: value for key, value in data.items() if value}})
    return part


def write_answer_block(part: Part) -> Wire:
    """Spell one block of an answer, with what is only noted of it."""
    wire = write_block(part, Spelling())
    noted = residue_of(part).get(SAID)
    return {CALL: {**wire[CALL], **noted}} if isinstance(noted, dict) and isinstance(wire.get(CALL), dict) else wire


def opaque(block: Wire) -> Text:
    """Keep a block that has no name here: an empty Text that gives it back whole."""
    return RESIDUES.exact(Text(text=""), block, {} if _has_member(block) else {"text": ""})


def _read_text(text: Any) -> Text | None:
    return Text(text=text) if isinstance(text, str) else None


def _read_cited(wire: Any) -> Text | None:
    """A text with its sources; some are said alone, behind the text that they are for."""
    content = wire.get("content") if isinstance(wire, dict) else None
    said = [each.get("text") for each in content if isinstance(each, dict)] if isinstance(content, list) else []
    texts = [text for text in said if isinstance(text, str)]
    return Text(text="".join(texts), provider_data={NAME: {FORM: "cited"}}) if isinstance(wire, dict) else None


def _read_json(value: Any) -> Text:
    return Text(text=read_arguments(value), provider_data={NAME: {FORM: "json"}})


def _read_reasoning(wire: Any) -> Reasoning | None:
    if not isinstance(wire, dict):
        return None
    said = wire.get("reasoningText")
    text = said.get("text") if isinstance(said, dict) else ""
    return Reasoning(text=text, provider_data={NAME: {}}) if isinstance(text, str) else None


def _read_call(wire: Any) -> ToolCall | None:
    if not isinstance(wire, dict) or wire.get("type") == SERVERS_OWN:
        return None
    id_, name = wire.get("toolUseId"), wire.get("name")
    if not isinstance(id_, str) or not isinstance(name, str):
        return None
    return ToolCall(id=id_, name=name, arguments=read_arguments(wire.get("input")))


def _read_result(wire: Any) -> ToolResult | None:
    if not isinstance(wire, dict) or "type" in wire:  # a server's own result says whose it is
        return None
    call_id, content = wire.get("toolUseId"), wire.get("content")
    if not isinstance(call_id, str):
        return None
    blocks = content if isinstance(content, list) and all(isinstance(each, dict) for each in content) else []
    return ToolResult(
        call_id=call_id,
        parts=tuple([_result_part(block) for block in blocks]),
        is_error=wire.get("status") == "error",
    )


def _result_part(block: Wire) -> Text | Image | Document:
    if "json" in block:
        read = _read_json(block["json"])
        return RESIDUES.exact(read, block, write_block(read, Spelling()))
    part = read_block(block)
    return part if isinstance(part, (Text, Image, Document)) else opaque(block)


_READERS: dict[str, Callable[[Any], Part | None]] = {
    "text": _read_text,
    "toolUse": _read_call,
    "toolResult": _read_result,
    "reasoningContent": _read_reasoning,
    CITED: _read_cited,
    **{kind: partial(read_file, kind) for kind in FORMATS},
}
"""The members of a block that are parts of ours."""
