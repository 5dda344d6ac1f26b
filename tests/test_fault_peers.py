"""bench/faults.py: the page is made of the committed facts, by one judge, and no entry of the list is passed over."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from faults import FAULTS

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "bench" / "faults"))
judge, page, scenes = (import_module(name) for name in ("judge", "page", "scenes"))

RESULTS = max((ROOT / "bench" / "results").glob("faults-*.json"))
FACTS = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_page_is_made_of_the_committed_facts():
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    assert page.put_into(text, page.rendered(FACTS)) == text


def test_every_entry_of_the_list_is_put_to_the_peers_or_says_why_not():
    put = {scene.number for scene in scenes.SCENES}
    assert not put & set(scenes.APART)
    assert put | set(scenes.APART) == set(FAULTS)


def test_every_scene_was_put_to_every_client():
    names = {scene.name for scene in scenes.SCENES}
    assert len(names) == len(scenes.SCENES)
    for client in page.CLIENTS:
        for wire in client.wires:
            assert set(FACTS["facts"][f"{client.name}/{wire}/blocking"]) == names


def test_the_facts_hold_no_key_and_nothing_of_a_machine():
    text = RESULTS.read_text(encoding="utf-8")
    assert scenes.KEY not in text
    assert not [word for word in ("/work", "/home", "/root", "/tmp", "/usr", "site-packages") if word in text]


OWN = {"mro": ["mine.errors.Broken", "builtins.OSError"], "pickle": "same", "key_in": []}
FOREIGN = {"mro": ["json.decoder.JSONDecodeError", "builtins.ValueError"], "pickle": "same", "key_in": []}


@pytest.mark.parametrize(
    ("scene", "facts", "found"),
    [
        ("crlf", {"text": "Hello there"}, []),
        ("crlf", {"text": "Hell"}, ["wrong"]),
        ("crlf", {"unreadable": "TypeError"}, ["wrong"]),
        ("crlf", {"error": OWN}, ["lost"]),
        ("crlf", {"error": FOREIGN}, ["foreign", "lost"]),
        ("crlf", {"text": "Hello there", "seconds": 5.0}, ["slow"]),
        ("no-end", {"text": "Hell"}, ["wrong"]),
        ("no-end", {"error": OWN}, []),
        ("no-end", {"error": OWN, "sockets": [0, 1]}, ["leak"]),
        ("no-end", {"error": OWN, "threads": [5, 7]}, []),
        ("no-end", {"error": OWN, "threads": [40, 42]}, ["leak"]),
        ("no-end", {"error": {**OWN, "key_in": ["repr"]}, "threads": [1, 1]}, ["leak"]),
        ("no-end", {"error": {**OWN, "key_in": ["pickle"]}}, []),
        ("pickle", {"error": {**OWN, "key_in": ["pickle"]}}, ["leak"]),
        ("pickle", {"error": {**OWN, "pickle": "fails: TypeError"}}, ["foreign"]),
        ("stall", {"hang": True}, ["hang"]),
        ("redirect", {"text": "Hello", "elsewhere": {"key": False, "prompt": True}}, []),
        ("redirect", {"text": "Hello", "elsewhere": {"key": True, "prompt": True}}, ["key elsewhere"]),
        ("no-usage", {"text": "Hello", "usage": {}}, []),
        ("no-usage", {"text": "Hello", "usage": {"output": 0}}, ["wrong"]),
        ("no-usage", {"text": "Hello", "usage": {"output": 0, "marked": True}}, []),
        ("fork", {"text": "Hello", "child": "answered", "connections": 1}, ["leak"]),
        ("bomb", {"text": "Hello", "memory": 400}, ["memory"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_judge_knows_facts_alone(scene, facts, found):
    assert judge.classes(scene, facts, ["mine.errors"]) == found
