"""The count of tokens that Bedrock states in a header of every answer to InvokeModel."""

from __future__ import annotations

from ...types import Usage
from ...wire import WireReply
from ._vectors import input_usage

__all__ = ["COUNT", "header_usage"]

COUNT = "x-amzn-bedrock-input-token-count"


def header_usage(reply: WireReply) -> Usage:
    """What the header says; never raises, whatever it is."""
    said = next((value for name, value in reply.headers if name.lower() == COUNT), None)
    tokens = int(said) if said is not None and said.isascii() and said.isdecimal() and len(said) < 16 else said
    return input_usage(tokens, None if said is None else {COUNT: tokens})
