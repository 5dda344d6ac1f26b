"""The one judge of all clients: facts of a scene in, classes out. It knows no client but by where its errors live."""

from __future__ import annotations

from typing import Any

from scenes import GRACE, SCENES, TIMEOUT, Scene

CLASSES = {
    "key elsewhere": "the key was sent to another host, or a header out of it",
    "hang": f"not back {TIMEOUT + GRACE:g} s after a call that has {TIMEOUT:g}",
    "wrong": "came back as if it had a whole answer, with another text than was sent, with none, or with a count of "
    "zero tokens where none was told",
    "foreign": "raised what is not of the library's own errors, or what a pickle cannot bring back",
    "lost": "raised an error of its own though a whole, right answer had come",
    "leak": "did not give back a socket, or went on to more than 40 threads; showed a key or a password; or shared "
    "its connection with a forked child",
    "slow": f"back later than {TIMEOUT + 1:g} s",
    "memory": "took more than 150 MB for a reply of 200 kB",
}
"""From the worst: a scene counts by the first that is true of it, and shows all."""

MEMORY_MB = 150
POOL = 40
"""Threads that a client's pool may grow to: concurrent.futures makes 32 at most, unless it is told otherwise."""
BY_NAME = {scene.name: scene for scene in SCENES}


def classes(name: str, facts: dict[str, Any], own: list[str]) -> list[str]:
    """What is true of a client under a scene, the worst first; empty where all is right.

    ``own`` are the modules in which the library documents its errors.
    """
    scene = BY_NAME[name]
    found = {
        "key elsewhere": bool(facts.get("elsewhere", {}).get("key") or facts.get("injected")),
        "hang": facts.get("hang", False) or facts.get("child") == "hangs",
        "wrong": _wrong(scene, facts),
        "foreign": _foreign(scene, facts, own),
        "lost": scene.expect == "answer" and ("error" in facts or facts.get("child") == "error"),
        "leak": _leaks(scene, facts),
        "slow": not facts.get("hang") and facts.get("seconds", 0) > TIMEOUT + 1,
        "memory": scene.memory and facts.get("memory", 0) > MEMORY_MB,
    }
    return [each for each in CLASSES if found[each]]


def _wrong(scene: Scene, facts: dict[str, Any]) -> bool:
    if "unreadable" in facts or facts.get("child") == "wrong":
        return True
    if "text" not in facts:
        return False
    other = scene.text is not None and facts["text"] != short(scene.text)
    usage = facts.get("usage", {})
    invented = scene.usage and not usage.get("marked") and usage.get("output") == 0
    return scene.expect == "error" or other or invented


def _foreign(scene: Scene, facts: dict[str, Any], own: list[str]) -> bool:
    error = facts.get("error")
    if error is None:
        return False
    if scene.pickle and error["pickle"] != "same":
        return True
    return not any(kind.rpartition(".")[0].startswith(module) for kind in error["mro"] for module in own)


def _leaks(scene: Scene, facts: dict[str, Any]) -> bool:
    if facts.get("hang"):
        return False  # it was killed: what it would have given back is not known
    shown = {*facts.get("key_in", ()), *facts.get("error", {}).get("key_in", ())}
    if shown - {"pickle"} or (scene.pickle and shown):
        return True  # what an error carries into a pickle is one property, and counts once, not under each fault
    if scene.fork and facts["connections"] < 2:
        return True
    (sockets, sockets_after), (threads, threads_after) = facts.get("sockets", (0, 0)), facts.get("threads", (0, 0))
    return bool(sockets_after > sockets or threads_after > max(threads, POOL))


def short(text: str, longest: int = 100) -> str:
    """A text as facts show it: ``driver.shown`` says it so."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)})"
