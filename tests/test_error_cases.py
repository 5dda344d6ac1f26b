"""What a provider's "no" means, as a table: error_cases.json, one row a case, held against the whole way of a call.

A row says what comes (wire, status, headers, body), and what it must become: the kind, whether it is tried again,
whether another model is asked, and how long is waited. The recorded errors of real providers stand beside it, in the
tests of each wire.
"""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quoth import ModelsAPI, Settings
from quoth.dialects import CLIENTS, load_client
from quoth.dialects._errors import error_from, retry_after
from quoth.errors import KINDS, TEXT_LIMIT, APIStatusError, QuothError
from quoth.limits._retry import falls_back
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport
from quoth.wire import WireReply

CASES = json.loads(Path(__file__).with_name("error_cases.json").read_text("utf-8"))
CASE_IDS = [f"{case['wire']} {case['status']} {case['kind']}: {case['case']}" for case in CASES]


def reply_of(case):
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    return Reply(status=case["status"], headers=tuple(case["headers"].items()), body=body.encode())


def raised_by(case):
    script = ScriptedTransport(reply_of(case))
    table = ProviderTable()
    table.register("mine", base_url="https://mine.example/v1", dialect=case["wire"])
    api = ModelsAPI(Settings(transport=script, async_transport=script.aio, retries=0), providers=table)
    with pytest.raises(QuothError) as caught:
        api("mine/m", "Hi")
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=CASE_IDS)
def test_each_no_becomes_the_error_of_its_kind(case):
    error = raised_by(case)
    assert (error.kind, type(error)) == (case["kind"], KINDS[case["kind"]])
    assert error.retryable is case["retryable"]
    assert falls_back(error, same_provider=False) is case["falls_back"]
    assert error.retry_after == case.get("retry_after")
    assert (error.status, error.provider, error.model, error.sent) == (case["status"], "mine", "m", "yes")


def test_the_table_has_every_kind_of_theirs_on_every_wire_that_can_say_it():
    kinds = {cls.kind for cls in KINDS.values() if issubclass(cls, APIStatusError)}
    assert {case["kind"] for case in CASES} == kinds
    assert {case["wire"] for case in CASES} == set(CLIENTS)


# However it is written.

HEADER_NAMES = ["retry-after", "retry-after-ms", "x-amz-retry-after", "date", "x-should-retry", "x-request-id"]
HEADER_VALUES = st.sampled_from(
    ["", "0", "-1", "1", "1.5", "nan", "inf", "1e400", "1, 2", "true", "false", "Sun, 06 Nov 1994 08:49:37 GMT",
     "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 99 Nov 1994 99:99:99 GMT",
     "Sun, 06 Foo 1994 08:49:37 GMT", "9" * 400]
) | st.text(st.characters(max_codepoint=255), max_size=40)  # fmt: skip
HEADERS = st.lists(st.tuples(st.sampled_from(HEADER_NAMES), HEADER_VALUES), max_size=5).map(tuple)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10**20) | st.text(max_size=10) | st.sampled_from(["46s", "xs", "-1s"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "type", "message", "details", "retryDelay", "violations", "quotaId",
                             "reason", "status", "detail", "innererror"]), inner, max_size=4,
        )
    ),
    max_leaves=8,
)  # fmt: skip


@given(
    st.sampled_from(sorted(CLIENTS)),
    st.integers(100, 999),
    HEADERS,
    st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()),
)
def test_whatever_comes_there_is_an_error_whose_wait_can_be_waited(wire, status, headers, body):
    error = error_from(load_client(wire).parse_error(WireReply(status=status, headers=headers, body=body)))
    assert isinstance(error, APIStatusError)
    assert error.retry_after is None or 0 <= error.retry_after < float("inf")
    assert len(str(error)) <= TEXT_LIMIT


@pytest.mark.parametrize("then", ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT",
                                  "Sun Nov  6 08:50:37 1994"])  # fmt: skip
@pytest.mark.parametrize("now", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                 "Sun Nov  6 08:49:37 1994"])  # fmt: skip
def test_each_form_of_a_date_is_read(now, then):
    assert retry_after((("date", now), ("retry-after", then))) == 60.0
    assert retry_after((("date", then), ("retry-after", now))) is None
    assert retry_after((("retry-after", then),)) is None


@given(st.integers(0, 2 * 10**11), st.integers(0, 10**6))
def test_a_date_is_counted_as_the_calendar_counts(since_1970, seconds):
    moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=since_1970)
    now, then = (format_datetime(each, usegmt=True) for each in (moment, moment + timedelta(seconds=seconds)))
    assert retry_after((("date", now), ("retry-after", then))) == float(seconds)
