"""How many instructions the hot paths take, and which function made one grow.

::

    python bench/instructions.py                  # count, and show
    python bench/instructions.py --check          # compare with bench/instructions.json; 1 where a path grew over 5 %
    python bench/instructions.py --write          # put this build's counts into the record
    python bench/instructions.py --only responses --check

valgrind's callgrind counts the instructions of a process, so a busy machine does not disturb the figures: two runs
differ by less than one in 300, most by one in 5,000. Each path is warmed up, garbage is frozen and not collected,
addresses, hashes and the environment are fixed, and a call of ``getppid`` before and after the repetitions cuts the
count. Import and first answer are whole processes, less a bare interpreter.

Counts differ by the interpreter's build: they are compared with those of the same build alone. Beside them stands what
needs no valgrind and differs by Python's minor version alone: each path's calls of Python functions and builtins, and
the bytecodes that each function runs. They say what made a path grow, and tests/test_instructions.py holds them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from counted import called
from dialects import CALLING, PIECE, QUIRKS
from scripted import Forgetful
from startup import FIRST_WHOLE

from quoth import ModelsAPI, Settings
from quoth._costs import Prices
from quoth._registry import SimpleModelRegistry
from quoth.dialects import load_client
from quoth.dialects.server import load_server
from quoth.instrumentation import CallRecord, Journal
from quoth.providers import ProviderTable
from quoth.testing import Reply
from quoth.transport import Deadline
from quoth.transport._http1 import Caps, ResponseReader, build_request
from quoth.types import Cost, Message, ModelRequest, Response, Text, Usage
from quoth.wire import ErrorInfo, HTTPRequest, WireReply

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src"
RECORD = HERE / "instructions.json"

TOLERANCE = 0.05

NOW = 1_795_435_200.0
USAGE = Usage(input=1_000, output=500)

Run: TypeAlias = Callable[[int], object]
"""Does the thing so often."""

Calls: TypeAlias = dict[str, list[float]]
"""Of one operation: what each function is called (see ``counted``)."""


# The paths.


class Wire(NamedTuple):
    name: str
    dialect: str
    model: str


WIRES = (
    Wire("Chat", "openai_chat", "groq/openai/gpt-oss-120b"),
    Wire("Responses", "openai_responses", "openai/gpt-6-luna"),
    Wire("Messages", "anthropic_messages", "anthropic/claude-sonnet-5-5"),
    Wire("Gemini", "gemini", "google/gemini-2.5-flash"),
)

PIECES = 64
"""Of a streamed answer."""


def repeat(function: Callable[[], object]) -> Run:
    def run(times: int) -> None:
        for _ in range(times):
            function()

    return run


def api_for(reply: Reply) -> ModelsAPI:
    transport = Forgetful(reply)
    keys = dict.fromkeys(("anthropic", "google", "groq", "openai"), "none")
    return ModelsAPI(Settings(transport=transport, async_transport=transport.aio, api_keys=keys))


def answer_on(wire: Wire) -> Reply:
    model = wire.model.rpartition("/")[2]
    said = Response(message=Message.assistant("Hello"), finish_reason="stop", model=model, usage=USAGE)
    return Reply(body=load_server(wire.dialect).build_response(said).body)


def whole_body(reply: Reply) -> bytes:
    assert isinstance(reply.body, bytes)
    return reply.body


def stream_on(wire: Wire) -> list[bytes]:
    text = Text(text="".join([f"word{at:04}, " for at in range(PIECES)]))
    said = Response(message=Message.assistant(text), finish_reason="stop", model="model-1", usage=USAGE)
    return list(load_server(wire.dialect).build_events(said, piece=PIECE))


def call(wire: Wire) -> Run:
    api, model = api_for(answer_on(wire)), wire.model
    return repeat(lambda: api(model, "Hello"))


def bound(wire: Wire) -> Run:
    binding = api_for(answer_on(wire)).bind(wire.model)
    return repeat(lambda: binding("Hello"))


def acall(wire: Wire) -> Run:
    api, model, loop = api_for(answer_on(wire)), wire.model, asyncio.new_event_loop()

    async def several(times: int) -> None:
        for _ in range(times):
            await api.aio(model, "Hello")

    return lambda times: loop.run_until_complete(several(times))


def streamed(wire: Wire) -> Run:
    """One answer of 64 pieces, from the call to its end."""
    events = Reply(headers=(("content-type", "text/event-stream"),), body=tuple(stream_on(wire)))
    api, model = api_for(events), wire.model

    def read() -> None:
        for _ in api.stream(model, "Hello"):
            pass

    return repeat(read)


def build(wire: Wire) -> Run:
    client = load_client(wire.dialect)
    request = ModelRequest(model=wire.model.partition("/")[2], messages=(Message.user("Hello"),))
    return repeat(lambda: client.build_request(request, QUIRKS))


def parse(wire: Wire) -> Run:
    client, body = load_client(wire.dialect), whole_body(answer_on(wire))
    return repeat(lambda: client.parse_response(WireReply(status=200, body=body), QUIRKS))


def parse_tools(wire: Wire) -> Run:
    client, reply = load_client(wire.dialect), load_server(wire.dialect).build_response(CALLING)
    return repeat(lambda: client.parse_response(WireReply(status=200, body=reply.body), QUIRKS))


def parse_error(wire: Wire) -> Run:
    client = load_client(wire.dialect)
    reply = load_server(wire.dialect).build_error(ErrorInfo(kind="RateLimitError", message="Slow down", status=429))
    return repeat(lambda: client.parse_error(reply))


def chunk(wire: Wire) -> Run:
    """One event of text, fed alone."""
    client, events = load_client(wire.dialect), stream_on(wire)
    parser = client.stream_parser(QUIRKS)
    middle = len(events) // 2
    for event in events[:middle]:
        parser.feed(event)
    return repeat(lambda: parser.feed(events[middle]))


def exchange(_: Wire) -> Run:
    """The scripted transport alone: what a call without a network still spends on one."""
    transport, request, deadline = Forgetful(Reply(body=b"{}")), HTTPRequest(url="https://host/v1"), Deadline(3600.0)

    def read() -> None:
        reply = transport.open(request, deadline)
        while reply.read(deadline):
            pass

    return repeat(read)


def price(_: Wire) -> Run:
    prices = Prices()
    model = "claude-sonnet-5-5"
    return repeat(
        lambda: prices.cost("anthropic", model, USAGE, at=NOW, tier="standard", requested=model, region="global")
    )


def append(_: Wire, **tags: str) -> Run:
    journal = Journal()
    record = CallRecord(
        id="x", operation="generate", provider="p", model="m", outcome="answered", started_at=NOW, seconds=1.0,
        usage=USAGE, cost=Cost(femto=1), tags=tags,
    )  # fmt: skip
    return repeat(lambda: journal.append(record))


def append_tagged(wire: Wire) -> Run:
    return append(wire, feature="search", user="u1")


def hit(_: Wire) -> Run:
    registry = SimpleModelRegistry(ProviderTable())
    return repeat(lambda: registry.get("openai/gpt-6-luna"))


def spell_head(_: Wire) -> Run:
    headers = (("authorization", "Bearer " + "k" * 40), ("content-type", "application/json"), ("user-agent", "quoth"))
    request = HTTPRequest(url="https://host/v1/responses", headers=headers, body=b"x" * 200)
    prefix = "/v1/responses HTTP/1.1\r\nhost: host\r\n"
    return repeat(lambda: build_request(request, prefix))


def read_reply(wire: Wire) -> Run:
    body = whole_body(answer_on(wire))
    data = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\nserver: s\r\n"
    data += b"content-length: %d\r\n\r\n" % len(body) + body
    reader = ResponseReader(Caps())

    def read() -> None:
        reader.begin("POST")
        reader.feed(data)
        assert reader.take() == body
        assert reader.reusable

    return repeat(read)


RESPONSES = WIRES[1]
EVERY_WIRE = {
    "call by {}": call,
    "bound call by {}": bound,
    "build {}": build,
    "parse {}": parse,
    "parse {}, tool calls": parse_tools,
    "parse {}, an error": parse_error,
    "a chunk of {}": chunk,
    f"stream of {PIECES} by {{}}": streamed,
}
PATHS: dict[str, tuple[Callable[[Wire], Run], Wire]] = {
    **{name.format(wire.name): (make, wire) for name, make in EVERY_WIRE.items() for wire in WIRES},
    "async call by Responses": (acall, RESPONSES),
    "a scripted exchange": (exchange, RESPONSES),
    "a price": (price, RESPONSES),
    "a record appended and folded": (append, RESPONSES),
    "a record with 2 tags": (append_tagged, RESPONSES),
    "a hit in the registry": (hit, RESPONSES),
    "a head of HTTP/1.1 spelled": (spell_head, RESPONSES),
    "a reply of HTTP/1.1 read": (read_reply, RESPONSES),
}

REPEATS = {append: 256, append_tagged: 256, streamed: 8}
"""How often a path runs in a count, and before it: 32 times where nothing is said. The journal folds every 256 calls,
so no other path folds."""

PROGRAMS = {"import": "from quoth import models", "import and first answer": FIRST_WHOLE.code}
"""Whole processes."""

OWN = {
    f"own layers around {wire.name}": (
        f"call by {wire.name}", f"build {wire.name}", f"parse {wire.name}", "a scripted exchange",
    )
    for wire in WIRES
}  # fmt: skip
"""What is shown beside them: a call less what its wire and its transport take. API, service, registry, cost, record."""


# Counting.

IMPORTED = """
from counted import called
def load():
    {}
counts = called(load, bytecodes=False)
import json, sys
def home(name):
    while name not in sys.modules and "." in name:
        name = name.rpartition(".")[0]
    return name
modules = {{}}
for name, (times, *codes) in counts.items():
    if codes:
        modules.setdefault(home(name), [0, 0])[0] += times
print(json.dumps(modules))
"""


def child(*arguments: str) -> list[str]:
    return [sys.executable, "-P", *arguments]


def environment() -> dict[str, str]:
    """Fixed: its size moves the stack, and nothing of the caller's may matter."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "PATH") if name in os.environ}
    path = os.pathsep.join([str(SOURCE), str(HERE)])
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONPATH": path, "PYTHONUTF8": "1"}


def ask(command: list[str]) -> str:
    done = subprocess.run(
        command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def missing() -> str:
    """What instructions cannot be counted without, and how to get it."""
    if shutil.which("valgrind"):
        return ""
    return "valgrind is not installed (Debian: apt-get install valgrind; it runs on Linux and FreeBSD)"


def fingerprint() -> str:
    """What the counts depend on."""
    parts = (f"CPython {sys.version}", platform.machine(), " ".join(platform.libc_ver()))
    return "; ".join([*parts, *[f"{package} {version(package)}" for package in ("msgspec", "httptools")]])


def under_callgrind(command: list[str]) -> list[int]:
    """The instructions before each call of getppid, and after the last."""
    fixed = [shutil.which("setarch") or "", "-R"] if shutil.which("setarch") else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        options = ("-q", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={out}")
        ask([*fixed, "valgrind", *options, *command])
        dumps = sorted(Path(folder).glob("out.*"), key=lambda dump: int(dump.suffix[1:]))
        return [_total(dump) for dump in [*dumps, out]]


def _total(dump: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", dump.read_text("utf-8"), re.MULTILINE)
    return int(found[1]) if found else 0


def count_instructions(only: str) -> dict[str, float]:
    names = [name for name in PATHS if only.lower() in name.lower()]
    counts: dict[str, float] = {}
    if names:
        dumps = under_callgrind(child(__file__, "--repeat", *names))
        counts = {name: each / repeats(name) for name, each in zip(names, dumps[1::2], strict=True)}
    programs = {name: code for name, code in PROGRAMS.items() if only.lower() in name.lower()}
    if programs:
        bare = whole("pass")
        counts |= {name: whole(code) - bare for name, code in programs.items()}
    return counts


def whole(code: str) -> int:
    ask(child("-c", code))  # leaves its bytecode behind
    return sum(under_callgrind(child("-c", code)))


def repeat_them(names: list[str]) -> None:
    """Run each path between two calls of getppid."""
    for name in names:
        run = ready(name)
        gc.collect()
        gc.freeze()
        os.getppid()
        run(repeats(name))
        os.getppid()


def ready(name: str) -> Run:
    make, wire = PATHS[name]
    run = make(wire)
    run(repeats(name))
    return run


def repeats(name: str) -> int:
    return REPEATS.get(PATHS[name][0], 32)


def count_calls(only: str, *, bytecodes: bool = True) -> dict[str, Calls]:
    """Each path's calls, counted in a process of its own."""
    counts: dict[str, Calls] = json.loads(ask(child(__file__, "--profile", str(int(bytecodes)), only)))
    if bytecodes and only.lower() in "import":
        counts["import"] = json.loads(ask(child("-c", IMPORTED.format(PROGRAMS["import"]))))
    return counts


def profile_them(only: str, *, bytecodes: bool) -> Iterator[tuple[str, Calls]]:
    for name in PATHS:
        if only.lower() in name.lower():
            run, times = ready(name), repeats(name)
            counts = called(lambda run=run, times=times: run(times), bytecodes=bytecodes)  # type: ignore[misc]
            yield name, {key: [rounded(each / times) for each in count] for key, count in counts.items() if ours(key)}


def rounded(number: float) -> float:
    return int(number) if number == int(number) else round(number, 2)


def ours(key: str) -> bool:
    """Whether a function belongs to the path, and not to its repetition."""
    return not key.startswith(("__main__.", "sys.setprofile", "sys.settrace"))


# Comparing.


class Growth(NamedTuple):
    """A path that takes more than it did, and the functions that made it so, the largest part first."""

    path: str
    what: str
    before: float
    after: float
    reasons: list[str]

    def __str__(self) -> str:
        by = self.after / self.before - 1
        return "; ".join(
            [f"{self.path}: {self.before:,.0f} -> {self.after:,.0f} {self.what} ({by:+.1%})", *self.reasons]
        )


def python_calls(calls: Calls) -> float:
    """How many of the calls are of Python functions."""
    return sum(count[0] for count in calls.values() if len(count) > 1)


def grown(
    what: str,
    before: dict[str, float],
    after: dict[str, float],
    calls_before: dict[str, Calls],
    calls_after: dict[str, Calls],
) -> list[Growth]:
    """The paths that both know and that grew by more than the tolerance."""
    return [
        Growth(
            path, what, before[path], after[path], reasons(calls_before.get(path), calls_after.get(path, {}))
        )
        for path in after
        if path in before and after[path] > before[path] * (1 + TOLERANCE)
    ]  # fmt: skip


def reasons(before: Calls | None, after: Calls, most: int = 6) -> list[str]:
    """Which functions are new, are called more often, or run more bytecodes; those that run most first."""
    if before is None:
        return [f"the record has no calls of this path on Python {minor()}, so what made it grow is not known"]
    found: list[tuple[float, str]] = []
    for name, (times, *codes) in after.items():
        old_times, *old_codes = before.get(name, [0.0, *[0.0 for _ in codes]])
        more, longer = times - old_times, sum(codes) - sum(old_codes)
        if more > 0:
            said = f"{'new' if name not in before else 'more'}: {name} x{more:g}"
            found.append((max(longer, more), said + (f" ({longer:+,.0f} bytecodes)" if longer > 0 else "")))
        elif longer > 0:
            found.append((longer, f"longer: {name} ({longer:+,.0f} bytecodes)"))
    found.sort(key=lambda each: (-each[0], each[1]))
    left = [f"and {len(found) - most} more"] if len(found) > most else []
    return [said for _, said in found[:most]] + left or ["the same calls and bytecodes: the builtins have more to do"]


# The record.


def read_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
    return {"instructions": record.get("instructions", {}), "calls": record.get("calls", {})}


def write_record(record: dict[str, Any]) -> None:
    """A line a path, so that a change of it can be read as such."""
    RECORD.write_text(spelled(record, depth=3) + "\n", "utf-8")


def spelled(value: dict[str, Any], depth: int) -> str:
    """JSON whose first levels have a line an entry."""
    if not depth:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    return "{\n" + ",\n".join([f"{json.dumps(key)}: {spelled(value[key], depth - 1)}" for key in sorted(value)]) + "\n}"


def minor() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def compare(record: dict[str, Any], counts: dict[str, float], calls: dict[str, Calls]) -> int:
    """Say what grew; how many paths did."""
    known, known_calls = record["instructions"].get(fingerprint()), record["calls"].get(minor())
    found: list[Growth] = []
    if counts and known is None:
        print(f"no record of this build ({fingerprint()}): `--write` makes one")
    elif counts:
        found += grown("instructions", known, counts, known_calls or {}, calls)
        fell = {path: counts[path] / known[path] - 1 for path in counts if path in known}
        if less := [f"{path} ({by:+.1%})" for path, by in fell.items() if by < -TOLERANCE]:
            print(f"less than in the record, which `--write` renews: {'; '.join(less)}")
    if known_calls is None:
        print(f"no record of the calls on Python {minor()}: `--write` makes one")
    else:
        already = {each.path for each in found}
        before, after = ({path: python_calls(each) for path, each in some.items()} for some in (known_calls, calls))
        found += [each for each in grown("Python calls", before, after, known_calls, calls) if each.path not in already]
    for each in found:
        print(f"grew: {each}")
    if not found and (known or known_calls):
        print(f"nothing grew by more than {TOLERANCE:.0%}")
    return len(found)


def show(counts: dict[str, float], calls: dict[str, Calls]) -> None:
    derived = {
        name: counts[whole] - sum(counts[part] for part in parts)
        for name, (whole, *parts) in OWN.items()
        if {whole, *parts} <= counts.keys()
    }
    print(f"{'':<34}{'instructions':>14}{'Python calls':>14}{'bytecodes':>12}")
    for name in dict.fromkeys([*counts, *calls, *derived]):
        count = {**counts, **derived}.get(name)
        own = calls.get(name, {})
        codes = sum(sum(each[1:]) for each in own.values())
        row = [f"{each:,.0f}" if each else "" for each in (count, python_calls(own), codes)]
        print(f"{name:<34}{row[0]:>14}{row[1]:>14}{row[2]:>12}")


def main() -> int:
    if sys.argv[1:2] == ["--repeat"]:
        gc.disable()
        repeat_them(sys.argv[2:])
        return 0
    if sys.argv[1:2] == ["--profile"]:
        print(json.dumps(dict(profile_them(sys.argv[3], bytecodes=sys.argv[2] == "1"))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the record; 1 where a path grew")
    parser.add_argument("--write", action="store_true", help="put these counts into the record")
    parser.add_argument("--only", default="", metavar="WORD", help="the paths whose name has it")
    options = parser.parse_args()
    if missing():
        print(f"{missing()}: the calls alone")
    counts = {} if missing() else count_instructions(options.only)
    calls = count_calls(options.only)
    show(counts, calls)
    record = read_record()
    failed = compare(record, counts, calls) if options.check else 0
    if options.write:
        if counts:
            known = record["instructions"].setdefault(fingerprint(), {})
            known.update({name: round(each) for name, each in counts.items()})
        record["calls"].setdefault(minor(), {}).update(calls)
        write_record(record)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
