"""Addresses that are not one host, and credentials that are not one key: each row with open parts, tokens on Azure,
sources of credentials of one's own."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from clouds import ANSWER, chat, clear_clouds, headers_of
from quoth import ModelsAPI, Settings
from quoth.errors import (
    APIConnectionError,
    ConfigurationError,
    DeadlineExceededError,
    InputTypeError,
    MissingKeyError,
    QuothError,
)
from quoth.providers import PROVIDERS, Endpoint, ProviderTable
from quoth.providers._address import Given, find_address
from quoth.providers._auth import is_signed_token
from quoth.providers._urls import is_own_host
from quoth.providers.credentials import HeaderCredentials, register_credentials
from quoth.providers.credentials._shared import Once, Sealed, words_of
from quoth.testing import Reply, ScriptedTransport
from servers import RawServer


@pytest.fixture(autouse=True)
def _no_cloud(monkeypatch, tmp_path):
    clear_clouds(monkeypatch, tmp_path)
    for name in ("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_GATEWAY_ID", "SNOWFLAKE_ACCOUNT", "DATABRICKS_HOST"):
        monkeypatch.delenv(name, raising=False)


# The page.

PAGE = Path(__file__).resolve().parents[1] / "docs" / "clouds.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


CHECKS = """
from clouds import ANSWER
from quoth.testing import Reply, ScriptedTransport

assert by_token.id == "azure/my-deployment"
script = ScriptedTransport(Reply(body=ANSWER))
models.configure(transport=script)
assert models("gate/any-model", "Hi").text == "Hello"
assert len(dict(script.requests[0].headers)["x-proof"]) == 64
"""


def test_the_examples_of_the_page_run_without_a_network():
    paths = [str(PAGE.parents[1] / "src"), str(PAGE.parents[1] / "tests")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([*blocks("python"), CHECKS])],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


LOADED = """
import os, sys
from quoth import ModelsAPI, Settings
from quoth.testing import Reply, ScriptedTransport

api = ModelsAPI(Settings(transport=ScriptedTransport(lambda request: Reply(status=401, body=b"{}"))))
model, watched = sys.argv[1], sys.argv[2:]
try:
    api(model, "Hi", max_tokens=5, retries=0)
except Exception as error:
    assert "Authentication" in type(error).__name__, error
print(*[name for name in watched if name in sys.modules])
"""
KEYS_OF = {
    "azure/x": {"AZURE_RESOURCE_NAME": "res", "AZURE_OPENAI_API_KEY": "k"},
    "bedrock-mantle/x": {"AWS_REGION": "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK": "k"},
    "vertex/x": {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "us-east5", "GOOGLE_OAUTH_ACCESS_TOKEN": "k"},
}


@pytest.mark.parametrize("model", [*KEYS_OF, "aws credentials"])
def test_nothing_of_a_cloud_is_loaded_that_is_not_used(model, monkeypatch):
    around = KEYS_OF.get(model) or {**AWS, "AWS_REGION": "eu-west-1"}
    for name, value in around.items():
        monkeypatch.setenv(name, value)
    if model not in KEYS_OF:
        pytest.importorskip("botocore", reason="the extra bedrock is not installed")
    watched = ("botocore", "google", "requests", "quoth._proving", "quoth.providers.credentials")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, model if model in KEYS_OF else "bedrock-mantle/x", *watched],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(PAGE.parents[1] / "src")},
    )  # fmt: skip
    expected = [] if model in KEYS_OF else ["botocore", "quoth._proving", "quoth.providers.credentials"]
    assert (done.returncode, done.stdout.split()) == (0, expected), done.stderr


def without(monkeypatch, package):
    for name in [*sys.modules]:
        if name.partition(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


AWS = {"AWS_ACCESS_KEY_ID": "AKIAQUOTHQUOTHQUOTH1", "AWS_SECRET_ACCESS_KEY": "secret"}
SAID = [
    ("vertex/x", {"GOOGLE_CLOUD_LOCATION": "us-east5"}, "google"),
    ("bedrock-mantle/x", {"AWS_REGION": "eu-west-1"}, "botocore"),
    ("bedrock-mantle/x", {"AWS_REGION": "eu-west-1"}, None),
    ("bedrock-mantle/x", {"AWS_PROFILE": "team"}, None),
    ("bedrock-mantle/x", AWS, None),
    ("azure/x", {"AZURE_OPENAI_API_KEY": "k"}, None),
]


def test_the_errors_of_the_page_are_those_that_are_raised(monkeypatch):
    pytest.importorskip("botocore", reason="the extra bedrock is not installed")
    raised = []
    for model, variables, missing in SAID:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            if missing:
                without(patch, missing)
            with pytest.raises(ConfigurationError) as caught:
                ModelsAPI(Settings(transport=ScriptedTransport()), providers=ProviderTable())(model, "Hi")
        raised.append(caught.value.message)
    assert raised == blocks("text")[0].splitlines()


def test_every_cloud_of_the_page_is_a_row():
    rows = {name for name in re.findall(r"`([a-z-]+)/[^`]+`", PAGE.read_text("utf-8")) if "." not in name}
    assert rows >= {*OPEN} - {"cloudflare", "cloudflare-gateway", "snowflake"}
    assert [name for name in rows if PROVIDERS.get(name) is None] == []


# Rows whose address leaves parts open.

VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/pro-j/locations/us-east5"
OPEN = {
    "azure": (
        {"resource": ("AZURE_OPENAI_RESOURCE_NAME", "AZURE_RESOURCE_NAME")},
        {"resource": "res"},
        "https://res.openai.azure.com/openai/v1/responses",
    ),
    "azure-deployments": (
        {
            "resource": ("AZURE_OPENAI_RESOURCE_NAME", "AZURE_RESOURCE_NAME"),
            "api_version": ("OPENAI_API_VERSION", "AZURE_API_VERSION"),
        },
        {"resource": "res", "api_version": "2024-10-21"},
        "https://res.openai.azure.com/openai/deployments/m%3A1/chat/completions?api-version=2024-10-21",
    ),
    "azure-foundry": (
        {"resource": ("AZURE_AI_RESOURCE_NAME", "AZURE_RESOURCE_NAME")},
        {"resource": "res"},
        "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
    ),
    "azure-anthropic": (
        {"resource": ("ANTHROPIC_FOUNDRY_RESOURCE",)},
        {"resource": "res"},
        "https://res.services.ai.azure.com/anthropic/v1/messages",
    ),
    "vertex": (
        {
            "project": ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"),
            "region": ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"),
        },
        {"project": "pro-j", "region": "us-east5"},
        f"{VERTEX}/publishers/google/models/m%3A1:generateContent",
    ),
    "vertex-anthropic": (
        {
            "project": ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"),
            "region": ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"),
        },
        {"project": "pro-j", "region": "us-east5"},
        f"{VERTEX}/publishers/anthropic/models/m%3A1:rawPredict",
    ),
    "bedrock": (
        {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        {"region": "eu-west-1"},
        "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1/chat/completions",
    ),
    "bedrock-mantle": (
        {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        {"region": "eu-west-1"},
        "https://bedrock-mantle.eu-west-1.api.aws/v1/responses",
    ),
    "aws-anthropic": (
        {"region": ("AWS_REGION", "AWS_DEFAULT_REGION"), "account": ("ANTHROPIC_AWS_WORKSPACE_ID",)},
        {"region": "eu-west-1", "account": "wrkspc_1"},
        "https://aws-external-anthropic.eu-west-1.api.aws/v1/messages",
    ),
    "cloudflare": (
        {"account": ("CLOUDFLARE_ACCOUNT_ID",)},
        {"account": "acc"},
        "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions",
    ),
    "cloudflare-gateway": (
        {"account": ("CLOUDFLARE_ACCOUNT_ID",), "resource": ("CLOUDFLARE_GATEWAY_ID",)},
        {"account": "acc", "resource": "gate"},
        "https://gateway.ai.cloudflare.com/v1/acc/gate/compat/chat/completions",
    ),
    "snowflake": (
        {"account": ("SNOWFLAKE_ACCOUNT",)},
        {"account": "org-acc"},
        "https://org-acc.snowflakecomputing.com/api/v2/cortex/v1/chat/completions",
    ),
}
"""The variables of each open part, values for them, and the URL that these make."""

CHAT = {"bedrock": "chat"}
"""Rows that are asked by another wire than their own."""


def test_the_table_has_every_row_with_open_parts():
    assert {*OPEN} == {row.name for row in PROVIDERS if row.parts}
    for name, (variables, _, _) in OPEN.items():
        assert dict(PROVIDERS.get(name).parts) == variables


def url_of(name, monkeypatch, variables):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    script = ScriptedTransport(Reply(status=400, body=b'{"error": {"message": "no"}}'))
    api = ModelsAPI(Settings(transport=script, api_keys={name: "a-key"}), providers=ProviderTable())
    try:
        with pytest.raises(QuothError) as caught:
            api(f"{name}/m:1", "Hi", max_tokens=5, dialect=CHAT.get(name), retries=0)
    finally:
        for variable in variables:
            monkeypatch.delenv(variable)
    return (script.requests[0].url, script.requests[0].headers) if script.requests else caught.value


@pytest.mark.parametrize("name", OPEN)
def test_each_variable_of_a_part_makes_the_exact_url(name, monkeypatch):
    variables, values, url = OPEN[name]
    for part, names in variables.items():
        for chosen in names:
            others = {of[0]: values[other] for other, of in variables.items() if other != part}
            sent, headers = url_of(name, monkeypatch, {**others, chosen: values[part]})
            assert sent == url
            if "account" in variables and name == "aws-anthropic":
                assert ("anthropic-workspace-id", "wrkspc_1") in headers
        if len(names) > 1:  # the first wins
            others = {of[0]: values[other] for other, of in variables.items() if other != part}
            assert url_of(name, monkeypatch, {**others, names[0]: values[part], names[1]: "other"})[0] == url


@pytest.mark.parametrize("name", OPEN)
def test_each_missing_part_gives_the_exact_line(name, monkeypatch):
    variables, values, _ = OPEN[name]
    for part, names in variables.items():
        others = {of[0]: values[other] for other, of in variables.items() if other != part}
        error = url_of(name, monkeypatch, others)
        row = PROVIDERS.get(name)
        ways = [f"export {names[0]}=..."]
        if f"{{{part}}}" in row.base_url:
            ways += [f"export {variable}=https://..." for variable in row.base_url_variables[:1]] + [
                "pass base_url=..."
            ]
        assert isinstance(error, ConfigurationError)
        assert error.message == (
            f"{name} needs to know the {part.replace('_', ' ')}, which its address leaves open: {'; or '.join(ways)}"
        )


HOSTS = [
    ("https://bedrock-runtime.eu-west-1.amazonaws.com", True),
    ("https://bedrock-runtime-fips.us-east-1.amazonaws.com", True),
    ("https://vpce-0a1b-c2.bedrock-runtime.us-east-1.vpce.amazonaws.com", True),
    ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", True),
    ("https://a.vpce-0a1b-c2.bedrock-runtime.us-east-1.vpce.amazonaws.com", False),
    ("https://vpce-0a1b-c2.vpce-svc-0f.us-east-1.vpce.amazonaws.com", False),  # somebody else's service
    ("https://bedrock-runtime.eu-west-1.amazonaws.com.evil.example", False),
    ("https://evil.example/bedrock-runtime.eu-west-1.amazonaws.com", False),
]


@pytest.mark.parametrize(("url", "own"), HOSTS)
def test_private_and_hardened_endpoints_of_bedrock_are_its_own(url, own):
    assert is_own_host(PROVIDERS.get("bedrock"), url) is own


def test_a_row_may_say_what_is_spoken_at_a_foreign_url():
    table = ProviderTable()
    fields = {"dialect": "anthropic_messages", "endpoints": (Endpoint(dialect="openai_chat"),)}
    table.register("common", base_url="https://own.example", **fields)
    table.register("own", base_url="https://own.example", foreign_dialect="anthropic_messages", **fields)
    script = ScriptedTransport(lambda request: Reply(status=401, body=b"{}"))
    api = ModelsAPI(Settings(transport=script), providers=table)
    for name in ("common", "own"):
        with pytest.raises(QuothError):
            api(f"{name}/x", "Hi", max_tokens=5, base_url="https://other.example", api_key="k")
    assert [request.url.rpartition("other.example")[2] for request in script.requests] == [
        "/chat/completions",
        "/v1/messages",
    ]


# Entra tokens on Azure.

TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJhenVyZSJ9.c2lnbmF0dXJl-of_it"
AZURE = [
    ("azure", {"AZURE_RESOURCE_NAME": "res"}, "api-key"),
    ("azure-deployments", {"AZURE_RESOURCE_NAME": "res", "OPENAI_API_VERSION": "2024-10-21"}, "api-key"),
    ("azure-foundry", {"AZURE_RESOURCE_NAME": "res"}, "api-key"),
    ("azure-anthropic", {"ANTHROPIC_FOUNDRY_RESOURCE": "res"}, "x-api-key"),
]
GIVEN = {
    "call": ({}, {"api_key": TOKEN}),
    "function": ({}, {"api_key": lambda: TOKEN}),
    "settings": ({"api_keys": {"NAME": TOKEN}}, {}),
}


def sent_to(name, settings, options, transport_answer=ANSWER):
    script = ScriptedTransport(Reply(status=401, body=b'{"error": {"message": "no"}}'))
    settings = {key: {name: value["NAME"]} for key, value in settings.items()}
    with pytest.raises(QuothError):
        ModelsAPI(Settings(transport=script, **settings), providers=ProviderTable())(
            f"{name}/m", "Hi", max_tokens=5, **options
        )
    return dict(script.requests[0].headers)


@pytest.mark.parametrize("way", GIVEN)
@pytest.mark.parametrize(("name", "variables", "header"), AZURE, ids=lambda each: each if isinstance(each, str) else "")
def test_an_access_token_travels_as_a_bearer_and_a_key_as_a_key(monkeypatch, name, variables, header, way):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    headers = sent_to(name, *GIVEN[way])
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert header not in headers
    headers = sent_to(name, {}, {"api_key": "0123456789abcdef"})
    assert headers[header] == "0123456789abcdef"
    assert "authorization" not in headers


@pytest.mark.parametrize("name", ["azure", "azure-deployments"])
def test_the_variable_of_a_token_comes_before_that_of_a_key_as_in_the_official_sdk(name):
    around = {"AZURE_RESOURCE_NAME": "res", "OPENAI_API_VERSION": "1", "AZURE_OPENAI_API_KEY": "key"}
    found = find_address(PROVIDERS.get(name), Given(), Given(), {**around, "AZURE_OPENAI_AD_TOKEN": "opaque token"})
    assert (found.api_key, found.token) == ("opaque token", True)
    key = find_address(PROVIDERS.get(name), Given(), Given(), around)
    assert (key.api_key, key.token) == ("key", False)
    assert not find_address(
        PROVIDERS.get(name), Given(api_key="call"), Given(), {**around, "AZURE_OPENAI_AD_TOKEN": "t"}
    ).token


def test_who_takes_no_tokens_is_sent_what_looks_like_one_as_a_key(monkeypatch):
    assert sent_to("mistral", {}, {"api_key": TOKEN})["authorization"] == f"Bearer {TOKEN}"
    assert sent_to("anthropic", {}, {"api_key": TOKEN})["x-api-key"] == TOKEN


@given(st.from_regex(r"[A-Za-z0-9+/=_-]{1,90}", fullmatch=True))
@example("eyJhbGciOiJub25lIn0")
def test_no_key_looks_like_a_token(key):
    assert not is_signed_token(key)


# Sources of one's own.


class Hashing:
    """Signs the body with a secret, as an internal gateway may want it."""

    def __init__(self):
        self.asked = 0

    def find(self, asked):
        self.asked += 1
        return HashedBody(asked.spec.name)


class HashedBody:
    needs = ()

    def __init__(self, name):
        self.name, self.parts = name, {"team": "search"}

    def secrets(self):
        return ("the secret of the gateway",)

    def headers(self, outgoing):
        text = outgoing.request.body + outgoing.host.encode() + str(int(outgoing.at) // 1000).encode()
        return (("x-proof", hmac.new(b"the secret of the gateway", text, hashlib.sha256).hexdigest()),)


def api_with(server, **fields):
    table = ProviderTable()
    table.register("gate", base_url=server.url("/v1") if server else "https://gate.example/v1", **fields)
    return ModelsAPI(Settings(timeout=10), providers=table)


def test_a_source_of_ones_own_signs_what_is_sent(ask):
    register_credentials("hashing", Hashing)
    with RawServer(chat) as server:
        api = api_with(server, credentials="hashing")
        assert ask(api, model="gate/x").text == "Hello"
        api.close()
    ((head, body),) = server.requests
    text = body + f"127.0.0.1:{server.port}".encode() + str(int(time.time()) // 1000).encode()
    assert headers_of(head)["x-proof"] == hmac.new(b"the secret of the gateway", text, hashlib.sha256).hexdigest()
    assert "authorization" not in headers_of(head)


def test_a_source_may_ask_the_network_and_know_a_part_of_the_address():
    """An exchange of one token for another, as many gateways want it."""

    class Exchanging:
        def find(self, asked):
            reply = asked.carry(HTTPRequest(url=tokens.url("/exchange"), body=b"assertion"), 5.0)
            found = json.loads(reply.body)
            return HeaderCredentials(
                {"Authorization": f"Bearer {found['token']}"},
                public={"x-tenant": "a"},
                parts={"tenant": found["tenant"]},
            )

    from quoth.wire import HTTPRequest

    def exchange(peer):
        peer.read_request()
        peer.reply(b'{"token": "a-token-for-an-hour", "tenant": "blue"}')

    register_credentials("exchanging", Exchanging)
    with RawServer(exchange) as tokens, RawServer(chat) as server:
        api = api_with(
            server, credentials="exchanging", path="/{tenant}/chat", parts=(("tenant", ("GATE_TENANT",)),),
        )  # fmt: skip
        assert api("gate/x", "Hi").text == "Hello"
        api.close()
    (head, _) = server.requests[0]
    assert head.startswith(b"POST /v1/blue/chat HTTP/1.1")
    assert headers_of(head)["authorization"] == "Bearer a-token-for-an-hour"
    assert headers_of(head)["x-tenant"] == "a"
    assert tokens.requests[0][1] == b"assertion"


def test_a_source_that_asks_a_silent_server_is_told_so_within_its_own_limit():
    class Patient:
        def find(self, asked):
            try:
                asked.carry(HTTPRequest(url=silent.url("/")), 0.2)
            except QuothError as error:
                told.append(error)
                raise

    from quoth.wire import HTTPRequest

    told = []
    register_credentials("patient", Patient)
    with RawServer(lambda peer: (peer.read_request(), peer.wait_until_closed())) as silent:
        api = api_with(None, credentials="patient")
        with pytest.raises(QuothError):
            api("gate/x", "Hi", retries=0)
        api.close()
    assert not isinstance(told[0], DeadlineExceededError)  # the call itself had time left
    assert "no answer within 0.2 s" in told[0].message


def test_each_api_has_a_source_of_its_own_and_keeps_it():
    made = []
    register_credentials("counted", lambda: made.append(Hashing()) or made[-1])
    with RawServer(chat) as server:
        for _ in range(2):
            api = api_with(server, credentials="counted")
            for _ in range(3):
                api("gate/x", "Hi")
            api.close()
    assert [source.asked for source in made] == [3, 3]


class Breaking:
    def find(self, asked):
        raise RuntimeError("the password is hunter2hunter2")


class BreakingLater:
    def find(self, asked):
        return self

    parts, needs = {}, ()

    def secrets(self):
        return ()

    def headers(self, outgoing):
        raise RuntimeError("the password is hunter2hunter2")


class Wanting(BreakingLater):
    needs = ("region",)


WRONG = {
    "at once": (Breaking, "gate: the source of credentials 'wrong' raised RuntimeError"),
    "later": (BreakingLater, "the credentials BreakingLater raised RuntimeError"),
    "wanting": (
        Wanting,
        "gate needs to know the region, for which its credentials prove who calls: give the row parts=",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_source_raises_is_told_by_its_kind_alone(case):
    make, words = WRONG[case]
    register_credentials("wrong", make)
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        api_with(None, credentials="wrong")("gate/x", "Hi")
    assert "hunter2" not in f"{caught.value!r} {vars(caught.value)}"
    assert caught.value.__context__ is None


def test_a_source_that_nobody_registered_is_named_with_those_that_are():
    with pytest.raises(ConfigurationError, match=r"'nobodys': there are aws, .*google.*register_credentials"):
        api_with(None, credentials="nobodys")("gate/x", "Hi")
    with pytest.raises(InputTypeError, match="what makes a source, not a str"):
        register_credentials("mine", "aws")


@pytest.mark.parametrize("value", ["a\nb", "", "é"])
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(value):
    with pytest.raises(ConfigurationError, match="the header x-proof holds no usable"):
        HeaderCredentials({"x-proof": value})


def test_credentials_show_the_names_of_their_lines_alone():
    credentials = HeaderCredentials({"Authorization": "Bearer hunter2hunter2"}, public={"x-a": "1"})
    assert repr(credentials) == "HeaderCredentials(authorization)"
    assert credentials.secrets() == ("hunter2hunter2",)


# What the sources have in common.


def test_of_threads_that_want_the_same_one_gets_it_and_its_error_is_everyones():
    once, count, errors = Once(), [], []
    start = threading.Barrier(8)

    def fail():
        count.append(1)
        time.sleep(0.05)
        raise MissingKeyError("none")

    def want():
        start.wait()
        try:
            once.get(fail)
        except MissingKeyError as error:
            errors.append(error)

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(count), len(errors), len({id(error) for error in errors})) == (1, 8, 8)
    assert once.get(lambda: "later") == "later"


@pytest.mark.parametrize("end", [DeadlineExceededError("late"), KeyboardInterrupt()])
def test_the_timeout_or_ctrl_c_of_one_call_is_not_that_of_another(end):
    once, entered, got = Once(), threading.Event(), []

    def stop():
        entered.set()
        time.sleep(0.1)
        raise end

    def first():
        with pytest.raises(type(end)):
            once.get(stop)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait()
    second = threading.Thread(target=lambda: got.append(once.get(lambda: "mine")))
    second.start()
    thread.join()
    second.join()
    assert got == ["mine"]


def test_words_of_another_library_are_bounded_on_one_line_and_without_what_is_secret():
    told = words_of(ValueError("a\n  b " + "hunter2" + "x" * 900), ["hunter2", None, ""])
    assert told.startswith("ValueError: a b [redacted]xxx")
    assert len(told) < 450
    assert words_of(ValueError()) == "ValueError: "


def test_what_is_sealed_shows_nothing():
    sealed = Sealed({"secret": "hunter2hunter2"})
    assert "hunter2" not in repr(sealed)
    assert sealed.open()["secret"] == "hunter2hunter2"


def test_a_failure_of_the_network_is_tried_again_by_the_calls_own_policy():
    class Late:
        def __init__(self):
            self.tries = 0

        def find(self, asked):
            self.tries += 1
            if self.tries < 3:
                raise APIConnectionError("the vault is restarting")
            return HeaderCredentials({"authorization": "Bearer at-the-third-try"})

    from quoth.types import RetryPolicy

    register_credentials("late", Late)
    with RawServer(chat) as server:
        api = api_with(server, credentials="late")
        answer = api("gate/x", "Hi", retries=RetryPolicy(retries=2, backoff=0.001))
        api.close()
    assert answer.text == "Hello"
    assert len(server.requests) == 1
