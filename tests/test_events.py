"""Folding: the events of a stream build the Response that the same answer would have been in one piece."""

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from quoth.events import (
    PartAdded,
    PartData,
    ReasoningDelta,
    RefusalDelta,
    ResponseEnd,
    ResponseFold,
    ResponseStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    fold,
    unfold,
)
from quoth.types import Audio, Candidate, Document, Image, Message, Reasoning, Refusal, Response, Text, ToolCall, Usage

DELTAS = {Text: TextDelta, Reasoning: ReasoningDelta, Refusal: RefusalDelta}
WORDS = st.text(max_size=20)
DATA = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2)
TEXTUAL = st.one_of([st.builds(part, text=WORDS, provider_data=DATA) for part in DELTAS])
CALLS = st.builds(ToolCall, id=st.text(min_size=1), name=st.text(min_size=1), arguments=WORDS, provider_data=DATA)
PARTS = st.lists(TEXTUAL | CALLS, max_size=5)


@st.composite
def cuts(draw, text):
    """The text in pieces, possibly empty ones; always at least one."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def streams_of_a_part(draw, part, index):
    """The events that say this part."""
    if isinstance(part, ToolCall):
        first = [ToolCallStart(id=part.id, name=part.name, index=index)]
        rest = [ToolCallDelta(arguments=piece, index=index) for piece in draw(cuts(part.arguments))]
    else:
        first, rest = [], [DELTAS[type(part)](text=piece, index=index) for piece in draw(cuts(part.text))]
    data = [PartData(provider_data={key: value}, index=index) for key, value in part.provider_data.items()]
    places = [draw(st.integers(1, len(rest))) for _ in data]  # somewhere behind the first delta
    for place, event in zip(places, data, strict=True):
        rest.insert(place, event)
    return first + rest


@st.composite
def interleavings(draw, streams):
    """The streams merged, each in its own order: parts may grow at the same time."""
    merged, streams = [], [list(stream) for stream in streams if stream]
    while streams:
        stream = streams[draw(st.integers(0, len(streams) - 1))]
        merged.append(stream.pop(0))
        streams = [stream for stream in streams if stream]
    return merged


@st.composite
def answers(draw):
    """A message's parts, and one of the streams that say them."""
    parts = draw(PARTS)
    return parts, draw(interleavings([draw(streams_of_a_part(part, 3 * at)) for at, part in enumerate(parts)]))


@given(answers())
def test_any_stream_of_an_answer_folds_to_that_answer(answer):
    parts, events = answer
    end = ResponseEnd(finish_reason="stop", usage=Usage(input=1), service_tier="flex", finish_reason_raw="STOP")
    start = ResponseStart(id="r", model="m", created=7)
    assert fold([start, *events, end]) == Response(
        message=Message(role="assistant", parts=tuple(parts)),
        finish_reason="stop",
        finish_reason_raw="STOP",
        model="m",
        id="r",
        created=7,
        usage=Usage(input=1),
        service_tier="flex",
    )


@given(answers(), st.data())
def test_every_beginning_of_a_stream_folds_to_a_beginning_of_the_answer(answer, data):
    parts, events = answer
    folding = ResponseFold()
    for event in events[: data.draw(st.integers(0, len(events)))]:
        folding.add(event)
    assert not folding.ended
    partial = folding.response()
    whole = "".join(part.text for part in parts if isinstance(part, Text))
    if sum(isinstance(part, Text) for part in parts) < 2:
        assert whole.startswith(partial.text)
    assert partial.finish_reason == "other"
    assert partial.usage.total_tokens is None


@given(answers())
def test_reading_the_answer_so_far_changes_nothing(answer):
    _, events = answer
    folding = ResponseFold()
    for event in events:
        folding.add(event)
        folding.response()
    assert folding.response() == fold(events)


def test_an_answer_already_given_does_not_grow_with_the_stream():
    folding = ResponseFold()
    folding.add(TextDelta(text="a"))
    before = folding.response()
    folding.add(TextDelta(text="b"))
    assert (before.text, folding.response().text) == ("a", "ab")


def test_provider_data_already_given_does_not_grow_with_the_stream():
    folding = ResponseFold()
    folding.add(TextDelta(text="a"))
    before = folding.response()
    folding.add(PartData(provider_data={"wire": 1}))
    assert before.parts[0].provider_data == {}


@pytest.mark.parametrize("part", [Text, Reasoning, Refusal])
def test_each_textual_delta_becomes_its_own_part(part):
    assert fold([DELTAS[part](text="a"), DELTAS[part](text="b")]).parts == (part(text="ab"),)


DATA_FIRST = [
    pytest.param([ReasoningDelta(text="hidden")], Reasoning(text="hidden", provider_data={"w": 1}), id="reasoning"),
    pytest.param(
        [ToolCallStart(id="c", name="f"), ToolCallDelta(arguments="{}")],
        ToolCall(id="c", name="f", arguments="{}", provider_data={"w": 1}),
        id="tool call",
    ),
]


@pytest.mark.parametrize(("events", "part"), DATA_FIRST)
def test_data_that_comes_before_its_part_does_not_decide_what_the_part_is(events, part):
    """A signature may come before the thought that it signs; the thought must not become visible text."""
    assert fold([PartData(provider_data={"w": 1}), *events]).parts == (part,)


def test_data_alone_makes_a_part_that_shows_nothing():
    response = fold([PartData(provider_data={"w": 1})])
    assert response.text == ""
    assert response.parts[0].provider_data == {"w": 1}


def test_parts_stand_in_the_order_of_their_index_not_of_their_arrival():
    response = fold([TextDelta(text="b", index=5), TextDelta(text="a", index=2), TextDelta(text="B", index=5)])
    assert [part.text for part in response.parts] == ["a", "bB"]


def test_the_end_carries_the_state_of_message_and_response():
    response = fold(
        [
            TextDelta(text="a"),
            ResponseEnd(finish_reason="length", message_data={"m": 1}, provider_data={"r": 2}),
        ]
    )
    assert response.message.provider_data == {"m": 1}
    assert response.provider_data == {"r": 2}
    assert response.finish_reason == "length"


def test_a_fold_is_ended_by_the_end_event_only():
    folding = ResponseFold()
    for event in (ResponseStart(), TextDelta(text=""), ToolCallStart(id="1", name="f", index=1)):
        folding.add(event)
        assert not folding.ended
    folding.add(ResponseEnd(finish_reason="stop"))
    assert folding.ended


def test_events_that_nobody_knows_yet_are_skipped():
    folding = ResponseFold()
    folding.add(TextDelta(text="a"))
    folding.add(object())
    assert folding.response().text == "a"


def test_an_empty_stream_folds_to_an_empty_answer_that_does_not_claim_to_be_whole():
    response = fold([])
    assert (response.text, response.parts, response.finish_reason) == ("", (), "other")


# And back.


@given(PARTS, st.builds(Usage, input=st.integers(0, 9)), DATA)
def test_a_whole_answer_told_as_events_folds_to_itself(parts, usage, data):
    response = Response(
        message=Message(role="assistant", parts=tuple(parts), provider_data=data),
        finish_reason="length",
        finish_reason_raw="MAX",
        model="m",
        id="r",
        created=7,
        usage=usage,
        service_tier="flex",
        region="us",
        speed="fast",
        candidates=(Candidate(message=Message.assistant("another"), finish_reason="stop"),),
        provider_data=data,
    )
    assert fold(unfold(response)) == response


@pytest.mark.parametrize(
    "part", [Image(url="https://x.example/a.png"), Audio(data=b"", media_type="audio/wav"), Document(file_id="f")]
)
def test_a_part_that_no_pieces_tell_comes_whole_and_keeps_its_data(part):
    message = Message.assistant("Hello", replace(part, provider_data={"a": 1}), "bye")
    response = Response(message=message, finish_reason="stop", model="m")
    assert fold(unfold(response)) == response
    added = [PartAdded(part=part), PartData(provider_data={"a": 1}), ResponseEnd(finish_reason="stop")]
    assert fold(added).parts == (replace(part, provider_data={"a": 1}),)
