"""Functions as tools: the schema that a model is told, and calls of its arguments."""

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, Optional, TypedDict

import msgspec
import pytest
from hypothesis import given, strategies as st

from quoth import FunctionTool, ModelsAPI, Tool
from quoth._tools import ArgumentsError, executable, read_docstring
from quoth.errors import InputError, InputTypeError


class Unit(Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclass
class Place:
    latitude: float
    longitude: float = 0.0


class Options(TypedDict, total=False):
    wind: bool


def forecast(  # noqa: PLR0917  # as people write them
    city: str,
    days: Annotated[int, msgspec.Meta(ge=1, le=14)] = 3,
    unit: Unit = Unit.CELSIUS,
    style: Literal["short", "long"] = "short",
    near: Optional[Place] = None,  # noqa: UP045  # the older spelling is one that people use
    tags: Sequence[str] = (),
    options: Annotated[Options | None, "What else to tell."] = None,
):
    """Tell the weather of the next days.

    Words that a model should read too.

    Args:
        city: the name of the city,
            as people there say it
        days (int): how many days
        unit: degrees
    Returns:
        str: words
    """
    return city, days, unit, style, near, tags, options


def test_the_schema_of_a_function_says_its_types_its_defaults_and_its_words():
    tool = executable(forecast)
    assert isinstance(tool, Tool)
    assert (tool.name, tool.description) == (
        "forecast",
        "Tell the weather of the next days.\n\nWords that a model should read too.",
    )
    parameters = tool.parameters
    assert parameters["required"] == ["city"]
    assert parameters["additionalProperties"] is False
    properties = parameters["properties"]
    assert properties["city"] == {"type": "string", "description": "the name of the city, as people there say it"}
    assert properties["days"] == {
        "type": "integer", "minimum": 1, "maximum": 14, "description": "how many days", "default": 3
    }  # fmt: skip
    assert properties["unit"]["default"] == "c"
    assert properties["style"]["enum"] == ["long", "short"]
    assert properties["near"]["default"] is None
    assert properties["options"]["description"] == "What else to tell."
    assert parameters["$defs"]["Place"]["required"] == ["latitude"]


def test_arguments_become_values_of_the_types_and_what_is_left_out_the_functions_own():
    call = executable(forecast).call
    assert call({"city": "Paris"}) == ("Paris", 3, Unit.CELSIUS, "short", None, (), None)
    assert call(
        {
            "city": "Paris", "days": 14, "unit": "f", "style": "long", "near": {"latitude": 1},
            "tags": ["a"], "options": {"wind": True},
        }
    ) == ("Paris", 14, Unit.FAHRENHEIT, "long", Place(1.0, 0.0), ["a"], {"wind": True})  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "'city' is missing"),
        ({"city": 1}, "city does not fit"),
        ({"city": "x", "days": 15}, "days does not fit"),
        ({"city": "x", "unit": "k"}, "unit does not fit"),
        ({"city": "x", "near": {"latitude": "north"}}, "near.latitude does not fit"),
        ({"city": "x", "tags": ["a", 1]}, r"tags\[1\] does not fit|tags\[...\] does not fit"),
        ({"town": "x"}, "no argument 'town'; there are: city, days"),
        (["Paris"], "one JSON object"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_told_in_words_for_the_model(arguments, words):
    with pytest.raises(ArgumentsError, match=words):
        executable(forecast).call(arguments)


def by_position(first: int, /, second: int = 2):
    return first, second


class Clock:
    """Tell the time."""

    def __call__(self, zone: str = "UTC"):
        return zone

    def method(self, zone: str):
        """Tell the time of a zone."""
        return zone


class Remote:
    name = "remote"
    description = "Asks elsewhere."
    schema: ClassVar = {"type": "object", "properties": {"q": {"type": "string"}}}

    def call(self, arguments):
        return arguments


def untyped(anything, more=1):
    return anything, more


@functools.wraps(untyped)
def decorated(*arguments, **named):
    return untyped(*arguments, **named)


@pytest.mark.parametrize(
    ("given_tool", "name", "arguments", "gives"),
    [
        (by_position, "by_position", {"first": 1}, (1, 2)),
        (Clock(), "Clock", {}, "UTC"),
        (Clock().method, "method", {"zone": "CET"}, "CET"),
        (Remote(), "remote", {"q": "x"}, {"q": "x"}),
        (untyped, "untyped", {"anything": [1]}, ([1], 1)),
        (decorated, "untyped", {"anything": 1}, (1, 1)),
        (FunctionTool(functools.partial(by_position, 7), name="partial"), "partial", {}, (7, 2)),
        (FunctionTool(untyped, name="other", description="words"), "other", {"anything": 1}, (1, 1)),
        (lambda: 5, None, None, None),
    ],
    ids=["positional", "object", "method", "protocol", "untyped", "decorated", "partial", "renamed", "lambda"],
)
def test_whatever_is_called_is_a_tool(given_tool, name, arguments, gives):
    if name is None:
        with pytest.raises(InputError, match="FunctionTool"):
            executable(given_tool)
        return
    tool = executable(given_tool)
    assert tool.name == name
    assert tool.call(arguments) == gives


async def waiting(seconds: float):
    """Wait."""
    return seconds


def test_async_functions_are_known_and_give_what_must_be_awaited():
    for tool in (waiting, functools.partial(waiting, 1.0)):
        made = executable(FunctionTool(tool, name="waiting"))
        assert made.is_async
    assert asyncio.run(executable(waiting).call({"seconds": 2})) == 2.0


def with_rest(*rest: int):
    return rest


def with_names(**names: int):
    return names


def wrong_hint(x: "Nowhere"):  # noqa: F821
    return x


def no_schema(x: Any = 1, y: type = int):
    return x, y


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (with_rest, r"\*rest"),
        (with_names, r"\*\*names"),
        (wrong_hint, "Nowhere"),
        (no_schema, "parameter y"),
        (FunctionTool, "FunctionTool"),
    ],
)
def test_a_function_that_cannot_be_a_tool_says_why(function, words):
    with pytest.raises(InputError, match=words):
        executable(function) if function is not FunctionTool else FunctionTool(untyped, name="no spaces please")


def test_what_is_no_tool_at_all_is_refused():
    with pytest.raises(InputTypeError, match="each of tools must be a function"):
        ModelsAPI().bind("openai/gpt-6-luna", tools=[5])
    with pytest.raises(InputTypeError, match="FunctionTool takes a function"):
        FunctionTool("get_weather")
    with pytest.raises(InputError, match="timeout"):
        FunctionTool(untyped, timeout=0)


@pytest.mark.parametrize(
    "docstring",
    [
        "Do it.\n\nArgs:\n    one: the first,\n        at length\n    two (int): the second\n\nReturns:\n    words\n",
        "Do it.\n\nParameters\n----------\none : str\n    the first,\n    at length\ntwo : int\n    the second\n",
        "Do it.\n\n:param one: the first,\n    at length\n:param int two: the second\n:returns: words\n",
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_docstrings_of_three_forms_are_read_alike(docstring):
    assert read_docstring(docstring) == ("Do it.", {"one": "the first, at length", "two": "the second"})


@given(st.text(max_size=300))
def test_no_docstring_breaks_its_reading(text):
    said, meanings = read_docstring(text)
    assert said in text
    assert all(isinstance(meaning, str) for meaning in meanings.values())


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(PLAIN)
def test_whatever_a_model_writes_is_a_call_or_an_argument_error(arguments):
    with contextlib.suppress(ArgumentsError):
        assert executable(forecast).call(arguments)[0] == arguments["city"]
