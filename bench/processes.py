"""A program in a fresh process, measured from outside: what starting costs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Look", "ProgramError", "Round", "look", "run"]


class ProgramError(Exception):
    """Why a program did not run to its end: the last line that it wrote to stderr."""


class Round(NamedTuple):
    """One run, in milliseconds. CPU is user + system time of the whole child, its end included."""

    cpu: float
    wall: float


class Look(NamedTuple):
    """One run that is not timed: how many modules are loaded at its end, and its peak memory (0: not known)."""

    modules: int = 0
    memory_kb: int = 0


LOOK = """
import sys
modules, memory = len(sys.modules), None
try:
    with open("/proc/self/status") as status:  # the peak of this program alone; getrusage counts its parent too
        memory = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
except OSError:
    try:
        from resource import RUSAGE_SELF, getrusage
        memory = getrusage(RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    except ImportError:
        pass
print("", modules, memory or 0, sep="\\n")
"""

CLOCK = "\nimport time\nprint('', time.process_time(), sep='\\n')\n"
"""For Windows, where no parent is told its child's CPU time: it counts until its last line."""

PATIENCE = 120
"""Seconds that a program may take."""


def look(code: str, environment: Mapping[str, str], python: str = sys.executable) -> Look:
    """Run a program once, untimed: it also leaves the bytecode behind that all later runs find."""
    try:
        ended = subprocess.run(
            [python, "-P", "-c", code + LOOK],
            env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ProgramError(f"did not end within {PATIENCE} s") from None
    if ended.returncode:
        raise ProgramError((ended.stderr.strip().splitlines() or ["without words"])[-1][:200])
    modules, memory = ended.stdout.split()[-2:]
    return Look(modules=int(modules), memory_kb=int(memory))


def run(code: str, environment: Mapping[str, str], python: str = sys.executable) -> Round:
    """Run a program in a fresh process and measure it."""
    if sys.platform == "win32":
        begun = time.perf_counter()
        ended = subprocess.run([python, "-P", "-c", code + CLOCK], env=environment, capture_output=True, check=False)
        wall = time.perf_counter() - begun
        if ended.returncode:
            raise ProgramError("failed in a timed run, and had not before")
        return Round(cpu=float(ended.stdout.split()[-1]) * 1e3, wall=wall * 1e3)
    begun = time.perf_counter()
    with subprocess.Popen(
        [python, "-P", "-c", code], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        limit = threading.Timer(PATIENCE, child.kill)
        limit.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        limit.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise ProgramError("failed in a timed run, and had not before")
    return Round(cpu=(usage.ru_utime + usage.ru_stime) * 1e3, wall=wall * 1e3)
