"""One line a call, where it was asked for: it says what the record says, and nothing of what was asked or answered."""

import json
import logging
import subprocess
import sys
from contextlib import suppress

import pytest

from faults import CHAT, KEY, reply, serving
from quoth import ModelsAPI, Response, RetryPolicy, Settings, Usage
from quoth.dialects.openai_chat.server import build_error, build_response
from quoth.errors import APIConnectionError, APIStatusError, InputError, InputTypeError
from quoth.instrumentation._logs import FIELDS
from quoth.testing import FakeProvider, Fault, Reply, ScriptedTransport
from quoth.types import Message
from quoth.wire import ErrorInfo
from servers import RawServer
from tables import chat_table
from test_key_nowhere import ECHO, api_of as api_with_key
from ways import WAYS

PROMPT, ANSWER = "What is the secret of tea?", "It is patience."


class Kept(logging.Handler):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.records = []

    def emit(self, record):
        self.records.append(record)

    @property
    def lines(self):
        return [record.getMessage() for record in self.records]


@pytest.fixture(autouse=True)
def kept():
    """A handler on ``quoth``, as an application would put there; the logger is left as it was found."""
    logger, handler = logging.getLogger("quoth"), Kept()
    before, level = list(logger.handlers), logger.level
    logger.addHandler(handler)
    yield handler
    logger.handlers[:] = before
    logger.setLevel(level)


def answer_of(**fields):
    usage = Usage(input=12, cache_read=3, output=5, reasoning=2)
    given = {"finish_reason": "stop", "model": "gpt-4o-2024-08-06", "usage": usage, **fields}
    return Reply(headers=(("x-request-id", "req_1"),), body=build_response(
        Response(message=Message.assistant(ANSWER), **given)).body)  # fmt: skip


def api_of(*script, **more):
    settings = Settings(transport=ScriptedTransport(*script), api_keys={"openai": KEY}, **more)
    return ModelsAPI(settings, providers=chat_table())


def read(line):
    """A line as a reader of it would take it apart: words, or JSON strings."""
    found, rest = {}, line
    while rest:
        name, _, rest = rest.partition("=")
        if rest.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:]
        else:
            value = rest.partition(" ")[0]
            rest = rest[len(value) :]
        assert not rest or rest[0] == " ", line
        found[name], rest = value, rest[1:]
    return found


def test_a_line_says_what_the_record_says(kept):
    records = []
    api = api_of(answer_of())
    api.on_call(records.append)
    api.log_calls()
    api("gpt-4o", PROMPT, tags={"user": "u1"})
    (line,), (record,) = kept.lines, records
    assert read(line) == {
        "call": record.id, "operation": "generate", "provider": "openai", "model": "gpt-4o",
        "served_model": "gpt-4o-2024-08-06", "outcome": "answered", "status": "200", "finish_reason": "stop",
        "input_tokens": "15", "output_tokens": "7", "cost_usd": f"{record.cost.usd:f}", "cost_kind": "computed",
        "seconds": f"{round(record.seconds, 6)}", "attempts": "1", "retries": "0", "request_id": "req_1",
    }  # fmt: skip
    assert [name for name in FIELDS if name in read(line)] == [*read(line)]  # in the order of the table


def test_json_and_the_attributes_of_the_log_record_have_every_field_always(kept):
    api = api_of(answer_of(), APIConnectionError("reset", phase="connect", sent="no"), retries=0)
    api.log_calls(format="json", tags=["feature"])
    api("gpt-4o", PROMPT, tags={"feature": "a b", "user": "u1"})
    with pytest.raises(APIConnectionError):
        api("gpt-4o", PROMPT)
    told = [json.loads(line) for line in kept.lines]
    assert told[0].pop("tags") == {"feature": "a b"}
    for fields, record in zip(told, kept.records, strict=True):
        assert [*fields] == [*FIELDS]
        assert {name: getattr(record, f"quoth_{name}") for name in FIELDS} == fields
    assert kept.records[0].quoth_tags == {"feature": "a b"}
    assert kept.records[1].quoth_tags == {}
    assert [record.levelname for record in kept.records] == ["INFO", "INFO"]
    lost = told[1]
    assert (lost["outcome"], lost["error_kind"], lost["cost_usd"], lost["cost_kind"]) == (
        "failed", "connection", "0", "none",
    )  # fmt: skip


def test_a_cost_that_is_not_known_is_never_zero(kept):
    api = api_of(answer_of(model="nobody-knows"), APIConnectionError("reset", phase="read", sent="yes"), retries=0)
    api.log_calls()
    api("openai/nobody-knows", PROMPT)
    with pytest.raises(APIConnectionError):
        api("gpt-4o", PROMPT)
    for line in map(read, kept.lines):
        assert (line.get("cost_usd"), line["cost_kind"]) == (None, "unknown")


def test_retries_and_attempts_are_counted_and_who_was_asked_last_is_named(kept):
    with FakeProvider([Fault(status=503), Fault(status=503), Fault(status=400), ANSWER]) as fake:
        api = fake.models(retries=RetryPolicy(backoff=0.001))
        api.log_calls()
        with pytest.raises(APIStatusError):
            api("openai/gpt-6-luna", PROMPT)
        api("openai/gpt-6-luna", PROMPT)
        first, second = map(read, kept.lines)
    assert (first["attempts"], first["retries"], first["status"], first["outcome"]) == ("3", "2", "400", "failed")
    assert (second["attempts"], second["retries"], second["status"]) == ("1", "0", "200")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_prompt_no_answer_and_no_key_is_logged_even_where_the_provider_echoes_it(way, form, kept):
    logging.getLogger("quoth").setLevel(logging.DEBUG)
    for script in (serving(CHAT), reply(ECHO, b"content-type: application/json", status=401)):
        with RawServer(script) as server:
            api = api_with_key(server)
            api.log_calls(format=form)
            with suppress(APIStatusError):
                WAYS[way](api, PROMPT, model="mine/m")
            assert KEY.encode() in server.requests[0][0]  # else there would be nothing to find
            assert PROMPT.encode() in server.requests[0][1]
            api.close()
    assert len(kept.records) == 2  # one a call, at DEBUG too
    shown = repr([(record.__dict__, record.getMessage()) for record in kept.records])
    assert "mine" in shown
    for secret in (KEY, PROMPT, ANSWER, "Hello", "authorization"):
        assert secret not in shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_foreign_texts_stay_on_one_line_and_show_nothing_that_looks_like_a_key(form, kept):
    issued = "sk-proj-" + "a1B2" * 8
    bad = f'gpt\n4\x1b[31m" outcome="answered\u2028{issued} ' + "x" * 1_000
    body = build_error(ErrorInfo(kind="bad_request", message=issued)).body
    api = api_of(answer_of(model=bad), Reply(status=400, body=body, headers=(("x-request-id", issued),)))
    api.log_calls(format=form, tags=["who"])
    api("gpt-4o", PROMPT, tags={"who": 'a" model="b'})
    with pytest.raises(APIStatusError):
        api("gpt-4o", PROMPT)
    for line, record in zip(kept.lines, kept.records, strict=True):
        assert line.isprintable()
        assert issued not in line + repr(record.__dict__)
        assert len(line) < 1_500
    first, second = map(json.loads if form == "json" else read, kept.lines)
    assert first["served_model"].startswith('gpt 4 [31m" outcome="answered [redacted] xxx')
    assert first["outcome"] == "answered"
    assert (first["tags"]["who"] if form == "json" else first["tag.who"]) == 'a" model="b'
    assert second["request_id"] == "[redacted]"


def test_what_a_handler_raises_hurts_no_call_and_is_counted(kept):
    def emit(record):
        raise ValueError("the disk is full")

    api = api_of(*[answer_of()] * 2)
    handle = api.log_calls()
    kept.emit = emit
    with pytest.warns(RuntimeWarning, match="the disk is full"):
        assert api("gpt-4o", PROMPT).text == ANSWER
    assert api("gpt-4o", PROMPT).text == ANSWER
    assert handle.failures == 2


def test_a_handler_that_calls_a_model_itself_does_not_go_round_in_a_circle(kept):
    api = api_of(*[answer_of()] * 9)
    api.log_calls()
    kept.emit = lambda record: kept.records.append(record) or api("gpt-4o", "Summarise the log")
    api("gpt-4o", PROMPT)
    assert (len(kept.records), api.usage().total.calls) == (1, 2)


def test_the_application_decides_by_its_level_and_removing_ends_it(kept):
    api = api_of(*[answer_of()] * 4)
    handle = api.log_calls()
    logging.getLogger("quoth").setLevel(logging.WARNING)
    api("gpt-4o", PROMPT)
    assert kept.records == []
    logging.getLogger("quoth").setLevel(logging.INFO)
    api("gpt-4o", PROMPT)
    handle.remove()
    api("gpt-4o", PROMPT)
    assert len(kept.records) == 1


def test_a_level_that_the_application_has_set_stays_and_handlers_do_not_pile_up(kept):
    logger = logging.getLogger("quoth")
    logger.setLevel(logging.ERROR)
    for _ in range(3):
        api_of().log_calls()
    assert logger.level == logging.ERROR
    assert sum(isinstance(handler, logging.NullHandler) for handler in logger.handlers) == 1


@pytest.mark.parametrize("bad", [{"format": "xml"}, {"tags": "feature"}, {"tags": [1]}], ids=repr)
def test_what_cannot_be_is_refused_when_it_is_asked_for(bad):
    with pytest.raises((InputError, InputTypeError), match=r"format|tags"):
        api_of().log_calls(**bad)


QUIET = """
import sys
from quoth import models
from quoth.testing import FakeProvider
with FakeProvider("Hello") as fake:
    api = fake.models()
    {log}
    assert api("openai/gpt-6-luna", "Hi").text == "Hello"
print("quoth.instrumentation._logs" in sys.modules)
"""


@pytest.mark.parametrize(("log", "loaded"), [("", "False"), ("api.log_calls()", "True")])
def test_without_a_logging_of_the_application_nothing_is_printed_and_off_nothing_is_loaded(log, loaded):
    done = subprocess.run(
        [sys.executable, "-c", QUIET.format(log=log)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", loaded + "\n")
