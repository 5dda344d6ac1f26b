"""The table of what each provider does: each cell is what the program that writes it finds now."""

import runpy
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from quoth.dialects import CLIENTS
from quoth.dialects.server import SERVERS
from quoth.providers import PROVIDERS
from recordings import WIRE, needs_recordings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(ROOT / "tools" / "build_parity.py"))


@pytest.fixture(scope="module")
def spoken(tool):
    return tool["spoken"]()


@pytest.fixture(scope="module")
def table(tool):
    return tomllib.loads(tool["FILE"].read_text("utf-8"))


def test_every_provider_and_every_capability_has_its_cell(tool, table):
    assert [*table] == [row.name for row in PROVIDERS]
    assert {tuple(own) for own in table.values()} == {(*tool["CAPABILITIES"], tool["EMBEDDINGS"])}


def test_a_cell_without_recordings_is_what_is_found_now_and_one_with_them_is_spoken(tool, spoken, table):
    """Where recordings are absent, this much can be told."""
    now = tool["cells"]({}, spoken)
    for row, own in table.items():
        for name, cell in own.items():
            if cell.startswith("recorded "):
                assert now[row][name].startswith("spoken") or (name, now[row][name]) == ("embeddings", "?"), (row, name)
            else:
                assert cell == now[row][name], (row, name)


@needs_recordings
def test_the_table_is_what_the_recordings_say_now(tool, spoken):
    """``python tools/build_parity.py RECORDINGS`` writes it."""
    counted = tool["counted"](WIRE)
    assert tool["FILE"].read_text("utf-8") == tool["spelled"](tool["cells"](counted, spoken))


def test_what_a_wire_or_a_row_cannot_do_is_found(spoken):
    assert spoken["anthropic"]["audio"] == {"anthropic_messages": False}
    assert spoken["local"]["tools"] == {"openai_chat": False}
    assert spoken["local"]["images"] == {"openai_chat": False}
    assert spoken["local"]["structured output"] == {"openai_chat": True}


@pytest.mark.parametrize(("name", "half", "loses"), [
    ("images", "parse_request", lambda asked: replace(asked, messages=())),
    ("tools", "parse_request", lambda asked: replace(asked, tools=())),
    ("structured output", "parse_request", lambda asked: replace(asked, output=None)),
])  # fmt: skip
def test_a_half_that_loses_what_was_asked_does_not_speak_it(monkeypatch, tool, name, half, loses):
    from quoth.dialects.openai_chat import server

    row = PROVIDERS.get("groq")
    assert tool["_wires"](row, name)["openai_chat"]
    right = getattr(server, half)
    monkeypatch.setattr(server, half, lambda request: loses(right(request)))
    assert not tool["_wires"](row, name)["openai_chat"]


def test_a_half_that_loses_what_was_answered_does_not_speak_it(monkeypatch, tool):
    from quoth.dialects.openai_chat import client

    row = PROVIDERS.get("groq")
    right = client.parse_response
    monkeypatch.setattr(
        client,
        "parse_response",
        lambda *given: replace(right(*given), usage=replace(right(*given).usage, cache_read=0)),
    )
    assert not tool["_wires"](row, "cache")["openai_chat"]


@pytest.mark.parametrize(
    ("name", "seen", "wires", "cell"),
    [
        ("openai", {}, {"openai_responses": True, "openai_chat": True}, "spoken"),
        ("openai", {}, {"openai_responses": False, "openai_chat": True}, "spoken by chat"),
        ("openai", {}, {"openai_responses": False, "openai_chat": False}, "no"),
        ("openai", {}, {}, "?"),
        ("openai", {"openai_chat": 2}, {"openai_responses": True, "openai_chat": True}, "recorded 2 by chat"),
        ("openai", {"openai_chat": 2, "openai_responses": 3}, {"openai_chat": True}, "recorded 5"),
        ("deepseek", {}, {"anthropic_messages": True, "openai_responses": True}, "spoken by messages and responses"),
    ],
)
def test_a_cell_says_the_strongest_that_is_so_and_by_which_wire(tool, name, seen, wires, cell):
    assert tool["_cell"](PROVIDERS.get(name), Counter(seen), wires) == cell


def test_every_wire_that_is_built_can_be_asked(spoken):
    asked = {wire for own in spoken.values() for name, wires in own.items() if name != "embeddings" for wire in wires}
    assert asked == {*CLIENTS} == {*SERVERS}
