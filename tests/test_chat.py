"""Chats: a conversation that remembers; a failed turn leaves it as it was; kept, forked, switched, trimmed."""

import asyncio
import json
import os
import stat
import sys
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from quoth import Audio, Chat, Document, Image, Message, ModelsAPI, Reasoning, Refusal, Response, Text, ToolCall
from quoth._chat import SCHEMA, _trimmed
from quoth._executing import ToolRun
from quoth.errors import ClosedError, InputError, InputTypeError, RateLimitError, RunLimitError, StreamInterruptedError
from quoth.events import ResponseEnd, TextDelta
from quoth.testing import FakeProvider, Fault
from quoth.types import ToolResult
from test_run import add, always, tells

MODEL = "openai/gpt-6-luna"


def texts(chat):
    return [(message.role, message.text) for message in chat.messages]


def test_a_chat_remembers_what_was_said_and_sums_what_it_cost():
    with FakeProvider() as fake:
        chat = fake.models().chat(MODEL, system="Be brief.", temperature=0)
        assert chat("One").text == "One"
        assert "".join(chat.stream("Two", temperature=1)) == "Two"
        assert asyncio.run(chat.aio("Three")).text == "Three"
        assert texts(chat) == [(role, said) for said in ("One", "Two", "Three") for role in ("user", "assistant")]
        assert [request.request.messages[0].text for request in fake.requests] == ["Be brief."] * 3
        assert [request.request.temperature for request in fake.requests] == [0, 1, 0]
        assert [len(request.request.messages) for request in fake.requests] == [2, 4, 6]
        assert chat.cost.calls == 3
        assert chat.cost.usd > chat.run.cost.usd > 0
        assert chat.usage.total_tokens > chat.run.usage.total_tokens > 0
        assert len(chat) == 6
        assert repr(chat) == f"Chat('{MODEL}', 6 messages, {chat.cost})"


def test_the_tools_of_a_turn_stand_in_the_history():
    with FakeProvider(tells(("add", '{"a": 1}'))) as fake:
        chat = fake.models().chat(MODEL, tools=[add])
        assert chat("Add.").text == "2"
        assert [message.role for message in chat.messages] == ["user", "assistant", "tool", "assistant"]
        assert [each.call.name for each in chat.run.calls] == ["add"]


def test_the_stream_of_a_turn_shows_all_that_happens_in_order():
    with FakeProvider(tells(("add", '{"a": 1}'))) as fake:
        stream = fake.models().chat(MODEL, tools=[add]).stream("Add.")
        events = list(stream.events())
        tool = next(index for index, event in enumerate(events) if isinstance(event, ToolRun))
        assert [index for index, event in enumerate(events) if isinstance(event, ResponseEnd)] == [
            tool - 1, len(events) - 1
        ]  # fmt: skip
        assert "".join(event.text for event in events[tool:] if isinstance(event, TextDelta)) == "2"
        assert stream.response.text == stream.run.text == "2"


def failing_call(chat):
    chat("Two")


def failing_stream(chat):
    chat.stream("Two").read()


def failing_async_call(chat):
    asyncio.run(chat.aio("Two"))


def failing_async_stream(chat):
    async def main():
        await chat.aio.stream("Two").read()

    asyncio.run(main())


@pytest.fixture(params=[failing_call, failing_stream, failing_async_call, failing_async_stream])
def fails(request):
    return request.param


def test_a_turn_that_fails_leaves_the_history_as_it_was_and_its_cost_counted(fails):
    script = ["One", Fault(status=429), "Three"]
    with FakeProvider(script) as fake:
        chat = fake.models(retries=0).chat(MODEL)
        chat("One")
        before, cost = chat.messages, chat.cost
        with pytest.raises(RateLimitError):
            fails(chat)
        assert (chat.messages, chat.cost) == (before, cost)  # a refusal costs nothing
        assert chat("Three").text == "Three"
        assert [message.text for message in fake.requests[2].request.messages] == ["One", "One", "Three"]


def test_what_the_rounds_of_a_failed_turn_cost_is_counted(fails):
    with FakeProvider(always) as fake:
        chat = fake.models().chat(MODEL, tools=[add], max_rounds=2)
        with pytest.raises(RunLimitError) as caught:
            fails(chat)
        assert chat.messages == ()
        assert chat.cost == caught.value.run.cost
        assert chat.cost.calls == 2


def test_an_answer_that_was_cut_may_have_cost_something_and_is_counted_as_unknown():
    with FakeProvider([Fault(answer="Once upon a time", after_events=4)], piece=4) as fake:
        chat = fake.models(retries=0).chat("anthropic/claude-haiku-5-5")
        with pytest.raises(StreamInterruptedError):
            chat.stream("Tell").read()
        assert chat.messages == ()
        assert (chat.cost.usd, chat.cost.unknown_costs) == (None, 1)


def test_a_stream_that_is_left_leaves_the_chat_free_and_the_history_as_it_was():
    with FakeProvider(piece=1) as fake:
        chat = fake.models().chat(MODEL)
        with chat.stream("A long answer") as stream:
            assert next(stream)
            with pytest.raises(InputError, match="in the middle of a turn"):
                chat("Meanwhile")
        assert chat.messages == ()
        assert chat.cost.unknown_costs == 1
        with pytest.raises(ClosedError):
            next(stream)
        with pytest.raises(ClosedError):
            _ = stream.run
        chat.stream("dropped before it was read")
        chat.stream("dropped").open()  # by garbage collection
        assert chat("Now").text == "Now"


def test_the_run_of_a_stream_is_there_at_its_end_only():
    with FakeProvider() as fake:
        stream = fake.models().chat(MODEL).stream("Hi")
        with pytest.raises(InputError, match="at the end of the stream"):
            _ = stream.run
        assert fake.requests == []
        stream.close()
        with pytest.raises(ClosedError):
            stream.open()


def test_a_fork_goes_its_own_way():
    with FakeProvider() as fake:
        chat = fake.models().chat(MODEL)
        chat("One")
        other = chat.fork()
        other("Two")
        chat("Three")
        assert [text for _, text in texts(chat)] == ["One", "One", "Three", "Three"]
        assert [text for _, text in texts(other)] == ["One", "One", "Two", "Two"]
        assert other.cost.calls == chat.cost.calls == 2


# Keeping it.

PICTURE = Image(url="https://x.example/u.png")
SAID = (
    Message.user("See", Image(data=b"\x89PNG\x00", media_type="image/png"), Image(url="https://x.example/a.png")),
    Message.user(Audio(data=b"RIFF", media_type="audio/wav"), Document(data=b"%PDF", filename="a.pdf")),
    Message(
        role="assistant",
        parts=(
            Reasoning(text="hm", provider_data={"anthropic_messages": {"signature": "c2ln", "n": [1, None, 2.5]}}),
            Text(text="\ud800 lone, é, 😀", provider_data={"gemini": {"thoughtSignature": "x"}}),
            Refusal(text="no"),
            ToolCall(id="1", name="add", arguments='{"a": 1'),
        ),
        provider_data={"openai_responses": {"items": [{"type": "reasoning"}]}},
    ),
    Message(role="tool", parts=(ToolResult(call_id="1", parts=(Text(text="2"), PICTURE), is_error=True),)),
)


def sane(messages):
    """As JSON can carry them: a lone surrogate becomes U+FFFD."""
    return tuple(json.loads(json.dumps(repr(messages)).replace("\\\\ud800", "\ufffd")))


def test_a_chat_is_kept_without_loss(tmp_path):
    with FakeProvider() as fake:
        models = fake.models()
        chat = models.chat(MODEL, system="Be brief.", messages=list(SAID))
        chat._messages = ()
        chat("Hi")
        chat._messages += SAID
        path = tmp_path / "chat.json"
        chat.save(path)
        if sys.platform != "win32":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [each.name for each in tmp_path.iterdir()] == ["chat.json"]
        for kept in (path, chat.to_json()):
            again = models.load_chat(kept, check="off")
            assert sane(again.messages) == sane(chat.messages)
            assert (again.cost, again.model, len(again)) == (chat.cost, chat.model, len(chat))
            assert again.usage == chat.usage
            assert again.to_json() == models.load_chat(again.to_json()).to_json()
            again._messages = again.messages[:2]
            again("More")
            assert fake.requests[-1].request.messages[0].text == "Be brief."
        assert models.load_chat(path, system="Be long.").fork()._binding.system == "Be long."


def test_a_saved_chat_holds_no_key_and_no_option(tmp_path):
    with FakeProvider() as fake:
        chat = fake.models().chat(MODEL, api_key="sk-" + "k" * 30, headers={"x-secret": "hush"}, tools=[add])
        assert set(json.loads(chat.to_json())) == {
            "schema", "model", "system", "messages", "known_usd", "calls", "unknown_costs", "usage"
        }  # fmt: skip
        assert "kkkk" not in chat.to_json()
        assert "hush" not in chat.to_json()


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ("{}", "no saved chat"),
        ('{"schema": 1, "model": "a/b", "messages": [{"role": "king"}]}', "no saved chat"),
        (f'{{"schema": {SCHEMA + 1}}}', "later version"),
        ("/nowhere/chat.json", "cannot be read"),
        ('{"schema": 1, "messages": ' + "[" * 200_000, "no saved chat"),
        ('{"schema": 1' + "0" * 100_000, "no saved chat"),
        ('{"schema": 1, "messages": "\ud800"}', "no saved chat"),
    ],
)
def test_what_is_no_saved_chat_is_told(saved, words):
    with pytest.raises(InputError, match=words):
        ModelsAPI().load_chat(saved)


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")
@pytest.mark.parametrize("before", ["nothing", "a readable file", "a link", "a left-over"])
def test_a_saved_chat_is_its_owners_alone_whatever_stood_there_before(tmp_path, before):
    """Nor is anything written through a link that somebody put where the file is made."""
    path, victim = tmp_path / "chat.json", tmp_path / "victim"
    victim.write_text("kept")
    beside = tmp_path / f"chat.json.{os.getpid()}.new"
    if before == "a readable file":
        path.write_text("old")
        path.chmod(0o666)
    elif before == "a link":
        beside.symlink_to(victim)
    elif before == "a left-over":
        beside.write_text("old")
        beside.chmod(0o666)
    mask = os.umask(0)
    try:
        with FakeProvider() as fake:
            fake.models().chat(MODEL).save(path)
    finally:
        os.umask(mask)
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert victim.read_text() == "kept"
    assert not beside.exists()


def test_a_failed_save_leaves_the_old_one(tmp_path, monkeypatch):
    with FakeProvider() as fake:
        chat = fake.models().chat(MODEL)
        path = tmp_path / "chat.json"
        chat.save(path)
        before = path.read_text()
        chat("Hi")

        def full(source, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            chat.save(path)
        assert path.read_text() == before
        assert [each.name for each in tmp_path.iterdir()] == ["chat.json"]


# Another model.


def test_a_chat_goes_on_with_another_model_and_says_what_it_leaves_behind():
    with FakeProvider() as fake:
        own = {"api_key": fake.key, "base_url": fake.base_url("openai")}
        chat = fake.models().chat(MODEL, messages=[*SAID[2:], *SAID[:1]], system="Be brief.", max_tokens=50, **own)
        notes = chat.switch("anthropic/claude-haiku-5-5", max_tokens=60)
        assert chat.model == "anthropic/claude-haiku-5-5"
        assert [note.split(" state of ")[1].split(" ")[0] for note in notes if " state of " in note] == ["gemini"]
        assert [note for note in notes if "need" in note] == []
        assert any("2 parts need image" in note for note in chat.switch("deepseek/deepseek-reasoner"))
        chat.switch("anthropic/claude-haiku-5-5")
        assert chat("Hi").text == "Hi"
        last = fake.requests[-1].request
        assert (last.max_tokens, last.messages[0].text) == (60, "Be brief.")
        assert len(chat) == 5


def test_going_back_the_first_model_has_its_own_state_again():
    thought = Reasoning(text="hm", provider_data={"anthropic_messages": {"signature": "c2ln"}})
    script = [Response(message=Message.assistant(thought, "One"), finish_reason="stop", model=""), "Two", "Three"]
    with FakeProvider(script) as fake:
        chat = fake.models().chat("anthropic/claude-haiku-5-5")
        chat("1")
        assert chat.switch(MODEL)
        chat("2")
        chat.switch("anthropic/claude-haiku-5-5")
        chat("3")
        assert b"c2ln" not in fake.requests[1].body
        assert b"c2ln" in fake.requests[2].body


# Trimming.


def test_the_latest_turns_are_sent_and_all_are_kept():
    with FakeProvider(tells(("add", '{"a": 1}'))) as fake:
        chat = fake.models().chat(MODEL, tools=[add], trim=2, system="Be brief.")
        for number in range(4):
            chat(f"Turn {number}")
        assert len(chat) == 16
        sent = [[m.text for m in request.request.messages if m.role == "user"] for request in fake.requests[::2]]
        assert sent == [["Turn 0"], ["Turn 0", "Turn 1"], ["Turn 1", "Turn 2"], ["Turn 2", "Turn 3"]]


def test_a_function_may_choose_what_is_sent():
    with FakeProvider() as fake:
        chat = fake.models().chat(MODEL, trim=lambda messages: messages[-1:])
        chat("One")
        chat("Two")
        assert [m.text for m in fake.requests[1].request.messages] == ["Two"]
        assert len(chat) == 4
        for wrong in (lambda messages: [], lambda messages: ["text"]):
            with pytest.raises(InputTypeError, match="trim"):
                fake.models().chat(MODEL, trim=wrong)("Hi")
    for wrong in (0, True, "2"):
        with pytest.raises(InputError, match="trim"):
            ModelsAPI().chat(MODEL, trim=wrong)


TURNS = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2)), min_size=1, max_size=6)


@given(TURNS, st.integers(1, 7), st.booleans())
def test_trimming_keeps_whole_turns_the_latest_and_the_system_message(turns, most, with_system):
    """A turn: messages of the user, then rounds of calls and results, then the answer."""
    messages = [Message.system("S")] if with_system else []
    starts = []
    for said, rounds in turns:
        starts.append(len(messages))
        messages += [Message.user("u")] * said
        for number in range(rounds):
            call = ToolCall(id=str(number), name="add", arguments="{}")
            messages += [Message.assistant(call), Message.tool(call, "1")]
        messages.append(Message.assistant("a"))
    kept = _trimmed(tuple(messages), most)
    start = starts[-most] if most < len(starts) else (1 if with_system else 0)
    assert kept == (*messages[: 1 if with_system else 0], *messages[start:])


def test_a_chat_has_its_own_type():
    assert isinstance(ModelsAPI().chat("local/smollm2"), Chat)
    assert Decimal(0) == ModelsAPI().chat("local/smollm2").cost.usd
