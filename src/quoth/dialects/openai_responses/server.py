"""The server half of OpenAI Responses: read requests, build answers, streams and errors.

The mirror of ``client``, for the fake server, replay and a gateway: what either half builds, the other reads.

What came over another wire or was made by hand has no ids and lacks fields that the official SDK demands: they are
filled in, always alike. An item that came over this wire is spelled as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ... import _json
from ...errors import InputError
from ...types import Message, ModelRequest, OutputFormat, Reasoning, Response, Tool, ToolChoice
from ...wire import ErrorInfo, Headers, WireReply, WireRequest
from .._counts import usage_word
from .._kept import Wire
from .._openai_errors import build_error
from .._requests import Fields, flag, number, read_body, read_fields, whole
from .._streams import in_pieces
from ._answers import ECHOES
from ._input import read_input, read_instructions, write_items
from ._items import exact, item_type, residue_of
from ._usage import count_searches, write_usage
from ._words import CALLS, FIELD, INCOMPLETE, NAME, NO_ID, REASONS, THOUGHTS
from .client import OUTPUT_NAME, write_format, write_tool

__all__ = ["build_error", "build_events", "build_response", "build_stream_error", "parse_request"]


# Requests.


def parse_request(request: WireRequest) -> ModelRequest:
    """Read a request. What has no name in a ModelRequest stands in ``extra``, also a value of an odd type.

    Raises:
        InputError: the body is no JSON object, has no model, or an input that is no list of items.
    """
    model, body = read_body(request, instead="prompt")  # a stored prompt names its own
    messages = _messages(body)
    output, text = _output(body.pop("text", None))
    reasoning, beside = _reasoning(body.pop("reasoning", None))
    read, extra = read_fields(body, _FIELDS)
    extra |= {key: value for key, value in (("text", text), ("reasoning", beside)) if value is not None}
    return ModelRequest(model=model, messages=messages, output=output, reasoning=reasoning, extra=extra, **read)


def _messages(body: Wire) -> tuple[Message, ...]:
    """The conversation, taken out of the body. There may be none: a stored prompt is asked without input."""
    spelled = body.pop("input", None)
    spelled = [] if spelled is None else spelled
    if not isinstance(spelled, str) and not (
        isinstance(spelled, list) and all(isinstance(item, dict) for item in spelled)
    ):
        raise InputError("the request has no input: 'input' must be a string or a list of items")
    messages = read_input(spelled)
    if isinstance(body.get("instructions"), str):
        messages.insert(0, read_instructions(body.pop("instructions")))
    elif body.get("instructions") is None:
        body.pop("instructions", None)
    return tuple(messages)


def _output(text: Any) -> tuple[OutputFormat | None, Any]:
    """The form that an answer must have, and what stands beside it (all of it, where it is none of ours)."""
    spelled = text.get("format") if isinstance(text, dict) else None
    kind = spelled.get("type") if isinstance(spelled, dict) else None
    if not isinstance(spelled, dict) or kind not in ("json_schema", "json_object"):
        return None, text
    schema, name = spelled.get("schema"), spelled.get("name")
    read = OutputFormat()
    if kind == "json_schema":
        if not isinstance(schema, dict):
            return None, text
        description = spelled.get("description")
        read = OutputFormat(
            schema=schema,
            name=name if isinstance(name, str) and name != OUTPUT_NAME else None,
            description=description if isinstance(description, str) else None,
            strict=flag(spelled.get("strict")),
        )
    read = exact(read, spelled, write_format(read, []))
    return read, {key: value for key, value in text.items() if key != "format"} or None


def _reasoning(spelled: Any) -> tuple[str | None, Any]:
    """The effort, and what stands beside it (all of it, where there is none)."""
    effort = spelled.get("effort") if isinstance(spelled, dict) else None
    if not isinstance(effort, str):
        return None, spelled
    return effort, {key: value for key, value in spelled.items() if key != "effort"} or None


def _tools(value: Any) -> tuple[Tool, ...] | None:
    if isinstance(value, list) and all(isinstance(tool, dict) for tool in value):
        return tuple([_tool(tool) for tool in value])
    return None


def _tool(wire: Wire) -> Tool:
    """Read one entry of ``tools``; one without a name has its type for one, and one that is no function keeps it."""
    name, description = wire.get("name", wire.get("type")), wire.get("description")
    parameters = wire.get("parameters")
    kind = item_type(wire) or "function"
    read = Tool(
        provider_data={} if kind == "function" else {NAME: {"type": kind}},
        name=name if isinstance(name, str) else "",
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, dict) else None,
        strict=flag(wire.get("strict")) or None,  # off is what it is where nothing is said
    )
    return exact(read, wire, write_tool(read))


def _tool_choice(value: Any) -> ToolChoice | None:
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value)
    if isinstance(value, dict) and value.keys() == {"type", "name"} and value["type"] == "function":
        return ToolChoice(mode="tool", name=value["name"]) if isinstance(value["name"], str) else None
    return None


_FIELDS: Fields = {
    "max_output_tokens": ("max_tokens", whole),
    "stream": ("stream", flag),
    "temperature": ("temperature", number),
    "tool_choice": ("tool_choice", _tool_choice),
    "tools": ("tools", _tools),
    "top_p": ("top_p", number),
}


# Answers.


def build_response(response: Response) -> WireReply:
    """Spell a whole answer."""
    return WireReply(status=200, headers=_JSON, body=_json.encode(_answer(response)))


def _answer(response: Response) -> Wire:
    """The body of an answer: what every one must have, what is known, and what came beside it."""
    tail = (response.id or NO_ID).removeprefix("resp_")
    spelled = write_items((response.message,), [], spare_reasoning=True)
    items = [_filled(item, f"{tail}_{place}") for place, item in enumerate(spelled)]
    status, reason = _status(response)
    body: Wire = {
        "id": response.id or NO_ID,
        "created_at": response.created or 0,
        "status": status,
        "error": None,
        "incomplete_details": None if reason is None else {"reason": reason},
        "instructions": None,
        "metadata": {},
        "model": response.model,
        "output": items,
        **ECHOES,
        "temperature": None,
        "tools": [],
        "top_p": None,
        **residue_of(response),
        "usage": _usage(response, count_searches(items)),
    }
    if response.service_tier is not None and response.service_tier != usage_word(body["usage"], "service_tier"):
        body["service_tier"] = response.service_tier
    for part in response.parts:
        if isinstance(part, Reasoning) and residue_of(part).get(FIELD) == "body":
            body["reasoning"] = part.text
    return body


def _usage(response: Response, searches: int) -> Wire | None:
    """The usage; gateways say in it too where and how fast a Claude answered."""
    usage = write_usage(response.usage, searches)
    said = {"inference_geo": response.region, "speed": response.speed}
    return None if usage is None else {**usage, **{key: word for key, word in said.items() if word is not None}}


def _status(response: Response) -> tuple[str, str | None]:
    """The status, and why it is incomplete: the raw word, where it is one of this wire or none of ours."""
    raw, ours = response.finish_reason_raw, response.finish_reason
    if ours in ("stop", "tool_calls"):
        return "completed", None
    if ours in INCOMPLETE:
        return "incomplete", raw if raw is not None and REASONS.get(raw) == ours else INCOMPLETE[ours]
    if raw in (None, "incomplete"):
        return "incomplete", None
    return (raw, None) if raw in _UNFINISHED else ("incomplete", raw)


_UNFINISHED = ("queued", "in_progress", "cancelled")
"""Statuses of an answer that is none yet, or never will be."""


def _filled(item: Wire, tail: str) -> Wire:
    """An item with what every one must have, where it is spelled as one that knows nothing of this wire."""
    fields, fill = _FILLERS.get(item_type(item), (None, None))
    return fill(item, tail) if fill is not None and item.keys() == fields else item


def _fill_message(item: Wire, tail: str) -> Wire:
    content = item["content"]
    entries = [{"type": "output_text", "text": content, "annotations": []}] if isinstance(content, str) else content
    return {"id": f"msg_{tail}", "status": "completed", **item, "content": entries}


def _fill_reasoning(item: Wire, tail: str) -> Wire:
    return {"id": f"rs_{tail}", **item}


def _fill_call(item: Wire, tail: str) -> Wire:
    return {"id": f"fc_{tail}", "status": "completed", **item}


_FILLERS: dict[str, tuple[set[str], Callable[[Wire, str], Wire]]] = {
    "message": ({"type", "role", "content"}, _fill_message),
    "reasoning": ({"type", "summary"}, _fill_reasoning),
    "function_call": ({"type", "call_id", "name", "arguments"}, _fill_call),
}
"""By the type of an item, with the fields of one that has no more than our types know."""


# Streams.


def build_events(response: Response, *, piece: int | None = None) -> Iterator[bytes]:
    """Spell an answer as a stream of events; texts come in pieces of ``piece`` characters.

    The last event holds the answer whole once more. Folding the stream gives the same Response.
    """
    for at, event in enumerate(_stream_of(_answer(response), piece)):
        yield _event({**event, "sequence_number": at})


def _stream_of(answer: Wire, piece: int | None) -> Iterator[Wire]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    yield from _item_events(answer["output"], piece)
    last = "response.incomplete" if answer["status"] == "incomplete" else "response.completed"
    yield {"type": last, "response": answer}


def _event(event: Wire) -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + _json.encode(event) + b"\n\n"


def _item_events(items: list[Wire], piece: int | None) -> Iterator[Wire]:
    for place, item in enumerate(items):
        at = {"item_id": item.get("id") or f"item_{place}", "output_index": place}
        writer = _ITEM_EVENTS.get(item_type(item))
        bare, told = writer(item, at, piece) if writer else (item, [])
        yield {"type": "response.output_item.added", "output_index": place, "item": bare}
        yield from told
        yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _message_events(item: Wire, at: Wire, piece: int | None) -> tuple[Wire, list[Wire]]:
    content = item.get("content")
    if not isinstance(content, list):
        return item, []
    events: list[Wire] = []
    for index, entry in enumerate(content):
        here = {**at, "content_index": index}
        events += _entry_events(entry, here, piece) if isinstance(entry, dict) else []
    return {**item, "status": "in_progress", "content": []}, events


def _entry_events(entry: Wire, here: Wire, piece: int | None) -> Iterator[Wire]:
    """One entry of a content: it begins empty, grows and is done; one that has no text comes whole."""
    field = {"output_text": "text", "refusal": "refusal"}.get(str(entry.get("type")), "")
    text = entry.get(field)
    if not isinstance(text, str):
        yield {"type": "response.content_part.added", **here, "part": entry}
        yield {"type": "response.content_part.done", **here, "part": entry}
        return
    spoken = field == "text"
    event = "response.output_text" if spoken else "response.refusal"
    more: Wire = {"logprobs": []} if spoken else {}
    bare = {**entry, field: "", **({"annotations": [], **more} if spoken else {})}
    yield {"type": "response.content_part.added", **here, "part": bare}
    for each in in_pieces(text, piece):
        yield {"type": f"{event}.delta", **here, "delta": each, **more}
    for index, annotation in enumerate(_listed(entry.get("annotations"))):
        yield {
            "type": "response.output_text.annotation.added",
            **here,
            "annotation_index": index,
            "annotation": annotation,
        }
    if spoken:
        more = {"logprobs": entry.get("logprobs") or []}
    yield {"type": f"{event}.done", **here, field: text, **more}
    yield {"type": "response.content_part.done", **here, "part": entry}


def _reasoning_events(item: Wire, at: Wire, piece: int | None) -> tuple[Wire, list[Wire]]:
    events = [*_thought_events(item, at, piece), *_summary_events(item, at, piece)]  # thoughts first: so they are read
    return {**item, **{field: [] for field in THOUGHTS if isinstance(item.get(field), list)}}, events


def _summary_events(item: Wire, at: Wire, piece: int | None) -> Iterator[Wire]:
    for index, entry in enumerate(_listed(item.get("summary"))):
        here, text = {**at, "summary_index": index}, _text_in(entry)
        yield {"type": "response.reasoning_summary_part.added", **here, "part": {"type": "summary_text", "text": ""}}
        for each in in_pieces(text, piece):
            yield {"type": "response.reasoning_summary_text.delta", **here, "delta": each}
        yield {"type": "response.reasoning_summary_text.done", **here, "text": text}
        yield {"type": "response.reasoning_summary_part.done", **here, "part": entry}


def _thought_events(item: Wire, at: Wire, piece: int | None) -> Iterator[Wire]:
    for index, entry in enumerate(_listed(item.get("content"))):
        here, text = {**at, "content_index": index}, _text_in(entry)
        yield {"type": "response.content_part.added", **here, "part": {"type": "reasoning_text", "text": ""}}
        for each in in_pieces(text, piece):
            yield {"type": "response.reasoning_text.delta", **here, "delta": each}
        yield {"type": "response.reasoning_text.done", **here, "text": text}
        yield {"type": "response.content_part.done", **here, "part": entry}


def _call_events(item: Wire, at: Wire, piece: int | None) -> tuple[Wire, list[Wire]]:
    kind = item_type(item)
    field, text = CALLS[kind], item.get(CALLS[kind])
    event = "response.function_call_arguments" if kind == "function_call" else "response.custom_tool_call_input"
    if not isinstance(text, str):
        return item, []
    deltas: list[Wire] = [{"type": f"{event}.delta", **at, "delta": each} for each in in_pieces(text, piece)]
    return {**item, "status": "in_progress", field: ""}, [*deltas, {"type": f"{event}.done", **at, field: text}]


_ITEM_EVENTS = {
    "message": _message_events,
    "reasoning": _reasoning_events,
    **dict.fromkeys(CALLS, _call_events),
}
"""How an item begins, and the events that fill it; any other begins whole."""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text_in(entry: Any) -> str:
    text = entry.get("text") if isinstance(entry, Mapping) else None
    return text if isinstance(text, str) else ""


# Errors.


def build_stream_error(info: ErrorInfo) -> bytes:
    """Spell an error that comes inside a stream, after a 200: the error object stands in an event, as on a reply."""
    return _event({"type": "error", "sequence_number": 0, **_json.decode(build_error(info).body)})


_JSON: Headers = (("content-type", "application/json"),)
