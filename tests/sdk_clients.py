"""What the official SDKs understand, in JSON. Runs in the environment of tests/sdks.py, which has them.

Reads from standard input ``{"openai": base_url, "anthropic": base_url, "key": ..., "tools": {wire: options},
"calls": [{"name", "wire", "options"}]}``. Each call is made in every way that the SDK has for it, the model being the
call's name. Writes, for each, what the SDK's own types hold, or what it raised.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import NamedTuple

import anthropic
import openai
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


USAGE = {"stream_options": {"include_usage": True}}


# Chat Completions.


def chat_heard(completion):
    (choice,) = completion.choices
    message = choice.message
    calls = [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls or []]
    return {
        "id": completion.id,
        "model": completion.model,
        "text": message.content,
        "refusal": message.refusal,
        "reasoning": getattr(message, "reasoning_content", None),
        "calls": calls,
        "finish": choice.finish_reason,
        "usage": completion.usage.model_dump(exclude_none=True),
        "parsed": dumped(getattr(message, "parsed", None)),
        "request_id": getattr(completion, "_request_id", None),
    }


def chat_chunks(stream):
    chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    pieces = [call for delta in deltas for call in delta.tool_calls or []]
    calls = {}
    for piece in pieces:
        call = calls.setdefault(piece.index, [None, None, ""])
        call[0], call[1] = piece.id or call[0], piece.function.name or call[1]
        call[2] += piece.function.arguments or ""
    return {
        "id": chunks[0].id,
        "model": chunks[0].model,
        "text": "".join([delta.content or "" for delta in deltas]) or None,
        "refusal": "".join([delta.refusal or "" for delta in deltas]) or None,
        "reasoning": "".join([getattr(delta, "reasoning_content", None) or "" for delta in deltas]) or None,
        "calls": list(calls.values()),
        "finish": [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1],
        "usage": chunks[-1].usage.model_dump(exclude_none=True),
        "events": len(chunks),
    }


# Responses.


def response_heard(response):
    items = {kind: [item for item in response.output if item.type == kind] for kind in ("reasoning", "message")}
    content = [part for item in items["message"] for part in item.content]
    calls = [[item.call_id, item.name, item.arguments] for item in response.output if item.type == "function_call"]
    thoughts = [part.text for item in items["reasoning"] for part in [*item.summary, *(item.content or [])]]
    return {
        "id": response.id,
        "model": response.model,
        "text": response.output_text or None,
        "refusal": "".join([part.refusal for part in content if part.type == "refusal"]) or None,
        "reasoning": "".join(thoughts) or None,
        "calls": calls,
        "finish": response.status if response.status == "completed" else response.incomplete_details.reason,
        "usage": response.usage.model_dump(exclude_none=True),
        "parsed": dumped(getattr(response, "output_parsed", None)),
        "request_id": getattr(response, "_request_id", None),
    }


def responses_chunks(stream):
    events = list(stream)
    places = [event.sequence_number for event in events]
    text = "".join([event.delta for event in events if event.type == "response.output_text.delta"])
    heard = response_heard(events[-1].response)
    return {**heard, "text": text or None, "in order": places == list(range(len(events))), "events": len(events)}


# Messages.


def message_heard(message):
    blocks = {kind: [block for block in message.content if block.type == kind] for kind in ("text", "thinking")}
    calls = [[block.id, block.name, json.dumps(block.input)] for block in message.content if block.type == "tool_use"]
    return {
        "id": message.id,
        "model": message.model,
        "text": "".join([block.text for block in blocks["text"]]) or None,
        "reasoning": "".join([block.thinking for block in blocks["thinking"]]) or None,
        "calls": calls,
        "finish": message.stop_reason,
        "usage": message.usage.model_dump(exclude_none=True),
        "parsed": dumped(getattr(message, "parsed_output", None)),
        "request_id": getattr(message, "_request_id", None),
    }


def messages_chunks(stream):
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    return {
        "text": "".join([delta.text for delta in deltas if delta.type == "text_delta"]) or None,
        "reasoning": "".join([delta.thinking for delta in deltas if delta.type == "thinking_delta"]) or None,
        "finish": events[-2].delta.stop_reason,
        "events": len(events),
    }


# The ways to call.


class Wire(NamedTuple):
    """How an SDK is asked on one wire: where, what its own helpers are called, and who reads what they give."""

    resource: Callable
    form: str
    final: str
    heard: Callable
    chunks: Callable
    streaming: dict


WIRES = {
    "openai_chat": Wire(
        lambda client: client.chat.completions,
        "response_format",
        "get_final_completion",
        chat_heard,
        chat_chunks,
        USAGE,
    ),
    "openai_responses": Wire(
        lambda client: client.responses, "text_format", "get_final_response", response_heard, responses_chunks, {}
    ),
    "anthropic_messages": Wire(
        lambda client: client.messages, "output_format", "get_final_message", message_heard, messages_chunks, {}
    ),
}


def whole(wire, client, options, form):
    resource = wire.resource(client)
    return wire.heard(resource.parse(**options, **form) if form else resource.create(**options))


def stream(wire, client, options, form):
    with wire.resource(client).stream(**options, **form, **wire.streaming) as stream:
        events = [event.type for event in stream]
        return {**wire.heard(getattr(stream, wire.final)()), "events": len(events)}


def chunks(wire, client, options, _form):
    """The stream as it comes, without the SDK's own folding."""
    return wire.chunks(wire.resource(client).create(**options, **wire.streaming, stream=True))


async def async_whole(wire, client, options, form):
    resource = wire.resource(client)
    return wire.heard(await (resource.parse(**options, **form) if form else resource.create(**options)))


async def async_stream(wire, client, options, form):
    async with wire.resource(client).stream(**options, **form, **wire.streaming) as stream:
        events = [event.type async for event in stream]
        return {**wire.heard(await getattr(stream, wire.final)()), "events": len(events)}


WAYS = {
    "whole": whole,
    "stream": stream,
    "chunks": chunks,
    "async": async_whole,
    "async stream": async_stream,
}


def dumped(value):
    return None if value is None else value.model_dump()


def raised(error):
    """What an exception of an SDK says of itself."""
    fields = ("status_code", "request_id", "code", "type", "message")
    said = {name: value for name in fields if isinstance(value := getattr(error, name, None), (str, int))}
    response = getattr(error, "response", None)
    retry_after = response.headers.get("retry-after") if response is not None else None
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return {"raised": type(error).__name__, "kinds": kinds, "retry_after": retry_after, **said}


async def hear(clients, call):
    """One call in every way."""
    wire, heard = WIRES[call["wire"]], {}
    blocking, in_a_loop = clients[call["wire"]]
    options = {**call["options"], "model": call["name"]}
    form = {wire.form: Person} if options.pop("form", None) else {}
    for name, way in WAYS.items():
        try:
            found = way(wire, in_a_loop if "async" in name else blocking, options, form)
            heard[name] = await found if asyncio.iscoroutine(found) else found
        except Exception as error:  # noqa: BLE001  # whatever an SDK raises is what it understood
            heard[name] = raised(error)
    return heard


def loops(clients, options):
    """Tools in a loop, as the SDKs' own pages show it: what was answered is sent back as the SDK holds it."""
    first, second = clients["openai_chat"][0], clients["anthropic_messages"][0]
    chat, tools = first.chat.completions, options["openai_chat"]["tools"]
    turns = [{"role": "user", "content": "Weather?"}]
    asked = chat.create(model="tools", messages=turns, tools=tools).choices[0].message
    turns += [asked, *[{"role": "tool", "tool_call_id": call.id, "content": "Rain."} for call in asked.tool_calls]]
    heard = {"openai_chat": chat.create(model="loop", messages=turns, tools=tools).choices[0].message.content}

    tools = options["openai_responses"]["tools"]
    items = [{"role": "user", "content": "Weather?"}]
    items += first.responses.create(model="tools", input=items, tools=tools).output
    calls = [item for item in items[1:] if item.type == "function_call"]
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "Rain."} for call in calls]
    heard["openai_responses"] = first.responses.create(model="loop", input=items, tools=tools).output_text

    more = options["anthropic_messages"]
    turns = [{"role": "user", "content": "Weather?"}]
    asked = second.messages.create(model="tools", messages=turns, **more).content
    calls = [block for block in asked if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "Rain."} for call in calls]
    turns += [{"role": "assistant", "content": asked}, {"role": "user", "content": results}]
    heard["anthropic_messages"] = second.messages.create(model="loop", messages=turns, **more).content[0].text
    return heard


def models_heard(task):
    """The lists of models, and what an SDK that tries again makes of a wait."""
    key = task["key"]
    first = openai.OpenAI(api_key=key, base_url=task["openai"], max_retries=2)
    second = anthropic.Anthropic(api_key=key, base_url=task["anthropic"], max_retries=2)
    say = [{"role": "user", "content": "Hi"}]
    return {
        "openai": [model.id for model in first.models.list()],
        "anthropic": [model.id for model in second.models.list()],
        "openai again": first.chat.completions.create(model="again", messages=say).choices[0].message.content,
        "anthropic again": second.messages.create(model="again", messages=say, max_tokens=9).content[0].text,
    }


async def main():
    task = json.load(sys.stdin)
    settings = {"api_key": task["key"], "max_retries": 0, "timeout": 20}
    openais = [kind(base_url=task["openai"], **settings) for kind in (openai.OpenAI, openai.AsyncOpenAI)]
    anthropics = [
        kind(base_url=task["anthropic"], **settings) for kind in (anthropic.Anthropic, anthropic.AsyncAnthropic)
    ]
    clients = {"openai_chat": openais, "openai_responses": openais, "anthropic_messages": anthropics}
    heard = {f"{call['wire']} {call['name']}": await hear(clients, call) for call in task["calls"]}
    versions = {"openai": openai.__version__, "anthropic": anthropic.__version__}
    told = {"versions": versions, "models": models_heard(task), "loops": loops(clients, task["tools"]), "heard": heard}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
