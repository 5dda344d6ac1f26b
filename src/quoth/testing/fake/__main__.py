"""A FakeProvider in a process of its own: ``python -m quoth.testing.fake``.

Prints one line of JSON when it listens (``{"url": ..., "key": ..., "environment": {...}}``), serves until its
standard input ends or it is interrupted, and then prints another, with what it served.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from ...errors import InputError
from ._provider import FakeProvider
from ._script import Answer, Fault

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; give the exit status."""
    options = vars(_parser().parse_args(arguments))
    with contextlib.suppress(KeyboardInterrupt), FakeProvider(_script(options.pop("script")), **options) as fake:
        _say(url=fake.url, key=fake.key, environment=fake.environment())
        try:
            sys.stdin.buffer.read()
        finally:
            _say(received=fake.received, connections=fake.connections, open_connections=fake.open_connections)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m quoth.testing.fake", description=__doc__)
    parser.add_argument("--script", metavar="FILE", help="a JSON list of texts, statuses and faults; else an echo")
    parser.add_argument("--port", type=int, default=0, help="0, as by default, is any that is free")
    parser.add_argument("--key", help="the key that must be sent; else any, and none, will do")
    for name, type_, default, what in _NUMBERS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=type_, default=default, help=f"{what} ({default})")
    return parser


_NUMBERS: tuple[tuple[str, type[int | float], float | None, str], ...] = (
    ("delay", float, 0.0, "seconds before each reply"),
    ("pace", float, 0.0, "seconds between the pieces of a body"),
    ("piece", int, 16, "characters of a text in one event of a stream"),
    ("chunk", int, None, "bytes of a body that are sent at once"),
    ("fault_rate", float, 0.0, "the share of requests that meet a random fault"),
    ("seed", int, 0, "what chance begins with"),
    ("keep", int, 0, "how many requests are kept"),
)


def _script(path: str | None) -> list[Answer] | None:
    if path is None:
        return None
    with open(path, "rb") as file:  # noqa: PTH123  # pathlib costs more to import than this whole program
        entries = msgspec.json.decode(file.read())
    if not isinstance(entries, list):
        raise InputError(f"{path} holds no list")
    return [_entry(entry) for entry in entries]


def _entry(entry: Any) -> Answer:
    if not isinstance(entry, dict):
        return msgspec.convert(entry, str | int)
    body = entry.pop("body", None)
    fault = msgspec.convert(entry, Fault)
    return fault if body is None else msgspec.structs.replace(fault, body=body.encode())


def _say(**facts: Any) -> None:
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
