"""Peers in virtual environments of their own, each pinned to the last package: what the benches compare with.

    python bench/peers.py pin lm15 [requirement ...]      # resolve the newest, and write bench/peers/lm15.txt
    python bench/peers.py make [name ...]                 # make the environments (all of them without a name)

A peer is a file of exact pins, ``bench/peers/<name>.txt``; its environment is ``.venv-peers/<name>``, made anew when
the pins or the Python change. ``quoth`` is the checkout itself, with nothing but its dependencies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = Path(__file__).with_name("peers")
FOLDER = ROOT / ".venv-peers"
OURS = "quoth"
PATIENCE = 900


class PeerError(Exception):
    """Why a peer cannot be had."""


def names() -> list[str]:
    """Every peer that has pins, in order."""
    return sorted(path.stem for path in PINS.glob("*.txt"))


def python_of(name: str) -> Path:
    """The interpreter of a peer, made where it is missing. Raise PeerError where it cannot be."""
    folder = FOLDER / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "ready"
    requirements = ["-e", str(ROOT)] if name == OURS else ["-r", str(_file(name))]
    made_of = f"{sys.version}\n{(ROOT / 'pyproject.toml' if name == OURS else _file(name)).read_text('utf-8')}"
    if not (python.exists() and ready.exists() and ready.read_text("utf-8") == made_of):
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(python), "-m", "pip", "install", *_PIP, *requirements)
        ready.write_text(made_of, "utf-8")
    return python


def pin(name: str, requirements: list[str]) -> Path:
    """Resolve the newest versions of a peer and of all it needs, and write its pins."""
    found = json.loads(
        _run(
            sys.executable, "-m", "pip", "install", *_PIP, "--dry-run", "--ignore-installed", "--report", "-",
            *(requirements or [name]),
        )
    )  # fmt: skip
    packages = sorted((each["metadata"]["name"], each["metadata"]["version"]) for each in found["install"])
    lines = [f"# python bench/peers.py pin {' '.join([name, *requirements])}"]
    lines += [f"{package}=={version}" for package, version in packages]
    path = PINS / f"{name}.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


_PIP = ("--disable-pip-version-check", "--no-input", "-q", "--retries", "1", "--timeout", "30")


def _file(name: str) -> Path:
    path = PINS / f"{name}.txt"
    if not path.is_file():
        raise PeerError(f"there is no peer {name!r}: bench/peers has {', '.join(names()) or 'none'}")
    return path


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise PeerError(f"{' '.join(command)[:200]} took longer than {PATIENCE} s") from None
    if done.returncode:
        raise PeerError(f"{' '.join(command)[:200]} failed: {done.stderr.strip()[-800:]}")
    return done.stdout


def main() -> int:
    match sys.argv[1:]:
        case ["pin", name, *requirements]:
            print(pin(name, requirements))
        case ["make", *chosen]:
            for name in chosen or [OURS, *names()]:
                print(name, python_of(name).parent)
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
