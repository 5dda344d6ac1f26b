"""Runs: tools are executed, within limits, and what goes wrong with one is the model's to know."""

import asyncio
import pickle
import threading
import time
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from quoth import FunctionTool, Image, Message, Response, Text, Tool, ToolCall, Usage
from quoth._executing import result_parts
from quoth.errors import InputError, InputTypeError, RateLimitError, RunLimitError
from quoth.testing import FakeProvider, Fault

MODELS = ["openai/gpt-6-luna", "openai-chat", "anthropic/claude-haiku-5-5", "google/gemini-3.8-flash"]


def asking(*calls):
    """An answer that asks for tools."""
    parts = [ToolCall(id=f"t{index}", name=name, arguments=text) for index, (name, text) in enumerate(calls)]
    return Response(message=Message.assistant(*parts), finish_reason="tool_calls", model="")


def tells(*calls):
    """A script: asks for these tools, then tells what they gave."""

    def answer(request):
        if request.messages[-1].role == "user":
            return asking(*calls)
        results = [part for message in request.messages if message.role == "tool" for part in message.parts]
        return " | ".join(part.parts[0].text for part in results)

    return answer


def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


def fail(words: str):
    """Fail."""
    raise RuntimeError(words)


async def later(a: int):
    """Wait a moment."""
    await asyncio.sleep(0)
    return a


def blocking(models, *arguments, **options):
    return models.run(*arguments, **options)


def asynchronous(models, *arguments, **options):
    return asyncio.run(models.aio.run(*arguments, **options))


def chatting(models, model, prompt, **options):
    chat = models.chat(model, **options)
    chat(prompt)
    return chat.run


def streaming(models, model, prompt, **options):
    return models.chat(model, **options).stream(prompt).read()


def async_streaming(models, model, prompt, **options):
    async def main():
        return await models.chat(model, **options).aio.stream(prompt).read()

    return asyncio.run(main())


WAYS = [blocking, asynchronous, chatting, streaming, async_streaming]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def run(request):
    return request.param


@pytest.mark.parametrize("model", MODELS)
def test_a_run_executes_what_the_model_asks_for_until_it_is_done(run, model):
    options = {}
    if model == "openai-chat":
        model, options = "openai/gpt-6-luna", {"dialect": "chat"}
    script = tells(("add", '{"a": 1, "b": 2}'), ("later", '{"a": 7}'), ("add", '{"a": 40}'))
    with FakeProvider(script) as fake:
        done = run(fake.models(), model, "Add.", tools=[add, later], **options)
        assert done.text == str(done) == "3 | 7 | 41"
        assert [each.call.name for each in done.calls] == ["add", "later", "add"]
        assert [each.error for each in done.calls] == [None] * 3
        assert len(done.responses) == len(fake.requests) == 2
        assert done.cost.usd == sum(response.cost.usd for response in done.responses) > 0
        assert done.usage.total_tokens == sum(response.usage.total_tokens for response in done.responses)
        assert [message.role for message in done.messages] == ["user", "assistant", "tool", "tool", "tool", "assistant"]
        assert pickle.loads(pickle.dumps(done)) == done
        again = fake.models()(model, [*done.messages, Message.user("Add.")], tools=[add, later], **options)
        assert again.tool_calls


def test_what_goes_wrong_with_a_tool_is_told_to_the_model(run):
    calls = [
        ("fail", '{"words": "out of paper"}'),
        ("nope", "{}"),
        ("add", "{"),
        ("add", '{"a": "one"}'),
        ("add", '{"c": 1}'),
        ("add", '{"a": 1}'),
    ]
    with FakeProvider(tells(*calls)) as fake:
        done = run(fake.models(), "openai/gpt-6-luna", "Go.", tools=[add, fail])
    told = done.text.split(" | ")
    assert told[0] == "RuntimeError: out of paper"
    assert told[1] == "there is no tool 'nope'; there are add, fail"
    assert told[2].startswith("the arguments are no JSON")
    assert told[3].startswith("the argument a does not fit")
    assert told[4] == "there is no argument 'c'; there are: a, b"
    assert told[5] == "2"
    assert [each.error is None for each in done.calls] == [False] * 5 + [True]
    assert [each.result.is_error for each in done.calls] == [True] * 5 + [False]


def test_the_errors_of_tools_show_no_key_and_are_bounded():
    key = "sk-" + "a1" * 20
    with FakeProvider(tells(("fail", f'{{"words": "{key} {"x" * 5000}"}}'))) as fake:
        done = fake.models().run("openai/gpt-6-luna", "Go.", tools=[fail])
    assert key not in done.calls[0].error
    assert len(done.calls[0].error) <= 2000


def always(request):
    return asking(("add", '{"a": 1}'))


def test_a_run_is_bounded_in_rounds_and_its_error_has_what_was_done(run):
    with FakeProvider(always) as fake, pytest.raises(RunLimitError, match="after 3 rounds") as caught:
        run(fake.models(), "openai/gpt-6-luna", "Go.", tools=[add], max_rounds=3)
    done = caught.value.run
    assert (len(done.responses), len(done.calls), len(fake.requests)) == (3, 2, 3)
    assert done.cost.usd > 0
    assert not caught.value.retryable
    assert pickle.loads(pickle.dumps(caught.value)).run == done


def test_a_run_is_bounded_in_cost_and_what_is_unknown_is_not_taken_for_nothing(run):
    with FakeProvider(always) as fake:
        models = fake.models()
        with pytest.raises(RunLimitError, match="max_cost") as caught:
            run(models, "openai/gpt-6-luna", "Go.", tools=[add], max_cost="0.00001", max_rounds=50)
        spent = caught.value.run.cost.usd
        assert Decimal("0.00001") <= spent < Decimal("0.0001")
        with pytest.raises(RunLimitError, match="unknown") as caught:
            run(models, "groq/nobody-knows", "Go.", tools=[add], max_cost=5, check="off")
        assert len(caught.value.run.responses) == 1


def test_a_run_is_bounded_in_time_and_a_tool_that_hangs_is_given_up(run):
    release = threading.Event()

    def hang():
        """Hang."""
        release.wait(20)

    with FakeProvider(tells(("hang", "{}"), ("hang", "{}"))) as fake:
        models, began = fake.models(), time.monotonic()
        done = run(models, "openai/gpt-6-luna", "Go.", tools=[hang], tool_timeout=0.1)
        assert done.text == " | ".join(["the tool took too long and was given up"] * 2)
        done = run(models, "openai/gpt-6-luna", "Go.", tools=[FunctionTool(hang, timeout=0.1)])
        assert done.calls[0].error
        with pytest.raises(RunLimitError, match="max_seconds"):
            run(models, "openai/gpt-6-luna", "Go.", tools=[hang], max_seconds=0.3)
        assert time.monotonic() - began < 15
        release.set()


def test_what_is_asked_for_together_is_executed_together(run):
    meeting = threading.Barrier(3, timeout=10)

    def meet(n: int):
        """Wait for the others."""
        meeting.wait()
        return n

    with FakeProvider(tells(*[("meet", f'{{"n": {n}}}') for n in range(3)])) as fake:
        assert run(fake.models(), "openai/gpt-6-luna", "Go.", tools=[meet]).text == "0 | 1 | 2"


def test_tags_hold_in_tools_that_call_models_and_every_call_has_its_run_as_parent(run):
    records = []
    script = tells(("ask", "{}"), ("ask", "{}"))
    with FakeProvider(lambda request: script(request) if request.tools else "Hello") as fake:
        models = fake.models()

        def ask():
            """Ask another model."""
            return models("groq/x", "Hello", check="off").text

        models.on_call(records.append)
        with models.tag(feature="tools"):
            run(models, "openai/gpt-6-luna", "Go.", tools=[ask])
    assert [dict(record.tags) for record in records] == [{"feature": "tools"}] * 4
    parents = [record.parent for record in records]
    assert parents[0] == parents[-1] is not None
    assert parents[1:3] == [None, None]


def test_an_approval_is_asked_before_each_tool_and_its_no_is_told(run):
    asked = []

    def approve(call):
        asked.append(call.arguments)
        return {0: True, 1: False, 2: "not on Sundays"}[len(asked) - 1]

    with FakeProvider(tells(*[("add", f'{{"a": {n}}}') for n in range(3)], ("nope", "{}"))) as fake:
        done = run(fake.models(), "openai/gpt-6-luna", "Go.", tools=[add], approve=approve)
    assert done.text.startswith("1 | the user has not allowed this call | not on Sundays | there is no tool")
    assert len(asked) == 3


def test_an_async_approval_is_awaited_where_it_can_be():
    async def approve(call):
        return False

    with FakeProvider(tells(("add", '{"a": 1}'))) as fake:
        done = asynchronous(fake.models(), "openai/gpt-6-luna", "Go.", tools=[add], approve=approve)
        assert done.calls[0].error
        with pytest.raises(InputTypeError, match="approve is async"):
            fake.models().run("openai/gpt-6-luna", "Go.", tools=[add], approve=approve)


def test_a_demand_for_a_tool_is_made_once(run):
    with FakeProvider(tells(("add", '{"a": 1}'))) as fake:
        run(fake.models(), "openai/gpt-6-luna", "Go.", tools=[add], tool_choice="required")
        assert [request.request.tool_choice is None for request in fake.requests] == [False, True]


def test_a_tool_that_is_only_declared_is_the_programs_to_execute(run):
    with FakeProvider(tells(("add", '{"a": 1}'), ("mine", "{}"))) as fake:
        done = run(fake.models(), "openai/gpt-6-luna", "Go.", tools=[add, Tool(name="mine"), {"name": "other"}])
    assert [call.name for call in done.pending] == ["add", "mine"]
    assert done.calls == ()


def test_a_turn_that_the_provider_has_paused_goes_on_with_what_was_said():
    """Its own tools took long; their fees are on the record of the answer that paused, and in the run's cost."""
    search = Usage(input=10, output=5, web_searches=2)
    paused = Response(
        message=Message.assistant("Searching. "),
        finish_reason="other",
        finish_reason_raw="pause_turn",
        usage=search,
        model="",
    )
    with FakeProvider([paused, "Found."]) as fake:
        done = fake.models().run("anthropic/claude-haiku-5-5", "Search.", tools=[add])
        assert (done.text, len(done.responses)) == ("Found.", 2)
        assert [message.role for message in fake.requests[1].request.messages] == ["user", "assistant"]
        assert done.usage.web_searches == 2
        assert done.cost.usd > Decimal("0.01")  # $10 for 1,000 searches
    with FakeProvider(lambda _: paused) as fake, pytest.raises(RunLimitError, match="after 3 rounds"):
        fake.models().run("anthropic/claude-haiku-5-5", "Search.", tools=[add], max_rounds=3)


def test_a_call_never_executes_a_function():
    with FakeProvider(always) as fake:
        answer = fake.models()("openai/gpt-6-luna", "Go.", tools=[fail])
        assert answer.tool_calls[0].name == "add"
        assert len(fake.requests) == 1


def test_an_error_of_a_later_round_has_what_was_done_before(run):
    script = [asking(("add", '{"a": 1}')), Fault(status=429)]
    with FakeProvider(script) as fake, pytest.raises(RateLimitError) as caught:
        run(fake.models(retries=0), "openai/gpt-6-luna", "Go.", tools=[add])
    assert [each.result.parts[0].text for each in caught.value.run.calls] == ["2"]
    assert caught.value.run.messages[-1].role == "tool"


def test_what_interrupts_the_program_goes_through():
    def stop():
        """Stop."""
        raise KeyboardInterrupt

    with FakeProvider(tells(("stop", "{}"))) as fake, pytest.raises(KeyboardInterrupt):
        fake.models().run("openai/gpt-6-luna", "Go.", tools=[stop])


def test_a_cancelled_run_cancels_its_tools():
    ended, started = [], asyncio.Event()

    async def hang():
        """Hang."""
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("hang")

    async def main(models):
        task = asyncio.create_task(models.aio.run("openai/gpt-6-luna", "Go.", tools=[hang]))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    with FakeProvider(tells(("hang", "{}"))) as fake:
        asyncio.run(main(fake.models()))
    assert ended == ["hang"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_rounds": 0}, "max_rounds"),
        ({"max_rounds": True}, "max_rounds"),
        ({"max_seconds": 0}, "max_seconds"),
        ({"max_cost": 0.5}, "max_cost"),
        ({"max_cost": "much"}, "max_cost"),
        ({"max_cost": "-1"}, "max_cost"),
        ({"tool_timeout": "1"}, "tool_timeout"),
        ({"approve": True}, "approve"),
        ({"tools": [add, add]}, "two are called 'add'"),
        ({"max_round": 3}, "max_round"),
    ],
    ids=lambda given: given if isinstance(given, str) else "+".join(given),
)
def test_options_of_a_run_that_cannot_be_used_are_named_before_anything_is_sent(options, words):
    with FakeProvider() as fake:
        with pytest.raises(InputError, match=words):
            fake.models().run("openai/gpt-6-luna", "Go.", **options)
        with pytest.raises(InputError, match=words):
            fake.models().chat("openai/gpt-6-luna", **options)
        assert fake.requests == []


def test_a_binding_runs_with_its_own_tools_and_with_those_of_the_call():
    with FakeProvider(tells(("add", '{"a": 1}'))) as fake:
        bound = fake.models().bind("openai/gpt-6-luna", tools=[fail])
        assert bound.run("Go.").text.startswith("there is no tool 'add'")
        assert bound.run("Go.", tools=[add]).text == "2"
        assert asyncio.run(bound.aio.run("Go.", tools=[add])).text == "2"


class Odd:
    def __str__(self):
        return "odd"


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("text", (Text(text="text"),)),
        (None, (Text(text="null"),)),
        ({"a": [1, 2.5]}, (Text(text='{"a":[1,2.5]}'),)),
        ([1, "a"], (Text(text='[1,"a"]'),)),
        (Odd(), (Text(text="odd"),)),
        (Image(url="https://x.example/a.png"), (Image(url="https://x.example/a.png"),)),
        (["see", Image(url="u")], (Text(text="see"), Image(url="u"))),
    ],
    ids=["text", "none", "json", "list", "str", "image", "parts"],
)
def test_what_a_tool_gives_is_told_as_it_is(value, parts):
    assert result_parts(value) == parts


@given(st.lists(st.sampled_from(["add", "fail", "nope", "later"]), min_size=1, max_size=20))
def test_every_call_has_its_result_in_its_place(names):
    from quoth._executing import Toolbox, aexecute, execute
    from quoth._tools import executable

    tools = {tool.name: tool for tool in map(executable, (add, fail, later))}
    calls = tuple(
        ToolCall(id=f"c{index}", name=name, arguments=f'{{"a": {index}}}') for index, name in enumerate(names)
    )
    box = Toolbox(tools=tools)
    done = execute(box, calls, 1, None)
    assert [each.result.call_id for each in done] == [call.id for call in calls]
    expected = {"add": lambda index: str(index + 1), "later": str}
    for index, (name, each) in enumerate(zip(names, done, strict=True)):
        assert each.result.is_error is (name not in expected)
        if name in expected:
            assert each.result.parts[0].text == expected[name](index)
    under_asyncio = asyncio.run(aexecute(box, calls, 1, None))
    assert [each.result for each in under_asyncio] == [each.result for each in done]
