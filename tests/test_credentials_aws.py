"""Calls that AWS credentials prove: the signature over what is sent, where credentials come from, and what goes wrong.

Everything goes over real sockets. The server checks each signature by an implementation of its own (``clouds.py``); the
law at the end holds ours against botocore's.
"""

import json
import logging
import pickle
import re
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from clouds import ANSWER, at_once, chat, check_signature, clear_clouds, head_of, headers_of, turns_of_the_loop
from quoth import ModelsAPI, Settings
from quoth.errors import APIConnectionError, AuthenticationError, ConfigurationError, MissingKeyError
from quoth.providers import ProviderTable
from quoth.providers.credentials import Outgoing
from quoth.providers.credentials._sigv4 import UNSIGNED, AWSCredentials
from quoth.testing import Reply, ScriptedTransport
from quoth.types import RetryPolicy
from quoth.wire import HTTPRequest
from servers import RawServer

pytest.importorskip("botocore", reason="the extra bedrock is not installed")

KEY_ID, SECRET, TOKEN = "AKIAQUOTHQUOTHQUOTH1", "plain/secret+of0f/forty0characters0long/00", "IQoJsession//token+=="
KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
OURS = {"key_id": KEY_ID, "secret": SECRET, "token": TOKEN, "region": "eu-west-1"}


@pytest.fixture(autouse=True)
def _no_cloud(monkeypatch, tmp_path):
    clear_clouds(monkeypatch, tmp_path)


@pytest.fixture
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.fixture
def bedrock(monkeypatch):
    """A server in Bedrock's place, which answers on Chat."""
    with RawServer(chat) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url(""))
        yield server


@pytest.fixture
def api():
    with_own = ProviderTable()
    with_own.register(
        "in-path",
        base_url="https://in-path.{region}.aws.example",
        base_url_variables=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME",),
        path="/model/{model}/invoke",
        query=(("z", "1"), ("a", "b~c")),
        parts=(("region", ("AWS_REGION",)),),
        credentials="aws",
        credentials_service="execute-api",
    )
    api = ModelsAPI(Settings(timeout=20), providers=with_own)
    yield api
    api.close()


MODEL = "bedrock/openai.gpt-oss-20b-1:0"


def ask_chat(api, **options):
    return api(MODEL, "Hi", dialect="chat", **options)


# The signature.


@pytest.mark.usefixtures("keys")
def test_every_way_to_ask_is_signed_over_what_is_sent(api, bedrock, ask):
    answer = ask(api, "Héllo", model=MODEL, dialect="chat", headers={"x-of-mine": "a   b  "}, temperature=0.5)
    assert answer.text == "Hello"
    (request,) = bedrock.requests
    check_signature(request, service="bedrock", **OURS)
    assert head_of(request[0])[1] == "/openai/v1/chat/completions"
    assert "x-of-mine" in headers_of(request[0])["authorization"]
    assert "x-api-key" not in headers_of(request[0])


MODELS = [
    "anthropic.claude-x-v1:0",
    "eu.anthropic.claude-x-v2:1",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-x-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:provisioned-model/abc/def",
    "odd!id?&=+#$,;@(')*[]%41~é",
]


@pytest.mark.usefixtures("keys")
def test_a_model_in_the_path_is_encoded_once_where_it_is_sent_and_twice_where_it_is_signed(api, bedrock):
    for model in MODELS:
        api(f"in-path/{model}", "Hi")
        api.stream(f"in-path/{model}", "Hi").read()
    assert len(bedrock.requests) == 2 * len(MODELS)
    for request in bedrock.requests:
        check_signature(request, service="execute-api", **OURS)
    assert head_of(bedrock.requests[0][0])[1] == "/model/anthropic.claude-x-v1%3A0/invoke?z=1&a=b~c"
    assert "inference-profile%2Feu.anthropic" in head_of(bedrock.requests[4][0])[1]


ROWS = [
    ("bedrock/x", "chat", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "bedrock", "/openai/v1/chat/completions"),
    ("bedrock-mantle/x", "chat", "AWS_ENDPOINT_URL_BEDROCK_MANTLE", "bedrock-mantle", "/v1/chat/completions"),
    ("bedrock-mantle/x", "responses", "AWS_ENDPOINT_URL_BEDROCK_MANTLE", "bedrock-mantle", "/v1/responses"),
    ("bedrock-mantle/x", "messages", "AWS_ENDPOINT_URL_BEDROCK_MANTLE", "bedrock-mantle", "/anthropic/v1/messages"),
    ("aws-anthropic/x", "messages", "ANTHROPIC_AWS_BASE_URL", "aws-external-anthropic", "/v1/messages"),
]


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} by {row[1]}")
def test_each_row_signs_for_its_own_service(api, monkeypatch, row):
    model, dialect, variable, service, path = row

    def refuse(peer):
        peer.read_request()
        peer.reply(b'{"error": {"message": "no"}}', 400)

    monkeypatch.setenv("ANTHROPIC_AWS_WORKSPACE_ID", "wrkspc_1")
    with RawServer(refuse) as server:
        monkeypatch.setenv(variable, server.url(""))
        with pytest.raises(Exception, match="no"):
            api(model, "Hi", dialect=dialect, max_tokens=5)
    (request,) = server.requests
    check_signature(request, service=service, **OURS)
    assert head_of(request[0])[1] == path
    assert "x-api-key" not in headers_of(request[0])


@pytest.mark.usefixtures("keys")
def test_the_rows_own_hosts_are_signed_for_too(monkeypatch):
    """The Host header is written by the transport: what is signed must be what it writes."""
    script = ScriptedTransport(Reply(body=ANSWER))
    ModelsAPI(Settings(transport=script), providers=ProviderTable())(MODEL, "Hi", dialect="chat")
    (request,) = script.requests
    assert request.url == "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1/chat/completions"
    lines = [f"POST {request.url.removeprefix('https://bedrock-runtime.eu-west-1.amazonaws.com')} HTTP/1.1"]
    lines += ["host: bedrock-runtime.eu-west-1.amazonaws.com", *[f"{name}: {value}" for name, value in request.headers]]
    check_signature(("\r\n".join(lines).encode("latin-1"), request.body), service="bedrock", **OURS)


@pytest.mark.parametrize(
    ("region", "host"),
    [("us-gov-west-1", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
     ("cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn"),
     ("eusc-de-east-1", "bedrock-runtime.eusc-de-east-1.amazonaws.eu")],
)  # fmt: skip
@pytest.mark.usefixtures("keys")
def test_a_region_of_another_partition_has_its_own_host(monkeypatch, region, host):
    monkeypatch.setenv("AWS_REGION", region)
    script = ScriptedTransport(Reply(body=ANSWER))
    ModelsAPI(Settings(transport=script), providers=ProviderTable())(MODEL, "Hi", dialect="chat")
    assert script.requests[0].url.startswith(f"https://{host}/")
    assert f"/{region}/bedrock/aws4_request" in dict(script.requests[0].headers)["authorization"]


@pytest.mark.usefixtures("keys")
def test_a_retry_signs_anew_by_the_credentials_of_that_moment(api, monkeypatch):
    def fail_once(peer):
        peer.read_request()
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "rotated/secret/of/forty0characters/long0")
        peer.reply(b'{"message": "try again"}', 503)
        chat(peer)

    with RawServer(fail_once) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url(""))
        assert ask_chat(api, retries=RetryPolicy(backoff=0.001)).text == "Hello"
    first, second = server.requests
    check_signature(first, service="bedrock", **OURS)
    check_signature(second, service="bedrock", **{**OURS, "secret": "rotated/secret/of/forty0characters/long0"})


@pytest.mark.usefixtures("keys")
def test_the_question_which_models_there_are_is_signed_too(api, monkeypatch):
    def answer(peer):
        peer.read_request()
        peer.reply(b'{"data": [{"id": "openai.gpt-oss-120b"}]}', 200, b"content-type: application/json")

    with RawServer(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_MANTLE", server.url(""))
        listed = api.list(provider="bedrock-mantle", refresh=True)
    assert [model.id for model in listed] == ["bedrock-mantle/openai.gpt-oss-120b"]
    (request,) = server.requests
    assert request[0].startswith(b"GET /v1/models HTTP/1.1")
    check_signature(request, service="bedrock-mantle", **OURS)


@pytest.mark.usefixtures("keys")
def test_a_callers_own_authorization_stands_in_place_of_ours(api, bedrock):
    ask_chat(api, headers={"authorization": "Mine 1"})
    lines = head_of(bedrock.requests[0][0])[2]
    assert [value for name, value in lines if name == "authorization"] == ["Mine 1"]


# Keys, and where credentials may go.


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("source", ["call", "settings", "function", "variable"])
def test_a_key_wins_and_no_credentials_are_looked_for(bedrock, monkeypatch, source):
    monkeypatch.setenv("AWS_PROFILE", "missing")  # looking would fail
    settings = {"settings": {"api_keys": {"bedrock": "a-bearer-key"}}}.get(source, {})
    options = {"call": {"api_key": "a-bearer-key"}, "function": {"api_key": lambda: "a-bearer-key"}}.get(source, {})
    if source == "variable":
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "a-bearer-key")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock.url(""))
    if source != "variable":  # a key of a call or of the settings does not go where a variable leads
        monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
        options["base_url" if source != "settings" else "headers"] = (
            bedrock.url("/openai/v1") if source != "settings" else {"x-y": "1"}
        )
        if source == "settings":
            settings["base_urls"] = {"bedrock": bedrock.url("/openai/v1")}
    api = ModelsAPI(Settings(**settings), providers=ProviderTable())
    ask_chat(api, **options)
    api.close()
    (request,) = bedrock.requests
    assert headers_of(request[0])["authorization"] == "Bearer a-bearer-key"
    assert "x-amz-date" not in headers_of(request[0])


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("given", ["call", "settings"])
def test_credentials_go_to_no_base_url_of_a_call_or_the_settings(given):
    script = ScriptedTransport(Reply(body=ANSWER))
    settings = {"base_urls": {"bedrock": "https://elsewhere.example"}} if given == "settings" else {}
    api = ModelsAPI(Settings(transport=script, **settings), providers=ProviderTable())
    with pytest.raises(MissingKeyError, match=r"https://elsewhere\.example was given without a key"):
        ask_chat(api, **({"base_url": "https://elsewhere.example"} if given == "call" else {}))
    assert script.requests == []


def test_a_server_on_this_machine_needs_none(api, bedrock, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert ask_chat(api).text == "Hello"
    assert "authorization" not in headers_of(bedrock.requests[0][0])


@pytest.mark.usefixtures("keys")
def test_offline_nothing_is_looked_for(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "missing")
    api = ModelsAPI(Settings(offline=True), providers=ProviderTable())
    with pytest.raises(ConfigurationError, match="forbids the network"):
        ask_chat(api)


# The region.

CONFIG = """
[default]
region = eu-north-1
[profile team]
region = ap-south-1
aws_access_key_id = AKIATEAMTEAMTEAMTEAM
aws_secret_access_key = secret-of-the-team-that-is-forty-letters
[profile program]
credential_process = {python} {program}
[profile broken]
credential_process = {python} -c "import sys; sys.exit('no vault: {secret}')"
[profile sso]
sso_start_url = https://sso.example/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = reader
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text(
        'print(\'{"Version": 1, "AccessKeyId": "AKIAPROGRAMPROGRAM00", "SecretAccessKey": "secret-of-the-program"}\')'
    )
    path = tmp_path / "config"
    path.write_text(CONFIG.format(python=sys.executable, program=program, secret=SECRET))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))  # where SSO would have left its tokens
    return path


REGIONS = [
    ({"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-2", "AWS_PROFILE": "team"}, "eu-west-3"),
    ({"AWS_DEFAULT_REGION": "eu-west-2", "AWS_PROFILE": "team"}, "eu-west-2"),
    ({"AWS_PROFILE": "team"}, "ap-south-1"),
    ({}, "eu-north-1"),
]


@pytest.mark.usefixtures("config", "keys")
@pytest.mark.parametrize(("variables", "region"), REGIONS)
def test_the_region_is_a_variables_else_the_profiles(monkeypatch, variables, region):
    monkeypatch.delenv("AWS_REGION")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    script = ScriptedTransport(Reply(body=ANSWER))
    ModelsAPI(Settings(transport=script), providers=ProviderTable())(MODEL, "Hi", dialect="chat")
    (request,) = script.requests
    assert request.url.startswith(f"https://bedrock-runtime.{region}.amazonaws.com/")
    assert f"/{region}/bedrock/aws4_request" in dict(request.headers)["authorization"]


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("where", ["its own host", "a host of a variable"])
def test_without_a_region_the_line_that_sets_it_is_told(monkeypatch, where):
    monkeypatch.delenv("AWS_REGION")
    if where == "a host of a variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://vpce.example")
    script = ScriptedTransport(Reply(body=ANSWER))
    with pytest.raises(ConfigurationError, match=r"^bedrock needs to know the region.*: export AWS_REGION=\.\.\.$"):
        ask_chat(ModelsAPI(Settings(transport=script), providers=ProviderTable()))
    assert script.requests == []


# Where credentials come from: botocore's chain, as far as this machine can play its parts.


@pytest.mark.usefixtures("config")
def test_a_profile_gives_keys_and_a_program_too(api, bedrock, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "team")
    ask_chat(api)
    monkeypatch.setenv("AWS_PROFILE", "program")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    ask_chat(api)
    of_team, of_program = bedrock.requests
    check_signature(
        of_team,
        key_id="AKIATEAMTEAMTEAMTEAM",
        secret="secret-of-the-team-that-is-forty-letters",
        service="bedrock",
        region="ap-south-1",
    )
    check_signature(
        of_program,
        key_id="AKIAPROGRAMPROGRAM00",
        secret="secret-of-the-program",
        service="bedrock",
        region="eu-west-1",
    )


def container(seconds, delay=0.0):
    """A server that gives a container its credentials, numbered, each good for so many seconds."""
    count = iter(range(1, 100))

    def script(peer):
        while True:
            peer.read_request()
            time.sleep(delay)
            number = next(count)
            until = datetime.now(UTC) + timedelta(seconds=seconds)
            body = {
                "AccessKeyId": f"ASIACONTAINER000000{number}",
                "SecretAccessKey": f"secret-of-the-container-{number}",
                "Token": f"token-{number}",
                "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            peer.reply(json.dumps(body).encode(), 200, b"content-type: application/json")

    return script


def of_container(number):
    return {
        "key_id": f"ASIACONTAINER000000{number}",
        "secret": f"secret-of-the-container-{number}",
        "token": f"token-{number}",
        "region": "eu-west-1",
        "service": "bedrock",
    }


@pytest.mark.parametrize(("seconds", "more"), [(3600, 0), (60, 1)])
def test_temporary_credentials_are_kept_and_fetched_anew_near_their_end(api, bedrock, monkeypatch, seconds, more):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with RawServer(container(seconds)) as roles:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roles.url("/creds"))
        ask_chat(api)
        first = len(roles.requests)
        ask_chat(api)
        second = len(roles.requests)
    assert second == first + more
    check_signature(bedrock.requests[0], **of_container(first))
    check_signature(bedrock.requests[1], **of_container(second))


def test_threads_that_want_credentials_at_once_ask_for_them_once(api, bedrock, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with RawServer(container(3600, delay=0.1)) as roles:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roles.url("/creds"))
        texts = at_once(12, lambda: ask_chat(api).text)
        assert texts == ["Hello"] * 12
        assert len(roles.requests) == 1
    for request in bedrock.requests:
        check_signature(request, **of_container(1))


def test_an_event_loop_goes_on_while_credentials_are_looked_for(api, bedrock, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    with RawServer(container(3600, delay=0.3)) as roles:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roles.url("/creds"))
        answer, turns = turns_of_the_loop(api.aio(MODEL, "Hi", dialect="chat"))
    assert (answer.text, turns > 15) == ("Hello", True)


STS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLEROLEROLEROLE</AccessKeyId><SecretAccessKey>secret-of-the-role</SecretAccessKey>
<SessionToken>token-of-the-role</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""


def roles(monkeypatch, tmp_path):
    """A profile whose role is assumed by the keys of another."""
    path = tmp_path / "roles"
    path.write_text(
        f"[profile source]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = source\n"
        "region = eu-west-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_PROFILE", "role")


def test_a_role_is_assumed_by_the_keys_of_another_profile(api, bedrock, monkeypatch, tmp_path):
    roles(monkeypatch, tmp_path)

    def sts(peer):
        peer.read_request()
        peer.reply(STS.encode(), 200, b"content-type: text/xml")

    with RawServer(sts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url(""))
        ask_chat(api)
        ask_chat(api)
    assert len(server.requests) == 1
    for request in bedrock.requests:
        check_signature(
            request,
            key_id="ASIAROLEROLEROLEROLE",
            secret="secret-of-the-role",
            token="token-of-the-role",
            service="bedrock",
            region="eu-west-1",
        )


def test_a_clusters_token_becomes_a_role(api, bedrock, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("eyJ.of.the-cluster")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    def sts(peer):
        assert b"WebIdentityToken=eyJ.of.the-cluster" in peer.read_request()
        peer.reply(STS.replace("AssumeRole", "AssumeRoleWithWebIdentity").encode(), 200, b"content-type: text/xml")

    with RawServer(sts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url(""))
        ask_chat(api)
    assert "Credential=ASIAROLEROLEROLEROLE/" in headers_of(bedrock.requests[0][0])["authorization"]


def test_an_instance_has_its_role_from_its_metadata(api, bedrock, monkeypatch):
    answers = {
        "/latest/api/token": b"a-session-with-the-metadata-server",
        "/latest/meta-data/iam/security-credentials/": b"role-of-the-machine",
        "/latest/meta-data/iam/security-credentials/role-of-the-machine": json.dumps({
            "Code": "Success", "AccessKeyId": "ASIAMACHINEMACHINE00", "SecretAccessKey": "secret-of-the-machine",
            "Token": "token-of-the-machine", "Expiration": "2099-01-01T00:00:00Z",
        }).encode(),
    }  # fmt: skip

    def metadata(peer):
        while True:
            peer.read_request()
            peer.reply(answers[head_of(peer.server.requests[-1][0])[1]])

    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with RawServer(metadata) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url(""))
        ask_chat(api)
    check_signature(
        bedrock.requests[0],
        key_id="ASIAMACHINEMACHINE00",
        secret="secret-of-the-machine",
        token="token-of-the-machine",
        service="bedrock",
        region="eu-west-1",
    )


# What goes wrong.


def failing(monkeypatch, **variables):
    """What a call raises to the row's own host, of which nothing is sent."""
    for name, value in {"AWS_REGION": "eu-west-1", **variables}.items():
        monkeypatch.setenv(name, value)
    script = ScriptedTransport(Reply(body=ANSWER))
    with pytest.raises((ConfigurationError, APIConnectionError)) as caught:
        ask_chat(ModelsAPI(Settings(transport=script), providers=ProviderTable()), retries=0)
    assert script.requests == []
    assert (caught.value.provider, caught.value.sent, caught.value.billed) == ("bedrock", "no", "no")
    assert SECRET not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    return caught.value


def test_where_there_are_none_every_way_is_told(monkeypatch):
    error = failing(monkeypatch)
    assert isinstance(error, MissingKeyError)
    assert error.message == (
        "bedrock needs a key or AWS credentials: export AWS_BEARER_TOKEN_BEDROCK=... (a Bedrock API key); or AWS "
        "credentials: aws configure, aws sso login, or export AWS_PROFILE=...; or pass api_key=..."
    )


def test_where_botocore_is_missing_both_ways_are_told(monkeypatch):
    for name in [*sys.modules]:
        if name.partition(".")[0] == "botocore":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)
    error = failing(monkeypatch, **KEYS)
    assert isinstance(error, MissingKeyError)
    assert "export AWS_BEARER_TOKEN_BEDROCK=... (a Bedrock API key); or for AWS credentials" in error.message
    assert "pip install 'quoth[bedrock]'" in error.message


CANNOT = [
    (
        {"AWS_PROFILE": "missing"},
        r"ProfileNotFound: .*\(missing\).* next: export AWS_PROFILE=\.\.\. with .*team",
    ),
    ({"AWS_ACCESS_KEY_ID": KEY_ID}, r"PartialCredentialsError: .* next: set both AWS_ACCESS_KEY_ID and AWS_SECRET"),
    (
        {"AWS_PROFILE": "broken"},
        r"CredentialRetrievalError: .*no vault.* next: aws sts get-caller-id",
    ),
    ({"AWS_PROFILE": "sso"}, r"SSO\w*Error: .* next: aws sso login --profile sso"),
]


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(("variables", "words"), CANNOT, ids=["profile", "half", "program", "sso"])
def test_what_cannot_be_used_is_told_with_the_next_step(monkeypatch, variables, words):
    if "AWS_ACCESS_KEY_ID" not in variables:
        monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)  # what is known to be secret is taken out of other words too
    error = failing(monkeypatch, **variables)
    assert type(error) is ConfigurationError
    assert error.message.startswith("bedrock: the AWS credentials cannot be used (")
    assert re.search(words, error.message), error.message


def test_a_failure_to_reach_them_is_one_of_the_network_and_may_pass(monkeypatch, tmp_path):
    roles(monkeypatch, tmp_path)
    error = failing(monkeypatch, AWS_ENDPOINT_URL_STS="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
    assert isinstance(error, APIConnectionError)
    assert error.retryable
    assert error.message.startswith("bedrock: the AWS credentials could not be fetched: EndpointConnectionError: Could")


@pytest.mark.usefixtures("config")
def test_after_a_failure_the_files_are_read_anew(api, bedrock, monkeypatch, config):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_PROFILE", "late")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock.url(""))
    with pytest.raises(ConfigurationError, match="ProfileNotFound"):
        ask_chat(api)
    with config.open("a") as file:
        file.write(f"[profile late]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n")
    assert ask_chat(api).text == "Hello"


def test_after_a_refusal_the_files_are_read_anew(api, monkeypatch, config):
    """Static keys in a file that another program rotates: botocore itself would read them once in a process."""

    def refuse_once(peer):
        peer.read_request()
        peer.reply(b'{"message": "The security token included in the request is expired"}', 401)
        chat(peer)

    monkeypatch.setenv("AWS_PROFILE", "team")
    with RawServer(refuse_once) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url(""))
        with pytest.raises(AuthenticationError):
            ask_chat(api)
        config.write_text(config.read_text().replace("secret-of-the-team-that-is-forty-letters", "rotated-secret"))
        assert ask_chat(api).text == "Hello"
    team = {"key_id": "AKIATEAMTEAMTEAMTEAM", "service": "bedrock", "region": "ap-south-1"}
    check_signature(server.requests[0], secret="secret-of-the-team-that-is-forty-letters", **team)
    check_signature(server.requests[1], secret="rotated-secret", **team)


# No secret in any text.


@pytest.mark.usefixtures("keys")
def test_a_refusal_that_echoes_what_was_signed_shows_no_secret(api, monkeypatch):
    """AWS answers a wrong signature with the canonical request, in which the token and the key's id stand."""

    def echo(peer):
        peer.read_request()
        head = peer.server.requests[-1][0].decode("latin-1")
        peer.reply(json.dumps({"message": f"The Canonical String should have been {head}", "x": SECRET}).encode(), 403)

    with RawServer(echo) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url(""))
        with pytest.raises(Exception, match="Canonical") as caught:
            ask_chat(api)
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert [word for word in (KEY_ID, SECRET, TOKEN) if word in shown] == []


@pytest.mark.usefixtures("keys")
def test_nothing_secret_is_logged_at_any_level(api, bedrock, caplog):
    with caplog.at_level(logging.DEBUG):
        ask_chat(api)
    assert [word for word in (KEY_ID, SECRET, TOKEN) if word in caplog.text] == []


def test_credentials_show_nothing():
    credentials = AWSCredentials(KEY_ID, SECRET, TOKEN, service="bedrock", region="eu-west-1")
    assert repr(credentials) == "AWSCredentials(service='bedrock')"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(credentials)


# Ours against botocore's.

SEGMENT = st.text("azAZ09-._~%3A2F!$&'()*+,;=:@é ", max_size=12)
NAMES = st.sampled_from(["content-type", "x-amz-meta", "anthropic-version", "x-mine", "accept-language"])
VALUES = st.text('azAZ09 ;,=/*"~-', min_size=1, max_size=20)


REQUESTS = st.fixed_dictionaries({
    "method": st.sampled_from(["GET", "POST"]),
    "segments": st.lists(SEGMENT, max_size=5),
    "query": st.dictionaries(SEGMENT.filter(bool), SEGMENT, max_size=4),
    "headers": st.dictionaries(NAMES, VALUES, max_size=4),
    "body": st.binary(max_size=60),
})  # fmt: skip


@given(REQUESTS, st.sampled_from([TOKEN, None]), st.integers(0, 2**32))
def test_the_signature_is_botocores(asked, token, at):
    from urllib.parse import quote

    from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    method, headers, body = asked["method"], asked["headers"], asked["body"]
    path = "/".join(["", *[quote(segment, safe="") for segment in asked["segments"]]])
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in asked["query"].items())
    url = f"https://host.example:8443{path or '/'}{'?' if pairs else ''}{pairs}"
    ours = AWSCredentials(KEY_ID, SECRET, token, service="bedrock").headers(
        Outgoing(
            request=HTTPRequest(method=method, url=url, headers=tuple(headers.items()), body=body),
            host="host.example:8443",
            parts={"region": "eu-west-1"},
            at=at,
        )
    )
    signer = SigV4Auth(Credentials(KEY_ID, SECRET, token), "bedrock", "eu-west-1")
    theirs = AWSRequest(method=method, url=url, headers=headers, data=body)
    theirs.context["timestamp"] = datetime.fromtimestamp(at, UTC).strftime(SIGV4_TIMESTAMP)
    signer._modify_request_before_signing(theirs)
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    signer._inject_signature_to_request(theirs, signer.signature(text, theirs))
    assert {name.lower(): value for name, value in theirs.headers.items() if name.lower() not in headers} == dict(ours)


def test_what_a_hop_may_change_is_not_signed():
    request = HTTPRequest(url="https://h.example/", headers=tuple((name, "x") for name in UNSIGNED))
    outgoing = Outgoing(request=request, host="h.example", parts={"region": "r"}, at=0.0)
    proof = dict(AWSCredentials(KEY_ID, SECRET, None, service="s").headers(outgoing))["authorization"]
    assert "SignedHeaders=host;x-amz-date," in proof
