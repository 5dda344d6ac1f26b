"""Calls by every row: the URL, the key and the headers that are sent, the wire that is chosen, what is said before."""

import json
import re
import warnings

import pytest
from hypothesis import example, given, strategies as st

from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth.dialects import CLIENTS
from quoth.dialects.server import load_server
from quoth.errors import (
    AuthenticationError,
    CapabilityWarning,
    ConfigurationError,
    InputError,
    MissingKeyError,
    NotBuiltError,
    QuothError,
    UnsupportedContentError,
    UnsupportedParameterError,
)
from quoth.providers import PROVIDERS, ProviderSpec, ProviderTable
from quoth.providers._address import Given, fill, find_address, is_foreign
from quoth.providers._choosing import _warned
from quoth.providers._registry import ROWS
from quoth.providers._rewrites import LOCATIONS
from quoth.providers._rows import MORE_ROWS
from quoth.providers._spec import Endpoint
from quoth.testing import Reply, ScriptedTransport
from quoth.types import Audio, Image, Tool
from servers import RawServer

EVERY_ROW = [row for row in (*ROWS, *MORE_ROWS) if row.name != "local"]
every_row = pytest.mark.parametrize("row", EVERY_ROW, ids=lambda row: row.name)
WIRES = [(row, dialect) for row in EVERY_ROW for dialect in row.dialects if dialect in CLIENTS and not row.embeds_only]
every_wire = pytest.mark.parametrize(("row", "dialect"), WIRES, ids=lambda each: getattr(each, "name", each))

VARIABLES = sorted({
    name
    for row in EVERY_ROW
    for names in (row.key_variables, row.base_url_variables, *[of for _, of in row.parts])
    for name in names
})  # fmt: skip


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in (*VARIABLES, "QUOTH_PRICES", "QUOTH_TIMEOUT", "QUOTH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


ANSWER = Response(message=Message.assistant("Hello"), finish_reason="stop", model="m", usage=Usage(input=1, output=1))


def api_of(script=None, **more):
    script = script or ScriptedTransport(lambda request: Reply(status=401, body=b'{"error": {"message": "no"}}'))
    return ModelsAPI(Settings(transport=script, async_transport=script.aio, **more), providers=ProviderTable()), script


def sent(model, *, settings=None, **options):
    """The request that a call sends, whose answer is a refusal."""
    api, script = api_of(**(settings or {}))
    with pytest.raises(AuthenticationError):
        api(model, "Hi", **options)
    (request,) = script.requests
    return request


# What is sent: by every wire of every row.

PARTS = {name: f"my-{name.replace('_', '-')}" for row in EVERY_ROW for name, _ in row.parts}
HOSTS = {"databricks": ("DATABRICKS_HOST", "https://my.databricks.example")}


@every_wire
def test_a_call_goes_where_the_row_says_with_its_key_its_headers_and_its_query(monkeypatch, row, dialect):
    if row.key_variables:
        monkeypatch.setenv(row.key_variables[-1], "k-123")
    for name, variables in row.parts:
        monkeypatch.setenv(variables[-1], PARTS[name])
    if row.name in HOSTS:
        monkeypatch.setenv(*HOSTS[row.name])
    wire = row.wire(dialect)
    request = sent(f"{row.name}/some-model", dialect=dialect)
    filled = {**PARTS, "model": "some-model", "resource": PARTS.get("resource", "") or "my.databricks.example"}
    if row.name in HOSTS:
        filled["resource"] = "my.databricks.example"
    query = "&".join(f"{name}={fill(value, filled)}" for name, value in wire.query)
    assert request.url == fill(wire.base_url + wire.path, filled) + (f"?{query}" if query else "")
    headers = dict(request.headers)
    assert len(headers) == len(request.headers)
    for name, value in wire.headers:
        assert headers[name] == fill(value, filled)
    if row.key_variables:
        assert headers[wire.auth_header] == f"{wire.auth_prefix}k-123"
        assert [name for name, value in headers.items() if "k-123" in value] == [wire.auth_header]
    else:
        assert not {"authorization", "x-api-key", "api-key"} & {*headers}
    assert PROVIDERS.of_url(request.url)[1] == dialect
    in_path = "{model}" in wire.path and dialect != "openai_chat"
    assert json.loads(request.body).get("model") == (None if in_path else "some-model")


VERTEX = "https://europe-west1-aiplatform.googleapis.com"
SENT = {
    "openai/gpt-6-luna": ("https://api.openai.com/v1/responses", ("authorization", "Bearer k")),
    "anthropic/claude-x": ("https://api.anthropic.com/v1/messages", ("x-api-key", "k")),
    "groq/openai/gpt-oss-20b": ("https://api.groq.com/openai/v1/chat/completions", ("authorization", "Bearer k")),
    "writer/palmyra-x5": ("https://api.writer.com/v1/chat", ("authorization", "Bearer k")),
    "perplexity/sonar": ("https://api.perplexity.ai/chat/completions", ("authorization", "Bearer k")),
    "grok-4.3": ("https://api.x.ai/v1/responses", ("authorization", "Bearer k")),
    "portkey/x": ("https://api.portkey.ai/v1/chat/completions", ("x-portkey-api-key", "k")),
    "azure/my-deployment": ("https://res.openai.azure.com/openai/v1/responses", ("api-key", "k")),
    "azure-deployments/my-gpt/4": (
        "https://res.openai.azure.com/openai/deployments/my-gpt%2F4/chat/completions?api-version=2024-10-21",
        ("api-key", "k"),
    ),
    "azure-foundry/grok-3": (
        "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
        ("api-key", "k"),
    ),
    "azure-anthropic/claude-x": ("https://found.services.ai.azure.com/anthropic/v1/messages", ("x-api-key", "k")),
    "cloudflare/@cf/meta/llama": (
        "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions",
        ("authorization", "Bearer k"),
    ),
    "cloudflare-gateway/openai/gpt-x": (
        "https://gateway.ai.cloudflare.com/v1/acc/gate/compat/chat/completions",
        ("cf-aig-authorization", "Bearer k"),
    ),
    "snowflake/claude": (
        "https://org-acc.snowflakecomputing.com/api/v2/cortex/v1/chat/completions",
        ("authorization", "Bearer k"),
    ),
    "bedrock-mantle/openai.gpt-oss-20b": (
        "https://bedrock-mantle.eu-west-1.api.aws/v1/responses",
        ("authorization", "Bearer k"),
    ),
    "aws-anthropic/claude-x": (
        "https://aws-external-anthropic.eu-west-1.api.aws/v1/messages",
        ("anthropic-workspace-id", "wrk"),
    ),
    "vertex-anthropic/claude-x@20260101": (
        f"{VERTEX}/v1/projects/proj/locations/europe-west1/publishers/anthropic/models/claude-x@20260101:rawPredict",
        ("authorization", "Bearer k"),
    ),
    "databricks/llama": (
        "https://adb-1.azuredatabricks.net/ai-gateway/mlflow/v1/chat/completions",
        ("authorization", "Bearer k"),
    ),
    "ollama/llama3": ("http://localhost:11434/api/chat", ("authorization", "Bearer k")),
}  # fmt: skip
SET = {
    "AZURE_RESOURCE_NAME": "res", "OPENAI_API_VERSION": "2024-10-21", "ANTHROPIC_FOUNDRY_RESOURCE": "found",
    "CLOUDFLARE_ACCOUNT_ID": "acc", "CLOUDFLARE_GATEWAY_ID": "gate", "SNOWFLAKE_ACCOUNT": "org-acc",
    "AWS_REGION": "eu-west-1", "ANTHROPIC_AWS_WORKSPACE_ID": "wrk", "GOOGLE_CLOUD_PROJECT": "proj",
    "GOOGLE_CLOUD_LOCATION": "europe-west1", "DATABRICKS_HOST": "adb-1.azuredatabricks.net",
}  # fmt: skip


@pytest.mark.parametrize("model", SENT)
def test_what_is_sent_letter_by_letter(monkeypatch, model):
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    row, _ = PROVIDERS.resolve(model)
    monkeypatch.setenv(row.key_variables[0], "k")
    request = sent(model)
    url, header = SENT[model]
    assert request.url == url
    assert header in request.headers


OVER_A_SOCKET = {
    "writer/palmyra-x5": (b"POST /v1/chat HTTP/1.1", b"authorization: Bearer k", "openai_chat"),
    "azure-foundry/x": (
        b"POST /v1/chat/completions?api-version=2024-05-01-preview HTTP/1.1",
        b"api-key: k",
        "openai_chat",
    ),
    "meta/x": (b"POST /v1/chat/completions HTTP/1.1", b"authorization: Bearer k", "openai_chat"),
    "minimax/x": (b"POST /v1/v1/messages HTTP/1.1", b"anthropic-version: 2023-06-01", "anthropic_messages"),
    "xai/x": (b"POST /v1/responses HTTP/1.1", b"authorization: Bearer k", "openai_responses"),
}


@pytest.mark.parametrize("model", OVER_A_SOCKET)
def test_a_whole_call_over_a_real_socket(model):
    line, header, dialect = OVER_A_SOCKET[model]
    answer = load_server(dialect).build_response(ANSWER).body

    def script(peer):
        peer.read_request()
        peer.reply(answer, 200, b"Content-Type: application/json")

    with RawServer(script) as server:
        api = ModelsAPI(Settings(), providers=ProviderTable())
        asked = {} if dialect == "openai_chat" else {"dialect": dialect}
        said = api(model, "Hi", base_url=f"http://127.0.0.1:{server.port}/v1", api_key="k", **asked)
        api.close()
    assert said.text == "Hello"
    head = server.requests[0][0]
    assert head.split(b"\r\n")[0] == line
    assert header in [each.lower() if b"Bearer" not in each else each for each in head.split(b"\r\n")]


def test_vertex_takes_the_model_from_the_path_and_the_version_from_the_body(monkeypatch):
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    api, script = api_of(api_keys={"vertex-anthropic": "k"})
    with pytest.raises(AuthenticationError):
        api.stream("vertex-anthropic/claude-x", "Hi").read()
    (request,) = script.requests
    assert request.url.endswith("/claude-x:streamRawPredict")
    body = json.loads(request.body)
    assert (body["anthropic_version"], body["stream"], "model" in body) == ("vertex-2023-10-16", True, False)


def test_mistral_is_sent_its_own_name_for_a_seed(monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    body = json.loads(sent("mistral/mistral-small-latest", seed=7).body)
    assert (body["random_seed"], "seed" in body) == (7, False)
    said = json.loads(sent("mistral/x", system='"seed"').body)
    assert "random_seed" not in said


@pytest.mark.parametrize("extra", [{}, {"parasail": {"store": True}}])
def test_parasail_stores_nothing_unless_it_is_told_to(monkeypatch, extra):
    monkeypatch.setenv("PARASAIL_API_KEY", "k")
    body = json.loads(sent("parasail/x", dialect="responses", extra=extra).body)
    assert body["store"] == bool(extra)


# Keys.


@every_row
def test_each_of_its_variables_may_hold_the_key_and_the_first_wins(row):
    around = {of[0]: PARTS[name] for name, of in row.parts} | dict([HOSTS[row.name]] if row.name in HOSTS else [])
    for variable in row.key_variables:
        assert find_address(row, Given(), Given(), {**around, variable: "mine"}).api_key == "mine"
    if len(row.key_variables) > 1:
        both = {**around, row.key_variables[0]: "first", row.key_variables[1]: "second"}
        assert find_address(row, Given(), Given(), both).api_key == "first"


@every_row
def test_a_missing_key_prints_the_line_that_sets_it(row):
    around = {of[0]: PARTS[name] for name, of in row.parts} | dict([HOSTS[row.name]] if row.name in HOSTS else [])
    if row.key_optional or "localhost" in row.base_url:
        assert find_address(row, Given(), Given(), around).api_key is None
        return
    with pytest.raises(MissingKeyError) as caught:
        find_address(row, Given(), Given(), around)
    assert f"export {row.key_variables[0]}=..." in caught.value.message
    assert caught.value.message.startswith(row.name)
    assert caught.value.provider == row.name


def test_a_server_of_ones_own_is_sent_a_key_if_there_is_one_and_needs_none_anywhere(monkeypatch):
    assert "authorization" not in dict(sent("vllm/x").headers)
    assert "authorization" not in dict(sent("vllm/x", base_url="https://gpu.example/v1").headers)
    assert dict(sent("vllm/x", base_url="https://gpu.example/v1", api_key="k").headers)["authorization"] == "Bearer k"
    monkeypatch.setenv("VLLM_API_KEY", "k")
    assert dict(sent("vllm/x").headers)["authorization"] == "Bearer k"
    assert "authorization" not in dict(sent("vllm/x", base_url="https://gpu.example/v1").headers)


# What a URL leaves open.

OPEN = [row for row in EVERY_ROW if row.parts or row.name in HOSTS]


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.name)
def test_what_is_missing_of_a_url_is_named_with_its_row_its_variable_and_the_way_out(row):
    for name, variables in row.parts or (("resource", ("DATABRICKS_HOST",)),):
        around = {of[0]: PARTS[part] for part, of in row.parts if part != name}
        if name not in re.findall(r"{(\w+)}", f"{row.wire(row.dialect)}"):
            continue  # a part of another wire
        with pytest.raises(ConfigurationError) as caught:
            find_address(row, Given(api_key="k"), Given(), around)
        assert not isinstance(caught.value, MissingKeyError)
        assert caught.value.message.startswith(row.name)
        assert f"export {variables[0]}=" in caught.value.message
        assert ("base_url=" in caught.value.message) == (name in row.base_url)


VALUES = st.text(st.sampled_from("abz019-._:/@#?%\\ \n{}é"), max_size=12) | st.sampled_from([
    "evil.example/", "evil.example#", "evil.example?", "a@evil.example/", "evil.example:443/", "x\\@evil.example",
    "{model}", "..", "../x", "%2e%2e", "global", "us", "eu",
])  # fmt: skip


@given(st.sampled_from([row for row in OPEN if row.name not in HOSTS]), st.data())
@example(PROVIDERS.get("azure"), None)
def test_no_value_of_a_variable_leads_a_key_away_from_the_provider(row, data):
    """The end of the host stands in the row; so any key may go there, and nowhere else."""
    values = {of[0]: "evil.example/" if data is None else data.draw(VALUES, label=of[0]) for _, of in row.parts}
    try:
        address = find_address(row, Given(api_key="k"), Given(), values)
    except ConfigurationError:
        return
    host = re.fullmatch(r"https://([\w.-]+)(/.*)?", address.base_url)[1]
    literal = re.sub(r"^.*}[-.]?", "", re.sub(r"^https://|/.*$", "", row.base_url))
    assert host.endswith((literal, "aiplatform.googleapis.com", ".rep.googleapis.com"))
    assert "{" not in address.base_url


def test_a_key_of_the_settings_does_not_go_to_a_host_that_a_variable_names_whole():
    row, around = PROVIDERS.get("databricks"), {"DATABRICKS_HOST": "https://elsewhere.example"}
    with pytest.raises(MissingKeyError, match=r"is not sent to https://elsewhere\.example"):
        find_address(row, Given(), Given(api_key="k"), around)
    own = find_address(row, Given(), Given(), {**around, "DATABRICKS_TOKEN": "k"})
    assert (own.base_url, own.api_key) == ("https://elsewhere.example/ai-gateway/mlflow/v1", "k")
    mine = ProviderSpec(name="mine", base_url="https://{host}/v1", parts=(("host", ("MINE",)),), key_variables=("KEY",))
    with pytest.raises(MissingKeyError):
        find_address(mine, Given(api_key="k"), Given(), {"MINE": "elsewhere.example"})


@pytest.mark.parametrize("source", ["call", "settings"])
def test_a_key_of_a_call_or_the_settings_goes_to_the_providers_own_host_that_a_variable_names(source):
    """AZURE_OPENAI_ENDPOINT is where the resource is; the key may come from a vault."""
    told = {"call": Given(), "settings": Given(), source: Given(api_key="k")}
    row = PROVIDERS.get("azure")
    own = {"AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com"}
    assert find_address(row, told["call"], told["settings"], own).api_key == "k"
    for url in (
        "https://res.openai.azure.com.evil.example",
        "https://openai.azure.com",
        "https://x.y.openai.azure.com",
    ):
        with pytest.raises(MissingKeyError, match="is not sent to"):
            find_address(row, told["call"], told["settings"], {"AZURE_OPENAI_ENDPOINT": url})


def test_a_key_of_the_environment_goes_to_no_base_url_of_a_call_or_the_settings():
    around = {"AZURE_OPENAI_API_KEY": "k"}
    url = Given(base_url="https://res.openai.azure.com/openai/v1")
    for told in ((url, Given()), (Given(), url)):
        with pytest.raises(MissingKeyError):
            find_address(PROVIDERS.get("azure"), *told, around)


ROOTS = [
    ("azure", "AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/", "https://res.openai.azure.com/openai/v1"),
    ("azure", "AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/openai/v1/", "https://res.openai.azure.com/openai/v1"),
    ("azure-deployments", "AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com", "https://res.openai.azure.com/openai"),
    ("groq", "GROQ_BASE_URL", "https://api.groq.com", "https://api.groq.com/openai/v1"),
    ("groq", "GROQ_API_BASE", "https://api.groq.com/x", "https://api.groq.com/x"),
    ("together", "TOGETHER_BASE_URL", "https://proxy.example", "https://proxy.example/v1"),
    ("databricks", "DATABRICKS_HOST", "https://w.example", "https://w.example/ai-gateway/mlflow/v1"),
    ("ollama", "OLLAMA_HOST", "0.0.0.0", "http://127.0.0.1:11434"),
    ("ollama", "OLLAMA_HOST", "localhost:8000", "http://localhost:8000"),
    ("ollama", "OLLAMA_HOST", ":8000", "http://127.0.0.1:8000"),
    ("ollama", "OLLAMA_HOST", "https://ollama.example", "https://ollama.example"),
    ("ollama", "OLLAMA_BASE_URL", "http://localhost:11434/v1", "http://localhost:11434"),
    ("ollama", "OLLAMA_API_BASE", "https://ollama.example/api/", "https://ollama.example"),
    ("ollama", "OLLAMA_API_BASE", "https://proxy.example/ollama/", "https://proxy.example/ollama"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "variable", "value", "url"), ROOTS)
def test_a_variable_that_holds_the_root_alone_is_given_the_path_of_the_row(name, variable, value, url):
    row = PROVIDERS.get(name)
    around = {variable: value, "OPENAI_API_VERSION": "1", row.key_variables[0]: "k"}
    assert find_address(row, Given(), Given(), around).base_url == url


@pytest.mark.parametrize(
    ("region", "host"),
    [("global", "aiplatform.googleapis.com"), ("us", "aiplatform.us.rep.googleapis.com"),
     ("eu", "aiplatform.eu.rep.googleapis.com"), ("us-east5", "us-east5-aiplatform.googleapis.com")],
)  # fmt: skip
def test_vertex_has_places_that_are_no_regions(region, host):
    row = PROVIDERS.get("vertex-anthropic")
    around = {"GOOGLE_CLOUD_PROJECT": "p", "CLOUD_ML_REGION": region}
    assert find_address(row, Given(api_key="k"), Given(), around).base_url == f"https://{host}"


@given(st.text("ab.:/0[]@", max_size=12))
def test_any_value_is_relocated_or_refused_later_but_never_breaks(text):
    for relocate in LOCATIONS.values():
        assert isinstance(relocate(text), str)


def test_a_further_wire_keeps_its_own_path_at_the_providers_own_host(monkeypatch):
    """DEEPSEEK_API_BASE says where Chat is; Messages stands at another root of the same host."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", "k")
    monkeypatch.setenv("DEEPSEEK_API_BASE", "https://api.deepseek.com/v1")
    assert sent("deepseek-flash").url == "https://api.deepseek.com/v1/chat/completions"
    assert sent("deepseek-flash", dialect="messages").url == "https://api.deepseek.com/anthropic/v1/messages"
    monkeypatch.setenv("DEEPSEEK_API_BASE", "https://proxy.example/v1")
    assert sent("deepseek-flash", dialect="messages").url == "https://proxy.example/v1/v1/messages"


# Which wire.

FOREIGN = [
    ("openai", "https://proxy.example/v1", True),
    ("openai", "http://localhost:8080/v1", True),
    ("openai", "https://api.openai.com/v1", False),
    ("openai", "https://api.openai.com/other", False),
    ("openai", "https://eu.api.openai.com/v1", False),
    ("openai", "https://api.openai.com.evil.example/v1", True),
    ("openai", "https://api.openai.com:8443/v1", True),
    ("azure", "https://my.openai.azure.com", False),
    ("azure", "https://my.services.ai.azure.com/openai/v1", False),
    ("azure", "https://gateway.example", True),
    ("together", "https://api.together.xyz/v1", False),
    ("llamacpp", "http://127.0.0.1:8080/v1", False),
    ("databricks", "https://any.example", False),
]


@pytest.mark.parametrize(("name", "url", "expected"), FOREIGN)
def test_a_base_url_is_foreign_where_its_host_is_none_of_the_rows_own(name, url, expected):
    row = PROVIDERS.get(name)
    assert is_foreign(row, Given(base_url=url), Given(), {}) is expected
    assert is_foreign(row, Given(), Given(base_url=url), {}) is expected
    assert is_foreign(row, Given(), Given(), {row.base_url_variables[0]: url}) is expected
    assert is_foreign(row, Given(), Given(), {}) is False


CHAT, RESPONSES, MESSAGES = "/chat/completions", "/responses", "/v1/messages"
ELSEWHERE = "https://proxy.example/v1"
TOOLS = [Tool(name="f")]
CHOSEN = [
    # the row's own; what the call says; a foreign base URL
    ("gpt-6-luna", {}, RESPONSES),
    ("gpt-6-luna", {"dialect": "chat"}, CHAT),
    ("gpt-6-luna", {"dialect": "openai_chat"}, CHAT),
    ("gpt-6-luna", {"base_url": ELSEWHERE}, CHAT),
    ("gpt-6-luna", {"base_url": ELSEWHERE, "dialect": "responses"}, RESPONSES),
    ("gpt-6-luna", {"base_url": "https://api.openai.com/v1"}, RESPONSES),
    ("openai/some-llama", {"base_url": ELSEWHERE}, CHAT),
    ("claude-haiku-5-5", {"base_url": ELSEWHERE}, MESSAGES),
    ("grok-4.3", {}, RESPONSES),
    ("grok-4.3", {"base_url": ELSEWHERE}, CHAT),
    ("deepseek-flash", {}, CHAT),
    ("deepseek-flash", {"dialect": "messages"}, MESSAGES),
    ("deepseek-flash", {"dialect": "responses"}, RESPONSES),
    ("moonshot/kimi-k3", {"dialect": "messages"}, MESSAGES),
    ("minimax/MiniMax-M3", {"dialect": "messages"}, MESSAGES),
    # models of one wire
    ("gpt-audio", {}, CHAT),
    ("gpt-audio-mini-2025-12-15", {}, CHAT),
    ("openai/gpt-audio-1.5", {}, CHAT),
    ("o3-pro", {}, RESPONSES),
    ("gpt-audio", {"dialect": "responses"}, RESPONSES),
    # tools together with an effort
    ("gpt-6-luna", {"tools": TOOLS, "reasoning": "low"}, RESPONSES),
    ("gpt-6-luna", {"tools": TOOLS, "reasoning": "low", "base_url": ELSEWHERE}, RESPONSES),
    ("gpt-6-luna", {"tools": TOOLS, "base_url": ELSEWHERE}, CHAT),
    ("gpt-6-luna", {"tools": TOOLS, "reasoning": "none", "base_url": ELSEWHERE}, CHAT),
    ("gpt-5.4", {"tools": TOOLS, "reasoning": "low", "base_url": ELSEWHERE}, CHAT),
    ("gpt-6-luna", {"tools": TOOLS, "reasoning": "low", "dialect": "chat", "check": "off"}, CHAT),
    # what Responses has no word for
    ("gpt-6-luna", {"stop": "x"}, CHAT),
    ("gpt-6-luna", {"seed": 1}, CHAT),
    ("gpt-6-luna", {"stop": []}, RESPONSES),
]


@pytest.mark.parametrize(("model", "options", "path"), CHOSEN)
@pytest.mark.filterwarnings("ignore::quoth.errors.ModelRetiredWarning")
def test_the_wire_that_a_call_takes(model, options, path):
    assert sent(model, **options, **({} if "api_key" in options else {"api_key": "k"})).url.endswith(path)


@pytest.mark.parametrize(
    "options", [{"stop": "x", "dialect": "responses"}, {"seed": 1, "tools": TOOLS, "reasoning": "low"}]
)
def test_what_the_wire_cannot_say_is_refused_where_no_other_may_be_taken(options):
    api, script = api_of()
    with pytest.raises(UnsupportedParameterError):
        api("gpt-6-luna", "Hi", api_key="k", **options)
    assert script.requests == []


def test_a_foreign_url_of_the_settings_or_the_environment_means_chat_too(monkeypatch):
    told = {"base_urls": {"openai": ELSEWHERE}, "api_keys": {"openai": "k"}}
    assert sent("gpt-6-luna", settings=told).url == f"{ELSEWHERE}/chat/completions"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8080/v1")
    assert sent("gpt-6-luna").url == "http://localhost:8080/v1/chat/completions"


def test_a_wire_that_the_provider_does_not_speak_is_refused_with_those_that_it_does():
    api, script = api_of()
    with pytest.raises(UnsupportedParameterError, match=r"anthropic does not speak 'openai_chat'.*_messages'"):
        api.bind("claude-haiku-5-5", dialect="chat")
    with pytest.raises(InputError, match="chat, messages, responses"):
        api.bind("gpt-6-luna", dialect="smoke")
    odd = ProviderSpec(
        name="odd", base_url="http://localhost:9", dialect="smoke", endpoints=(Endpoint(dialect="openai_chat"),)
    )
    api = ModelsAPI(Settings(transport=script), providers=ProviderTable([odd]))
    with pytest.raises(NotBuiltError, match="'smoke'; odd can be spoken to by dialect='openai_chat'"):
        api("odd/x", "Hi")
    assert script.requests == []


def test_a_binding_keeps_its_wire_and_a_call_may_say_another():
    api, script = api_of()
    bound = api.bind("gpt-6-luna", dialect="chat", api_key="k")
    for options, path in (({}, CHAT), ({"dialect": "responses"}, RESPONSES), ({}, CHAT)):
        with pytest.raises(AuthenticationError):
            bound("Hi", **options)
        assert script.requests[-1].url.endswith(path)


# What was moved can be seen.


def answering(request):
    wire = PROVIDERS.of_url(request.url)[1]
    return Reply(body=load_server(wire).build_response(ANSWER).body)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"max_tokens": 5, "dialect": "chat"}, "max_tokens sent as max_completion_tokens"),
     ({"max_tokens": 5}, "max_tokens sent as max_output_tokens"),
     ({"stop": "x"}, "sent by Chat Completions: Responses has no stop sequences and no seed")],
)  # fmt: skip
def test_what_was_moved_stands_on_the_response_and_on_the_record(options, words):
    api, _ = api_of(ScriptedTransport(answering), api_keys={"openai": "k"})
    records = []
    api.on_call(records.append)
    answer = api("gpt-6-luna", "Hi", **options)
    assert answer.text == "Hello"
    assert words in answer.call.changes
    assert records[0].changes == answer.call.changes
    assert api("gpt-6-luna", "Hi").call.changes == records[1].changes == ()


def test_a_table_whose_openai_prefers_chat_sends_reasoned_tools_by_responses_and_says_so():
    table = ProviderTable()
    openai = table.get("openai")
    swapped = {"dialect": "openai_chat", "endpoints": [{"dialect": "openai_responses"}]}
    fields = {name: getattr(openai, name) for name in ("base_url", "key_variables", "reasons_with_tools_on_responses")}
    table.register("openai", **{**fields, **swapped})
    script = ScriptedTransport(answering)
    api = ModelsAPI(Settings(transport=script, api_keys={"openai": "k"}), providers=table)
    answer = api("openai/gpt-6-luna", "Hi", tools=TOOLS, reasoning="low")
    assert script.requests[0].url.endswith(RESPONSES)
    assert answer.call.changes == ("sent by Responses: function tools with a reasoning effort go there only",)


# What is known to be refused.

PICTURE = Image(data=b"\x89PNG\r\n", media_type="image/png")
SOUND = Audio(data=b"RIFF", media_type="audio/wav")
REFUSED = [
    ("perplexity/sonar", {"tools": TOOLS}, "no tools"),
    ("openai/gpt-6.1-sol", {"temperature": 0}, "temperature of 0"),
    ("openai/gpt-5.1", {"temperature": 0.5, "reasoning": "low"}, "temperature of 0.5"),
    ("claude-haiku-5-5", {"max_tokens": 128_001}, "above the 128,000"),
    ("gpt-6-luna", {"tools": TOOLS, "reasoning": "low", "dialect": "chat"}, "on Responses only"),
]
UNREADABLE = [("zai/glm-5.3", PICTURE, "no image"), ("claude-haiku-5-5", SOUND, "no audio")]
SILENT = [
    ("openai/unknown-model", {"tools": TOOLS, "temperature": 0, "max_tokens": 10**9}),
    ("perplexity/sonar", {}),
    ("openai/gpt-6.1-sol", {"temperature": 1}),
    ("openai/gpt-5.1", {"temperature": 0.5, "reasoning": "none"}),
    ("claude-haiku-5-5", {"max_tokens": 128_000, "temperature": 0, "tools": TOOLS}),
    ("gpt-6-luna", {"tools": TOOLS, "reasoning": "low"}),
    ("anthropic/claude-fable-5-2", {"tools": TOOLS}),  # the catalog lists no tools, but has none of those who would
    ("groq/llama-3.3-70b-versatile", {"tools": TOOLS}),
]


@pytest.fixture
def _forgotten():
    """As in a process that has warned of nothing yet."""
    before = dict(_warned)
    _warned.clear()
    yield
    _warned.update(before)


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.filterwarnings("ignore::quoth.errors.ModelRetiredWarning")
@pytest.mark.parametrize(("model", "options", "words"), REFUSED)
def test_what_will_be_refused_is_warned_of_once_refused_under_strict_and_passed_when_off(model, options, words):
    api, script = api_of()
    bound = api.bind(model, api_key="k", **options)
    with pytest.warns(CapabilityWarning, match=words) as caught, pytest.raises(AuthenticationError):
        bound("Hi")
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error", CapabilityWarning)
        with pytest.raises(AuthenticationError):
            bound("Hi")
        with pytest.raises(AuthenticationError):
            bound("Hi", check="off")
    assert len(script.requests) == 3
    with pytest.raises(UnsupportedParameterError, match=words) as error:
        bound("Hi", check="strict")
    assert (len(script.requests), error.value.sent) == (3, "no")


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.filterwarnings("ignore::quoth.errors.ModelRetiredWarning")
@pytest.mark.parametrize(("model", "part", "words"), UNREADABLE)
def test_a_part_that_the_model_cannot_read_is_warned_of_and_refused_under_strict(model, part, words):
    api, script = api_of()
    with pytest.raises(UnsupportedContentError, match=words):
        api(model, ["What?", part], api_key="k", check="strict")
    assert script.requests == []
    with pytest.warns(CapabilityWarning, match=words), pytest.raises(QuothError):
        api(model, ["What?", part], api_key="k")


@pytest.mark.usefixtures("_forgotten")
@pytest.mark.parametrize(("model", "options"), SILENT)
@pytest.mark.filterwarnings("ignore::quoth.errors.ModelRetiredWarning", "error::quoth.errors.CapabilityWarning")
def test_where_the_catalog_is_silent_nothing_is_said(model, options):
    api, script = api_of()
    with pytest.raises(AuthenticationError):
        api(model, "Hi", api_key="k", check="strict", **options)
    assert len(script.requests) == 1


@pytest.mark.usefixtures("_forgotten")
def test_where_the_warning_is_an_error_it_is_one_each_time():
    api, script = api_of()
    with warnings.catch_warnings():
        warnings.simplefilter("error", CapabilityWarning)
        for _ in range(2):
            with pytest.raises(CapabilityWarning):
                api("perplexity/sonar", "Hi", api_key="k", tools=TOOLS)
    assert script.requests == []


def test_a_retired_model_is_refused_under_strict_and_passed_in_silence_when_off():
    api, script = api_of()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AuthenticationError):
            api("openai/gpt-4-turbo", "Hi", api_key="k", check="off")
        warnings.simplefilter("ignore")
        with pytest.raises(UnsupportedParameterError, match="retired"):
            api("openai/gpt-4-turbo", "Hi", api_key="k", check="strict")
    assert len(script.requests) == 1
