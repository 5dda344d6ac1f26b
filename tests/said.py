"""What the official SDKs are told, by the name of the model that they ask: the same on every wire."""

from quoth import Message, Reasoning, Response, ToolCall, Usage


def said(*parts, finish="stop", **more):
    return Response(message=Message.assistant(*parts), finish_reason=finish, model="", **more)


CALL = ToolCall(id="t1", name="weather", arguments='{"city": "Paris"}')
USAGE = Usage(input=30, cache_read=12, output=7, reasoning=5)
ANSWERS = {
    "text": said("It may — perhaps — rain. 🌧\n\n"),
    "tools": said(
        "Let me see.",
        CALL,
        ToolCall(id="t2", name="weather", arguments='{"city": "Rom — Roma"}'),
        finish="tool_calls",
    ),
    "call": said(CALL, finish="tool_calls"),
    "reasoning": said(Reasoning(text="Is it? It is."), "Yes.", usage=USAGE),
    "length": said("and so", finish="length"),
    "rich": said("understood"),
    "loop": said("It rains in both."),
}
