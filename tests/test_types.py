"""The nouns: frozen, exact, comparable by what they say, and able to travel (pickle, copy)."""

import copy
import pickle
from contextlib import suppress
from decimal import Decimal, localcontext

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from quoth import types
from quoth.types import (
    EVENT_BUCKETS,
    TOKEN_BUCKETS,
    Attempt,
    Audio,
    CallDetails,
    Candidate,
    Cost,
    CostLine,
    CostTotal,
    Document,
    Image,
    Message,
    ModelRequest,
    OutputFormat,
    PriceRule,
    Reasoning,
    Refusal,
    Response,
    RetryPolicy,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)

COUNTS = st.integers(min_value=0, max_value=10**9)
USAGES = st.builds(Usage, **dict.fromkeys(TOKEN_BUCKETS, COUNTS))
RULES = st.builds(
    PriceRule,
    id=st.just("openai/gpt-4"),
    rates=st.dictionaries(st.sampled_from(TOKEN_BUCKETS), st.integers(0, 10**12)),
    source=st.just("test"),
)

RESPONSE = Response(
    message=Message.assistant(
        Reasoning(text="hm "),
        Reasoning(text="yes", provider_data={"wire": {"signature": "s"}}),
        "Hello ",
        "world",
        Refusal(text="not that"),
        ToolCall(id="c1", name="f", arguments='{"a": 1}'),
    ),
    finish_reason="stop",
    model="gpt-4-0613",
    provider="openai",
    id="r1",
    usage=Usage(input=3, output=2, reported={"prompt_tokens": 3}),
    cost=Cost(femto=5, counts=(("input", 3),), rule=PriceRule(id="x", rates={"input": 1}, source="s")),
    region="us",
    candidates=(Candidate(message=Message.assistant("b"), finish_reason="length"),),
    body=b'{"id": "r1"}',
    call=CallDetails(seconds=1.5, attempts=(Attempt(provider="openai", model="gpt-4", started=0.0, seconds=1.0),)),
)

ONE_OF_EACH = [
    Text(text="a"),
    Image(url="https://host/cat.png"),
    Image(data=b"\x00\xff", media_type="image/png"),
    Audio(data=b"\x00", media_type="audio/wav"),
    Document(file_id="f1"),
    Reasoning(text="a"),
    Refusal(text="a"),
    ToolCall(id="1", name="f", arguments="{}"),
    ToolResult(call_id="1", parts=(Text(text="a"),)),
    Message.user("a"),
    Tool(name="f", parameters={"type": "object"}),
    ToolChoice(mode="auto"),
    ModelRequest(model="m", messages=(Message.user("a"),)),
    Usage(input=1),
    PriceRule(id="x", rates={"input": 1}, source="s"),
    CostLine(bucket="input", count=1, rate=1),
    Cost(femto=1),
    Cost(femto=10, kind="provider", stated="0.00000000000001", stated_in="usage.cost", computed=Cost(femto=9)),
    CostTotal(known_usd=Decimal("0.1"), calls=2, unknown_costs=1),
    Attempt(provider="p", model="m", started=0.0, seconds=1.0),
    CallDetails(seconds=1.0),
    OutputFormat(name="x", schema={"type": "object"}),
    Candidate(message=Message.assistant("b"), finish_reason="stop"),
    RetryPolicy(retries=0),
    RESPONSE,
]


@pytest.mark.parametrize("value", ONE_OF_EACH, ids=lambda value: type(value).__name__)
def test_every_noun_survives_pickle_copy_and_deepcopy(value):
    for twin in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert twin == value
        assert type(twin) is type(value)


@pytest.mark.parametrize("value", ONE_OF_EACH, ids=lambda value: type(value).__name__)
def test_every_noun_survives_json(value):
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def test_what_takes_no_part_in_equality_survives_pickling_too():
    twin = pickle.loads(pickle.dumps(RESPONSE))
    assert twin.call == RESPONSE.call
    assert twin.raw == RESPONSE.raw


@pytest.mark.parametrize("value", ONE_OF_EACH, ids=lambda value: type(value).__name__)
def test_every_noun_is_frozen_and_keyword_only(value):
    field = type(value).__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(value, field, "other")
    with pytest.raises(TypeError):
        type(value)("positional")


def test_every_public_struct_was_tried_above():
    public = {getattr(types, name) for name in types.__all__}
    structs = {value for value in public if hasattr(value, "__struct_fields__")}
    assert structs == {type(value) for value in ONE_OF_EACH}


# Messages.


def test_each_constructor_makes_its_role_and_strings_become_text():
    picture = Image(url="https://host/cat.png")
    assert Message.system("s") == Message(role="system", parts=(Text(text="s"),))
    assert Message.user("a", picture, "b") == Message(role="user", parts=(Text(text="a"), picture, Text(text="b")))
    assert Message.assistant("s") == Message(role="assistant", parts=(Text(text="s"),))


def test_a_tool_message_answers_a_call_or_its_id():
    call = ToolCall(id="c7", name="f", arguments="{}")
    by_call = Message.tool(call, "4", is_error=True)
    assert by_call == Message.tool("c7", Text(text="4"), is_error=True)
    (result,) = by_call.parts
    assert (by_call.role, result.call_id, result.parts, result.is_error) == ("tool", "c7", (Text(text="4"),), True)


def test_a_messages_text_is_its_text_parts_joined_and_nothing_else():
    message = Message.assistant("a", Reasoning(text="hidden"), "b", Refusal(text="no"))
    assert message.text == "ab"


def test_provider_data_of_two_parts_is_not_shared():
    assert Text(text="a").provider_data is not Text(text="b").provider_data


# Tool calls.


@pytest.mark.parametrize(
    ("arguments", "value"),
    [('{"a": 1}', {"a": 1}), ("", {}), ('{"é": "\\u00fc"}', {"é": "ü"}), ("[1]", [1]), ('{"a": "\ud800"}', None)],
)
def test_arguments_are_decoded_on_demand(arguments, value):
    parsed = ToolCall(id="1", name="f", arguments=arguments).parse_arguments()
    assert parsed == value if value is not None else isinstance(parsed["a"], str)


@given(st.text(st.characters(exclude_categories=())))
def test_invalid_arguments_raise_value_error_and_nothing_else(arguments):
    with suppress(ValueError):
        ToolCall(id="1", name="f", arguments=arguments).parse_arguments()


# Usage.


@given(USAGES)
def test_the_buckets_are_a_partition_of_the_totals(usage):
    assert sum(count for _, count in usage.buckets()) == usage.total_tokens
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


@given(USAGES)
def test_buckets_lists_what_is_not_zero_in_the_order_of_the_table(usage):
    named = dict(usage.buckets())
    assert all(named.values())
    assert list(named) == [name for name in TOKEN_BUCKETS if getattr(usage, name)]


def test_every_count_of_usage_is_a_bucket_or_a_count_of_events():
    others = {"source", "reported"}
    assert set(Usage.__struct_fields__) == {*TOKEN_BUCKETS, *EVENT_BUCKETS} | others


def test_each_bucket_stands_in_exactly_one_total():
    for name in TOKEN_BUCKETS:
        usage = Usage(**{name: 7})
        assert sorted((usage.input_tokens, usage.output_tokens)) == [0, 7]
        is_input = usage.input_tokens == 7
        assert is_input == ("output" not in name and name != "reasoning")


@pytest.mark.parametrize("source", ["missing", "suspect"])
def test_totals_that_nobody_vouches_for_are_none_never_zero(source):
    usage = Usage(input=3, output=2, source=source)
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (None, None, None)
    assert (usage.total_input, usage.total_output) == (3, 2)


# Cost.


def exact(femto):
    with localcontext() as context:
        context.prec = 200
        return Decimal(femto).scaleb(-15)


@given(st.integers(0, 10**40))
@example(0)
@example(10**15)
@example(10**16)
@example(1)
def test_usd_is_the_exact_amount(femto):
    assert Cost(femto=femto).usd == exact(femto)


def test_usd_is_the_exact_amount_of_a_credit_too():
    assert Cost(femto=-1).usd == exact(-1)


@given(st.integers(0, 10**40))
def test_the_shown_amount_is_the_exact_amount_without_an_exponent(femto):
    shown = str(Cost(femto=femto))
    assert Decimal(shown.removeprefix("$")) == exact(femto)
    assert "E" not in shown.upper()
    assert not (shown.endswith("0") and "." in shown)


def test_unknown_is_never_zero():
    cost = Cost(femto=None, kind="unknown", reason="no price for x")
    assert cost.usd is None
    assert str(cost) == "unknown (no price for x)"
    assert "no price for x" in cost.explain()
    assert "0" not in str(Cost(femto=None, kind="unknown"))
    assert cost != Cost(femto=0)


@given(USAGES, RULES)
def test_the_lines_sum_to_the_priced_part_of_the_counts(usage, rule):
    counts = tuple(usage.buckets())
    cost = Cost(femto=None, kind="unknown", counts=counts, rule=rule, reason="x")
    assert sum(line.femto for line in cost.lines) == sum(n * rule.rates[b] for b, n in counts if b in rule.rates)
    assert [line.bucket for line in cost.lines] == [b for b, _ in counts if b in rule.rates]


def test_explain_names_each_bucket_the_rule_and_its_source():
    rule = PriceRule(
        id="openai/gpt-4", rates={"input": 30 * 10**9, "output": 60 * 10**9}, source="list", as_of="2026-11-23"
    )
    cost = Cost(femto=60 * 10**12, counts=(("input", 1000), ("output", 500)), rule=rule)
    assert cost.explain() == (
        "$0.06 = 1,000 input x $30/M + 500 output x $60/M [openai/gpt-4, standard, list, 2026-11-23]"
    )


def test_explain_keeps_the_known_part_of_an_unknown_cost():
    rule = PriceRule(id="x/y", rates={"input": 10**9}, source="list")
    cost = Cost(femto=None, kind="unknown", counts=(("input", 2), ("output", 1)), rule=rule, reason="no rate")
    assert cost.explain() == "unknown (no rate); known part: 2 input x $1/M [x/y, standard, list]"


def test_explain_of_no_tokens_is_no_empty_sum():
    assert "0 tokens" in Cost(femto=0, rule=PriceRule(id="x", rates={}, source="s")).explain()


def test_a_cost_says_what_was_not_priced_and_what_is_known():
    rule = PriceRule(id="x/y", rates={"input": 10**9}, source="list", above=200, mode="flex", disputed=("input: z 2",))
    counts = (("input", 2), ("output", 1))
    cost = Cost(femto=None, kind="unknown", counts=counts, rule=rule, reason="no rate", basis="assumed", stale=True)
    assert (cost.usd, cost.known_usd, cost.unpriced) == (None, Decimal("0.000002"), ("output",))
    assert (cost.mode, cost.tier, cost.source, cost.disputed) == ("flex", ">200", "list", True)
    for words in ("assumed", "stale", "disputed: input: z 2", "flex, above 200 input tokens"):
        assert words in cost.explain()
    assert cost.lines[0].usd == Decimal("0.000002")


def test_a_stated_cost_is_exact_below_a_femto_dollar_and_the_computed_one_stands_beside_it():
    rule = PriceRule(id="x/y", rates={"input": 10**9}, source="list")
    computed = Cost(femto=2 * 10**9, counts=(("input", 2),), rule=rule, basis="served")
    cost = Cost(
        femto=2001, kind="provider", stated="0.0000020013333333333333", stated_in="usage.cost", computed=computed
    )
    assert cost.usd == cost.known_usd == Decimal("0.0000020013333333333333")
    assert cost.difference == Decimal("1.3333333333333E-9")
    assert (cost.lines, cost.unpriced, cost.source) == (computed.lines, (), "the provider, in usage.cost")
    assert str(cost) == "$0.0000020013333333333333"
    assert cost.explain() == (
        "$0.0000020013333333333333, as the provider, in usage.cost states; computed: "
        "$0.000002 = 2 input x $1/M [x/y, standard, list]; difference +0.0000000013333333333333"
    )


def test_an_estimate_reads_as_one():
    assert str(Cost(femto=10**15, kind="estimate")) == "about $1"


AMOUNTS = st.none() | st.integers(-(10**20), 10**40)


@given(st.lists(AMOUNTS), st.randoms())
def test_costs_sum_exactly_in_any_order_with_the_number_of_unknowns(amounts, random):
    costs = [Cost(femto=femto, kind="unknown" if femto is None else "computed") for femto in amounts]
    total = sum(costs, CostTotal())
    random.shuffle(costs)
    assert sum(costs, CostTotal()) == total
    known = [femto for femto in amounts if femto is not None]
    assert (total.calls, total.unknown_costs) == (len(amounts), len(amounts) - len(known))
    assert total.known_usd == exact(sum(known))
    assert total.usd == (total.known_usd if len(known) == len(amounts) else None)
    if costs:
        assert sum(costs) == total


def test_a_sum_shows_its_unknowns_and_adds_nothing_but_costs():
    one, unknown = Cost(femto=10**15), Cost(femto=None, kind="unknown")
    assert str(sum([one, unknown, one])) == "$2 + 1 unknown"
    assert str(one + one) == "$2"
    assert one + (one + one) == (one + one) + one == sum([one] * 3)
    for wrong in (1, 1.5, "1", None):
        with pytest.raises(TypeError):
            one + wrong
        with pytest.raises(TypeError):
            wrong + one


def test_a_stated_amount_is_summed_to_its_last_digit():
    cost = Cost(femto=1, kind="provider", stated="0.0000000000000013333", stated_in="usage.cost")
    assert sum([cost] * 3).usd == Decimal("0.0000000000000039999")


# The response.


def test_a_response_is_its_text():
    assert str(RESPONSE) == RESPONSE.text == "Hello world"
    assert RESPONSE.reasoning == "hm yes"
    assert RESPONSE.refusal == "not that"
    assert RESPONSE.parts == RESPONSE.message.parts
    assert [call.name for call in RESPONSE.tool_calls] == ["f"]
    assert RESPONSE.raw == {"id": "r1"}


def test_an_answer_without_content_has_empty_text_and_no_refusal():
    empty = Response(message=Message.assistant(), finish_reason="stop", model="m")
    assert (str(empty), empty.reasoning, empty.refusal, empty.tool_calls, empty.raw) == ("", "", None, (), None)
    assert empty.usage.total_tokens is None
    assert empty.cost.femto is None


def test_call_details_and_the_body_take_no_part_in_equality_and_every_other_field_does():
    """A stream has no body, and the same answer is the same whichever way it came."""
    base = {name: getattr(RESPONSE, name) for name in Response.__struct_fields__}
    twin = Response(**{**base, "call": CallDetails(), "body": None})
    assert twin == RESPONSE
    assert not twin != RESPONSE  # noqa: SIM202  # the operator has a method of its own
    different = {
        "message": Message.assistant("other"),
        "finish_reason": "length",
        "usage": Usage(),
        "cost": Cost(femto=6),
        "created": 1,
        "provider_data": {"a": 1},
    }
    for name in set(base) - {"call", "body", "reader"}:
        assert Response(**{**base, name: different.get(name, "other")}) != RESPONSE, name


def test_a_response_compared_with_something_else_is_unequal_and_unhashable():
    assert RESPONSE != "Hello world"
    with pytest.raises(TypeError):
        hash(RESPONSE)


def test_the_repr_is_short_whatever_the_answer():
    long = Response(message=Message.assistant("x" * 10_000), finish_reason="stop", model="m")
    assert len(repr(long)) < 300
    assert "..." in repr(long)
    assert "..." not in repr(RESPONSE)


def test_raw_is_decoded_tolerantly_and_anew():
    odd = Response(message=Message.assistant(), finish_reason="stop", model="m", body=b'\xef\xbb\xbf{"n": NaN}')
    assert odd.raw["n"] != odd.raw["n"]
    assert odd.raw is not odd.raw
