"""Errors: plain data that travels, and a text that is fit to show. (The tree: test_docstrings.py.)"""

import copy
import pickle
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, example, given, strategies as st

from quoth import errors
from quoth.errors import KINDS, TEXT_LIMIT, QuothError, clean
from quoth.limits import RetryPolicy
from quoth.limits._retry import Tries, falls_back, next_wait
from quoth.types import Attempt, Message, Response

CLASSES = sorted(KINDS.values(), key=lambda cls: cls.__name__)

FIELDS = {
    "provider": "openai",
    "model": "gpt-4",
    "status": 429,
    "provider_code": "slow_down",
    "request_id": "req_1",
    "retry_after": 1.5,
    "retryable": True,
    "sent": "yes",
    "billed": "maybe",
    "phase": "read",
    "attempts": (Attempt(provider="openai", model="gpt-4", started=0.0, seconds=1.0),),
    "partial": Response(message=Message.assistant("Hel"), finish_reason="other", model="gpt-4"),
    "body": b"\x00{",
}

# What the classes say.


def test_what_python_calls_the_same_is_caught_by_pythons_name():
    for name, built_in in [
        ("InputTypeError", TypeError),
        ("MissingKeyError", ValueError),
        ("UnknownModelError", LookupError),
        ("NotBuiltError", NotImplementedError),
        ("StreamInterruptedError", ConnectionError),
        ("DeadlineExceededError", TimeoutError),
    ]:
        assert issubclass(getattr(errors, name), built_in)


def test_only_what_may_succeed_later_is_retryable_and_only_what_was_sent_may_be_billed():
    retryable = {cls.kind for cls in CLASSES if cls.retryable}
    theirs = {"transport", "connection", "timeout", "conflict", "rate_limit", "server", "overloaded"}
    assert retryable == theirs | {"limit", "local_rate_limit", "circuit_open", "budget_unavailable"}
    for cls in CLASSES:
        if cls.billed != "no":
            assert cls.sent == "yes", cls


# Plain data.


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_survives_pickle_copy_and_deepcopy_with_all_it_says(cls):
    error = cls("it failed", **FIELDS)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is cls
        assert twin == error
        assert hash(twin) == hash(error)
        assert str(twin) == str(error) == "it failed"
        assert twin.args == error.args
        assert {name: getattr(twin, name) for name in FIELDS} == FIELDS


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_can_be_raised_and_keeps_its_defaults(cls):
    with pytest.raises(cls, match="x") as caught:
        raise cls("x")
    error = caught.value
    assert (error.retryable, error.sent, error.billed) == (cls.retryable, cls.sent, cls.billed)
    assert (error.provider, error.partial, error.attempts, error.body) == (None, None, (), None)


@pytest.mark.parametrize("field", FIELDS)
def test_errors_that_differ_in_any_field_are_unequal(field):
    assert QuothError("x", **FIELDS) != QuothError("x", **{k: v for k, v in FIELDS.items() if k != field})


def test_errors_of_different_classes_or_texts_are_unequal():
    assert errors.RateLimitError("x") != errors.QuotaExceededError("x")
    assert errors.RateLimitError("x") != errors.RateLimitError("y")
    assert errors.RateLimitError("x") != "x"


def test_an_instance_may_say_otherwise_than_its_class():
    error = errors.RateLimitError("x", retryable=False, sent="maybe", billed="yes")
    assert (error.retryable, error.sent, error.billed) == (False, "maybe", "yes")
    assert errors.RateLimitError.retryable
    assert not pickle.loads(pickle.dumps(error)).retryable


def test_a_note_added_on_the_way_travels_with_the_error():
    error = QuothError("x")
    error.add_note("while summing up")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while summing up"]


def test_an_error_holds_nothing_but_its_declared_fields():
    assert set(vars(QuothError("x", **FIELDS))) == set(FIELDS) | {"message", "embedded", "run"}


# The text.

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PREFIXES = ["sk-", "sk-proj-", "sk-ant-api03-", "gsk_", "xai-", "pplx-", "hf_", "nvapi-", "AIza", "Bearer "]
SECRETS = st.tuples(st.sampled_from(PREFIXES), st.text(LETTERS, min_size=20, max_size=60)) | st.tuples(
    st.just("AKIA"), st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=16)
)


@given(ANY_TEXT, st.integers(3, 400))
@example("x" * 10_000, 2_000)
def test_a_cleaned_text_is_never_longer_than_its_limit(text, limit):
    assert len(clean(text, limit)) <= limit


@given(ANY_TEXT)
def test_a_cleaned_text_has_no_control_character_but_tab_and_line_feed(text):
    left = {char for char in clean(text) if unicodedata.category(char) == "Cc"}
    assert left <= {"\t", "\n"}


@given(ANY_TEXT)
def test_a_cleaned_text_has_no_character_that_turns_the_direction_of_writing(text):
    assert not set(clean(text)) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"]), max_size=60))
def test_a_short_text_without_anything_bad_stays_as_it_is(text):
    assume(not re.search(r"(?i)bearer|sk|pk|rk|xai|pplx|hf|nvapi|aiza|akia|asia|ya29|ghp|key", text))
    assert clean(text) == text


@given(ANY_TEXT)
def test_cleaning_twice_is_cleaning_once(text):
    assert clean(clean(text)) == clean(text)


@given(SECRETS, st.sampled_from(["", " ", "key: ", "'", '{"a": "', "=", "\x00", "\u202e"]))
def test_no_issued_key_is_left_in_a_cleaned_text(secret, before):
    prefix, tail = secret
    cleaned = clean(f"rejected {before}{prefix}{tail}' was wrong")
    assert tail not in cleaned
    assert tail[-8:] not in cleaned
    assert "was wrong" in cleaned


@given(SECRETS, st.integers(0, 100))
def test_no_key_is_left_where_the_limit_cuts_through_it(secret, back):
    prefix, tail = secret
    cleaned = clean("x " * (TEXT_LIMIT // 2 - back) + prefix + tail + " and more" * 500)
    assert tail[:12] not in cleaned


@pytest.mark.parametrize("before", ["\\n", "%3D", "my_", "\\u0022"])
def test_a_key_behind_an_escape_is_removed_too(before):
    """repr(), JSON and URL encoding put a letter or a digit straight before what they escape."""
    assert "sT9uVwXyZ0" not in clean(f"header{before}sk-proj-Ab3dEfGh1jKlMn0pQrsT9uVwXyZ0")


@pytest.mark.parametrize("word", ["skateboarding", "keyword_arguments", "keyboardinterrupt", "rkhunter_database"])
def test_ordinary_words_are_no_keys(word):
    assert clean(f"unknown field {word}") == f"unknown field {word}"


def test_a_cleaned_text_can_be_encoded():
    """Providers cut messages in the middle of an emoji."""
    clean("bad prompt: \ud83d").encode()


def test_an_errors_text_is_cleaned_wherever_it_shows():
    error = QuothError("no \x1b[31m sk-proj-abcdefghijklmnopqrstuvwxyz" + "x" * 5_000)
    for shown in (str(error), repr(error), error.message, error.args[0], str(pickle.loads(pickle.dumps(error)))):
        assert "abcdefghijklm" not in shown
        assert "\x1b" not in shown
        assert len(shown) <= TEXT_LIMIT + 20


# What is written about them.

PAGE = Path(__file__).resolve().parents[1] / "docs" / "errors.md"


def table_of_kinds():
    """By kind: its class, whether it is tried again, whether the next model is asked; in the words of the page."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `") and line.count("|") == 7]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    return {kind: (cls, again, following) for kind, cls, _, again, following, _ in rows}


def test_the_page_has_every_kind_and_says_what_the_code_does():
    assert {kind: cls for kind, (cls, _, _) in table_of_kinds().items()} == {cls.kind: cls.__name__ for cls in CLASSES}
    for kind, (_, again, following) in table_of_kinds().items():
        error = KINDS[kind]("x")
        wait = next_wait(RetryPolicy(), Tries(), error, billed=False, remaining=100.0, draw=0.5)
        assert bool(again) == isinstance(wait, float) or again == "if it is empty", kind
        assert bool(following) == falls_back(error, same_provider=False), kind


@pytest.mark.parametrize("text", [
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "https://user:a-password@host/path",
    'api_key="0123456789abcdef0123456789abcdef"',
    "x-api-key: 0123456789abcdef0123456789abcdef",
    "Incorrect API key provided: 0123456789abcdef0123456789abcdef",
    "Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==",
])  # fmt: skip
def test_whatever_is_called_a_key_is_taken_out(text):
    cleaned = clean(f"it said {text} and failed")
    assert "[redacted]" in cleaned
    assert not re.search(r"0123456789|dozjgNry|a-password|dXNlcjpw", cleaned)
    assert cleaned.startswith("it said ")
    assert cleaned.endswith("failed")


def test_the_text_of_an_error_tells_what_was_tried_where_it_was_more_than_one_thing():
    tried = Attempt(provider="openai", model="gpt-4", started=0.0, seconds=1.0, status=529, error_kind="overloaded")
    again = Attempt(provider="anthropic", model="m", started=1.0, seconds=1.0, waited=0.25, error_kind="connection")
    assert str(QuothError("it failed", attempts=(tried,))) == "it failed"
    assert str(QuothError("it failed", attempts=(tried, again))) == (
        "it failed (2 attempts: openai/gpt-4: overloaded 529; anthropic/m: waited 0.25 s, connection)"
    )
    many = QuothError("x" * 5_000, attempts=(tried,) * 1_000)
    assert len(str(many)) < 2 * TEXT_LIMIT
