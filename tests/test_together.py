"""What stands in rooms of its own, used at once: runs, chats, output types, repairs, budgets and the ledger agree."""

import asyncio
import re
from dataclasses import dataclass
from decimal import Decimal

import pytest

from quoth import Message, Response, ToolCall
from quoth.errors import BudgetExceededError
from quoth.testing import FakeProvider, Fault

MODELS = ["openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "google/gemini-3.8-flash", "cohere/command-a-03-2025"]


@dataclass
class Weather:
    city: str
    degrees: int


def look_up(city: str) -> int:
    """Tell the degrees of a city."""
    return len(city)


WRONG, RIGHT = '{"city": "Paris"}', '{"city": "Paris", "degrees": 5}'


def script():
    """A tool first; then an answer that is not what was asked for; then one that is."""
    call = ToolCall(id="1", name="look_up", arguments='{"city": "Paris"}')
    yield Response(message=Message.assistant(call), finish_reason="tool_calls", model="")
    yield WRONG
    yield RIGHT


def blocking(models, model, **options):
    return models.run(model, "Paris?", **options)


def asynchronous(models, model, **options):
    return asyncio.run(models.aio.run(model, "Paris?", **options))


@pytest.mark.parametrize("run", [blocking, asynchronous])
@pytest.mark.parametrize("model", MODELS)
def test_a_run_with_an_output_type_repairs_a_budget_and_a_ledger_counts_every_cent_once(model, run, tmp_path):
    records = []
    with FakeProvider(script()) as fake:
        models = fake.models()
        models.configure(ledger=tmp_path / "usage.db")
        models.on_call(records.append)
        with models.budget("1.00") as budget, models.tag(feature="weather"), models.track() as tally:
            done = run(models, model, tools=[look_up], output=Weather, repairs=1, check="off")
        assert done.parsed == Weather("Paris", 5)
        assert len(fake.requests) == 3
        assert [len(record.attempts) for record in records] == [1, 2]
        assert {record.parent for record in records} == {done.id}
        cost = done.cost.usd
        assert cost > 0
        assert cost == models.usage().total.usd == tally.total.usd == sum(record.cost.usd for record in records)
        assert models.flush()
        assert models.ledger.total().usd == cost
        assert budget.reserved == 0
        assert 0 <= budget.spent - cost < Decimal("0.00000001")  # each answer is rounded up to a nano-dollar
        assert models.ledger.check().ok
        models.close()


def test_a_repair_that_the_budget_does_not_allow_leaves_the_paid_answer():
    options = {"output": Weather, "repairs": 1, "max_tokens": 60}
    with FakeProvider([WRONG, RIGHT]) as fake:
        models = fake.models()
        with models.budget("0.0000001"), pytest.raises(BudgetExceededError) as refused:
            models(MODELS[0], "Paris?", **options)
        enough_for_one = re.search(r"may cost up to \$([0-9.]+)", str(refused.value))[1]
        with models.budget(enough_for_one) as budget, pytest.raises(BudgetExceededError) as caught:
            models(MODELS[0], "Paris?", **options)
        assert len(fake.requests) == 1
        assert budget.reserved == 0
        assert budget.spent > 0
        assert caught.value.partial.text == WRONG
        assert models.usage().total.usd == caught.value.partial.cost.usd


def test_tools_that_call_models_spend_from_the_budget_around_the_run():
    def answer(request):
        return next(answers) if request.tools else "inner"

    answers = script()
    with FakeProvider(answer) as fake:
        models = fake.models()

        def look_up(city: str) -> str:
            """Ask another model."""
            return models("groq/llama-3.3-70b-versatile", city, max_tokens=10, check="off").text

        with models.budget("1.00") as budget:
            run = models.run(MODELS[0], "Paris?", tools=[look_up, print_nothing], check="off")
        assert run.calls[0].result.parts[0].text == "inner"
        assert 0 <= budget.spent - models.usage().total.usd < Decimal("0.00000001")
        assert models.usage().total.calls == 3


def print_nothing(city: str) -> None:
    """Never asked for."""


def in_pieces(chat):
    return chat.stream("Hello").read()


def in_one_piece(chat):
    return chat("Hello")


@pytest.mark.parametrize("turn", [in_pieces, in_one_piece])
def test_a_chat_that_meets_the_end_of_its_budget_stays_as_it_was(turn):
    def talk():
        for _ in range(200):
            said.append(chat.messages)
            turn(chat)

    said = []
    with FakeProvider() as fake:
        models = fake.models()
        with models.budget("0.0005") as budget:
            chat = models.chat(MODELS[0], max_tokens=200)
            with pytest.raises(BudgetExceededError):
                talk()
        before = said[-1]
        assert chat.messages == before
        assert len(before) > 2
        assert budget.reserved == 0
        assert 0 <= budget.spent - chat.cost.usd < Decimal("0.000001")
        assert budget.spent <= Decimal("0.0005")
        assert chat("And outside?").text == "And outside?"


def test_a_stream_of_a_chat_that_is_left_gives_back_no_more_than_it_must():
    """What was sent and never finished is spent in full, for nobody knows what it cost."""
    with FakeProvider(Fault(answer="A long answer", pace=0.01), piece=2) as fake:
        models = fake.models()
        with models.budget("1.00") as budget:
            chat = models.chat(MODELS[0], max_tokens=50)
            with chat.stream("Hi") as stream:
                next(stream)
        models.close()
        assert budget.reserved == 0
        assert budget.spent > 0
        assert chat.cost.unknown_costs == 1


def test_a_fallback_is_asked_for_the_same_type_and_pays_from_the_same_budget():
    with FakeProvider([Fault(status=503), RIGHT]) as fake:
        models = fake.models()
        with models.budget("1.00") as budget:
            answer = models(MODELS[0], "Paris?", output=Weather, fallback=[MODELS[1]], retries=0)
        assert (answer.parsed, answer.provider) == (Weather("Paris", 5), "anthropic")
        assert budget.reserved == 0
        assert 0 <= budget.spent - answer.cost.usd < Decimal("0.00000001")
