"""Functions as tools: what a model is told of one, read from its types and its docstring, and how it is called.

A tool that can be executed is a function, sync or async; or any object with ``name``, ``schema`` (the JSON Schema of
its arguments) and ``call`` (a function of them, as one dict), and ``description`` where it has one. ``FunctionTool``
says of a function what its code does not: another name, a time limit. A ``Tool`` alone is only declared.

Nothing a model writes is executed but the function that it names, with arguments that fit its types.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from msgspec import UNSET, Struct, to_builtins

from ._output import Form, form_of
from ._output._checking import MisfitError
from .errors import InputError, InputTypeError
from .types import Tool

__all__ = ["ArgumentsError", "Executable", "FunctionTool", "executable", "read_docstring"]

LONGEST_NAME = 64
"""Characters that the name of a tool has at most, with every provider."""

_NAME = r"[a-zA-Z0-9_-]+"


class ArgumentsError(ValueError):
    """The arguments that a model wrote do not fit the tool; the message is for the model."""


class Executable(Tool, frozen=True, kw_only=True):
    """A tool with what executes it: ``call`` takes the arguments as the model wrote them, decoded."""

    call: Callable[[Any], Any]
    """Raises ArgumentsError where they do not fit; may give an awaitable."""
    is_async: bool = False
    """Whether it must run on the event loop."""
    timeout: float | None = None
    """Seconds that it may take; None: as the run says."""


class FunctionTool:
    """A function as a tool, with what its code does not say: ``FunctionTool(get_weather, name="weather", timeout=5)``.

    Args:
        function: sync or async. Its parameters need types; those without one take anything. What each means stands in
            its docstring, or in ``Annotated[str, "the city"]``.
        name, description: in place of the function's own.
        timeout: seconds that one call of it may take.
        strict: whether the provider must hold the arguments to the schema; None leaves that to it.

    Raises InputError, naming the parameter, where no schema can be made of it.
    """

    __slots__ = ("executable", "function")

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        strict: bool | None = None,
    ) -> None:
        if not callable(function):
            raise InputTypeError(f"FunctionTool takes a function, not {type(function).__name__}")
        if timeout is not None and not timeout > 0:
            raise InputError(f"the timeout of a tool is a number of seconds above 0, not {timeout!r}")
        self.function = function
        self.executable = _of_function(function, name, description, timeout, strict)

    @property
    def name(self) -> str:
        """What the model calls it."""
        return self.executable.name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function itself."""
        return self.function(*arguments, **named)

    def __repr__(self) -> str:
        return f"FunctionTool({self.name!r})"


def executable(value: Any) -> Executable:
    """The tool that a function, a FunctionTool, or an object with ``name, schema, call`` is.

    Raises InputError or InputTypeError, saying which and why, where it can be none.
    """
    if isinstance(value, FunctionTool):
        return value.executable
    if all(hasattr(value, name) for name in ("name", "schema", "call")):
        return _of_object(value)
    return _of_function(value, None, None, None, None)


def _of_object(value: Any) -> Executable:
    schema, call = value.schema, value.call
    if not isinstance(schema, Mapping) or not callable(call):
        raise InputTypeError(f"the tool {value.name!r} needs a schema that is a dict, and a call that is a function")
    return Executable(
        name=_checked_name(value.name),
        description=getattr(value, "description", None),
        parameters=schema,
        call=call,
        is_async=_is_async(call),
        timeout=getattr(value, "timeout", None),
    )


def _of_function(
    function: Callable[..., Any], name: str | None, description: str | None, timeout: float | None, strict: bool | None
) -> Executable:
    own = name or getattr(function, "__name__", None) or type(function).__name__
    name = _checked_name(own)
    said, meanings = read_docstring(inspect.getdoc(function) or "")
    parameters = _parameters(function, name)
    return Executable(
        name=name,
        description=description if description is not None else said or None,
        parameters=_schema(name, parameters, meanings),
        strict=strict,
        call=_caller(function, parameters),
        is_async=_is_async(function),
        timeout=timeout,
    )


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(_NAME, name) or len(name) > LONGEST_NAME:
        raise InputError(
            f"a tool's name has letters, digits, _ and - and at most {LONGEST_NAME} of them, not {name!r}: "
            "FunctionTool(function, name=...) gives it another"
        )
    return name


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(getattr(function, "func", function))) or (
        inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # an object that is called
    )


# Its parameters.


class Parameter(Struct, frozen=True, kw_only=True, gc=False):
    """One parameter of a function."""

    name: str
    form: Form
    default: Any = UNSET
    meaning: str | None = None
    positional: bool = False


_KINDS = {
    inspect.Parameter.VAR_POSITIONAL: "*{}",
    inspect.Parameter.VAR_KEYWORD: "**{}",
}


def _parameters(function: Callable[..., Any], tool: str) -> list[Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise InputError(f"the tool {tool}: Python does not tell its parameters; wrap it in a function") from None
    hints = _hints(function, tool)
    found = []
    for parameter in signature.parameters.values():
        if parameter.kind in _KINDS:
            spelled = _KINDS[parameter.kind].format(parameter.name)
            raise InputError(f"the tool {tool}: a model cannot know what {spelled} takes; name each parameter")
        annotation = hints.get(parameter.name, Any)
        found.append(
            Parameter(
                name=parameter.name,
                form=_form(tool, parameter.name, annotation),
                default=UNSET if parameter.default is inspect.Parameter.empty else parameter.default,
                meaning=_annotated_meaning(annotation),
                positional=parameter.kind is inspect.Parameter.POSITIONAL_ONLY,
            )
        )
    return found


def _hints(function: Callable[..., Any], tool: str) -> dict[str, Any]:
    target = inspect.unwrap(getattr(function, "func", function))  # of a partial, of a decorated one
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except Exception as error:  # noqa: BLE001  # whatever an annotation raises, it is no type
        raise InputError(f"the tool {tool}: a type of its parameters cannot be read ({error})") from None


def _annotated_meaning(annotation: Any) -> str | None:
    """What ``Annotated[T, "..."]`` says; or ``Doc("...")``, and what has a ``description``."""
    if get_origin(annotation) is not Annotated:
        return None
    for extra in get_args(annotation)[1:]:
        for said in (extra, getattr(extra, "documentation", None), getattr(extra, "description", None)):
            if isinstance(said, str):
                return said
    return None


def _form(tool: str, name: str, annotation: Any) -> Form:
    try:
        return form_of(annotation)
    except InputError as error:
        raise InputError(f"the tool {tool}: its parameter {name}: {error.message}") from None


def _schema(tool: str, parameters: list[Parameter], meanings: Mapping[str, str]) -> dict[str, Any]:
    """The JSON Schema of the arguments, with what each parameter means and what it is where it is left out."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for parameter in parameters:
        described = {name: value for name, value in parameter.form.schema.items() if name not in ("$defs", "$schema")}
        for name, definition in parameter.form.schema.get("$defs", {}).items():
            if definitions.setdefault(name, definition) != definition:
                raise InputError(f"the tool {tool}: two different types of its parameters are called {name}")
        meaning = parameter.meaning or meanings.get(parameter.name)
        if meaning:
            described["description"] = meaning
        if (default := _as_json(parameter.default)) is not UNSET:
            described["default"] = default
        properties[parameter.name] = described
    return {
        "type": "object",
        "properties": properties,
        "required": [parameter.name for parameter in parameters if parameter.default is UNSET],
        "additionalProperties": False,
        **({"$defs": definitions} if definitions else {}),
    }


def _as_json(value: Any) -> Any:
    """The value as JSON has it; UNSET where it has none."""
    try:
        return to_builtins(value)
    except (TypeError, ValueError):
        return UNSET


def _caller(function: Callable[..., Any], parameters: list[Parameter]) -> Callable[[Any], Any]:
    known = [parameter.name for parameter in parameters]

    def call(given: Any) -> Any:
        if not isinstance(given, dict):
            raise ArgumentsError(f"the arguments are one JSON object, not {given!r:.80}")
        if unknown := [name for name in given if name not in known]:
            takes = ", ".join(known) or "none"
            raise ArgumentsError(f"there is no argument {unknown[0]!r:.80}; there are: {takes}")
        named: dict[str, Any] = {}
        ordered: list[Any] = []
        for parameter in parameters:
            if parameter.name not in given and parameter.default is UNSET:
                raise ArgumentsError(f"the argument {parameter.name!r} is missing")
            value = _argument(parameter, given[parameter.name]) if parameter.name in given else parameter.default
            if parameter.positional:
                ordered.append(value)
            else:
                named[parameter.name] = value
        return function(*ordered, **named)

    return call


def _argument(parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.form.decode(value)
    except MisfitError as misfit:
        place = parameter.name + misfit.path.removeprefix("$")
        raise ArgumentsError(f"the argument {place} does not fit: {misfit.words}") from None


# Docstrings.

_SECTION = r"(?im)^(args|arguments|parameters|params)\s*:?\s*$\n?(-{3,}\s*$\n)?"
"""Where a docstring begins to tell of parameters, in Google's form or numpydoc's."""

_NEXT_SECTION = r"(?im)^(returns?|raises?|yields?|examples?|notes?|see also|warnings?|attributes|todo)\s*:?\s*$"

_GOOGLE = r"(?m)^[ ]{1,8}\*{0,2}(\w+)\s*(?:\([^)\n]*\))?\s*:\s*(.*(?:\n(?:[ ]{5,}\S.*|\s*$))*)"
_NUMPY = r"(?m)^(\w+)\s*:.*((?:\n[ ]+\S.*)+)"
_SPHINX = r"(?m)^\s*:param\s+(?:[^:\n]+\s)?(\w+)\s*:\s*(.*(?:\n[ ]+(?!:)\S.*)*)"
_SPHINX_FIELD = r"(?m)^\s*:(param|type|return|returns|rtype|raise|raises)\b"


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, and of each of its parameters: Google's form, numpydoc's or Sphinx's."""
    meanings = {name: _joined(said) for name, said in re.findall(_SPHINX, text)}
    section = re.search(_SECTION, text)
    if section is not None:
        following = re.search(_NEXT_SECTION, text[section.end() :])
        body = text[section.end() : section.end() + following.start()] if following else text[section.end() :]
        form = _NUMPY if section[2] else _GOOGLE
        meanings |= {name: _joined(said) for name, said in re.findall(form, body)}
    borders = (section, re.search(_NEXT_SECTION, text), re.search(_SPHINX_FIELD, text))
    ends = [found.start() for found in borders if found]
    return text[: min(ends, default=len(text))].strip(), meanings


def _joined(said: str) -> str:
    return " ".join(said.split())
