"""The formats of embeddings: their halves prove each other, and each of our words is said, or said to have none."""

import json

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from quoth.dialects import CLIENTS
from quoth.dialects.embeddings import FORMATS, load_format
from quoth.dialects.embeddings.server import load_server_format
from quoth.embeddings import EmbeddingRequest, EmbeddingResponse
from quoth.errors import InputError, NotBuiltError, ResponseParseError, UnsupportedParameterError
from quoth.providers import PROVIDERS
from quoth.providers._embedding import Embedder, endpoint_of
from quoth.providers._provider import Provider
from quoth.testing.wire._mutation import mutate_file
from quoth.testing.wire._run import Plan, run_file
from quoth.testing.wire._scope import IN_SCOPE
from quoth.testing.wire._streams import Cutting
from quoth.testing.wire._vectors import VECTOR_WIRES
from quoth.types import Usage
from quoth.wire import WireReply, WireRequest
from recordings import WIRE, needs_recordings

every_format = pytest.mark.parametrize("name", FORMATS)

SINGLE = {"gemini_embed", "nova_embed", "titan_embed"}
"""Formats of one text a request."""

IN_PATH = {"bedrock_cohere_embed", "gemini_embed", "nova_embed", "titan_embed", "vertex_predict"}
"""Formats whose path alone names the model."""

CODED = {"openai_embeddings", "mistral_embeddings", "voyage_embeddings", "jina_embeddings"}
"""Formats that know base64 of floats."""

WORDS = {
    "input_type": {
        "cohere_embed": ("input_type", "search_query"),
        "bedrock_cohere_embed": ("input_type", "search_query"),
        "gemini_batch_embed": ("taskType", "RETRIEVAL_QUERY"),
        "gemini_embed": ("taskType", "RETRIEVAL_QUERY"),
        "jina_embeddings": ("task", "retrieval.query"),
        "nova_embed": ("embeddingPurpose", "GENERIC_RETRIEVAL"),
        "vertex_predict": ("task_type", "RETRIEVAL_QUERY"),
        "voyage_embeddings": ("input_type", "query"),
    },
    "dimensions": {
        "bedrock_cohere_embed": ("output_dimension", 256),
        "cohere_embed": ("output_dimension", 256),
        "gemini_batch_embed": ("outputDimensionality", 256),
        "gemini_embed": ("outputDimensionality", 256),
        "jina_embeddings": ("dimensions", 256),
        "mistral_embeddings": ("output_dimension", 256),
        "nova_embed": ("embeddingDimension", 256),
        "ollama_embed": ("dimensions", 256),
        "openai_embeddings": ("dimensions", 256),
        "perplexity_embeddings": ("dimensions", 256),
        "titan_embed": ("dimensions", 256),
        "vertex_predict": ("outputDimensionality", 256),
        "voyage_embeddings": ("output_dimension", 256),
    },
    "truncate": {
        "bedrock_cohere_embed": ("truncate", "END"),
        "cohere_embed": ("truncate", "END"),
        "gemini_embed": ("autoTruncate", True),
        "jina_embeddings": ("truncate", True),
        "nova_embed": ("truncationMode", "END"),
        "ollama_embed": ("truncate", True),
        "vertex_predict": ("autoTruncate", True),
        "voyage_embeddings": ("truncation", True),
    },
}
"""What each wire says of each option; a format that is not here has no word for it."""


def asked(name, **fields):
    return EmbeddingRequest(**{"model": "m", "texts": ("a",), **fields})


def leaves(value, key=""):
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in leaves(item, name)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item, key)]
    return [(key, value)]


GIVEN = {"input_type": "query", "dimensions": 256, "truncate": True}


@every_format
@pytest.mark.parametrize("option", GIVEN)
def test_an_option_is_said_in_the_word_of_the_wire_or_said_to_have_none(name, option):
    client, request = load_format(name), asked(name, **{option: GIVEN[option]})
    if name in WORDS[option]:
        built = client.build_request(request)
        assert WORDS[option][name] in leaves(json.loads(built.body))
        named, value = WORDS[option][name]
        assert (named, value) == (option, GIVEN[option]) or any(option in change for change in built.changes)
    elif option == "truncate":
        with pytest.raises(UnsupportedParameterError, match="truncate"):
            client.build_request(request)
    else:
        built = client.build_request(request)
        assert any(f"{option} 'query' left out" in change for change in built.changes)
        assert "query" not in built.body.decode()


@every_format
def test_not_to_truncate_is_said_where_it_can_be_and_is_so_anyway_elsewhere(name):
    client = load_format(name)
    if name == "gemini_batch_embed":  # nobody says what the Gemini API does
        with pytest.raises(UnsupportedParameterError):
            client.build_request(asked(name, truncate=False))
        return
    found = dict(leaves(json.loads(client.build_request(asked(name, truncate=False)).body)))
    word = WORDS["truncate"].get(name)
    assert word is None or found[word[0]] in (False, "NONE")


# The halves.

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
NUMBER = st.floats(-2, 2, width=32)


@st.composite
def exchanges(draw, name):
    count = 1 if name in SINGLE else draw(st.integers(1, 4))
    size = draw(st.integers(1, 5))
    words = ("query", "document", "clustering", "classification", "similarity", None)
    spoken = [word for word in words if _is_spoken(name, word)]
    request = EmbeddingRequest(
        model="m",
        texts=tuple(draw(st.lists(TEXT, min_size=count, max_size=count))),
        dimensions=draw(st.none() | st.integers(1, 4_096)),
        input_type=draw(st.sampled_from(spoken)),
        truncate=draw(st.sampled_from([None, True, False])) if name in WORDS["truncate"] else None,
        encoding=draw(st.sampled_from([None, "float", "base64"])) if name in CODED else None,
    )
    numbers = st.integers(-128, 127).map(float) if name == "perplexity_embeddings" else NUMBER
    vector = st.lists(numbers, min_size=size, max_size=size).map(tuple)
    tokens = draw(st.integers(count, 10_000))
    response = EmbeddingResponse(
        vectors=tuple(draw(st.lists(vector, min_size=count, max_size=count))),
        model="m",
        id="e-1" if name.endswith("embeddings") or "cohere" in name else None,
        usage=draw(st.sampled_from([Usage(input=tokens), Usage(source="missing")])),
    )
    return request, response


def _is_spoken(name, word):
    """Whether a request says this word, so that it can be read back: some wires must be told one, some know none."""
    try:
        built = load_format(name).build_request(asked(name, input_type=word))
    except KeyError:
        return False
    told = not any("left out" in change or "because" in change for change in built.changes)
    must = {"bedrock_cohere_embed", "cohere_embed", "nova_embed"}
    return told and not (name in must and word in (None, "similarity"))


@every_format
@given(data=st.data())
def test_what_is_asked_and_answered_travels_there_and_back(name, data):
    request, response = data.draw(exchanges(name))
    client, server = load_format(name), load_server_format(name)
    built = client.build_request(request)
    read = server.parse_request(WireRequest(path=built.path, body=built.body))
    if name == "nova_embed" and request.truncate is None:  # one of the two must be said
        request = replace(request, truncate=False)
    assert read == replace(request, model="" if name in IN_PATH else "m")
    back = client.parse_response(server.build_response(response, read), request)
    usage = back.usage if back.usage.source != "provider" else replace(back.usage, reported=None)
    assert replace(back, body=None, usage=usage, provider_data={}) == response


def test_the_order_is_that_of_the_indexes_and_not_that_of_the_reply():
    items = [{"index": index, "embedding": [float(index)]} for index in (2, 0, 1)]
    reply = WireReply(status=200, body=json.dumps({"data": items}).encode())
    answer = load_format("openai_embeddings").parse_response(reply, asked("", texts=("a", "b", "c")))
    assert answer.vectors == ((0.0,), (1.0,), (2.0,))


@pytest.mark.parametrize("indexes", [(0, 0), (1, 2), (None, None), ("0", "1"), (True, False)])
def test_indexes_that_are_no_order_leave_the_order_of_the_reply(indexes):
    items = [{"index": index, "embedding": [float(place)]} for place, index in enumerate(indexes)]
    reply = WireReply(status=200, body=json.dumps({"data": items}).encode())
    answer = load_format("openai_embeddings").parse_response(reply, asked("", texts=("a", "b")))
    assert answer.vectors == ((0.0,), (1.0,))


@every_format
@given(body=st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.sampled_from([
        "data", "embedding", "embeddings", "values", "predictions", "usage", "meta", "billed_units", "input_tokens",
        "float", "index", "model", "id", "usageMetadata", "promptTokenCount", "promptTokensDetails", "statistics",
        "token_count", "inputTextTokenCount", "prompt_eval_count", "prompt_tokens",
    ]), inner, max_size=4)))  # fmt: skip
def test_whatever_comes_is_read_or_is_no_answer(name, body):
    reply = WireReply(status=200, body=json.dumps(body).encode())
    try:
        answer = load_format(name).parse_response(reply, asked(name))
    except ResponseParseError:
        return
    assert len(answer) == 1


@every_format
@given(body=st.one_of(st.binary(max_size=20), st.recursive(
    st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["input", "texts", "requests", "instances", "model", "content", "parts", "text",
                         "singleEmbeddingParams", "parameters", "inputText"]), inner, max_size=4,
    )).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_whatever_is_asked_is_read_or_is_an_input_error(name, body):
    try:
        read = load_server_format(name).parse_request(WireRequest(path="/", body=body))
    except InputError:
        return
    assert all(isinstance(text, str) for text in read.texts)


def test_a_format_that_is_none_says_which_there_are():
    for load in (load_format, load_server_format):
        with pytest.raises(NotBuiltError, match="openai_embeddings"):
            load("smoke_signals")


# The rows.


def test_every_row_names_formats_that_there_are_and_places_that_are_theirs():
    for row in PROVIDERS:
        for endpoint in row.embeddings or ():
            embedder = Embedder(Provider(row, "m"), endpoint)
            assert embedder.wire.path.startswith("/")
            assert 1 <= endpoint.most_texts <= 2_048
            assert endpoint.most_texts == 1 or endpoint.dialect not in SINGLE
            assert not endpoint.base64 or endpoint.dialect in CODED
    assert {each.errors for each in FORMATS.values()} <= {*CLIENTS}


BY_MODEL = {
    "bedrock/amazon.titan-embed-text-v2:0": "titan_embed",
    "bedrock/eu.cohere.embed-v4:0": "bedrock_cohere_embed",
    "bedrock/amazon.nova-2-multimodal-embeddings-v1:0": "nova_embed",
    "bedrock/anthropic.claude-opus-5": None,
    "vertex/gemini-embedding-2": "gemini_embed",
    "vertex/gemini-embedding-001": "vertex_predict",
    "vertex/text-embedding-005": "vertex_predict",
    "anthropic/claude-opus-5": None,
    "groq/anything": "openai_embeddings",
    "embed-english-v3.0": "cohere_embed",
    "voyage-3.5": "voyage_embeddings",
    "gemini-embedding-001": "gemini_batch_embed",
}


@pytest.mark.parametrize("id", BY_MODEL)
def test_a_model_is_embedded_in_the_format_of_its_maker(id):
    row, model = PROVIDERS.resolve(id)
    endpoint = endpoint_of(row, model)
    assert (endpoint and endpoint.dialect) == BY_MODEL[id]


# The recorded traffic.

VECTORS = frozenset(wire.name for wire in VECTOR_WIRES)
FILES = [name for name, counts in IN_SCOPE.items() if VECTORS & {*counts}]


@needs_recordings
def test_all_recorded_embeddings_pass_and_a_changed_one_is_noticed():
    plan = Plan(wires=VECTORS, cutting=Cutting(seed=0))
    count = made = noticed = 0
    for name in FILES:
        found, mutated = run_file(WIRE / name, plan), mutate_file(WIRE / name, plan, 0, most=4)
        assert found.complaints == []
        assert [(result.id, result.differences) for result in found.results if result.differences] == []
        count += len(found.results)
        made, noticed = made + mutated.made.total(), noticed + mutated.noticed.total()
    assert count == sum(number for name in FILES for wire, number in IN_SCOPE[name].items() if wire in VECTORS)
    assert noticed >= 0.99 * made > 300
