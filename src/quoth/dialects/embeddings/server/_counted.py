"""Bedrock's count of tokens, put into the header of an answer."""

from __future__ import annotations

from msgspec.structs import replace

from ....types import Usage
from ....wire import WireReply
from .._amazon_usage import COUNT

__all__ = ["counted_in_header"]


def counted_in_header(reply: WireReply, usage: Usage) -> WireReply:
    """The reply with what it used in its header; a number that cannot be is said as it was."""
    if usage.source == "provider":
        return replace(reply, headers=(*reply.headers, (COUNT, str(usage.total_input))))
    said = (usage.reported or {}).get(COUNT)
    return reply if said is None else replace(reply, headers=(*reply.headers, (COUNT, str(said))))
