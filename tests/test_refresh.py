"""``models.list(refresh=True)``: the provider is asked what it has, in both worlds, and it counts as no call."""

import asyncio
import json

import pytest

from quoth import ModelsAPI, Settings
from quoth.errors import (
    AuthenticationError,
    InputError,
    InputTypeError,
    MissingKeyError,
    NotBuiltError,
    ResponseParseError,
)
from quoth.providers import ProviderTable
from quoth.testing import Reply, ScriptedTransport


def page(*ids, **more):
    return Reply(body=json.dumps({"object": "list", "data": [{"id": id_} for id_ in ids], **more}).encode())


def api_of(*replies, **keys):
    script = ScriptedTransport(*replies)
    settings = Settings(
        transport=script, async_transport=script.aio, api_keys=keys or {"openai": "k", "anthropic": "k"}, retries=0
    )
    return ModelsAPI(settings, providers=ProviderTable()), script


def blocking(api, **options):
    return api.list(**options)


def in_a_loop(api, **options):
    return asyncio.run(api.aio.list(**options))


both_worlds = pytest.mark.parametrize("ask", [blocking, in_a_loop])


@both_worlds
def test_what_the_provider_has_is_listed_with_what_the_catalog_knows(ask):
    api, script = api_of(page("gpt-6-luna", "gpt-99-unheard-of"))
    known, unheard = ask(api, provider="openai", refresh=True)
    assert (known.id, unheard.id) == ("openai/gpt-6-luna", "openai/gpt-99-unheard-of")
    assert known.context_window == api.info("gpt-6-luna").context_window
    assert known.price is not None
    assert (unheard.context_window, unheard.price, unheard.sources) == (None, None, ("the provider itself",))
    [request] = script.requests
    assert (request.method, request.url, request.body) == ("GET", "https://api.openai.com/v1/models", b"")
    assert ("authorization", "Bearer k") in request.headers


@both_worlds
def test_all_pages_are_read(ask):
    first = page("claude-haiku-5-5", has_more=True, last_id="claude-haiku-5-5", first_id="claude-haiku-5-5")
    api, script = api_of(first, page("claude-sonnet-5-5", has_more=False, last_id="claude-sonnet-5-5"))
    found = ask(api, provider="claude", refresh=True)
    assert {model.model for model in found} == {"claude-haiku-5-5", "claude-sonnet-5-5"}
    assert [request.url for request in script.requests] == [
        "https://api.anthropic.com/v1/models",
        "https://api.anthropic.com/v1/models?after_id=claude-haiku-5-5",
    ]
    assert ("anthropic-version", "2023-06-01") in script.requests[1].headers


def test_googles_names_and_pages_are_read():
    """``{"models": [{"name": "models/..."}], "nextPageToken": ...}``; a token may hold what a URL cannot."""
    first = Reply(body=b'{"models": [{"name": "models/gemini-3.8-flash"}, {"name": 7}], "nextPageToken": "a+/b="}')
    api, script = api_of(first, Reply(body=b'{"models": [{"name": "tunedModels/x"}]}'), google="k")
    found = api.list(provider="google", refresh=True)
    assert {model.model for model in found} == {"gemini-3.8-flash", "tunedModels/x"}
    base = "https://generativelanguage.googleapis.com/v1beta/models"
    assert [request.url for request in script.requests] == [base, f"{base}?pageToken=a%2B%2Fb%3D"]
    assert ("x-goog-api-key", "k") in script.requests[0].headers


def test_pages_without_end_come_to_an_end():
    endless = page("a", has_more=True, last_id="a")
    api, script = api_of(lambda request: endless)
    assert len(api.list(provider="anthropic", refresh=True)) == 1
    assert len(script.requests) == 100


def test_filters_hold_for_what_the_provider_has_too():
    api, _ = api_of(page("gpt-6-luna", "gpt-99-unheard-of"))
    assert [model.model for model in api.list(provider="openai", refresh=True, feature="tools")] == ["gpt-6-luna"]


def test_a_snapshot_is_listed_under_its_own_name():
    api, _ = api_of(page("gpt-5", "gpt-5-2025-08-07"))
    found = api.list(provider="openai", refresh=True)
    assert sorted(model.model for model in found) == ["gpt-5", "gpt-5-2025-08-07"]


def test_asking_leaves_a_record_and_no_usage():
    api, _ = api_of(page("gpt-6-luna"))
    records = []
    api.on_call(records.append)
    with api.track() as tally:
        api.list(provider="openai", refresh=True)
    assert [(record.operation, record.outcome, record.cost) for record in records] == [
        ("list_models", "answered", None)
    ]
    assert (api.usage().total.calls, tally.total.calls) == (0, 0)


@both_worlds
def test_a_refusal_is_the_providers_error(ask):
    api, _ = api_of(Reply(status=401, body=b'{"error": {"message": "no", "code": "invalid_api_key"}}'))
    with pytest.raises(AuthenticationError) as caught:
        ask(api, provider="openai", refresh=True)
    assert (caught.value.provider, caught.value.status) == ("openai", 401)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data": 5}', b"3"])
def test_what_is_no_list_is_unreadable_and_keeps_its_bytes(body):
    api, _ = api_of(Reply(body=body))
    with pytest.raises(ResponseParseError) as caught:
        api.list(provider="openai", refresh=True)
    assert caught.value.body == body


def test_a_bare_list_and_entries_without_an_id_are_read():
    api, _ = api_of(Reply(body=b'[{"id": "gpt-5"}, {"name": "x"}, 7, {"id": ""}]'))
    assert [model.model for model in api.list(provider="openai", refresh=True)] == ["gpt-5"]


def test_which_provider_is_asked_must_be_said():
    api, script = api_of()
    with pytest.raises(InputError, match="provider="):
        api.list(refresh=True)
    assert not script.requests


def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    api, script = api_of(anthropic="k")
    with pytest.raises(MissingKeyError, match="export OPENAI_API_KEY="):
        api.list(provider="openai", refresh=True)
    assert not script.requests


def test_a_wire_that_is_not_built_says_so():
    api, _ = api_of(odd="k")
    api.register_provider("odd", base_url="https://odd.example", dialect="smoke_signals")
    with pytest.raises(NotBuiltError, match="smoke_signals"):
        api.list(provider="odd", refresh=True)


def test_a_provider_that_says_nowhere_what_it_has_says_so():
    api, _ = api_of(mine="k")
    api.register_provider("mine", base_url="https://mine.example", models_path=None)
    with pytest.raises(NotBuiltError, match="models_path"):
        api.list(provider="mine", refresh=True)


def test_an_option_that_there_is_not_is_refused():
    api, _ = api_of()
    with pytest.raises(InputTypeError, match="'features'"):
        api.list(features="tools")


@both_worlds
def test_without_refresh_nothing_is_sent(ask):
    api, script = api_of()
    assert ask(api, provider="openai")
    assert not script.requests


@both_worlds
def test_a_page_that_fails_in_a_way_that_passes_is_asked_for_again(ask):
    first = page("claude-haiku-5-5", has_more=True, last_id="claude-haiku-5-5", first_id="claude-haiku-5-5")
    busy = Reply(status=529, headers=(("retry-after-ms", "1"),))
    api, script = api_of(first, busy, page("claude-sonnet-5-5", has_more=False, last_id="claude-sonnet-5-5"))
    records = []
    api.on_call(records.append)
    api.configure(retries=1)
    assert [model.model for model in ask(api, provider="anthropic", refresh=True)] == [
        "claude-haiku-5-5",
        "claude-sonnet-5-5",
    ]
    assert len(script.requests) == 3
    (record,) = records
    assert [attempt.status for attempt in record.attempts] == [200, 529, 200]
    assert api.usage().total.calls == 0
