"""A run: a model that is asked, its tools executed, and asked again with what they gave, until it is done.

The rules stand once, in ``rounds``, a generator that yields what is to be done (``Ask``, ``Execute``) and is sent back
what came of it; blocking, asyncio and streamed runs differ in who does it. Every answer is a call of its own on the
record, and all of a run have the run's id as their parent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ._executing import Approve, ToolRun
from ._money import CostTotal, Usage
from ._tools import Executable
from .errors import InputError, InputTypeError, QuothError, RunLimitError
from .transport import Deadline
from .types import Message, Response, Tool, ToolCall

__all__ = ["RUN_OPTIONS", "Ask", "Execute", "Limits", "Progress", "Run", "Work", "by_name", "limits_of", "rounds"]


class Run(Struct, frozen=True, kw_only=True, gc=False):
    """What came of a run. ``str(run)`` is the text of its last answer.

    ``messages`` is the conversation as it stands now, with all that was asked and answered; ``responses`` are the
    answers of its rounds, ``calls`` the tools that were executed. ``pending`` are the calls of an answer in which a
    tool was asked for that was only declared: they are yours to execute.
    """

    id: str
    messages: tuple[Message, ...]
    responses: tuple[Response, ...] = ()
    calls: tuple[ToolRun, ...] = ()
    pending: tuple[ToolCall, ...] = ()

    @property
    def response(self) -> Response:
        """The last answer. Raises InputError where there is none: the run failed in its first round."""
        if not self.responses:
            raise InputError("this run has no answer: it failed in its first round")
        return self.responses[-1]

    @property
    def text(self) -> str:
        """The text of the last answer."""
        return self.response.text

    @property
    def parsed(self) -> Any:
        """What the last answer is as the type of ``output=``; see ``Response.parsed``."""
        return self.response.parsed

    @property
    def cost(self) -> CostTotal:
        """What all its answers cost, exact; an unknown cost is counted, never added as zero."""
        total = CostTotal()
        for response in self.responses:
            total += CostTotal.of(response.cost)
        return total

    @property
    def usage(self) -> Usage:
        """What all its answers used, by bucket; ``missing`` or ``suspect`` where one of them is."""
        return sum((response.usage for response in self.responses), Usage())

    def __str__(self) -> str:
        return self.text if self.responses else ""


class Limits(Struct, frozen=True, kw_only=True, gc=False):
    """How far a run may go. See docs/tools.md."""

    max_rounds: int = 8
    """How often the model is asked."""
    max_seconds: float | None = None
    """For the whole run, tools included."""
    max_cost: Decimal | None = None
    """In US dollars: no further round begins when this much is spent, or where what was spent is unknown."""
    tool_timeout: float | None = None
    """Seconds for each call of a tool that has no time limit of its own."""
    approve: Approve | None = None


class Ask(Struct, frozen=True, gc=False):
    """Ask the model this; the outcome is its Response."""

    messages: tuple[Message, ...]
    first: bool
    seconds: float | None
    """The most that it may take, where the run is limited."""


class Execute(Struct, frozen=True, gc=False):
    """Execute these; the outcome is a list of ToolRun in their order."""

    calls: tuple[ToolCall, ...]
    number: int
    seconds: float | None


PAUSED = frozenset({"pause_turn"})
"""What is said where the provider's own tools take long, and the model goes on when it is sent what it has said so
far: Anthropic's word (its page on handling stop reasons).
"""

Work: TypeAlias = Ask | Execute
Rounds: TypeAlias = Generator[Work, Any, Run]


class Progress:
    """What a run has done so far."""

    __slots__ = ("calls", "deadline", "id", "limits", "messages", "responses")

    def __init__(self, id_: str, messages: tuple[Message, ...], limits: Limits) -> None:
        self.id = id_
        self.messages = messages
        self.limits = limits
        self.responses: list[Response] = []
        self.calls: list[ToolRun] = []
        self.deadline = None if limits.max_seconds is None else Deadline(limits.max_seconds)

    def run(self, pending: tuple[ToolCall, ...] = ()) -> Run:
        return Run(
            id=self.id,
            messages=self.messages,
            responses=tuple(self.responses),
            calls=tuple(self.calls),
            pending=pending,
        )

    def seconds(self) -> float | None:
        """What is left of the run's time."""
        return None if self.deadline is None else self.deadline.remaining()

    def check(self) -> None:
        """Raise RunLimitError where no further round may begin."""
        limits, left, asked = self.limits, self.seconds(), len(self.responses)
        if asked >= limits.max_rounds:
            raise self.stopped(f"the model still asks for tools after {asked} rounds (max_rounds={limits.max_rounds})")
        if left is not None and left <= 0:
            raise self.stopped(f"the run has taken its {limits.max_seconds:g} s (max_seconds) in {asked} rounds")
        if limits.max_cost is None:
            return
        cost = self.run().cost
        if cost.usd is None:
            raise self.stopped(
                f"the run has a max_cost of ${limits.max_cost}, and what a round cost is unknown: "
                f"{self.responses[-1].cost.reason or 'see response.cost'}; models.register_price states a price"
            )
        if cost.usd >= limits.max_cost:
            raise self.stopped(f"the run has cost {cost} of its ${limits.max_cost} (max_cost) in {asked} rounds")

    def stopped(self, why: str) -> RunLimitError:
        return RunLimitError(f"{why}; what it did is in .run")


def rounds(progress: Progress, tools: Mapping[str, Tool]) -> Rounds:
    """The rounds of a run, to be driven. An error on the way has what was done until then in its ``run``.

    A run ends with the first answer that asks for no tool, or for one that was only declared: its calls are the
    program's to execute. Then none of that answer's calls is executed, because all their results go back together.
    """
    try:
        while True:
            response: Response = yield Ask(progress.messages, not progress.responses, progress.seconds())
            progress.responses.append(response)
            progress.messages += (response.message,)
            calls = response.tool_calls
            if not calls and response.finish_reason_raw in PAUSED:
                progress.check()
                continue
            if not calls or any(_is_declared(tools.get(call.name)) for call in calls):
                return progress.run(pending=calls)
            progress.check()
            done: list[ToolRun] = yield Execute(calls, len(progress.responses), progress.seconds())
            progress.calls += done
            progress.messages += tuple([Message(role="tool", parts=(each.result,)) for each in done])
            progress.check()
    except QuothError as error:
        error.run = progress.run()
        raise


def _is_declared(tool: Tool | None) -> bool:
    """Whether it is a tool that only the program itself can execute."""
    return tool is not None and not isinstance(tool, Executable)


# What a user passes.


def by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """The tools of a run. Raises InputError for two of one name."""
    found: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in found:
            raise InputError(f"tools: two are called {tool.name!r}; FunctionTool(function, name=...) renames one")
        found[tool.name] = tool
    return found


def _max_rounds(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"max_rounds is a whole number of at least 1, not {value!r}")
    return value


def _seconds(name: str) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
            raise InputError(f"{name} is a number of seconds above 0, not {value!r}")
        return float(value)

    return check


def _max_cost(value: Any) -> Decimal:
    try:
        amount = Decimal(value) if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool) else None
    except ArithmeticError:
        amount = None
    if amount is None or not amount.is_finite() or amount <= 0:
        raise InputError(f"max_cost is an amount in US dollars above 0, as text or Decimal: '0.50', not {value!r}")
    return amount


def _approve(value: Any) -> Any:
    if not callable(value):
        raise InputTypeError(f"approve is a function of a ToolCall, not {type(value).__name__}")
    return value


RUN_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "max_rounds": _max_rounds,
    "max_seconds": _seconds("max_seconds"),
    "max_cost": _max_cost,
    "tool_timeout": _seconds("tool_timeout"),
    "approve": _approve,
}
"""The options that a run has beside those of a call, and what checks each."""


def limits_of(options: Mapping[str, Any], old: Limits = Limits()) -> tuple[Limits, dict[str, Any]]:  # noqa: B008  # frozen
    """What a run takes of these options, over what it had; and those of its calls.

    Raises InputError, naming the option, where one cannot be used.
    """
    own, rest = {}, {}
    for name, value in options.items():
        check = RUN_OPTIONS.get(name)
        if check is None:
            rest[name] = value
        elif value is not None:
            own[name] = check(value)
    return replace(old, **own), rest
