"""models.embed over real sockets, with a provider that is fake: its four ways, batches, money, records, failures."""

import asyncio
import pickle
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from quoth import EmbeddingResponse, ModelsAPI, RetryPolicy, Settings, errors
from quoth._batching import batches
from quoth.errors import CapabilityWarning, InputError, InputTypeError, UnsupportedParameterError
from quoth.providers import PROVIDERS, EmbeddingEndpoint, ProviderSpec
from quoth.testing.fake import FakeProvider, Fault, vector_of
from quoth.types import Usage

SMALL = "openai/text-embedding-3-small"


def embed(api, *args, **options):
    return api.embed(*args, **options)


def async_embed(api, *args, **options):
    async def main():
        return await api.aio.embed(*args, **options)

    return asyncio.run(main())


def bound(api, model, texts, **options):
    return api.bind(model).embed(texts, **options)


def async_bound(api, model, texts, **options):
    async def main():
        return await api.aio.bind(model).embed(texts, **options)

    return asyncio.run(main())


WAYS = {"blocking": embed, "async": async_embed, "bound": bound, "async bound": async_bound}
TWO_WAYS = pytest.mark.parametrize("ask", [embed, async_embed], ids=["blocking", "async"])


def small(api, most_texts=2, **fields):
    """A provider of few texts a request, beside the fake's others."""
    endpoint = EmbeddingEndpoint(dialect="openai_embeddings", most_texts=most_texts, **fields)
    url = api._service.registry.table.get("openai").base_url
    api.register_provider(ProviderSpec(name="few", base_url=url, embeddings=(endpoint,)))
    return api


@pytest.fixture
def fake():
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def api(fake):
    return small(fake.models(retries=0))


# What comes.


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
def test_each_text_has_its_vector_in_the_order_given(fake, api, ask):
    answer = ask(api, SMALL, ["red", "green", "red", "blué \U0001f600"], dimensions=4)
    assert answer.vectors == tuple(vector_of(text, 4) for text in ("red", "green", "red", "blué \U0001f600"))
    assert (len(answer), answer[1], answer[-1]) == (4, vector_of("green", 4), answer.vectors[3])
    assert [*answer] == [*answer.vectors]
    assert answer[1:3] == answer.vectors[1:3]
    assert (answer.dimensions, answer.provider, answer.model) == (4, "openai", "text-embedding-3-small")
    assert answer.usage.input_tokens == answer.usage.total_tokens == 6
    assert answer.cost.usd == Decimal("0.00000012")
    assert (len(answer.call.attempts), answer.call.attempts[0].status, answer.call.request_id) == (1, 200, "req_1")
    assert fake.requests[0].embedding.dimensions == 4
    assert answer.raw["usage"] == answer.usage.reported == {"prompt_tokens": 6, "total_tokens": 6}


def test_one_text_gives_one_vector(api):
    answer = api.embed(SMALL, "red")
    assert answer.vector == answer[0] == vector_of("red")
    assert str(answer.cost) in repr(answer)
    with pytest.raises(ValueError, match="2 vectors, not one"):
        _ = api.embed(SMALL, ["a", "b"]).vector


def test_it_pickles_and_compares_by_what_it_says(api):
    answer, again = api.embed(SMALL, ["a", "b"]), api.embed(SMALL, ["a", "b"])
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert answer != again  # another id
    assert answer == replace(answer, call=again.call, body=None)
    assert answer != "answer"


def test_any_ordered_lot_of_texts_is_taken(api):
    expected = api.embed(SMALL, ["a", "b"]).vectors
    for texts in (("a", "b"), iter(["a", "b"]), (each for each in "ab"), {"a": 1, "b": 2}.keys().__iter__()):
        assert api.embed(SMALL, texts).vectors == expected


@TWO_WAYS
def test_no_texts_cost_nothing_and_ask_nobody(fake, api, ask):
    answer = ask(api, SMALL, [])
    assert (answer.vectors, answer.dimensions, answer.cost.usd, answer.usage.total_tokens) == ((), None, 0, 0)
    assert not answer
    assert fake.received == 0


BAD_TEXTS = {
    "an empty text": (["a", ""], InputError, r"texts\[1\] is empty"),
    "a number": (["a", 3], InputTypeError, r"texts\[1\] must be a str, not int"),
    "bytes": (b"abc", InputTypeError, "not bytes"),
    "a set, which has no order": ({"a"}, InputTypeError, "not set"),
    "a mapping": ({"a": 1}, InputTypeError, "not dict"),
    "nothing": (None, InputTypeError, "not NoneType"),
}


@pytest.mark.parametrize(("texts", "error", "words"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_what_is_no_text_is_told_before_anything_is_sent(fake, api, texts, error, words):
    with pytest.raises(error, match=words):
        api.embed(SMALL, texts)
    assert fake.received == 0


BAD_OPTIONS = {
    "dimensions": (0, InputError, "at least 1"),
    "input_type": ("search", InputError, "one of query, document"),
    "truncate": ("END", InputTypeError, "True or False"),
    "fallback": (["cohere/embed-v4.0"], InputTypeError, "do not compare"),
    "temperature": (0, InputTypeError, "no option 'temperature'"),
    "dimension": (8, InputTypeError, "did you mean 'dimensions'"),
    "timeout": (0, InputError, "above 0"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_an_option_that_cannot_be_meant_is_refused(fake, api, name):
    value, error, words = BAD_OPTIONS[name]
    with pytest.raises(error, match=words):
        api.embed(SMALL, "a", **{name: value})
    assert fake.received == 0


def test_a_bindings_options_hold_and_what_means_nothing_to_embed_is_refused(fake, api):
    binding = api.bind(SMALL, headers={"x-mine": "1"}, tags={"who": "me"}, extra={"openai": {"user": "u1"}})
    assert binding.embed("a", dimensions=3, tags={"what": "test"}).dimensions == 3
    assert ("x-mine", "1") in fake.requests[0].headers
    assert fake.requests[0].json["user"] == "u1"
    assert {*api.usage().tags} == {"who", "what"}
    with pytest.raises(InputTypeError, match="temperature, which means nothing"):
        api.bind(SMALL, temperature=0).embed("a")
    with pytest.raises(InputTypeError, match="do not compare"):
        api.bind(SMALL, fallback=["gpt-6-luna"]).embed("a")


def test_no_key_stays_in_the_frames_of_an_error(api):
    with pytest.raises(InputError) as caught:
        api.embed(SMALL, [""], api_key="sk-0123456789-secret")
    trace, seen = caught.value.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_globals["__name__"].startswith("quoth"):
            seen += repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    assert "options" in seen
    assert "0123456789" not in seen


# Batches.


@settings(max_examples=25)
@given(st.lists(st.text(min_size=1, max_size=6), max_size=23), st.integers(1, 9))
def test_however_it_is_cut_the_vectors_are_the_same_and_the_requests_as_few_as_can_be(law_fake, texts, most):
    with law_fake.models() as api_of:
        api = small(api_of, most)
        before = law_fake.received
        answer = api.embed("few/model", texts)
        assert answer.vectors == tuple(vector_of(text) for text in texts)
        assert law_fake.received - before == len(answer.call.attempts) == -(-len(texts) // most)
        assert answer.usage.total_tokens == sum(r.embedding is not None and _tokens(r) for r in _last(law_fake, before))


def _last(fake, before):
    return fake.requests[len(fake.requests) - (fake.received - before) :]


def _tokens(received):
    return max(1, sum(-(-len(text) // 4) for text in received.embedding.texts))


class _Closing:
    """An API of a fake that is closed at once: the law makes many."""

    def __init__(self, api):
        self._api = api

    def __enter__(self):
        return self._api

    def __exit__(self, *_):
        self._api.close()


@pytest.fixture(scope="module")
def law_fake():
    class Law(FakeProvider):
        def models(self, **settings):
            return _Closing(super().models(**settings))

    with Law() as provider:
        yield provider


@given(st.lists(st.text(max_size=30)), st.integers(1, 5), st.none() | st.integers(1, 40))
def test_batches_are_in_order_whole_and_within_both_limits(texts, most_texts, most_tokens):
    cut = [*batches(texts, most_texts, most_tokens)]
    assert [text for start, end in cut for text in texts[start:end]] == texts
    for start, end in cut:
        assert 0 < end - start <= most_texts
        tokens = sum(len(text.encode("utf-8", "surrogatepass")) // 2 + 1 for text in texts[start:end])
        assert most_tokens is None or tokens <= most_tokens or end - start == 1
    if most_tokens is None:
        assert len(cut) == -(-len(texts) // most_texts)


def test_a_limit_of_tokens_cuts_too(fake, api):
    small(api, 100, most_tokens=10)
    assert len(api.embed("few/model", ["a" * 18, "b" * 17, "c", "d" * 100])) == 4
    assert [len(each.embedding.texts) for each in fake.requests] == [1, 2, 1]


def test_one_call_is_one_record_with_the_attempts_and_the_cost_of_all_its_requests(api):
    records = []
    api.on_call(records.append)
    api.register_price("few/model", input="1000")
    answer = api.embed("few/model", ["a", "b", "c", "d", "e"], tags={"job": "index"})
    (record,) = records
    assert (record.operation, record.outcome, record.tags) == ("embed", "answered", {"job": "index"})
    assert (record.provider, record.model, record.served_model, record.stream) == ("few", "model", "model", False)
    assert [attempt.status for attempt in record.attempts] == [200, 200, 200]
    assert record.usage == answer.usage == Usage(input=5)
    assert record.cost == answer.cost
    assert answer.cost.usd == Decimal("0.005")
    assert "5 input x $1000/M" in answer.cost.explain()
    assert (answer.body, answer.raw) == (None, None)
    report = api.usage()
    assert (report.total.calls, report.total.usd, report.total.input_tokens) == (1, Decimal("0.005"), 5)


def test_what_the_provider_states_is_summed_to_the_last_digit(fake):
    costs = iter([1.4e-07, 0.1, 0.02])

    def stating(request):
        usage = {"prompt_tokens": 7, "total_tokens": 7, "cost": next(costs), "is_byok": False}
        vectors = tuple(vector_of(text) for text in request.texts)
        return EmbeddingResponse(vectors=vectors, model="m", usage=Usage(input=7, reported=usage))

    with FakeProvider(stating) as stated:
        api = stated.models()
        row = api._service.registry.table.get("openrouter")
        endpoint = EmbeddingEndpoint(dialect="openai_embeddings", most_texts=1)
        api.register_provider(
            ProviderSpec(name="openrouter", base_url=row.base_url, reported_cost="usage.cost", embeddings=(endpoint,))
        )
        answer = api.embed("openrouter/openai/text-embedding-3-small", ["a", "b", "c"], price={"input": "1"})
    assert answer.cost.kind == "provider"
    assert answer.cost.usd == Decimal("0.12000014")
    assert answer.cost.computed.usd == Decimal("0.000021")


def test_an_unknown_count_makes_an_unknown_cost_never_zero(fake):
    with FakeProvider(Fault(usage=False)) as silent:
        answer = silent.models().embed("google/gemini-embedding-001", ["a", "b"], check="off")
    assert (answer.usage.source, answer.usage.total_tokens) == ("missing", None)
    assert answer.cost.usd is None
    assert answer.cost.reason


def test_where_one_request_states_nothing_the_cost_of_the_others_stays_known():
    with FakeProvider([Fault(), Fault(usage=False), Fault()]) as fake:
        api = small(fake.models(), 1)
        answer = api.embed("few/model", ["a", "b", "c"], price={"input": "1000"})
    assert (answer.cost.usd, answer.cost.known_usd, answer.usage.source) == (None, Decimal("0.002"), "missing")
    assert api.usage().total.unknown_costs == 1


def test_a_count_of_zero_is_no_count(fake):
    zero = EmbeddingResponse(vectors=((1.0,),), model="m", usage=Usage(reported={"total_tokens": 0}))
    with FakeProvider(zero) as liar:
        answer = liar.models().embed("voyage/voyage-3.5", "a")
    assert (answer.usage.source, answer.cost.usd) == ("suspect", None)


# Failures.


@TWO_WAYS
def test_a_failure_in_the_third_batch_loses_nothing_that_was_paid(ask):
    records = []
    with FakeProvider([Fault(), Fault(), Fault(status=400, message="no"), Fault()]) as fake:
        api = small(fake.models(retries=0))
        api.on_call(records.append)
        api.register_price("few/model", input="1000")
        with pytest.raises(errors.BadRequestError) as caught:
            ask(api, "few/model", ["a", "b", "c", "d", "e", "f", "g"])
        assert fake.received == 3
    error, (record,) = caught.value, records
    assert error.embedded.vectors == tuple(vector_of(text) for text in "abcd")
    assert (error.embedded.cost.usd, error.embedded.usage.total_tokens) == (Decimal("0.004"), 4)
    assert (error.billed, error.provider, error.model, len(error.attempts)) == ("yes", "few", "model", 3)
    assert (record.outcome, record.error_kind, record.cost.usd) == ("failed", "bad_request", Decimal("0.004"))
    assert record.usage.total_tokens == 4
    assert pickle.loads(pickle.dumps(error)).embedded == error.embedded


def test_a_batch_that_fails_in_passing_is_sent_again_alone():
    with FakeProvider([Fault(), Fault(status=503), Fault(status=500), Fault(), Fault()]) as fake:
        api = small(fake.models(retries=RetryPolicy(retries=2, backoff=0.01)))
        answer = api.embed("few/model", ["a", "b", "c", "d", "e"])
        assert answer.vectors == tuple(vector_of(text) for text in "abcde")
        assert [each.embedding.texts for each in fake.requests] == [
            ("a", "b"), ("c", "d"), ("c", "d"), ("c", "d"), ("e",),
        ]  # fmt: skip
    assert [attempt.error_kind for attempt in answer.call.attempts] == [None, "overloaded", "server", None, None]


def test_a_first_request_that_fails_has_embedded_nothing():
    with FakeProvider(Fault(status=401)) as fake, pytest.raises(errors.AuthenticationError) as caught:
        small(fake.models()).embed("few/model", ["a", "b", "c"])
    assert (caught.value.embedded, caught.value.billed) == (None, "no")


WRONG = {
    "one vector too few": b'{"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": 1}}',
    "a vector that is none": b'{"data": [{"embedding": [1.0]}, {"embedding": ["x"]}]}',
    "broken base64": b'{"data": [{"embedding": "AAAA~AAA"}, {"embedding": "AAAAAA=="}]}',
    "no data": b'{"object": "list"}',
    "no object": b"[1, 2]",
    "no JSON": b"<html>",
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_a_reply_without_a_vector_for_each_text_is_no_answer_and_its_bytes_are_kept(body):
    with FakeProvider(Fault(body=body)) as fake, pytest.raises(errors.ResponseParseError) as caught:
        small(fake.models(retries=0)).embed("few/model", ["a", "b"])
    assert "the reply has no embeddings" in caught.value.message
    assert caught.value.body == body
    assert caught.value.billed == "maybe"


def test_an_error_inside_of_a_200_is_the_providers():
    with FakeProvider(Fault(cut="error", kind="rate_limit")) as fake, pytest.raises(errors.RateLimitError):
        small(fake.models(retries=0)).embed("few/model", ["a"])


@TWO_WAYS
def test_the_timeout_is_that_of_the_whole_call(ask):
    with FakeProvider(Fault(delay=0.15)) as fake:
        api, began = small(fake.models(retries=0), 1), time.monotonic()
        with pytest.raises(TimeoutError) as caught:
            ask(api, "few/model", ["a", "b", "c", "d", "e"], timeout=0.4)
        assert time.monotonic() - began < 0.8
    assert caught.value.embedded.vectors == (vector_of("a"), vector_of("b"))


def test_a_call_that_is_cancelled_is_on_record_with_what_it_cost():
    records = []

    async def main(api):
        task = asyncio.ensure_future(api.aio.embed("few/model", ["a", "b", "c"]))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with FakeProvider([Fault(), Fault(), Fault(cut="stall")]) as fake:
        api = small(fake.models(), 1)
        api.on_call(records.append)
        api.register_price("few/model", input="1000")
        asyncio.run(main(api))
    (record,) = records
    assert (record.outcome, record.operation, record.cost.usd) == ("cancelled", "embed", Decimal("0.002"))
    assert record.attempts[-1].billed == "maybe"
    assert api.usage().total.unknown_costs == 1


# Who embeds.


def test_who_has_no_embeddings_says_so(api):
    for model in ("anthropic/claude-haiku-5-5", "local/smollm2"):
        with pytest.raises(UnsupportedParameterError, match="has no embeddings"):
            ModelsAPI().embed(model, "a", api_key="k")


def test_a_provider_of_ones_own_that_speaks_as_openai_does_is_asked_so(fake, api):
    url = api._service.registry.table.get("openai").base_url
    api.register_provider("mine", base_url=url)
    assert api.embed("mine/nomic", "a").vector == vector_of("a")
    assert (fake.requests[0].path, "encoding_format" in fake.requests[0].json) == ("/v1/embeddings", False)


def test_ollama_is_asked_by_its_own_wire_and_at_a_url_that_is_given_by_openais(fake, api):
    api.embed("ollama/nomic-embed-text", "a", truncate=False, extra={"ollama": {"keep_alive": "5m"}})
    api.embed("ollama/nomic-embed-text", "a", base_url=f"{fake.url}/v1", api_key="k")
    api.embed("ollama/nomic-embed-text", "a", base_url=fake.url, api_key="k")
    assert [each.path for each in fake.requests] == ["/api/embed", "/v1/embeddings", "/api/embed"]
    assert fake.requests[0].json == {
        "model": "nomic-embed-text", "input": ["a"], "truncate": False, "keep_alive": "5m",
    }  # fmt: skip
    assert api.usage().total.usd == 0


def test_vectors_travel_as_base64_only_where_the_server_is_known_to_know_it(fake, api):
    api.embed(SMALL, "a")
    api.embed(SMALL, "a", base_url=f"{fake.url}/v1", api_key="k")
    assert [each.json.get("encoding_format") for each in fake.requests] == ["base64", None]


def test_a_model_that_does_not_embed_is_told_by_check(fake, api):
    with pytest.raises(UnsupportedParameterError, match="of kind 'chat'"):
        api.embed("openai/gpt-6-luna", "a", check="strict")
    with pytest.warns(CapabilityWarning, match="of kind 'chat'"):
        api.embed("openai/gpt-6-sol", "a")
    with pytest.raises(UnsupportedParameterError, match="above the 1,536"):
        api.embed(SMALL, "a", dimensions=1_537, check="strict")
    assert fake.received == 1
    assert api.embed(SMALL, "a", dimensions=1_536, check="strict").dimensions == 1_536


@pytest.mark.parametrize("model", ["text-embedding-3-large", "voyage-code-3", "jina/jina-embeddings-v3"])
def test_a_model_that_embeds_points_to_embed_where_it_is_asked_for_an_answer(api, model):
    with pytest.raises(UnsupportedParameterError, match=r"models\.embed\('"):
        api(model, "Hello", check="strict")
    with pytest.warns(CapabilityWarning, match=r"models\.embed\('"):
        api(model, "Hello")


def test_nobody_is_asked_where_the_network_is_forbidden(fake):
    with pytest.raises(errors.ConfigurationError, match="offline"):
        ModelsAPI(Settings(offline=True)).embed(SMALL, "a", api_key="k")


def test_every_row_that_embeds_is_asked_in_its_format_at_its_place(fake):
    api, texts = fake.models(), ["one", "two", "three"]
    for row in PROVIDERS:
        for endpoint in row.embeddings or ():
            model = f"{row.name}/{(endpoint.models or ('any',))[0]}"
            before = fake.received
            answer = api.embed(model, texts, dimensions=3, check="off")
            assert answer.vectors == tuple(vector_of(text, 3) for text in texts), model
            assert fake.received - before == (3 if endpoint.most_texts == 1 else 1)
            assert answer.usage.total_tokens == 4


def test_what_embedding_costs_can_be_estimated(api):
    estimate = api.estimate(SMALL, ["some text", "some more"])
    assert (estimate.output_tokens, estimate.most_output_tokens) == (0, 0)
    assert 0 < estimate.expected.usd <= estimate.worst.usd
