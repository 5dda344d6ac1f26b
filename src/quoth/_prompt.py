"""What a user may pass as a prompt, and the conversation that it means.

A ``str``, a part, or a list of strings and parts is one user turn. A Message, a list of Messages, or of dicts
in OpenAI's form, is a conversation. A mixture of both is a mistake that no rule could resolve: a TypeError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .errors import InputError, InputTypeError
from .types import Audio, Document, Image, Message, Part, Reasoning, Refusal, Response, Text, ToolCall, ToolResult

__all__ = ["Prompt", "conversation"]

Prompt: TypeAlias = str | Part | Message | Sequence[str | Part | Message | Mapping[str, Any]]
"""One Sequence, not two: type checkers cannot choose between lists by their items. Mixtures are refused below."""

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""The roles of OpenAI's form."""

_PARTS = (Text, Image, Audio, Document, Reasoning, Refusal, ToolCall, ToolResult)


def conversation(prompt: Prompt, system: str | None = None) -> tuple[Message, ...]:
    """The messages that a prompt means, the system message first; raise InputError or InputTypeError."""
    messages = _messages(prompt)
    return (Message.system(system), *messages) if system else messages


def _messages(prompt: Any) -> tuple[Message, ...]:
    if isinstance(prompt, str):
        if not prompt or prompt.isspace():
            raise _empty()
        return (Message(role="user", parts=(Text(text=prompt),)),)
    if isinstance(prompt, Message):
        return (_checked(prompt),)
    if isinstance(prompt, _PARTS):
        return (_turn((prompt,)),)
    if isinstance(prompt, (list, tuple)):
        return _from_list(prompt)
    raise _wrong_type(prompt)


def _from_list(items: Sequence[Any]) -> tuple[Message, ...]:
    if not items:
        raise InputError("the prompt is an empty list: pass a str, a list of strings and parts, or messages")
    spoken = [isinstance(item, (Message, Mapping)) for item in items]
    if all(spoken):
        return tuple([_checked(item if isinstance(item, Message) else _from_dict(item)) for item in items])
    for item in items:
        if not isinstance(item, (str, Message, Mapping, *_PARTS)):
            raise _wrong_type(item)
    if any(spoken):
        raise InputTypeError(
            "the prompt mixes messages with strings or parts: pass one turn (strings and parts) "
            "or a conversation (messages only; Message.user('...') makes one)"
        )
    return (_turn(items),)


def _turn(content: Sequence[str | Part]) -> Message:
    message = Message.user(*content)
    if not any(not isinstance(part, Text) or part.text.strip() for part in message.parts):
        raise _empty()
    return _checked(message)


def _checked(message: Message) -> Message:
    """The message. Raises InputError where what should be a URL is none, but a path, say."""
    for part in message.parts:
        if part.__class__ is Text:  # mostly
            continue
        for each in part.parts if isinstance(part, ToolResult) else (part,):
            if isinstance(each, (Image, Document)) and each.url is not None:
                from ._media import check_url

                check_url(each.url, type(each).__name__)
    return message


def _empty() -> InputError:
    return InputError("the prompt is empty: there is nothing to answer")


def _from_dict(message: Mapping[str, Any]) -> Message:
    from .dialects.openai_chat.server import parse_message

    if not all(isinstance(key, str) for key in message):
        raise InputTypeError("a message given as a dict has keys that are no text")
    if message.get("role") not in _ROLES:
        raise InputError(
            f"a message given as a dict needs a role ({', '.join(_ROLES)}), not {message.get('role')!r}: "
            "{'role': 'user', 'content': '...'}"
        )
    return parse_message(message)


def _wrong_type(value: object) -> InputTypeError:
    if isinstance(value, Response):
        return InputTypeError(
            "a Response is no prompt: put its .message into the conversation, or its .text into a turn"
        )
    if isinstance(value, (bytes, bytearray)):
        return InputTypeError("bytes are no prompt: decode text, or wrap a picture as Image(data=..., media_type=...)")
    return InputTypeError(f"a prompt is a str, a part, a Message, or a list of them, not {type(value).__name__}")
