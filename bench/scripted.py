"""A transport that answers at once, always the same, and keeps nothing: for what is measured around a call."""

from __future__ import annotations

from quoth import Message, Response, Usage
from quoth.dialects.openai_responses.server import build_response
from quoth.testing import Reply, ScriptedTransport
from quoth.transport import Deadline
from quoth.wire import HTTPRequest

__all__ = ["Forgetful", "answer_of"]


def answer_of(usage: Usage) -> Reply:
    """An answer over Responses that has used this."""
    said = Response(message=Message.assistant("Hello"), finish_reason="stop", model="gpt-6-luna", usage=usage)
    return Reply(body=build_response(said).body)


class Forgetful(ScriptedTransport):
    """A script that keeps nothing, so that its memory does not grow with the calls."""

    def __init__(self, answer: Usage | Reply) -> None:
        reply = answer if isinstance(answer, Reply) else answer_of(answer)
        super().__init__(lambda _: reply)

    def answer(self, request: HTTPRequest, deadline: Deadline) -> Reply:
        self.requests.clear()
        self.exchanges.clear()
        return super().answer(request, deadline)
