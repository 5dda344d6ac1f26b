"""The half of a driver that all clients share: it takes scenes from standard input and prints facts, never verdicts.

It runs in the environment of a peer, so it needs nothing but the standard library. A line of input is a job (see
``scenes.py``); for each job two lines come out: how long the call took, as soon as it is back, and the facts.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import pickle
import signal
import socket
import stat
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

PATIENCE = 1.0
"""Seconds in which sockets and threads may still go."""
LONGEST = 100
"""Characters of a text that are told."""
PROMPT = "Say hello."
CHILD = ("answered", "wrong", "error")
"""How a forked child ends, by its status."""


class Said(NamedTuple):
    """What a call gave back, read as the client's documentation reads it. A count is None where none was said."""

    text: Any
    finish: Any = None
    input: Any = None
    output: Any = None
    marked: bool = False
    """Whether the client says beside the counts that the provider told none."""


class Client(Protocol):
    """One client, opened and asked as its documentation says."""

    package: str

    def open(self, job: dict[str, Any]) -> Any: ...
    def ask(self, opened: Any, job: dict[str, Any]) -> Said: ...
    def close(self, opened: Any) -> None: ...
    def aopen(self, job: dict[str, Any]) -> Any: ...
    async def aask(self, opened: Any, job: dict[str, Any]) -> Said: ...
    async def aclose(self, opened: Any) -> None: ...


class UnreadableError(Exception):
    """The call came back as if it had an answer, and reading it as documented failed."""


@contextmanager
def reading() -> Iterator[None]:
    """What fails in here fails in the user's own line, behind a call that came back."""
    try:
        yield
    except Exception as error:
        raise UnreadableError(type(error).__name__) from error


def main(client: Client) -> None:
    """Play jobs until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a client prints is no fact
    sys.addaudithook(_stay_at_home)

    def tell(value: dict[str, Any]) -> None:
        out.write(json.dumps(value) + "\n")
        out.flush()

    tell({"version": version(client.package), "python": sys.version.split()[0]})
    for line in sys.stdin:
        job = json.loads(line)
        tell(_play(client, job, tell))


def _stay_at_home(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = str(address[0] if isinstance(address, tuple) else "localhost")
        if not (host in ("localhost", "::1", "") or host.startswith("127.")):
            raise ConnectionRefusedError("a driver stays on this machine")


class _Played:
    """One scene: what is counted before and after, and what came of the call."""

    def __init__(self, client: Client, job: dict[str, Any], tell: Any) -> None:
        self.client, self.job, self.tell = client, job, tell
        self.facts: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.begun = 0.0

    def blocking(self) -> None:
        opened = None
        try:
            self.begun = time.monotonic()
            opened = self.client.open(self.job)
            for _ in range(self.job["calls"]):
                self.said(self.client.ask(opened, self.job))
                time.sleep(self.job["pause"])
            if self.job["fork"]:
                self.facts["child"] = self._child(opened)
                self.said(self.client.ask(opened, self.job))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a fact
            self.raised(error)
        self.tell({"returned": time.monotonic() - self.begun})
        self.before_close()
        if opened is not None:
            self.client.close(opened)

    def _child(self, opened: Any) -> str:
        """How a call ends in a forked child, with the parent's client."""
        child = os.fork()
        if not child:
            try:
                os._exit(CHILD.index("answered" if self.client.ask(opened, self.job).text == "Hello" else "wrong"))
            except BaseException:  # noqa: BLE001  # whatever it is, the child ends here
                os._exit(CHILD.index("error"))
        end = time.monotonic() + self.job["timeout"] + 1
        while time.monotonic() < end:
            if (ended := os.waitpid(child, os.WNOHANG))[0]:
                return CHILD[os.waitstatus_to_exitcode(ended[1])]
            time.sleep(0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "hangs"

    async def asyncio(self) -> None:
        opened = None
        self.facts["sockets"] = [open_sockets()]  # the loop's own are counted on both sides
        try:
            self.begun = time.monotonic()
            opened = self.client.aopen(self.job)
            for _ in range(self.job["calls"]):
                self.said(await self.client.aask(opened, self.job))
                await asyncio.sleep(self.job["pause"])
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a fact
            self.raised(error)
        self.tell({"returned": time.monotonic() - self.begun})
        if self.job["leave"]:
            await asyncio.sleep(0.1)
            gc.collect()
            await asyncio.sleep(0.1)
        self.before_close()
        if opened is not None:
            await self.client.aclose(opened)

    def before_close(self) -> None:
        if self.job["leave"]:
            self.facts["sockets"].append(settled(open_sockets, self.facts["sockets"][0]))

    def said(self, said: Said) -> None:
        self.facts["seconds"] = round(time.monotonic() - self.begun, 2)
        counts = {name: count for name, count in (("input", said.input), ("output", said.output)) if count is not None}
        self.facts.update(text=shown(said.text), finish=said.finish and shown(said.finish))
        self.facts["usage"] = {
            name: shown(count) if isinstance(count, str) else count for name, count in counts.items()
        }
        if said.marked:
            self.facts["usage"]["marked"] = True

    def raised(self, error: Exception) -> None:
        self.facts.setdefault("seconds", round(time.monotonic() - self.begun, 2))
        if isinstance(error, UnreadableError):
            self.facts["unreadable"] = str(error)
            return
        self.facts["seconds"] = round(time.monotonic() - self.begun, 2)
        self.facts.pop("text", None)
        self.error = error
        kinds = [kind for kind in type(error).__mro__ if kind not in (Exception, BaseException, object)]
        message = str(error)
        self.facts["error"] = {
            "mro": [f"{kind.__module__}.{kind.__qualname__}" for kind in kinds] or ["builtins.Exception"],
            "message": message[:160],
            "length": len(message),
        }


def _play(client: Client, job: dict[str, Any], tell: Any) -> dict[str, Any]:
    gc.collect()
    log = StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    played = _Played(client, job, tell)
    sockets, threads, memory = open_sockets(), threading.active_count(), _peak_memory(reset=True)
    played.facts["sockets"] = [sockets]
    try:
        with _world(job):
            if job["shell"] == "blocking":
                played.blocking()
            else:
                asyncio.run(played.asyncio())
    finally:
        logging.getLogger().removeHandler(handler)
    facts, error = played.facts, played.error
    if error is not None:
        facts["error"].update(_texts_with(job["secrets"], error, log.getvalue()))
        facts["error"]["pickle"] = _pickled(error)
        error.__traceback__ = None
        del error
        played.error = None
    elif any(secret in log.getvalue() for secret in job["secrets"]):
        facts["key_in"] = ["log"]
    time.sleep(max(0.0, played.begun + job["settle"] - time.monotonic()))
    del played
    facts["memory"] = (_peak_memory() - memory) >> 20
    if not job["leave"]:
        facts["sockets"] = [sockets, settled(open_sockets, sockets)]
    facts["threads"] = [threads, settled(threading.active_count, threads)]
    return facts


def settled(count: Any, before: int) -> int:
    """The count, as soon as it is no more than it was, or when patience ends."""
    end = time.monotonic() + PATIENCE
    while True:
        gc.collect()
        now = count()
        if now <= before or time.monotonic() > end:
            return int(now)
        time.sleep(0.02)


def open_sockets() -> int:
    """How many descriptors of this process are sockets."""
    count = 0
    for descriptor in range(256):
        try:
            count += stat.S_ISSOCK(os.fstat(descriptor).st_mode)
        except OSError:
            continue
    return count


def _peak_memory(reset: bool = False) -> int:
    """The most memory that this process has had since the last reset, in bytes; 0 where Linux does not say."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5", "ascii")
        with Path("/proc/self/status").open(encoding="ascii", errors="replace") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
    except OSError:
        return 0


def _texts_with(secrets: list[str], error: BaseException, log: str) -> dict[str, Any]:
    """Where a secret stands: in which texts of the error, its causes included, or in the log."""
    causes: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in causes:
        causes.append(following)
        following = following.__cause__ or following.__context__
    texts = {
        "str": "".join(map(str, causes)),
        "repr": "".join(map(repr, causes)),
        "args": "".join(repr(each.args) for each in causes),
        "vars": "".join(repr(vars(each)) for each in causes),
        "traceback": "".join(traceback.format_exception(error)),
        "log": log,
    }
    try:
        texts["pickle"] = pickle.dumps(error).decode("latin-1")
    except Exception:  # noqa: BLE001  # whatever it is, it is a fact
        texts["pickle"] = ""
    return {"key_in": [name for name, text in texts.items() if any(secret in text for secret in secrets)]}


def _pickled(error: BaseException) -> str:
    """What becomes of the error on its way through a pickle: same, or what else."""
    try:
        back = pickle.loads(pickle.dumps(error))
    except Exception as failure:  # noqa: BLE001  # whatever it is, it is a fact
        return f"fails: {type(failure).__name__}"
    return "same" if type(back) is type(error) and str(back) == str(error) else f"becomes {type(back).__name__}"


def shown(text: Any) -> str:
    """A text, or the beginning of a long one and its length."""
    text = str(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)})"


@contextmanager
def _world(job: dict[str, Any]) -> Iterator[None]:
    """The machine as a scene wants it: its proxies, its names, its clock."""
    real_names, real_clock = socket.getaddrinfo, time.time
    jumps = iter(range(10**9))

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name == "localhost" and job["dead_port"]:
            dead = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", job["dead_port"], 0, 0))
            return [dead, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port)))]
        flags = kwargs.get("flags", args[3] if len(args) > 3 else 0)
        if flags & socket.AI_NUMERICHOST or not name.endswith(".example.test"):
            return real_names(host, port, *args, **kwargs)
        if name == "slow.example.test":
            time.sleep(job["slow"])
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    os.environ.update(job["environment"])
    socket.getaddrinfo = getaddrinfo
    if job["clock_jumps"]:
        time.time = lambda: real_clock() + (86400 if next(jumps) % 2 else -86400)
    try:
        yield
    finally:
        time.time, socket.getaddrinfo = real_clock, real_names
        for name in job["environment"]:
            del os.environ[name]
