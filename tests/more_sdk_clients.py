"""What the SDKs of Google, Ollama, Cohere and AWS understand, in JSON. Runs in the environment of tests/sdks.py.

``python more_sdk_clients.py NAME`` reads ``{"url", "key", "names": [...], "asked": {name: options}}`` from standard
input. Each name is the model that is asked, in every way that the SDK has; it writes, for each, what the SDK's own
types hold, or what it raised. Last it makes a tool go round.
"""

import asyncio
import inspect
import json
import sys
from importlib.metadata import version
from typing import NamedTuple


class SDK(NamedTuple):
    """An SDK: the distribution it comes in, its ways to call by name, its tools in a loop, and its list of models."""

    package: str
    ways: dict
    loop: object
    models: object = None


def heard(text, calls, finish, **more):
    return {"text": text or None, "calls": calls, "finish": finish, **more}


def joined(pieces):
    return "".join([piece for piece in pieces if piece])


# Google: google-genai.


def google_clients(task):
    from google import genai
    from google.oauth2.credentials import Credentials

    options = {"base_url": task["url"], "timeout": 20_000, "retry_options": {"attempts": 1}}
    studio = genai.Client(api_key=task["key"], http_options=options)
    cloud = genai.Client(
        enterprise=True,
        project="some-project",
        location="europe-west4",
        credentials=Credentials(token=task["key"]),
        http_options=options,
    )
    return studio, cloud


def google_heard(answers):
    """One answer, or the chunks of a stream."""
    said = [part for answer in answers for part in (answer.candidates[0].content.parts or ())]
    usage = [answer.usage_metadata for answer in answers if answer.usage_metadata][-1]
    finish = [answer.candidates[0].finish_reason for answer in answers if answer.candidates[0].finish_reason][-1]
    calls = [part.function_call for part in said if part.function_call]
    return heard(
        joined([part.text for part in said if not part.thought]),
        [[call.name, call.args] for call in calls],
        finish.name,
        reasoning=joined([part.text for part in said if part.thought]),
        id=answers[-1].response_id,
        model=answers[-1].model_version,
        usage=usage.model_dump(exclude_none=True),
        events=len(answers),
    )


def google_whole(client, model, options):
    return google_heard([client.models.generate_content(model=model, **options)])


def google_stream(client, model, options):
    return google_heard(list(client.models.generate_content_stream(model=model, **options)))


async def google_async(client, model, options):
    return google_heard([await client.aio.models.generate_content(model=model, **options)])


async def google_async_stream(client, model, options):
    stream = await client.aio.models.generate_content_stream(model=model, **options)
    return google_heard([chunk async for chunk in stream])


def google_loop(clients, options):
    from google.genai import types

    ask = clients[0].models.generate_content
    turns = [types.Content(role="user", parts=[types.Part(text="Weather?")])]
    answer = ask(model="tools", contents=turns, config=options["config"])
    results = [
        types.Part.from_function_response(name=call.name, response={"output": "Rain."})
        for call in answer.function_calls
    ]
    turns += [answer.candidates[0].content, types.Content(role="user", parts=results)]
    return ask(model="loop", contents=turns, config=options["config"]).text


GOOGLE = SDK(
    "google-genai",
    {
        "whole": lambda clients, *asked: google_whole(clients[0], *asked),
        "stream": lambda clients, *asked: google_stream(clients[0], *asked),
        "async": lambda clients, *asked: google_async(clients[0], *asked),
        "async stream": lambda clients, *asked: google_async_stream(clients[0], *asked),
        "vertex": lambda clients, *asked: google_whole(clients[1], *asked),
        "vertex stream": lambda clients, *asked: google_stream(clients[1], *asked),
    },
    google_loop,
    lambda clients: [model.name for model in clients[0].models.list()],
)


# Ollama.


def ollama_clients(task):
    import ollama

    return ollama.Client(host=task["url"], timeout=20), ollama.AsyncClient(host=task["url"], timeout=20)


def ollama_heard(answers):
    calls = [call for answer in answers for call in answer.message.tool_calls or ()]
    last = answers[-1]
    return heard(
        joined([answer.message.content for answer in answers]),
        [[call.function.name, dict(call.function.arguments)] for call in calls],
        last.done_reason,
        reasoning=joined([answer.message.thinking for answer in answers]),
        model=last.model,
        usage={"prompt_eval_count": last.prompt_eval_count, "eval_count": last.eval_count},
        events=len(answers),
    )


async def ollama_async(clients, model, options):
    return ollama_heard([await clients[1].chat(model, **options)])


async def ollama_async_stream(clients, model, options):
    return ollama_heard([chunk async for chunk in await clients[1].chat(model, stream=True, **options)])


def ollama_loop(clients, options):
    ask = clients[0].chat
    turns = [{"role": "user", "content": "Weather?"}]
    answer = ask("tools", turns, tools=options["tools"]).message
    calls = answer.tool_calls
    turns += [answer, *[{"role": "tool", "tool_name": call.function.name, "content": "Rain."} for call in calls]]
    return ask("loop", turns, tools=options["tools"]).message.content


OLLAMA = SDK(
    "ollama",
    {
        "whole": lambda clients, model, options: ollama_heard([clients[0].chat(model, **options)]),
        "stream": lambda clients, model, options: ollama_heard(list(clients[0].chat(model, stream=True, **options))),
        "async": ollama_async,
        "async stream": ollama_async_stream,
    },
    ollama_loop,
)


# Cohere.


def cohere_clients(task):
    import cohere

    settings = {"base_url": task["url"], "timeout": 20, "max_retries": 0, "log_warning_experimental_features": False}
    return cohere.ClientV2(task["key"], **settings), cohere.AsyncClientV2(task["key"], **settings)


def cohere_heard(answer):
    content = answer.message.content or []
    calls = answer.message.tool_calls or []
    return heard(
        joined([block.text for block in content if block.type == "text"]),
        [[call.function.name, json.loads(call.function.arguments)] for call in calls],
        answer.finish_reason,
        reasoning=joined([block.thinking for block in content if block.type == "thinking"]),
        id=answer.id,
        ids=[call.id for call in calls],
        usage=answer.usage.model_dump(exclude_none=True),
    )


def cohere_chunks(events):
    texts, thoughts, calls = [], [], []
    for event in events:
        if event.type == "content-delta":
            content = event.delta.message.content
            texts.append(content.text)
            thoughts.append(getattr(content, "thinking", None))
        elif event.type == "tool-call-start":
            call = event.delta.message.tool_calls
            calls.append([call.id, call.function.name, call.function.arguments or ""])
        elif event.type == "tool-call-delta":
            calls[-1][2] += event.delta.message.tool_calls.function.arguments or ""
    end = events[-1].delta
    return heard(
        joined(texts),
        [[name, json.loads(arguments)] for _, name, arguments in calls],
        end.finish_reason,
        reasoning=joined(thoughts),
        id=events[0].id,
        ids=[id_ for id_, _, _ in calls],
        usage=end.usage.model_dump(exclude_none=True),
        events=len(events),
    )


async def cohere_async(clients, model, options):
    return cohere_heard(await clients[1].chat(model=model, **options))


async def cohere_async_stream(clients, model, options):
    return cohere_chunks([event async for event in clients[1].chat_stream(model=model, **options)])


def cohere_loop(clients, options):
    ask, tools = clients[0].chat, options["tools"]
    turns = [{"role": "user", "content": "Weather?"}]
    answer = ask(model="tools", messages=turns, tools=tools).message
    turns += [answer, *[{"role": "tool", "tool_call_id": call.id, "content": "Rain."} for call in answer.tool_calls]]
    return ask(model="loop", messages=turns, tools=tools).message.content[0].text


COHERE = SDK(
    "cohere",
    {
        "whole": lambda clients, model, options: cohere_heard(clients[0].chat(model=model, **options)),
        "stream": lambda clients, model, options: cohere_chunks(list(clients[0].chat_stream(model=model, **options))),
        "async": cohere_async,
        "async stream": cohere_async_stream,
    },
    cohere_loop,
)


# AWS: botocore's client of bedrock-runtime. It checks what it is sent against the service's own model of it.


def aws_clients(task):
    import botocore.session
    from botocore.config import Config

    session = botocore.session.get_session()
    return session.create_client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=task["url"],
        aws_access_key_id="AKIA",
        aws_secret_access_key=task["key"],
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


def converse_heard(answer):
    content = answer["output"]["message"]["content"]
    calls = [block["toolUse"] for block in content if "toolUse" in block]
    thoughts = [block["reasoningContent"]["reasoningText"]["text"] for block in content if "reasoningContent" in block]
    return heard(
        joined([block.get("text") for block in content]),
        [[call["name"], call["input"]] for call in calls],
        answer["stopReason"],
        reasoning=joined(thoughts),
        ids=[call["toolUseId"] for call in calls],
        usage=answer["usage"],
        request_id=answer["ResponseMetadata"].get("RequestId"),
    )


def converse_stream(client, model, options):
    events = list(client.converse_stream(modelId=model, **options)["stream"])
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    calls = []
    for event in events:
        if "toolUse" in event.get("contentBlockStart", {}).get("start", {}):
            begun = event["contentBlockStart"]["start"]["toolUse"]
            calls.append([begun["toolUseId"], begun["name"], ""])
        if piece := event.get("contentBlockDelta", {}).get("delta", {}).get("toolUse"):
            calls[-1][2] += piece["input"]
    return heard(
        joined([delta.get("text") for delta in deltas]),
        [[name, json.loads(arguments or "{}")] for _, name, arguments in calls],
        next(event["messageStop"]["stopReason"] for event in events if "messageStop" in event),
        reasoning=joined([delta.get("reasoningContent", {}).get("text") for delta in deltas]),
        ids=[id_ for id_, _, _ in calls],
        usage=next(event["metadata"]["usage"] for event in events if "metadata" in event),
        events=len(events),
    )


def aws_loop(client, options):
    tools = options["toolConfig"]
    turns = [{"role": "user", "content": [{"text": "Weather?"}]}]
    answer = client.converse(modelId="tools", messages=turns, toolConfig=tools)["output"]["message"]
    calls = [block["toolUse"] for block in answer["content"] if "toolUse" in block]
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "Rain."}]}} for call in calls]
    turns += [answer, {"role": "user", "content": results}]
    (block,) = client.converse(modelId="loop", messages=turns, toolConfig=tools)["output"]["message"]["content"]
    return block["text"]


AWS = SDK(
    "botocore",
    {
        "whole": lambda client, model, options: converse_heard(client.converse(modelId=model, **options)),
        "stream": converse_stream,
    },
    aws_loop,
)

SDKS = {
    "google": (GOOGLE, google_clients),
    "ollama": (OLLAMA, ollama_clients),
    "cohere": (COHERE, cohere_clients),
    "aws": (AWS, aws_clients),
}


def raised(error):
    """What an exception of an SDK says of itself."""
    fields = ("status_code", "code", "status", "message", "error", "body")
    said = {name: value for name in fields if isinstance(value := getattr(error, name, None), (str, int, dict))}
    return {
        "raised": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "words": str(error),
        **said,
    }


def with_bytes(value):
    """Options with their bytes: JSON has none."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else {k: with_bytes(v) for k, v in value.items()}
    return [with_bytes(each) for each in value] if isinstance(value, list) else value


async def hear(way, clients, name, options):
    try:
        found = way(clients, name, options)
        return await found if inspect.isawaitable(found) else found
    except Exception as error:  # noqa: BLE001  # whatever an SDK raises is what it understood
        return raised(error)


async def main():
    sdk, make = SDKS[sys.argv[1]]
    task = json.load(sys.stdin)
    clients, asked = make(task), with_bytes(task["asked"])
    told = {
        name: {way: await hear(call, clients, name, asked[name]) for way, call in sdk.ways.items()}
        for name in task["names"]
    }
    models = sdk.models(clients) if sdk.models else None
    loop = sdk.loop(clients, asked["tools"])
    json.dump({"version": version(sdk.package), "heard": told, "loop": loop, "models": models}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
