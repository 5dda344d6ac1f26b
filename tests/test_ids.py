"""Model ids: which provider a name means, and what is said where it means none."""

import pytest
from hypothesis import given, strategies as st

from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth._catalog import _MAKERS
from quoth._costs._table import table as price_table
from quoth.data import catalog
from quoth.dialects.openai_chat.server import build_response
from quoth.errors import ConfigurationError, InputError, InputTypeError, UnknownModelError
from quoth.providers import PROVIDERS, ProviderSpec, ProviderTable
from quoth.testing import Reply, ScriptedTransport
from tables import chat_table

GOLDEN = {
    # a bare id, by the prefix that its owner documents
    "gpt-4": ("openai", "gpt-4"),
    "gpt-6.1-sol": ("openai", "gpt-6.1-sol"),
    "chatgpt-4o-latest": ("openai", "chatgpt-4o-latest"),
    "o1": ("openai", "o1"),
    "o3-mini": ("openai", "o3-mini"),
    "codex-mini-latest": ("openai", "codex-mini-latest"),
    "computer-use-preview": ("openai", "computer-use-preview"),
    "text-embedding-3-small": ("openai", "text-embedding-3-small"),
    "claude-4-sonnet": ("anthropic", "claude-4-sonnet"),
    "claude-sonnet-5-5": ("anthropic", "claude-sonnet-5-5"),
    "gemini-2.5-pro": ("google", "gemini-2.5-pro"),
    "gemini-1.5-pro-latest": ("google", "gemini-1.5-pro-latest"),
    "smollm2": ("local", "smollm2"),
    # with its provider
    "openai/gpt-4": ("openai", "gpt-4"),
    "anthropic/claude-x": ("anthropic", "claude-x"),
    "local/smollm2": ("local", "smollm2"),
    "openai/anything-new": ("openai", "anything-new"),
    # with an alias of its provider
    "deepmind/gemini-x": ("google", "gemini-x"),
    "gemini/gemini-x": ("google", "gemini-x"),
    "claude/claude-x": ("anthropic", "claude-x"),
    # in any case; the model's own spelling is the provider's business
    "OPENAI/gpt-4o-2024-08-06": ("openai", "gpt-4o-2024-08-06"),
    "OpenAI/GPT-4": ("openai", "GPT-4"),
    "GPT-4": ("openai", "GPT-4"),
    # dated snapshots, fine-tunes, tags
    "gpt-4o-2024-08-06": ("openai", "gpt-4o-2024-08-06"),
    "claude-sonnet-4-5-20250929": ("anthropic", "claude-sonnet-4-5-20250929"),
    "ft:gpt-4o-mini-2024-07-18:acme::abc123": ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc123"),
    "openai/ft:gpt-4o:acme::x": ("openai", "ft:gpt-4o:acme::x"),
    "local/smollm2:135m": ("local", "smollm2:135m"),
    # split at the first slash only, and only behind a provider
    "openai/org/model/v2": ("openai", "org/model/v2"),
    "openai/openai/gpt-4": ("openai", "openai/gpt-4"),
    # unusual but possible
    "openai/gpt-4@2024": ("openai", "gpt-4@2024"),
    "openai/模型": ("openai", "模型"),
}


def found(model, table=PROVIDERS):
    spec, name = table.resolve(model)
    return spec.name, name


@pytest.mark.parametrize("model", GOLDEN)
def test_an_id_finds_its_provider(model):
    assert found(model) == GOLDEN[model]


PRICED = [*price_table().ids(), *price_table().aliases()]
OWN = [id_ for id_ in PRICED if PROVIDERS.get(id_.partition("/")[0])]


def test_every_priced_id_of_a_known_provider_is_found_with_its_provider_and_its_makers_without():
    """Without it, where the catalog has it: it says whose a bare id is."""
    for id_ in OWN:
        provider, _, model = id_.partition("/")
        assert found(id_) == (provider, model)
        if id_ in catalog.ROWS and provider in _MAKERS and not claimed(model, provider):
            assert found(model) == (provider, model)


def test_enough_ids_were_tried():
    assert len(OWN) > 2_000


CATALOGUED = [id_ for id_ in (*catalog.ROWS, *catalog.ALIASES) if PROVIDERS.get(id_.partition("/")[0])]


def claimed(model, provider, table=PROVIDERS):
    """Whether another provider documents a beginning of this id as its own."""
    others = [prefix for row in table if row.name != provider for prefix in row.model_prefixes]
    return model.lower().startswith(tuple(others))


@pytest.mark.parametrize("id_", CATALOGUED)
def test_every_catalogued_id_of_a_known_provider_is_found_with_its_provider_and_without(id_):
    """Without it where the provider makes its models; a host's ids may be their maker's (``openai/gpt-oss-20b``)."""
    provider, _, model = id_.partition("/")
    assert found(id_) == found(id_.replace(provider, provider.upper(), 1)) == (provider, model)
    if provider in _MAKERS and not claimed(model, provider):
        assert found(model) == (provider, model)
    for alias in PROVIDERS.get(provider).aliases:
        assert found(f"{alias}/{model}") == (provider, model)


def test_enough_catalogued_ids_were_tried():
    owned = [id_ for id_ in CATALOGUED if not claimed(id_.partition("/")[2], id_.partition("/")[0])]
    assert len(owned) > 200
    assert len(CATALOGUED) > 200
    assert {id_.partition("/")[0] for id_ in CATALOGUED} >= {"openai", "anthropic", "google", "local"}


EVERYONE = sorted({id_.partition("/")[0] for id_ in catalog.ROWS})


@pytest.fixture(scope="module")
def everyone():
    """A table with a row, however plain, for every provider of the catalog."""
    table = ProviderTable()
    for name in EVERYONE:
        if table.get(name) is None:
            table.register(name, base_url=f"https://{name}.example/v1")
    return table


@pytest.mark.parametrize("provider", EVERYONE)
def test_the_ids_of_every_provider_will_be_found_once_it_has_a_row(everyone, provider):
    for id_ in (*catalog.ROWS, *catalog.ALIASES):
        owner, _, model = id_.partition("/")
        if owner == provider:
            assert found(id_, everyone) == (owner, model)
            if owner in _MAKERS and not claimed(model, owner, everyone):
                assert found(model, everyone) == (*found(model.upper(), everyone)[:1], model) == (owner, model)


@given(st.sampled_from([row.name for row in PROVIDERS]), st.text("abc/:.-@_", min_size=1, max_size=12))
def test_behind_a_known_provider_everything_is_the_model(provider, model):
    if not {"", ".", ".."}.intersection(model.split("/")):
        assert found(f"{provider}/{model}") == (provider, model)


@given(st.sampled_from([*GOLDEN]))
def test_the_canonical_id_means_what_the_id_means(model):
    provider, name = found(model)
    assert found(f"{provider}/{name}") == (provider, name)


# What belongs to nobody.


@pytest.mark.parametrize(
    "model",
    ["unknown-model", "special/chars/in/model", "custom/model", "adaptive-llm", "text-bison", "ada", "gpt4", "o200k"],
)
def test_an_id_that_nobody_documents_is_not_guessed(model):
    with pytest.raises(UnknownModelError) as caught:
        found(model)
    message = str(caught.value)
    assert repr(model) in message
    for row in PROVIDERS:
        assert row.name in message or not row.model_prefixes
    assert "models.providers()" in message
    assert "register_provider" in message
    assert caught.value.model == model
    assert isinstance(caught.value, LookupError)


NEAREST = {
    "models/gemini-2.5-pro": "google/gemini-2.5-pro",
    "Clauds-Opus_5": "anthropic/claude-opus-5",
    "gpt4": "openai/gpt-4",
    "claud-opus-5": "anthropic/claude-opus-5",
    "smolm2": "local/smollm2",
}


@pytest.mark.parametrize("typo", NEAREST)
def test_the_nearest_name_is_said(typo):
    with pytest.raises(UnknownModelError, match=f"did you mean [^?]*{NEAREST[typo]}"):
        found(typo)


@pytest.mark.parametrize("model", ["gork-4", "x.ai/grok-4", "deepsek-chat", "mistal-large-latest"])
def test_a_name_that_is_suggested_can_be_used(model):
    with pytest.raises(UnknownModelError) as caught:
        found(model)
    suggested = str(caught.value).partition("did you mean ")[2].partition("?")[0]
    for name in suggested.split(" or ") if suggested else ():
        assert found(name)


@pytest.mark.parametrize("model", ["ft:o4-mini-2025-04-16:acme::x", "ft:davinci-002:acme::x", "ft:babbage-002:acme::x"])
def test_a_fine_tuned_id_finds_its_familys_provider(model):
    assert found(model) == ("openai", model)


# What is no id.


@pytest.mark.parametrize(
    "model", ["..", ".", "openai/..", "openai/.", "bedrock/../converse", "openai/a/../b", "together/a/./b", "../gpt-4"]
)
def test_an_id_that_would_be_a_step_in_the_path_of_a_url_is_refused(model):
    """Percent-encoded too, servers and what stands before them take such a step."""
    with pytest.raises(InputError, match="a step in a path"):
        PROVIDERS.resolve(model)


EMPTY_PARTS = ["", " ", "\t\n", "/", "/gpt-4", "openai/", "OpenAI/"]
SPACES = ["gpt 4", " gpt-4", "gpt-4\n", "openai/ gpt-4", "gpt\u00a0-4", "gpt-4\x00", "gpt-4\x1b[0m", "gpt-4\x7f"]


@pytest.mark.parametrize("model", EMPTY_PARTS + SPACES)
def test_an_id_with_an_empty_part_or_white_space_is_refused_in_words(model):
    with pytest.raises(InputError, match=r"empty|white space|no model") as caught:
        found(model)
    assert not isinstance(caught.value, UnknownModelError)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("model", ["openai//gpt-4", "openai/gpt-4/", "openai/org//x"])
def test_an_empty_part_anywhere_is_refused(model):
    with pytest.raises(InputError, match="empty"):
        found(model)


def test_a_prompt_in_place_of_an_id_is_refused_in_few_words():
    with pytest.raises(InputError, match="501 characters; was the prompt meant") as caught:
        found("x" * 501)
    assert len(str(caught.value)) < 200
    assert found("openai/" + "x" * 493) == ("openai", "x" * 493)


@pytest.mark.parametrize("model", ["gpt-4\u200b", "openai/\ufeffgpt-4", "gpt-4\u202e"])
def test_an_invisible_character_is_refused(model):
    with pytest.raises(InputError):
        found(model)


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_text_is_resolved_or_refused_with_an_input_error(text):
    try:
        provider, name = found(text)
    except InputError:
        return
    assert provider in {row.name for row in PROVIDERS}
    assert name
    assert text.endswith(name)


@pytest.mark.parametrize("model", [None, 4, b"gpt-4", ["gpt-4"]])
def test_an_id_of_another_type_is_refused(model):
    with pytest.raises(InputTypeError, match=type(model).__name__):
        found(model)


# Providers of one's own.


@pytest.fixture
def table():
    return ProviderTable()


def test_a_registered_provider_is_found_by_its_name_and_its_aliases_in_any_case(table):
    table.register("mine", base_url="https://mine.example/v1/", aliases=("my", "m.1"))
    for name in ("mine", "MINE", "my", "m.1"):
        assert found(f"{name}/org/x", table) == ("mine", "org/x")
    assert table.get("mine").base_url == "https://mine.example/v1"


def test_of_two_prefixes_the_longer_wins(table):
    table.register("mine", base_url="https://mine.example", model_prefixes=("gpt-4-acme",))
    assert found("gpt-4-acme-7", table) == ("mine", "gpt-4-acme-7")
    assert found("gpt-4-acm", table) == ("openai", "gpt-4-acm")


def test_registering_again_replaces_the_row_with_its_aliases_and_prefixes(table):
    table.register("mine", base_url="https://mine.example", aliases=("my",), model_prefixes=("my-",))
    table.register("mine", base_url="https://mine.example")
    with pytest.raises(UnknownModelError):
        found("my/x", table)
    with pytest.raises(UnknownModelError):
        found("my-model", table)


def test_a_row_of_the_house_may_be_replaced_and_another_table_is_not_touched(table):
    table.register("openai", base_url="https://gateway.example/v1")
    assert table.get("openai").base_url == "https://gateway.example/v1"
    assert ProviderTable().get("openai").base_url == PROVIDERS.get("openai").base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize("name", ["Mine", "my/own", "", "-x", "a b", "é", "x\n"])
def test_a_name_that_cannot_stand_before_a_slash_is_refused(table, name):
    with pytest.raises(ConfigurationError, match="lower-case"):
        table.register(name, base_url="https://mine.example")
    with pytest.raises(ConfigurationError, match="lower-case"):
        table.register("fine", base_url="https://mine.example", aliases=(name,))
    assert table.get("fine") is None


@pytest.mark.parametrize("fields", [{"aliases": ("gemini",)}, {"aliases": ("openai",)}])
def test_a_name_of_another_provider_is_refused(table, fields):
    with pytest.raises(ConfigurationError, match="belongs to"):
        table.register("mine", base_url="https://mine.example", **fields)
    with pytest.raises(ConfigurationError, match=r"belongs to .google"):
        table.register("deepmind", base_url="https://mine.example")


def test_a_misspelt_field_is_named_with_the_nearest(table):
    with pytest.raises(InputTypeError, match=r"'base_ulr': did you mean 'base_url'"):
        table.register("mine", base_ulr="https://mine.example")
    for nothing in ({}, {"base_url": None}, {"base_url": 5}):
        with pytest.raises(InputTypeError, match="needs base_url"):
            table.register("mine", **nothing)
    with pytest.raises(InputTypeError, match="not both"):
        table.register(ProviderSpec(name="mine", base_url="https://mine.example"), aliases=("x",))


@pytest.mark.parametrize("field", ["key_variables", "base_url_variables", "aliases", "model_prefixes"])
def test_a_field_that_holds_several_names_takes_no_bare_text(table, field):
    with pytest.raises(InputTypeError, match=field):
        table.register("mine", base_url="https://mine.example", **{field: "mine"})


def test_a_slash_at_the_end_of_a_rows_url_is_taken_off(table):
    assert table.register(ProviderSpec(name="mine", base_url="https://h/v1/")).base_url == "https://h/v1"


@pytest.mark.parametrize("url", ["mine.example", "ftp://mine.example", "http://mine.example", "https://u:p@host"])
def test_a_rows_url_is_checked_when_it_is_registered(table, url):
    with pytest.raises(ConfigurationError, match="base_url of provider 'mine'"):
        table.register("mine", base_url=url)


# One name everywhere.


def test_the_canonical_id_is_the_name_in_bindings_requests_answers_prices_and_usage():
    answer = Response(message=Message.assistant("x"), finish_reason="stop", model="", usage=Usage(input=1000))
    script = ScriptedTransport(lambda request: Reply(body=build_response(answer).body))
    api = ModelsAPI(Settings(transport=script, api_keys={"openai": "k"}), providers=chat_table())
    for spelled in ("gpt-4", "openai/gpt-4", "OPENAI/gpt-4"):
        assert api.bind(spelled).id == "openai/gpt-4"
        response = api(spelled, "Hi")
        assert (response.provider, response.model, str(response.cost)) == ("openai", "gpt-4", "$0.03")
        assert b'"model":"gpt-4"' in script.requests[-1].body
    assert list(api.usage().models) == ["openai/gpt-4"]
    assert api.usage().models["openai/gpt-4"].calls == 3
