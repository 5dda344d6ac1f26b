"""The environment in which the official SDKs run, made once; run as a program, it makes it.

``.venv-sdk`` in the checkout, made anew where the pins or the Python have changed. Where it cannot be made, as
without a network, what needs it skips, and says so.
"""

import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

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
    with _alone():
        if not (PYTHON.exists() and READY.exists() and READY.read_text("utf-8") == made_of):
            run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
            pip = (str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q")
            run(*pip, "--retries", "1", "--timeout", "20", "--require-hashes", "-r", str(PINS))
            READY.write_text(made_of, "utf-8")
    return str(PYTHON)


def pinned():
    """The version of each package there."""
    return dict(re.findall(r"(?m)^([\w.-]+)(?:\[.*\])?==(\S+)", PINS.read_text("utf-8")))


@contextmanager
def _alone():
    """Wait while another process makes it: tests run in several, and two files need it."""
    if fcntl is None:
        yield
        return
    name = sha256(str(FOLDER).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"quoth-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # which ends with the file, and with the process
        yield


def run(*command):
    """Run a command quietly; raise CannotBeMadeError, with what it said last, where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBeMadeError(str(error)) from None
    if done.returncode:
        raise CannotBeMadeError(_reason((done.stderr.strip() or done.stdout.strip()).splitlines()))


def _reason(lines):
    """The line that says why: npm's first, for its last names a log; pip's last."""
    return next((line for line in lines if line.startswith(("npm error", "npm ERR!"))), lines[-1])


if __name__ == "__main__":
    sys.stdout.write(f"{sdk_python()}\n")
