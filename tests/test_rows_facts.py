"""The rows against the facts that were gathered of each provider, value by value. Skips where the facts are absent.

What differs stands in a table here, with its reason; one that does not differ any more fails.
"""

import json

import pytest

from quoth.dialects import CLIENTS
from quoth.providers import PROVIDERS
from quoth.providers._embedding import Embedder
from quoth.providers._provider import Provider
from recordings import SHARED

FACTS = SHARED / "facts" / "providers.json"

pytestmark = pytest.mark.skipif(not FACTS.is_file(), reason=f"no facts in {FACTS} (QUOTH_SHARED names another)")

ROWS = json.loads(FACTS.read_text("utf-8"))["providers"] if FACTS.is_file() else []
every_fact = pytest.mark.parametrize("fact", ROWS, ids=lambda fact: fact["name"])

NO_ROW: dict[str, str] = {}

DIFFERS = {
    ("jina", "chat_path"): "no wire of a conversation: the row says that it embeds only",
    ("voyage", "chat_path"): "no wire of a conversation: the row says that it embeds only",
    ("vertex", "api_key_env"): "the variable of an access token, where the facts name none",
    ("vertex-anthropic", "api_key_env"): "the variable of an access token, where the facts name none",
    ("aws-anthropic", "base_url_env"): "the official SDK reads ANTHROPIC_AWS_BASE_URL too (anthropic 2.12.0)",
    ("deepinfra", "reported_cost_path"): "usage.estimated_cost (BerriAI/litellm#38802), where the facts name none",
    ("moonshot", "otel_provider_name"): "moonshot_ai in OpenTelemetry's registry, where the facts name none",
    ("moonshot-cn", "otel_provider_name"): "moonshot_ai in OpenTelemetry's registry, where the facts name none",
    ("anthropic", "api_key_env"): "ANTHROPIC_AUTH_TOKEN travels as a bearer, which is another way than the row's",
}

NO_WIRE = {
    ("bedrock", "anthropic_messages"): "in the envelope of InvokeModel: bedrock_invoke",
    ("cortecs", "anthropic_messages"): "the facts name no path",
    ("edenai", "anthropic_messages"): "the facts name no path",
    ("opencode", "anthropic_messages"): "the facts name no path",
    ("opencode", "gemini"): "that wire is not spoken",
    ("tencent", "anthropic_messages"): "the facts name no path",
}

USUAL = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic_messages": "/v1/messages",
    "bedrock_converse": "/model/{model}/converse",
    "cohere_chat": "/v2/chat",
    "gemini": "/v1beta/models/{model}:generateContent",
    "ollama_chat": "/api/chat",
}


def row_of(fact):
    return PROVIDERS.get(fact["name"])


@every_fact
def test_every_provider_of_the_facts_is_a_row_or_left_out_with_a_reason(fact):
    assert (row_of(fact) is None) == (fact["name"] in NO_ROW)


def url_and_query(wire):
    query = "&".join(f"{name}={value}" for name, value in wire.query)
    return f"{wire.path}?{query}" if query else wire.path


CREDENTIALS = {"aws": "sigv4", "google": "gcp"}
"""What the facts call the way of rows with credentials, which take a key too."""


def auth_of(wire):
    return "bearer" if wire.auth_header == "authorization" else f"header:{wire.auth_header}"


def told(row):
    """A row in the words of the facts."""
    wire = row.wire(row.dialect)
    return {
        "display_name": row.display_name,
        "aliases": [*row.aliases],
        "base_url": row.base_url,
        "api_key_env": [*row.key_variables],
        "auth": CREDENTIALS.get(row.credentials) or auth_of(wire),
        "dialect": row.dialect,
        "chat_path": url_and_query(wire),
        "models_path": row.models_path,
        "extra_headers": dict(row.headers),
        "base_url_env": [*row.base_url_variables],
        "otel_provider_name": row.telemetry_name,
        "reported_cost_path": row.reported_cost,
        "price_namespace": row.price_namespace or row.name,
        "confidence": row.confidence,
    }


@every_fact
def test_a_row_says_what_the_facts_say(fact):
    row = row_of(fact)
    if row is None:
        return
    expected = {name: fact[name] for name in told(row)}
    expected["extra_headers"] = expected["extra_headers"] or {}
    expected["price_namespace"] = expected["price_namespace"] or row.name
    if expected["auth"] == "none":  # such a row sends a key as a bearer, where there is one
        expected["auth"] = "bearer"
    if row.dialect not in USUAL:
        expected["chat_path"] = ""
    differing = {name for name, value in told(row).items() if value != expected[name]}
    assert differing == {name for provider, name in DIFFERS if provider == row.name}


@every_fact
def test_a_row_has_the_quirks_of_the_facts(fact):
    row = row_of(fact)
    if row is None or row.dialect == "anthropic_messages":
        return
    assert row.quirks.max_tokens_field == (fact["max_tokens_field"] or "max_tokens")
    if fact["reasoning_field_in"] in ("reasoning_content", "reasoning", "reasoning_text"):
        assert row.quirks.reasoning_field == fact["reasoning_field_in"]
    if row.dialect == "openai_chat":
        assert row.quirks.stream_usage_option == (fact["stream_usage"] != "always")
    assert {*(fact["base_url_env_suffix"] or ())} <= {*row.root_variables}
    for variable, suffix in (fact["base_url_env_suffix"] or {}).items():
        assert row.base_url.endswith(suffix), variable


@every_fact
def test_a_row_speaks_every_wire_of_the_facts_where_they_say_it_is(fact):
    row = row_of(fact)
    if row is None:
        return
    for dialect in fact["also_dialects"] or ():
        if (row.name, dialect) in NO_WIRE:
            assert dialect not in row.dialects
            continue
        if dialect == row.dialect:
            continue
        wire = row.wire(dialect)
        place = (fact["alt_endpoints"] or {}).get(dialect, {})
        assert wire.base_url == place.get("base_url", row.base_url)
        if "path" in place:
            assert url_and_query(wire) == place["path"]
        if "auth" in place:
            assert auth_of(wire) == place["auth"]
        assert wire.path


@every_fact
def test_a_row_embeds_where_the_facts_say_it_does(fact):
    row = row_of(fact)
    named = fact["embeddings_path"]
    assert bool(row.embeddings) == (named is not None)
    if row.embeddings:
        paths = {url_and_query(Embedder(Provider(row, "m"), endpoint).wire) for endpoint in row.embeddings}
        assert named in paths


def test_every_reason_is_needed():
    facts = {fact["name"]: fact for fact in ROWS}
    assert {*NO_ROW} == {name for name in facts if PROVIDERS.get(name) is None}
    for name, dialect in NO_WIRE:
        assert dialect in facts[name]["also_dialects"]
    for name, field in DIFFERS:
        assert facts[name][field] != told(row_of(facts[name]))[field]


def test_every_row_beside_the_facts_is_known():
    assert {row.name for row in PROVIDERS} - {fact["name"] for fact in ROWS} == {"azure-deployments", "local"}


def test_most_rows_can_be_called():
    assert len([row for row in PROVIDERS if row.dialect in CLIENTS]) >= 110
    assert {row.name for row in PROVIDERS if row.dialect not in CLIENTS} == set()
