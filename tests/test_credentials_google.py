"""Calls that Google credentials prove: tokens from key files, gcloud and the metadata server, and what goes wrong.

Token servers stand on this machine. What a key file signs is verified with its public key.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from clouds import at_once, clear_clouds, head_of, headers_of, turns_of_the_loop
from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth.dialects.server import load_server
from quoth.errors import (
    APIConnectionError,
    ConfigurationError,
    DeadlineExceededError,
    MissingKeyError,
)
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport
from servers import RawServer

pytest.importorskip("google.auth", reason="the extra vertex is not installed")
hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
from cryptography.hazmat.primitives import serialization  # noqa: E402  # the two come together
from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: E402

ROBOT = "robot@proj.iam.gserviceaccount.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ANSWER = Response(message=Message.assistant("Hello"), finish_reason="stop", model="m", usage=Usage(input=1, output=1))
CLAUDE = load_server("anthropic_messages").build_response(ANSWER).body
GEMINI = load_server("gemini").build_response(ANSWER).body
MODEL = "vertex-anthropic/claude-x"


@pytest.fixture(autouse=True)
def _no_cloud(monkeypatch, tmp_path):
    clear_clouds(monkeypatch, tmp_path)


@pytest.fixture
def vertex(monkeypatch):
    """A server in Vertex's place, which answers as Claude."""

    def answer(peer):
        while True:
            peer.read_request()
            peer.reply(CLAUDE, 200, b"content-type: application/json")

    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west1")
    with RawServer(answer) as server:
        monkeypatch.setenv("ANTHROPIC_VERTEX_BASE_URL", server.url(""))
        yield server


@pytest.fixture
def api():
    api = ModelsAPI(Settings(timeout=20), providers=ProviderTable())
    yield api
    api.close()


def tokens(lifetime=3600, *, delay=0.0, after=None):
    """A token server whose tokens are numbered; behind the first it may answer with ``after`` instead."""
    count = iter(range(1, 1000))

    def script(peer):
        while True:
            peer.read_request()
            time.sleep(delay)
            number = next(count)
            if after is not None and number > 1:
                peer.reply(after[1], after[0], b"content-type: application/json")
                continue
            body = {"access_token": f"ya29.token-{number}", "expires_in": lifetime, "token_type": "Bearer"}
            peer.reply(json.dumps(body).encode(), 200, b"content-type: application/json")

    return script


def refusing(status, body):
    def script(peer):
        while True:
            peer.read_request()
            peer.reply(body, status, b"content-type: application/json")

    return script


@pytest.fixture
def robot(monkeypatch, tmp_path):
    """Writes the key file of a service account whose tokens come from there, and names it."""

    def write(token_uri, folder="robot", **more):
        info = {
            "type": "service_account", "project_id": "proj", "private_key_id": "k1", "private_key": PEM,
            "client_email": ROBOT, "client_id": "1", "token_uri": token_uri, **more,
        }  # fmt: skip
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "account.json"
        path.write_text(json.dumps(info))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

    return write


def claims(assertion):
    """What a key file has signed, the signature verified."""
    head, body, signature = assertion.split(".")

    def decoded(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    KEY.public_key().verify(decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return json.loads(decoded(body))


def token_of(request):
    return headers_of(request[0])["authorization"]


# Where tokens come from.


def test_a_key_file_gives_tokens_and_the_project_every_way_to_ask(api, vertex, ask, robot):
    with RawServer(tokens()) as server:
        robot(server.url("/token"))
        assert ask(api, model=MODEL).text == "Hello"
        assert ask(api, model=MODEL).text == "Hello"
    ((head, body),) = server.requests  # one token for both calls
    assert head_of(head)[1] == "/token"
    signed = claims(parse_qs(body.decode())["assertion"][0])
    assert signed["iss"] == ROBOT
    assert signed["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert [token_of(request) for request in vertex.requests] == ["Bearer ya29.token-1"] * 2
    path = head_of(vertex.requests[0][0])[1]
    assert path.startswith("/v1/projects/proj/locations/europe-west1/publishers/anthropic/models/claude-x:")


def test_gemini_on_vertex_is_asked_with_a_token_and_the_scheme_of_its_own_host(monkeypatch, robot):
    """Tokens are asked for by the transport of the settings: nothing reaches a network beside it."""
    robot("https://oauth2.googleapis.com/token")
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "payer-of-this-call")

    def answer(request):
        if request.url == "https://oauth2.googleapis.com/token":
            return Reply(body=b'{"access_token": "ya29.abc", "expires_in": 3600}')
        return Reply(body=GEMINI)

    script = ScriptedTransport(answer)
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "global")
    api = ModelsAPI(Settings(transport=script), providers=ProviderTable())
    assert api("vertex/gemini-x", "Hi").text == "Hello"
    asked, sent = script.requests
    assert asked.method == "POST"
    assert sent.url == (
        "https://aiplatform.googleapis.com/v1/projects/proj/locations/global/publishers/google/models/"
        "gemini-x:generateContent"
    )
    assert dict(sent.headers)["authorization"] == "Bearer ya29.abc"
    assert dict(sent.headers)["x-goog-user-project"] == "payer-of-this-call"


@pytest.mark.parametrize("told", ["variable", "nowhere"])
def test_gclouds_own_credentials_are_used_with_a_project_of_a_variable(monkeypatch, tmp_path, told):
    folder = tmp_path / "gcloud"
    folder.mkdir()
    info = {"type": "authorized_user", "client_id": "c", "client_secret": "s" * 20, "refresh_token": "1//refresh-token",
            "quota_project_id": "payer"}  # fmt: skip
    (folder / "application_default_credentials.json").write_text(json.dumps(info))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(folder))
    monkeypatch.setenv("PATH", str(tmp_path))  # no gcloud to ask for a project
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east5")
    if told == "variable":
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-the-variable")
    script = ScriptedTransport(
        lambda request: Reply(
            body=b'{"access_token": "ya29.user", "expires_in": 3600}' if "oauth2" in request.url else CLAUDE
        )
    )
    api = ModelsAPI(Settings(transport=script), providers=ProviderTable())
    if told == "nowhere":
        with pytest.raises(ConfigurationError, match=r"^vertex-anthropic needs .* project.*: export GOOGLE_"):
            api(MODEL, "Hi")
        return
    assert api(MODEL, "Hi").text == "Hello"
    assert b"refresh_token=1%2F%2Frefresh-token" in script.requests[0].body
    assert "/projects/of-the-variable/locations/us-east5/" in script.requests[1].url


def test_a_workload_exchanges_its_own_token(monkeypatch, tmp_path):
    """Workload identity federation: GitHub's, another cloud's, a cluster's."""
    (tmp_path / "oidc").write_text("eyJ.own.token")
    (tmp_path / "federation.json").write_text(
        json.dumps({
            "type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token", "credential_source": {"file": str(tmp_path / "oidc")},
        })
    )  # fmt: skip
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "federation.json"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "proj")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east5")
    exchanged = json.dumps({
        "access_token": "ya29.exchanged", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer", "expires_in": 3600,
    }).encode()  # fmt: skip
    script = ScriptedTransport(lambda request: Reply(body=exchanged if "sts." in request.url else CLAUDE))
    assert ModelsAPI(Settings(transport=script), providers=ProviderTable())(MODEL, "Hi").text == "Hello"
    assert b"subject_token=eyJ.own.token" in script.requests[0].body
    assert dict(script.requests[1].headers)["authorization"] == "Bearer ya29.exchanged"


METADATA = """
import os, sys
sys.path[:0] = sys.argv[1:3]
from quoth import ModelsAPI
print(ModelsAPI()("vertex-anthropic/claude-x", "Hi").text)
"""


def test_the_metadata_server_gives_both(vertex, monkeypatch):
    """google-auth reads the variable of its address when it is loaded: so in a process of its own."""

    def metadata(peer):
        while True:
            peer.read_request()
            path = head_of(peer.server.requests[-1][0])[1]
            lines = [b"metadata-flavor: Google", b"content-type: application/json"]
            if "/token" in path:
                peer.reply(b'{"access_token": "ya29.machine", "expires_in": 3600}', 200, *lines)
            elif "/project/project-id" in path:
                peer.reply(b"of-the-machine", 200, b"metadata-flavor: Google", b"content-type: text/plain")
            else:
                peer.reply(b'{"email": "machine@x", "scopes": [], "aliases": []}', 200, *lines)

    monkeypatch.delenv("NO_GCE_CHECK")
    with RawServer(metadata) as server:
        monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{server.port}")
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{server.port}")
        source = str(Path(__file__).resolve().parents[1] / "src")
        done = subprocess.run(
            [sys.executable, "-c", METADATA, source, source],
            capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ),
        )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "Hello"), done.stderr
    (request,) = vertex.requests
    assert token_of(request) == "Bearer ya29.machine"
    assert "/projects/of-the-machine/" in head_of(request[0])[1]


# How long a token is kept.


@pytest.mark.parametrize(("lifetime", "fetched"), [(3600, 1), (100, 3)])
def test_a_token_is_kept_until_it_is_near_its_end(api, vertex, robot, lifetime, fetched):
    with RawServer(tokens(lifetime)) as server:
        robot(server.url("/token"))
        for _ in range(3):
            api(MODEL, "Hi")
    assert len(server.requests) == fetched
    assert [token_of(request)[-1] for request in vertex.requests] == ["1", "1" if fetched == 1 else "2", f"{fetched}"]


def test_a_token_near_its_end_still_serves_where_no_other_is_to_be_had(api, vertex, robot):
    with RawServer(tokens(100, after=(400, b'{"error": "invalid_grant"}'))) as server:
        robot(server.url("/token"))
        for _ in range(2):
            api(MODEL, "Hi")
    assert len(server.requests) == 2
    assert [token_of(request) for request in vertex.requests] == ["Bearer ya29.token-1"] * 2


def test_another_key_file_counts_from_the_next_call_on(api, vertex, robot):
    with RawServer(tokens()) as server, RawServer(tokens()) as other:
        robot(server.url("/token"))
        api(MODEL, "Hi")
        robot(other.url("/token"), project_id="other-project", folder="other")
        api(MODEL, "Hi")
    assert (len(server.requests), len(other.requests)) == (1, 1)
    assert "/projects/other-project/" in head_of(vertex.requests[1][0])[1]


def test_threads_that_want_a_token_at_once_ask_for_it_once(api, vertex, robot):
    with RawServer(tokens(delay=0.1)) as server:
        robot(server.url("/token"))
        texts = at_once(12, lambda: api(MODEL, "Hi").text)
    assert (texts, len(server.requests)) == (["Hello"] * 12, 1)


def test_an_event_loop_goes_on_while_a_token_is_fetched(api, vertex, robot):
    with RawServer(tokens(delay=0.3)) as server:
        robot(server.url("/token"))
        answer, turns = turns_of_the_loop(api.aio(MODEL, "Hi"))
    assert (answer.text, turns > 15) == ("Hello", True)


@pytest.mark.parametrize("source", ["call", "settings", "variable"])
def test_a_token_that_is_given_wins_and_nothing_is_looked_for(monkeypatch, source):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")  # looking would fail
    for name, value in {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "us-east5"}.items():
        monkeypatch.setenv(name, value)
    settings = {"api_keys": {"vertex-anthropic": "given"}} if source == "settings" else {}
    if source == "variable":
        monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "given")
    script = ScriptedTransport(Reply(body=CLAUDE))
    api = ModelsAPI(Settings(transport=script, **settings), providers=ProviderTable())
    api(MODEL, "Hi", **({"api_key": "given"} if source == "call" else {}))
    assert dict(script.requests[0].headers)["authorization"] == "Bearer given"


# What goes wrong.


def failing(monkeypatch, expected, settings=None, **options):
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east5")
    api = ModelsAPI(Settings(**(settings or {})), providers=ProviderTable())
    began = time.monotonic()
    with pytest.raises(expected) as caught:
        api(MODEL, "Hi", retries=0, **options)
    api.close()
    error = caught.value
    assert (error.provider, error.sent, error.billed) == ("vertex-anthropic", "no", "no")
    shown = f"{error!r} {error} {vars(error)}"
    assert [secret for secret in (PEM, PEM.split("\n")[3], "ya29.token", "eyJ") if secret in shown] == []
    return error, time.monotonic() - began


def test_where_there_are_none_every_way_is_told(monkeypatch):
    error, _ = failing(monkeypatch, MissingKeyError)
    assert error.message.startswith(
        "vertex-anthropic needs an access token: export GOOGLE_OAUTH_ACCESS_TOKEN=... (an access token, which lives an "
        "hour: gcloud auth print-access-token); or gcloud auth application-default login; or export "
        "GOOGLE_APPLICATION_CREDENTIALS=... with the path of a key file (DefaultCredentialsError: Your default"
    )
    assert error.message.endswith("; or pass api_key=...")


def test_where_the_metadata_server_cannot_be_asked_that_is_told(monkeypatch):
    assert "metadata server" not in failing(monkeypatch, MissingKeyError)[0].message
    monkeypatch.setitem(sys.modules, "requests", None)
    assert "its metadata server needs requests" in failing(monkeypatch, MissingKeyError)[0].message


@pytest.mark.parametrize(
    ("content", "words"), [(None, "was not found"), ("{", "not a valid json"), ("{}", "valid type")]
)
def test_a_file_that_holds_none_is_named(monkeypatch, tmp_path, content, words):
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    error, _ = failing(monkeypatch, MissingKeyError)
    assert words in error.message
    assert str(path) in error.message


def test_where_google_auth_is_missing_both_ways_are_told(monkeypatch):
    for name in [*sys.modules]:
        if name == "google" or name.startswith("google."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google", None)
    error, _ = failing(monkeypatch, MissingKeyError)
    assert "export GOOGLE_OAUTH_ACCESS_TOKEN=..." in error.message
    assert "pip install 'quoth[vertex]'" in error.message


def test_a_refusal_names_the_account_and_the_next_step(monkeypatch, robot):
    body = b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'
    with RawServer(refusing(400, body)) as server:
        robot(server.url("/token"))
        error, _ = failing(monkeypatch, ConfigurationError)
    assert error.message == (
        "vertex-anthropic: Google's token server gives no token (RefreshError: invalid_grant: Invalid JWT Signature.); "
        f"next: see whether the key of {ROBOT} is good, and whether this account may use Vertex AI"
    )


def test_after_a_refusal_the_file_is_read_anew(api, vertex, robot):
    with RawServer(refusing(400, b'{"error": "invalid_grant"}')) as server, RawServer(tokens()) as mended:
        robot(server.url("/token"))
        with pytest.raises(ConfigurationError, match="invalid_grant"):
            api(MODEL, "Hi")
        path = Path(os.environ["GOOGLE_APPLICATION_CREDENTIALS"])
        path.write_text(path.read_text().replace(server.url("/token"), mended.url("/token")))
        assert api(MODEL, "Hi").text == "Hello"
    assert token_of(vertex.requests[0]) == "Bearer ya29.token-1"


def test_a_refusal_that_echoes_the_assertion_shows_nothing_of_it(monkeypatch, robot):
    def echo(peer):
        peer.reply(b"not JSON: " + peer.read_request(), 400)

    with RawServer(echo) as server:
        robot(server.url("/token"))
        error, _ = failing(monkeypatch, ConfigurationError)
    assert "assertion=" in error.message


def test_a_token_server_that_cannot_be_reached_is_no_fault_of_the_caller(monkeypatch, robot):
    robot("http://127.0.0.1:9/token")
    error, _ = failing(monkeypatch, APIConnectionError)
    assert error.message.startswith("vertex-anthropic: Google's token server could not be asked: ")
    assert (error.phase, error.retryable) == ("connect", True)


def test_a_token_server_that_is_silent_ends_with_the_call(monkeypatch, robot):
    def silent(peer):
        peer.read_request()
        peer.wait_until_closed()

    with RawServer(silent) as server:
        robot(server.url("/token"))
        error, seconds = failing(monkeypatch, DeadlineExceededError, timeout=0.4)
    assert "the call's timeout of 0.4 s" in error.message
    assert seconds < 5


def test_who_gives_an_async_transport_alone_is_asked_for_the_other_one(monkeypatch, robot):
    robot("https://oauth2.googleapis.com/token")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-east5")
    script = ScriptedTransport(Reply(body=CLAUDE))
    api = ModelsAPI(Settings(async_transport=script.aio), providers=ProviderTable())
    with pytest.raises(ConfigurationError, match="async_transport, but not transport"):
        asyncio.run(api.aio(MODEL, "Hi"))
    assert script.requests == []
