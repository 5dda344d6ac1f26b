"""An emulator of many providers that others wrote (aimock, of npm), installed once; run as a program, it installs it.

``.venv-node`` in the checkout, made anew where the pin has changed. Without Node or a network it cannot be made, and
what needs it skips, and says so.
"""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sdks import CannotBeMadeError, run

PACKAGE, VERSION = "@copilotkit/aimock", "1.43.0"
FOLDER = Path(__file__).resolve().parents[1] / ".venv-node"
READY = FOLDER / "ready"
LISTENS = "listening on "


@cache
def program():
    """The command of the emulator. Raise CannotBeMadeError, each time, where it cannot be installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise CannotBeMadeError("there is no node, or no npm, on the PATH")
    pinned = f"{PACKAGE}@{VERSION}"
    if not (READY.exists() and READY.read_text("utf-8") == pinned):
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        quietly = ("--prefix", str(FOLDER), "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error")
        run(npm, "install", *quietly, "--fetch-retries", "1", "--fetch-timeout", "20000", pinned)
        READY.write_text(pinned, "utf-8")
    package = FOLDER / "node_modules" / Path(PACKAGE)
    commands = json.loads((package / "package.json").read_text("utf-8"))["bin"]
    return node, str(package / commands["llmock"])


@contextmanager
def emulator(fixtures, file):
    """The URL of an emulator that answers by these fixtures, which are written to ``file``."""
    file.write_text(json.dumps({"fixtures": fixtures}), "utf-8")
    command = (*program(), "-h", "127.0.0.1", "-p", "0", "-f", str(file), "--log-level", "info")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            told = []
            for line in process.stdout:
                told.append(line)
                if LISTENS in line:
                    break
            else:
                raise AssertionError("".join(told))
            process.stdout.close()
            yield told[-1].rpartition(LISTENS)[2].strip()
        finally:
            process.kill()


if __name__ == "__main__":
    sys.stdout.write(f"{' '.join(program())}\n")
