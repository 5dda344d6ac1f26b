"""A whole reply: the JSON that it is, and the error where it is no answer."""

from __future__ import annotations

from typing import Any

from .. import _json
from ..errors import ResponseParseError
from ..wire import WireReply
from ._errors import request_id
from ._kept import Wire
from ._streams import BODY_LIMIT

__all__ = ["Replies"]


class Replies:
    """The replies of one wire; ``what`` says in errors what one of them is not: "the reply is no message"."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def refused(self, reply: WireReply, why: str) -> ResponseParseError:
        """The error of a reply that is no answer; ``body`` holds its first 2,000 bytes."""
        return ResponseParseError(
            f"{self.what}: {why}",
            status=reply.status,
            request_id=request_id(reply.headers),
            body=reply.body[:BODY_LIMIT],
        )

    def decoded(self, reply: WireReply) -> Any:
        """Its JSON. Raises ResponseParseError where it is none."""
        try:
            return _json.decode(reply.body)
        except ValueError:
            raise self.refused(reply, "it is no JSON") from None

    def object_of(self, reply: WireReply) -> Wire:
        """Its JSON object. Raises ResponseParseError where it is none."""
        answer = self.decoded(reply)
        if not isinstance(answer, dict):
            raise self.refused(reply, "its JSON is no object")
        return answer
