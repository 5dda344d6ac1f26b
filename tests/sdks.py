"""The environment in which the official SDKs run, made once; run as a program, it makes it.

``.venv-sdk`` in the checkout, made anew where the pins or the Python have changed. Where it cannot be made, as
without a network, what needs it skips, and says so.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

PINS = Path(__file__).with_name("requirements-sdk.txt")
FOLDER = Path(__file__).resolve().parents[1] / ".venv-sdk"
READY = FOLDER / "ready"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PATIENCE = 300


class CannotBeMadeError(Exception):
    """Why there is no such environment."""


@cache
def sdk_python():
    """The interpreter that has the SDKs. Raise CannotBeMadeError, each time, where it cannot be made."""
    made_of = f"{sys.version}\n{PINS.read_text('utf-8')}"
    if not (PYTHON.exists() and READY.exists() and READY.read_text("utf-8") == made_of):
        run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
        pip = (str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q", "--retries", "1")
        run(*pip, "--timeout", "20", "-r", str(PINS))
        READY.write_text(made_of, "utf-8")
    return str(PYTHON)


def run(*command):
    """Run a command quietly; raise CannotBeMadeError, with what it said last, where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBeMadeError(str(error)) from None
    if done.returncode:
        raise CannotBeMadeError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])


if __name__ == "__main__":
    sys.stdout.write(f"{sdk_python()}\n")
