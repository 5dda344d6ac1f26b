"""A chat: a conversation that remembers, with its tools executed; it can be kept, forked, and go on with another model.

A turn is one run (``_run``). Its messages join the history when it has ended well; a turn that fails, is cut or
abandoned leaves the history as it was, and what it cost is counted all the same.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeAlias, Unpack

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ._money import CostTotal, Usage
from ._options import RunOptions, hide_key
from ._prompt import Prompt, conversation
from ._run import Run, by_name, limits_of
from ._running import AsyncRunStream, Bound, Runner, RunStream, arun, make_runner, run
from .errors import InputError, InputTypeError, QuothError
from .types import Audio, Image, Message, Response, ToolCall

__all__ = ["AsyncChat", "Chat", "SavedChat", "Trim", "read_saved"]

SCHEMA = 1
"""The version of a saved chat; it goes up when a field changes its meaning."""

Trim: TypeAlias = int | Callable[[tuple[Message, ...]], Sequence[Message]]
"""How many turns are sent at most, the latest; or a function that gives the messages to send."""


class SavedChat(Struct, frozen=True, kw_only=True):
    """A chat as it is kept: JSON with a version. No key, no function."""

    schema: int
    model: str
    system: str | None = None
    messages: tuple[Message, ...]
    known_usd: str = "0"
    calls: int = 0
    unknown_costs: int = 0
    usage: Usage = Usage()


class Chat:
    """A conversation with a memory: ``chat = models.chat("gpt-6-sol", system="..."); chat("Hi"); chat("And then?")``.

    One turn at a time. ``aio`` has the same verbs for asyncio.
    """

    __slots__ = ("_binding", "_busy", "_cost", "_last", "_limits", "_messages", "_trim", "_usage")

    def __init__(
        self,
        binding: Bound,
        options: Mapping[str, Any],
        *,
        messages: Prompt | None = None,
        trim: Trim | None = None,
    ) -> None:
        hide_key(options)
        self._limits, rest = limits_of(options)
        self._binding = binding.over(rest) if rest else binding
        by_name(self._binding.tools)
        self._trim = _checked_trim(trim)
        self._messages: tuple[Message, ...] = conversation(messages) if messages else ()
        self._cost = CostTotal()
        self._usage = Usage()
        self._last: Run | None = None
        self._busy = allocate_lock()

    # Turns.

    def __call__(self, prompt: Prompt, **options: Unpack[RunOptions]) -> Response:
        """Say something and give the answer, after all tools that it asked for.

        Takes the options of a call and of a run, over those of the chat, for this turn. Raises what a call and a run
        raise; the history is then as it was, and ``run`` of the error has what was done.
        """
        turn = self._turn(prompt, options)
        turn.begin()
        try:
            done = run(turn.runner)
        except BaseException as error:
            turn.left(error)
            raise
        return turn.ended(done).response

    def stream(self, prompt: Prompt, **options: Unpack[RunOptions]) -> RunStream:
        """As a call, piece by piece. The turn joins the history when the stream is read to its end."""
        turn = self._turn(prompt, options)
        return RunStream(turn.runner, turn)

    @property
    def aio(self) -> AsyncChat:
        """The same verbs for asyncio."""
        return AsyncChat(self)

    def _turn(self, prompt: Prompt, options: Mapping[str, Any]) -> _Turn:
        binding, limits = self._binding, self._limits
        if options:
            hide_key(options)
            limits, rest = limits_of(options, limits)
            binding = binding.over(rest) if rest else binding
        begun = (*self._messages, *conversation(prompt))
        sent = None if self._trim is None else _trimmed(begun, self._trim)
        return _Turn(self, make_runner(binding, limits, begun, sent))

    # What was said.

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation, without the system text."""
        return self._messages

    @property
    def cost(self) -> CostTotal:
        """What all turns cost so far, those that failed included; exact, an unknown cost counted."""
        return self._cost

    @property
    def usage(self) -> Usage:
        """What all turns used so far."""
        return self._usage

    @property
    def run(self) -> Run | None:
        """The last turn that ended well: its answers and the tools that were executed."""
        return self._last

    @property
    def model(self) -> str:
        """The canonical id of the model that is asked."""
        return self._binding.id

    def fork(self) -> Chat:
        """Another chat that begins with what was said here. What each says from now on, the other does not know."""
        other = Chat(self._binding, {}, trim=self._trim)
        other._limits = self._limits
        other._messages, other._cost, other._usage, other._last = self._messages, self._cost, self._usage, self._last
        return other

    def switch(self, model: str, **options: Unpack[RunOptions]) -> tuple[str, ...]:
        """Go on with another model and the chat's options; give what of the conversation it will not see, in words.

        The history stays whole: going back, the first model has all of its own again. A key, a base URL, a dialect,
        headers, fallbacks and a price belong to the model that they were given for, and are not taken along.
        """
        hide_key(options)
        limits, rest = limits_of(options, self._limits)
        self._binding, self._limits = self._binding.to(model).over(rest), limits
        return _left_behind(self._messages, self._binding)

    # Keeping it.

    def to_json(self) -> str:
        """The chat as JSON, without loss: model, system text, messages with what providers need back, cost, usage."""
        cost = self._cost
        saved = SavedChat(
            schema=SCHEMA,
            model=self.model,
            system=self._binding.system,
            messages=self._messages,
            known_usd=f"{cost.known_usd:f}",
            calls=cost.calls,
            unknown_costs=cost.unknown_costs,
            usage=replace(self._usage, reported=None),
        )
        from . import _json

        return _json.encode(msgspec.to_builtins(saved)).decode()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the chat to a file that only its owner can read; whole or not at all."""
        target = os.fspath(path)
        beside = f"{target}.{os.getpid()}.new"
        try:
            if os.path.lexists(beside):  # left by a process of the same number; or put there, to be written through
                os.unlink(beside)  # noqa: PTH108
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(self.to_json())
            os.replace(beside, target)  # noqa: PTH105  # pathlib costs start-up time, and no more than this is needed
        except BaseException:
            if os.path.exists(beside):  # noqa: PTH110
                os.unlink(beside)  # noqa: PTH108
            raise

    def restore(self, saved: SavedChat) -> Self:
        """Take the history and the sums of a saved chat."""
        from decimal import Decimal

        self._messages = saved.messages
        self._cost = CostTotal(known_usd=Decimal(saved.known_usd), calls=saved.calls, unknown_costs=saved.unknown_costs)
        self._usage = saved.usage
        return self

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        return f"Chat({self.model!r}, {len(self._messages)} messages, {self._cost})"


class _Turn:
    """One turn of a chat: it holds the chat while it is under way, and joins its history at a good end."""

    __slots__ = ("_begun", "_chat", "runner")

    def __init__(self, chat: Chat, runner: Runner) -> None:
        self._chat = chat
        self._begun = False
        self.runner = runner

    def begin(self) -> None:
        chat = self._chat
        if not chat._busy.acquire(blocking=False):  # noqa: SLF001  # the other half of a chat
            raise InputError("this chat is in the middle of a turn: one at a time; chat.fork() makes another")
        self._begun = True

    def ended(self, done: Run) -> Run:
        chat = self._chat
        chat._messages, chat._last = done.messages, done  # noqa: SLF001  # as above
        self._count(done.cost, done.usage)
        self._release()
        return done

    def left(self, error: BaseException | None, done: Run | None = None, *, sent: bool = False) -> None:
        """The turn has failed, or was given up; what its answers cost is counted."""
        if not self._begun:
            return
        if isinstance(error, QuothError):
            done, sent = error.run, error.billed != "no"
        if done is not None:
            self._count(done.cost, done.usage)
        if sent:
            self._count(CostTotal(calls=1, unknown_costs=1), Usage(source="missing"))
        self._release()

    def _count(self, cost: CostTotal, usage: Usage) -> None:
        chat = self._chat
        chat._cost += cost  # noqa: SLF001  # as above
        chat._usage += usage  # noqa: SLF001

    def _release(self) -> None:
        self._begun = False
        self._chat._busy.release()  # noqa: SLF001  # as above


class AsyncChat:
    """A Chat for asyncio: ``await chat.aio("Hi")``, ``async for piece in chat.aio.stream("Hi")``. The same history."""

    __slots__ = ("chat",)

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    async def __call__(self, prompt: Prompt, **options: Unpack[RunOptions]) -> Response:
        """Say something and give the answer, after all tools that it asked for."""
        turn = self.chat._turn(prompt, options)  # noqa: SLF001  # the other half of one class
        turn.begin()
        try:
            done = await arun(turn.runner)
        except BaseException as error:
            turn.left(error)
            raise
        return turn.ended(done).response

    def stream(self, prompt: Prompt, **options: Unpack[RunOptions]) -> AsyncRunStream:
        """As a call, piece by piece. The turn joins the history when the stream is read to its end."""
        turn = self.chat._turn(prompt, options)  # noqa: SLF001  # as above
        return AsyncRunStream(turn.runner, turn)

    def __repr__(self) -> str:
        return f"{self.chat!r}.aio"


# Trimming.


def _checked_trim(trim: Trim | None) -> Trim | None:
    if trim is None or callable(trim):
        return trim
    given: object = trim
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise InputError(f"trim is how many turns are sent at most, or a function of the messages, not {trim!r}")
    return trim


def _trimmed(messages: tuple[Message, ...], trim: Trim) -> tuple[Message, ...]:
    """The messages to send. A turn begins with what the user says: no tool's result is sent without its call."""
    if callable(trim):
        kept = tuple(trim(messages))
        if not all(isinstance(message, Message) for message in kept) or not kept:
            raise InputTypeError("trim must give the messages to send, at least one")
        return kept
    system = tuple([message for message in messages if message.role == "system"])
    spoken = [message for message in messages if message.role != "system"]
    begins = [index for index in range(len(spoken)) if _begins_turn(spoken, index)]
    start = begins[-trim] if len(begins) > trim else 0
    return system + tuple(spoken[start:])


def _begins_turn(messages: Sequence[Message], index: int) -> bool:
    return messages[index].role == "user" and (index == 0 or messages[index - 1].role != "user")


# Another model.


def _left_behind(messages: Iterable[Message], binding: Bound) -> tuple[str, ...]:
    """What of a conversation this model will not see as it was, in words."""
    provider, model = binding.provider, binding.id
    kept: dict[str, int] = {}
    media: dict[str, int] = {}
    for message in messages:
        for part in message.parts:
            for dialect in part.provider_data:
                if dialect not in provider.dialects:
                    kept[dialect] = kept.get(dialect, 0) + 1
            word = _MEDIA.get(type(part))
            if word in provider.denied:
                media[word] = media.get(word, 0) + 1
    notes = [
        f"{count} parts carry state of {dialect} (reasoning, signatures, marks), which {model} is not sent"
        for dialect, count in kept.items()
    ]
    notes += [f"{count} parts need {word}, which {model} cannot do as far as is known" for word, count in media.items()]
    return tuple(notes)


_MEDIA: Mapping[type, str] = {Image: "image", Audio: "audio", ToolCall: "tools"}


def read_saved(saved: str | os.PathLike[str]) -> SavedChat:
    """A saved chat, from its file or its text. Raises InputError where it is none, or of a later version."""
    if isinstance(saved, str) and saved.lstrip().startswith("{"):
        text = saved.encode("utf-8", "surrogatepass")
    else:
        try:
            with open(saved, "rb") as file:  # noqa: PTH123  # as in save
                text = file.read()
        except OSError as error:
            raise InputError(f"the saved chat {os.fspath(saved)!r} cannot be read: {error.strerror}") from None
    try:
        schema = msgspec.json.decode(text, type=_Head).schema
        if schema > SCHEMA:
            raise InputError(
                f"this chat was saved by a later version of quoth: its schema is {schema}, this one reads {SCHEMA}"
            )
        return msgspec.json.decode(text, type=SavedChat)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"this is no saved chat: {error}") from None


class _Head(Struct, frozen=True):
    schema: int
