"""The JSON codec: what a paid answer may hold is read; what nobody can read is a ValueError, never anything else."""

import json
import math
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import example, given, strategies as st

from quoth import _json

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


@given(VALUES)
def test_what_was_encoded_is_decoded_to_itself(value):
    assert _json.decode(_json.encode(value)) == value


@given(VALUES)
def test_the_bytes_are_compact_utf8_that_any_reader_understands(value):
    body = _json.encode(value)
    assert json.loads(body) == value
    assert _json.encode({"a": [1, "é"]}) == '{"a":[1,"é"]}'.encode()


@given(st.binary(max_size=60))
@example(b"")
@example(b"[" * 200_000)
@example(b'{"a":' * 200_000)
@example(b"1" * 10_000)
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"a": 1e999}')
@example(b'"\\ud800"')
@example(b'{"a": NaN, "a": -Infinity}')
def test_any_bytes_are_decoded_or_refused_with_value_error(body):
    with suppress(ValueError):
        _json.decode(body)


@given(VALUES)
def test_a_byte_order_mark_and_white_space_change_nothing(value):
    body = _json.encode(value)
    assert _json.decode(b"\xef\xbb\xbf" + body) == value
    assert _json.decode(b" \r\n\t" + body + b"\n") == value


TOLERATED = [
    (b'{"n": NaN}', lambda value: math.isnan(value["n"])),
    (b'{"n": -Infinity}', lambda value: value["n"] == -math.inf),
    (b'{"n": 123456789012345678901234567890}', lambda value: value["n"] == 123456789012345678901234567890),
    (b'{"s": "\\ud83d", "t": 1}', lambda value: value["t"] == 1),
    (b'{"s": "a\xffb"}', lambda value: value["s"] == "a\ufffdb"),
    (b'{"s": "line\nline"}', lambda value: value["s"] == "line\nline"),
    (b'{"s": "\\ud83d\\ude00"}', lambda value: value["s"] == "\U0001f600"),
]


@pytest.mark.parametrize(("body", "holds"), TOLERATED)
def test_what_strict_readers_refuse_is_read_all_the_same(body, holds):
    assert holds(_json.decode(body))


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3))
def test_any_text_can_be_encoded(value):
    decoded = _json.decode(_json.encode(list(value.values())))
    assert [len(text) for text in decoded] == [len(text) for text in value.values()]
    assert _json.decode(_json.encode(value)).keys() >= {key for key in value if key.isascii()}


def test_a_lone_surrogate_is_encoded_as_the_replacement_character():
    assert _json.decode(_json.encode("a\ud800b")) == "a\ufffdb"


def test_a_number_that_json_lacks_is_encoded_alike_beside_a_lone_surrogate():
    assert _json.encode([math.nan]) == b"[null]"
    assert _json.encode([math.nan, "\ud800"]).startswith(b"[null,")


def test_the_tolerant_reader_is_loaded_only_when_it_is_needed():
    program = (
        "import sys; before = 'json' in sys.modules; from quoth import _json; _json.decode(b'{}'); "
        "strict = 'json' in sys.modules; _json.decode(b'[NaN]'); print(before, strict, 'json' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
