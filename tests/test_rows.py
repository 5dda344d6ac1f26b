"""The table of providers: whole, without contradiction, and the same whether all of it is loaded or a part."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quoth._costs._table import table as price_table
from quoth.data import catalog
from quoth.dialects import CLIENTS, load_client
from quoth.errors import ConfigurationError
from quoth.providers import PROVIDERS, ProviderSpec, ProviderTable
from quoth.providers._registry import ROWS
from quoth.providers._rewrites import LOCATIONS, WIRES
from quoth.providers._rows import MORE_ROWS
from quoth.providers._spec import PATHS
from recordings import WIRE, lines_of, needs_recordings

SOURCE = Path(__file__).resolve().parents[1] / "src"

EVERY_ROW = (*ROWS, *MORE_ROWS)
every_row = pytest.mark.parametrize("row", EVERY_ROW, ids=lambda row: row.name)

GATEWAYS = (
    "openrouter",
    "vercel",
    "huggingface",
    "requesty",
    "litellm-proxy",
    "cloudflare-gateway",
    "bedrock",
    "vertex",
)


# The table as a whole.


def test_no_name_and_no_alias_belongs_to_two_rows():
    names = [name for row in EVERY_ROW for name in (row.name, *row.aliases)]
    assert sorted(names) == sorted(set(names))


def test_no_prefix_belongs_to_two_rows():
    prefixes = [prefix for row in EVERY_ROW for prefix in row.model_prefixes]
    assert sorted(prefixes) == sorted(set(prefixes))


def test_no_prefix_of_a_later_row_begins_as_one_of_the_first_rows_does():
    """So a bare id that the first rows own means the same once all are loaded."""
    first = tuple(prefix for row in ROWS for prefix in row.model_prefixes)
    assert [prefix for row in MORE_ROWS for prefix in row.model_prefixes if prefix.startswith(first)] == []


@pytest.mark.parametrize("name", GATEWAYS)
def test_who_serves_others_models_owns_no_bare_id(name):
    assert PROVIDERS.get(name).model_prefixes == ()


def test_a_prefix_rests_on_ids_that_the_catalog_has_of_its_owner():
    """Strict: a beginning that no source has seen at its owner is not its own."""
    ids = {id_.lower() for id_ in (*catalog.ROWS, *catalog.ALIASES, *price_table().ids(), *price_table().aliases())}
    unseen = {
        prefix
        for row in MORE_ROWS
        for prefix in row.model_prefixes
        if not any(id_.startswith(f"{row.name}/{prefix}") for id_ in ids)
    }
    assert unseen == set()


@every_row
def test_every_row_can_be_registered_as_it_stands(row):
    table = ProviderTable(())
    assert table.register(row) == row


@every_row
def test_every_row_says_what_it_rests_on_and_names_what_exists(row):
    assert row.confidence in ("recorded", "two_sources", "one_source") or row.name == "local"
    assert row.display_name
    assert {row.relocate, None} <= {*LOCATIONS, None}
    for wire in (row, *row.endpoints):
        assert {wire.rewrite, None} <= {*WIRES, None}
    assert {*row.root_variables} <= {*row.base_url_variables}
    assert len({*row.dialects}) == len(row.dialects)
    assert {dialect for _, dialect in row.model_wires} <= {*row.dialects}


@every_row
def test_every_name_in_braces_has_variables(row):
    wires = [row.wire(dialect) for dialect in row.dialects]
    text = " ".join(f"{wire.base_url}{wire.path}{wire.query}{wire.headers}" for wire in wires)
    named = {*re.findall(r"{(\w+)}", text)} - {"model"}
    known = {name for name, _ in row.parts}
    assert named == known or (row.name, named) == ("databricks", {"resource"})


@every_row
def test_every_default_model_is_one_that_the_catalog_has(row):
    assert row.default_model is None or f"{row.name}/{row.default_model}" in catalog.ROWS


@pytest.mark.parametrize("dialect", [name for name in PATHS if name in CLIENTS])
def test_the_usual_path_of_a_wire_is_that_of_its_dialect(dialect):
    assert PATHS[dialect] == load_client(dialect).PATH


@every_row
def test_every_name_of_a_row_stands_before_any_model_in_any_case(row):
    for name in (row.name, *row.aliases):
        for spelled in (name, name.upper()):
            assert PROVIDERS.resolve(f"{spelled}/org/Model:x") == (row, "org/Model:x")


# Which rows are loaded.


def test_importing_and_asking_openai_loads_the_first_rows_only():
    code = (
        "import sys; from quoth import models; models.bind('gpt-6-luna'); models.bind('openai/x'); "
        "assert 'quoth.providers._rows' not in sys.modules; models.bind('groq/x'); "
        "assert 'quoth.providers._rows' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


IDS = st.sampled_from(
    ["gpt-4", "claude-x", "grok-4", "groq/llama", "openai/x", "GLM-5", "local/smollm2", "ollama/x", "kimi-k3"]
)


@given(st.lists(IDS, max_size=6), IDS)
def test_what_an_id_means_does_not_depend_on_what_was_asked_before(before, model):
    asked, fresh = ProviderTable(), ProviderTable()
    for each in before:
        asked.resolve(each)
    list(asked)
    assert asked.resolve(model) == fresh.resolve(model)
    assert [row.name for row in asked] == [row.name for row in fresh] == [row.name for row in EVERY_ROW]


def test_loading_the_rest_is_no_change_of_the_table():
    """What was made from a row stays good: the version counts registrations."""
    table = ProviderTable()
    before = table.version
    assert table.get("groq") is not None
    assert table.version == before


def test_a_row_that_is_registered_before_the_rest_is_loaded_stays():
    table = ProviderTable()
    table.register("groq", base_url="https://mine.example/v1")
    assert table.get("groq").base_url == "https://mine.example/v1"
    assert [row.base_url for row in table if row.name == "groq"] == ["https://mine.example/v1"]
    with pytest.raises(ConfigurationError, match="belongs to 'ollama'"):
        ProviderTable().register("mine", base_url="https://mine.example", aliases=("ollama",))


def test_many_threads_may_ask_first():
    for _ in range(20):
        table, found = ProviderTable(), []
        start = threading.Barrier(8)

        def ask(table=table, found=found, start=start):
            start.wait()
            found.append((table.get("groq").name, table.resolve("grok-4")[0].name, len(list(table))))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [("groq", "xai", len(EVERY_ROW))] * 8


# From a URL back to its row.


def filled(text):
    return re.sub(r"{(\w+)}", r"my-\1", text)


@every_row
def test_the_url_of_every_wire_of_every_row_finds_the_row(row):
    for dialect in row.dialects:
        wire = row.wire(dialect)
        if not wire.path:
            continue
        url = filled(wire.base_url).replace("my-resource/", "my.databricks.example/") + filled(wire.path)
        found = PROVIDERS.of_url(url + "?x=1")
        assert found is not None
        same = {spec.name for spec in EVERY_ROW if dialect in spec.dialects and spec.wire(dialect).path == wire.path
                and spec.wire(dialect).base_url == wire.base_url}  # fmt: skip
        assert found[0].name in same
        assert found[1] == dialect


@pytest.mark.parametrize(
    "url",
    ["", "x", "https://", "https://api.openai.com", "https://api.openai.com/v1/embeddings", "https://evil.example/v1/chat/completions",
     "https://api.openai.com.evil.example/v1/chat/completions", "https://evil.example/api.openai.com/v1/chat/completions",
     "https://api.openai.com@evil.example/v1/chat/completions", "https://a@b.openai.azure.com/openai/v1/chat/completions",
     "https://a.b.openai.azure.com/openai/v1/chat/completions", "https://.openai.azure.com/openai/v1/responses", "http://localhost:5002/v1/chat/completions"],
)  # fmt: skip
def test_a_url_that_is_nobodys_finds_nobody(url):
    assert PROVIDERS.of_url(url) is None


STUDIO = "https://generativelanguage.googleapis.com"
GLOBAL, EUROPE = "https://aiplatform.googleapis.com", "https://europe-west1-aiplatform.googleapis.com"
BEDROCK = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m"
PLACE = "projects/p/locations/l/publishers"


@pytest.mark.parametrize(
    ("url", "name", "dialect"),
    [
        (f"{STUDIO}/v1/models/g:streamGenerateContent?alt=sse", "google", "gemini"),
        (f"{GLOBAL}/v1beta1/{PLACE}/google/models/g:generateContent", "vertex", "gemini"),
        (f"{EUROPE}/v1/{PLACE}/anthropic/models/c:streamRawPredict", "vertex", "anthropic_messages"),
        (f"{BEDROCK}/converse-stream", "bedrock", "bedrock_converse"),
        (f"{BEDROCK}/invoke-with-response-stream", "bedrock", "bedrock_invoke"),
    ],
)
def test_a_stream_by_a_verb_of_its_own_and_another_version_are_the_same_wire(url, name, dialect):
    row, found = PROVIDERS.of_url(url)
    assert (row.name, found) == (name, dialect)


@pytest.mark.parametrize("verb", ["countTokens", "batchEmbedContents", "streamCountTokens", "xgenerateContent"])
def test_another_verb_of_google_is_another_operation(verb):
    assert PROVIDERS.of_url(f"{STUDIO}/v1beta/models/g:{verb}") is None


@given(st.text(max_size=60))
def test_any_text_finds_a_row_or_none(text):
    found = PROVIDERS.of_url(text)
    assert found is None or isinstance(found[0], ProviderSpec)


OF_NOBODY = {
    "localhost:5002": "a server of the recorder's own, at a port that none of the rows has",
    "localhost:8787": "a gateway of the recorder's own",
    "api.cohere.ai": "version 1 of its chat, which is not spoken",
    "chatgpt.com": "a subscription's backend, which is no API",
}
WIRE_OF = {
    "chat": "openai_chat",
    "responses": "openai_responses",
    "messages": "anthropic_messages",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "converse": "bedrock_converse",
    "converse-stream": "bedrock_converse",
}


@needs_recordings
def test_every_recorded_url_of_the_wires_finds_its_row():
    found, lost = set(), set()
    for exchange in (each for path in sorted(WIRE.glob("*.jsonl")) for each in lines_of(path.stem)):
        url, api = (exchange.get("request") or {}).get("url"), exchange["meta"].get("api")
        if not url or api not in WIRE_OF:
            continue
        row = PROVIDERS.of_url(url)
        host = re.sub(r"^\w+://|/.*", "", url)
        if row is None:
            lost.add(host)
        else:
            assert row[1] == (row[0].dialect if row[0].dialect == "cohere_chat" else WIRE_OF[api]), url
            found.add((row[0].name, row[1]))
    assert lost == {*OF_NOBODY}
    assert len(found) > 30
    assert {name for name, _ in found if PROVIDERS.get(name).confidence != "recorded"} == set()
