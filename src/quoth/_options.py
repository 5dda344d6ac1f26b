"""The keyword options of a call: their types, and the check that turns each into what a request holds.

One table, ``CHECKS``, says which options there are; an option that is not in it is refused with the nearest
name. Nothing is dropped silently.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, get_args

from ._scope import check_tags, merge_tags, together
from ._settings import as_policy
from .dialects import CLIENTS
from .errors import ConfigurationError, InputError, InputTypeError, QuothError
from .providers._address import check_base_url
from .providers._auth import KeySource, Secret, as_source
from .providers._spec import SHORT_NAMES, CheckLevel
from .types import OutputFormat, RetryPolicy, Tool, ToolCall, ToolChoice
from .wire import Headers

if TYPE_CHECKING:
    from ._budgets import Budget, OnBudget

__all__ = [
    "CHECKS", "CallOptions", "CallableTool", "Check", "RunOptions", "check_options", "hide_key", "over",
    "whole_number", "wrong",
]  # fmt: skip


class Bound(Protocol):
    """A binding: what ``models.bind`` gives, or its ``aio``."""

    @property
    def id(self) -> str: ...

    def bind(self) -> Any: ...


class CallableTool(Protocol):
    """A tool that can be executed: ``call`` takes the arguments as one dict, ``schema`` is the JSON Schema of them."""

    @property
    def name(self) -> str: ...

    @property
    def schema(self) -> Mapping[str, Any]: ...

    @property
    def call(self) -> Callable[[Any], Any]: ...


Schema: TypeAlias = Mapping[str, Any] | OutputFormat
"""What ``output`` may be beside a type: a JSON Schema, or one with how strictly it is meant."""


class CallOptions(TypedDict, total=False):
    """What ``models(...)``, ``bind``, ``stream`` and their async twins take by keyword.

    ``output`` is taken too, as a parameter of its own: so checkers know the type of ``response.parsed``.
    """

    system: str
    """What the model is told before the conversation."""
    max_tokens: int
    """The most tokens the answer may have, reasoning included where the provider counts it."""
    temperature: float
    top_p: float
    stop: str | Sequence[str]
    """Where the answer ends: before any of these texts."""
    seed: int
    tools: Sequence[Tool | Mapping[str, Any] | Callable[..., Any] | CallableTool]
    """What the model may ask for: functions, objects with ``name, schema, call``, ``Tool``, or OpenAI's form.

    A call never executes them: ``models.run`` and ``models.chat`` do.
    """
    reasoning: str | int | None
    """How much it may think: an effort in the provider's word (``low``), or a number of tokens."""
    tool_choice: ToolChoice | str
    """``auto``, ``none``, ``required``, or the name of the one tool that must be called."""
    timeout: float
    """Seconds for the whole call."""
    dialect: str
    """The wire to speak, of those that the provider has: ``chat``, ``responses``, ``messages``, or a dialect's name."""
    check: CheckLevel
    """What to do about what the catalog says will be refused: ``warn`` (once), ``strict`` (an error), ``off``."""
    api_key: KeySource
    """The key: a str, a Secret, an EnvironmentKey, or a function that is asked at each call."""
    base_url: str
    headers: Mapping[str, str]
    """Sent as they are, after quoth's own."""
    extra: Mapping[str, Mapping[str, Any]]
    """Fields of the body that have no name here, by provider: ``{"openai": {"store": False}}``."""
    price: Mapping[str, Any]
    """What this model costs you, over all that is known: ``{"input": "2", "output": "10"}``; see docs/costs.md."""
    retries: int | RetryPolicy
    """How often it is tried again where it failed in a way that passes; 0: never."""
    fallback: Sequence[str | Bound]
    """Who is asked where this model fails: ids, with the options of this call, or bindings, with their own."""
    repairs: int
    """How often an answer that is not what ``output`` asked for is asked for again, with what is wrong with it."""
    tags: Mapping[str, str]
    """Who asks, for records and totals: ``{"feature": "search"}``, over those of the binding and the context."""
    budget: Budget | Sequence[Budget]
    """What may be spent, beside the budgets of the binding and the context: all of them hold. See docs/budgets.md."""
    on_budget: OnBudget
    """What to do where more might be spent than is left: ``raise``, or ``cap`` the length of the answer."""


class RunOptions(CallOptions, total=False):
    """What ``models.run`` and ``models.chat`` take by keyword: the options of their calls, and how far a run may go."""

    output: Any
    """What the last answer is to be: a type, or a JSON Schema; ``parsed`` of the run is that."""
    max_rounds: int
    """How often the model is asked at most; 8 where nothing is said."""
    max_seconds: float
    """For the whole run, its tools included."""
    max_cost: str | int | Decimal
    """US dollars, as text: no round begins when so much is spent, or where what was spent is unknown."""
    tool_timeout: float
    """Seconds for one call of a tool."""
    approve: Callable[[ToolCall], bool | str | Awaitable[bool | str]]
    """Asked before a tool is executed: True; False; or a no in words, which the model is told."""


_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_BAD_IN_HEADER = r"[\x00-\x08\x0a-\x1f\x7f]"
_FRAMING = "connection content-encoding content-length expect host te trailer transfer-encoding upgrade"
_OWN_HEADERS = frozenset(_FRAMING.split())
"""Headers that frame the message: a caller who set one would change where it ends."""

Check: TypeAlias = Callable[[str, Any], Any]


def wrong(name: str, expected: str, value: object) -> InputTypeError:
    return InputTypeError(f"{name} must be {expected}, not {type(value).__name__}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise wrong(name, "a str", value)
    return value


def _system(name: str, value: Any) -> str:
    if not _text(name, value).strip():
        raise InputError(f"{name} is empty: leave it out")
    return str(value)


def whole_number(least: int) -> Check:
    def check(name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong(name, "an int", value)
        if value < least:
            raise InputError(f"{name} must be at least {least}, not {value}")
        return value

    return check


def _number(least: float, most: float) -> Check:
    def check(name: str, value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise wrong(name, "a number", value)
        if not least <= value <= most:  # NaN is not
            raise InputError(f"{name} must be from {least:g} to {most:g}, not {value}")
        return value

    return check


def _seconds(name: str, value: Any) -> float:
    seconds = _number(0, 1e9)(name, value)
    if seconds == 0:
        raise InputError(f"{name} must be above 0 seconds")
    return float(seconds)


def _reasoning(name: str, value: Any) -> str | int:
    if isinstance(value, int):
        return int(whole_number(0)(name, value))
    if not isinstance(value, str):
        raise wrong(name, "an effort such as 'low', or a number of tokens", value)
    if not re.fullmatch(r"[a-z][a-z_-]*", value):
        raise InputError(f"{name} is an effort such as 'low', or a number of tokens, not {value[:80]!r}")
    return value


def _dialect(name: str, value: Any) -> str:
    dialect = SHORT_NAMES.get(_text(name, value), value)
    if dialect not in {*CLIENTS, *SHORT_NAMES.values()}:
        raise InputError(f"{name} is one of {', '.join(SHORT_NAMES)}, or the name of a dialect, not {value[:80]!r}")
    return str(dialect)


def _check(name: str, value: Any) -> str:
    if _text(name, value) not in get_args(CheckLevel):
        raise InputError(f"{name} is one of {', '.join(get_args(CheckLevel))}, not {value[:80]!r}")
    return str(value)


def _stop(name: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise wrong(name, "a str or a list of str", value)
    if not all(texts):
        raise InputError(f"{name} holds an empty text, at which every answer would end")
    return tuple(texts)


def _tools(name: str, value: Any) -> tuple[Tool, ...]:
    if not isinstance(value, (list, tuple)):
        raise wrong(name, "a list of Tool", value)
    return tuple([_tool(name, tool) for tool in value])


def _tool(name: str, tool: Any) -> Tool:
    if isinstance(tool, Tool):
        return _usable(name, tool)
    if isinstance(tool, Mapping):
        return _usable(name, _from_openai(name, tool))
    if callable(tool) or hasattr(tool, "call"):
        from ._tools import executable

        return executable(tool)
    raise wrong(f"each of {name}", "a function, a Tool or a dict in OpenAI's form", tool)


def _from_openai(name: str, tool: Mapping[Any, Any]) -> Tool:
    """``{"type": "function", "function": {...}}``, or the inner dict alone. Nothing in it is dropped silently."""
    function = tool.get("function", {key: value for key, value in tool.items() if key != "type"})
    beside = [key for key in tool if key not in ("type", "function")] if "function" in tool else []
    if tool.get("type", "function") != "function" or beside or not isinstance(function, Mapping):
        raise InputError(
            f"{name}: a tool is {{'type': 'function', 'function': {{...}}}} and nothing else; "
            "a provider's own tools go into extra={'provider': {'tools': [...]}}"
        )
    unknown = [key for key in function if key not in _TOOL_FIELDS]
    if unknown:
        raise InputError(f"{name}: a tool has no field {unknown[0]!r}; it has {', '.join(_TOOL_FIELDS)}")
    fields: dict[str, Any] = {"name": "", **_copied(function)}
    return Tool(**fields)


_TOOL_FIELDS = ("name", "description", "parameters", "strict")


def _usable(name: str, tool: Tool) -> Tool:
    given: object = tool.name  # a Struct takes any value
    if not isinstance(given, str) or not given:
        raise InputError(f"{name}: a tool needs a name, not {given!r}")
    if not isinstance(tool.description, (str, NoneType)):
        raise wrong(f"{name}: the description of {tool.name!r}", "a str", tool.description)
    if not isinstance(tool.parameters, (Mapping, NoneType)):
        raise wrong(f"{name}: the parameters of {tool.name!r}", "a JSON Schema as a dict", tool.parameters)
    return tool


def _copied(value: Any) -> Any:
    """A deep copy, so that what was checked does not change with the caller's own dict."""
    from copy import deepcopy

    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001  # what cannot be copied cannot be sent either: that is said when it is written
        return value


def _tool_choice(name: str, value: Any) -> ToolChoice:
    if isinstance(value, ToolChoice):
        if value.mode == "tool" and not value.name:
            raise InputError(f"{name}: ToolChoice(mode='tool') needs the name of the tool")
        return value
    if value == "":
        raise InputError(f"{name} is empty: it is 'auto', 'none', 'required' or the name of a tool")
    match _text(name, value):
        case "auto" | "none" | "required" as mode:
            return ToolChoice(mode=mode)
        case tool:
            return ToolChoice(mode="tool", name=tool)


def _headers(name: str, value: Any) -> Headers:
    if not isinstance(value, Mapping):
        raise wrong(name, "a mapping of str to str", value)
    return tuple([_header(name, key, text) for key, text in value.items()])


def _header(name: str, key: Any, text: Any) -> tuple[str, str]:
    if not isinstance(key, str) or not isinstance(text, str):
        raise InputTypeError(f"{name} must hold str only")
    lowered = key.lower()
    if not re.fullmatch(_HEADER_NAME, key) or lowered in _OWN_HEADERS:
        raise ConfigurationError(f"{name}: {key[:80]!r} cannot be set as a header")
    if re.search(_BAD_IN_HEADER, text) or not text.isascii():
        raise ConfigurationError(f"{name}: the value of {key!r} has a control or non-ASCII character")
    return lowered, text


def _extra(name: str, value: Any) -> Mapping[str, Mapping[str, Any]]:
    entries: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, Mapping) else [(None, value)]
    if not all(isinstance(key, str) and isinstance(fields, Mapping) for key, fields in entries):
        raise InputTypeError(f"{name} is keyed by provider: {name}={{'openai': {{'store': False}}}}")
    return {key: _copied(fields) for key, fields in entries}


def _key(name: str, value: Any) -> KeySource:
    return as_source(value, name)


def _hidden(key: Any) -> Any:
    """A plain key as a Secret, usable or not; anything else as it is."""
    return Secret(key) if isinstance(key, str) else key


def _base_url(name: str, value: Any) -> str:
    return check_base_url(_text(name, value), name)


def _price(name: str, value: Any) -> Mapping[str, Any]:
    """The shape; what stands in it is checked where prices are understood."""
    if not isinstance(value, Mapping) or not all(isinstance(field, str) for field in value):
        raise wrong(name, "a mapping such as {'input': '2', 'output': '10'}", value)
    return {field: _copied(each) for field, each in value.items()}


def _fallback(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise wrong(name, "a list of model ids and bindings", value)
    for each in value:
        if not isinstance(each, str) and not callable(getattr(each, "bind", None)):
            raise wrong(f"each of {name}", "a model id or a binding", each)
    return tuple(value)


def _output(name: str, value: Any) -> Any:  # noqa: ARG001  # one form for all checks
    from ._output import form_of  # only who asks for more than text needs it

    return form_of(value)


def _budgets(name: str, value: Any) -> tuple[Budget, ...]:
    from ._budgets import Budget

    budgets = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for each in budgets:
        if not isinstance(each, Budget):
            raise wrong(name, f"what models.budget(...) makes, {name}=models.budget('5.00'),", each)
    return budgets


def _on_budget(name: str, value: Any) -> str:
    from ._budgets import OnBudget

    if _text(name, value) not in get_args(OnBudget):
        raise InputError(f"{name} is one of {', '.join(get_args(OnBudget))}, not {value[:80]!r}")
    return str(value)


CHECKS: dict[str, Check] = {
    "system": _system,
    "max_tokens": whole_number(1),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "stop": _stop,
    "seed": whole_number(-(2**63)),
    "tools": _tools,
    "tool_choice": _tool_choice,
    "reasoning": _reasoning,
    "timeout": _seconds,
    "dialect": _dialect,
    "check": _check,
    "api_key": _key,
    "base_url": _base_url,
    "headers": _headers,
    "extra": _extra,
    "price": _price,
    "retries": as_policy,
    "fallback": _fallback,
    "output": _output,
    "repairs": whole_number(0),
    "tags": check_tags,
    "budget": _budgets,
    "on_budget": _on_budget,
}
"""Every option there is, and what checks it: it gives the value as a request holds it, or raises."""


def check_options(options: Any, checks: Mapping[str, Check] = CHECKS) -> dict[str, Any]:
    """The options as a request holds them, without those that are None (which means: not given).

    ``options`` is the dict of a call's own keywords. A plain key in it is hidden there, before anything can fail: the
    frame that holds it is on the way of every error.
    """
    checked = {}
    hide_key(options)
    for name, value in options.items():
        check = checks.get(name)
        if check is None:
            raise _no_such(name, checks)
        if value is not None:
            checked[name] = _checked(check, name, value)
    return checked


def hide_key(options: Any) -> None:
    """Put a Secret in place of a plain key in a dict of options."""
    if "api_key" in options:
        options["api_key"] = _hidden(options.pop("api_key"))


def _checked(check: Check, name: str, value: Any) -> Any:
    try:
        return check(name, value)
    except QuothError as error:  # without the frames that saw a key that cannot be used
        raise error.with_traceback(None) from None


def over(options: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Checked options over checked ones: each replaces its like, but tags and budgets are put together."""
    merged = {**options, **more}
    if "budget" in options and "budget" in more:
        merged["budget"] = together(options["budget"], more["budget"])
    if "tags" in options and "tags" in more:
        merged["tags"] = merge_tags(options["tags"], more["tags"])
    return merged


def _no_such(name: str, checks: Mapping[str, Check]) -> Exception:
    if name == "stream":
        return InputTypeError("there is no option 'stream': models.stream(...) is the verb")
    from ._catalog import closest

    near = closest(name, checks)
    meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(checks))}."
    return InputTypeError(
        f"there is no option {name!r}: {meant} A provider's own field goes into extra={{'provider': {{...}}}}"
    )
