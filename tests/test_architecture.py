"""The architecture, as a test. ``HOUSE`` is the map: read it from the top and you know the house.

Everything here is found by parsing the source; nothing of quoth is imported. Each law is a function over
``(module, source)`` that gives complaints as ``module:line: words``. The source of the library must give none,
and the bad snippets at the end of this file must give some: a law that cannot be broken is no law.

A module's name ends in ``.__init__`` where it is a package, so that relative imports are read alike everywhere.
An exception to a law is an entry in that law's table, with its reason; one that is needed no longer fails.
"""

# A law looks for some kinds of nodes among all.
# pyright: reportMatchNotExhaustive=false
from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"

Check = Callable[[str, str], list[str]]

# The map of the house.


class Room(NamedTuple):
    """What stands in a room of the house, and the rooms of quoth that it may import from."""

    what: str
    may_import: frozenset[str]


def room(what: str, may_import: str = "") -> Room:
    return Room(what, frozenset(may_import.split()))


NOUNS = "types embeddings events errors wire"
PUBLIC = "(public)"
"""Among the rooms: what users may import too, every module and name of quoth without a leading underscore."""

HOUSE: dict[str, Room] = {
    # On the roof: what is built on the library as users would build it.
    "__main__": room("python -m quoth: the command", "cli"),
    "cli": room("the command: a user of the public package like any other", f"{PUBLIC} _json"),
    "testing": room(
        "what tests of programs and of wires stand on: scripted answers, a fake provider, conformance",
        f"{PUBLIC} {NOUNS} _costs _framing _json dialects providers transport",
    ),
    # The door.
    "quoth": room(
        "the public names and `models`",
        f"{NOUNS} _api _binding _budgets _catalog _chat _embedding _listing _options _run _settings _stream _tools "
        "_version providers",
    ),
    # The API: the user's words become a ModelRequest. It may use the verbs of instrumentation outside a call.
    "_api": room(
        "ModelsAPI",
        f"{NOUNS} _binding _aio _chat _running _run _options _prompt _listing _estimating _embedding metrics "
        "middleware _service _call _stream _budgets _settings _scope _output _registry _catalog _costs "
        "instrumentation limits providers",
    ),
    "_binding": room(
        "ModelBinding: a model and its options, prepared once",
        f"{NOUNS} _aio _chat _running _run _options _prompt _embedding _service _call _stream _budgets _scope _output "
        "_costs providers",
    ),
    "_aio": room(
        "the verbs of the API for asyncio, loaded when asked for", f"{NOUNS} _running _run _options _prompt _stream"
    ),
    "_chat": room("a conversation that remembers", f"{NOUNS} _running _run _options _prompt _json _money"),
    "_running": room(
        "who drives a run: blocking, under asyncio, piece by piece",
        f"{NOUNS} _run _executing _options _prompt _service _call _stream providers",
    ),
    "_run": room("the rounds of a run and how far it may go", f"{NOUNS} _executing _tools _money transport"),
    "_executing": room("executing what a model asked for", f"{NOUNS} _tools _json transport"),
    "_listing": room(
        "what list, info and providers answer", f"{NOUNS} _catalog _settings dialects providers transport"
    ),
    "_estimating": room(
        "what estimate, compare and reprice answer",
        f"{NOUNS} _catalog _costs _json instrumentation providers transport",
    ),
    "metrics": room(
        "what listens: metrics served to Prometheus, by a server of our own or in one that is there",
        "errors instrumentation",
    ),
    "_embedding": room("what embed takes: texts and their options", f"{NOUNS} _options _call _budgets providers"),
    "_options": room(
        "the keyword options and their checks",
        f"{NOUNS} _tools _budgets _catalog _scope _settings _output providers dialects",
    ),
    "_tools": room("functions as tools: their schema, their arguments", f"{NOUNS} _output"),
    "media": room("fetching pictures, documents and sound", f"{NOUNS} _media _settings transport"),
    "_prompt": room("what a prompt means; dicts in OpenAI's form are read by that dialect", f"{NOUNS} _media dialects"),
    # The service: one call from its beginning to its record. It alone joins what stands below.
    "_service": room(
        "ModelService: what production needs around one call",
        f"{NOUNS} middleware _answering _batching _watched _proving _call _stream _budgets _settings _scope _registry "
        "_costs _flow instrumentation limits providers transport _database",
    ),
    "_answering": room(
        "the flows of a call: whole, streamed, through middleware",
        f"{NOUNS} middleware _accounting _tries _sending _call _stream _output _registry _flow providers",
    ),
    "_batching": room(
        "the flow of embed: texts in batches, their answers as one",
        f"{NOUNS} _accounting _tries _sending _call _flow providers",
    ),
    "_watched": room("the drivers of a call that somebody watches", f"{NOUNS} _call _flow instrumentation transport"),
    "_tries": room("who is asked, how often, until one answers", f"{NOUNS} _call _flow limits"),
    "_sending": room(
        "one try of one target: chosen, spelled, addressed, admitted, sent, read",
        f"{NOUNS} _spending _proving _call _stream _settings _output _flow limits providers",
    ),
    "_spending": room(
        "what an attempt may cost, reserved before it is sent",
        f"{NOUNS} _accounting _call _budgets _scope _flow limits _costs _catalog dialects",
    ),
    "_accounting": room("what an answer cost, put on it", f"{NOUNS} _call _costs providers"),
    "_call": room(
        "one call: what was asked, by whom it may be answered, and all that its record is made from",
        f"{NOUNS} _budgets _proving _settings _scope _output _costs _flow instrumentation limits providers",
    ),
    "_budgets": room(
        "Budget: what may be spent, and where that is kept", f"{NOUNS} _scope _catalog limits transport _database"
    ),
    "_proving": room("who calls, proved by credentials where there is no key", f"{NOUNS} providers transport"),
    "_stream": room("Stream, AsyncStream: what a flow puts out, for the user's loop", f"{NOUNS} _flow"),
    "middleware": room("what middleware is written with", "types _flow"),
    "_settings": room(
        "what one ModelsAPI was told, and every variable",
        "errors types _catalog _scope _database providers transport",
    ),
    "_output": room("output types: asked for as each provider can, read, repaired", f"{NOUNS} _json providers"),
    # The registry, and what it makes.
    "_registry": room(
        "SimpleModelRegistry: a model id becomes a live Provider", f"{NOUNS} _catalog providers transport"
    ),
    "providers": room("WHO: one row a provider, addresses, keys", f"{NOUNS} _catalog _json dialects"),
    "dialects": room("HOW IT IS SPELLED: one folder a wire, pure functions", f"{NOUNS} _json _framing"),
    # What the service composes, none of which knows the others.
    "instrumentation": room(
        "what happened: records, journal, totals, metrics, the ledger", f"{NOUNS} _catalog _database _version"
    ),
    "limits": room("what may happen: retries, gates, budgets", f"{NOUNS} _flow _database _json"),
    "_costs": room("what it cost, exactly, and why", f"{NOUNS} data"),
    "_catalog": room("what is known of models without asking anybody", "data errors types"),
    "data": room("generated: prices, catalog"),
    # Waiting.
    "_flow": room("the two drivers of a flow: the only place where a call waits", "types errors wire transport"),
    "transport": room("HOW IT IS CARRIED: the seam, and what stands behind it", "errors wire"),
    # What keeps.
    "_database": room("the file or server that keeps tables: opening, schema, transactions", "errors"),
    # What surrounds a call.
    "_scope": room("tags, tallies and budgets of a context", "errors"),
    # The nouns, and two mechanisms as pure as they are.
    "_framing": room("bytes to frames: SSE, NDJSON, AWS event stream", "errors"),
    "embeddings": room("texts as vectors: requests and responses", "types _json"),
    "events": room("what a stream says", "types"),
    "types": room("messages, requests, responses; users find usage and cost here too", "_json _media _money errors"),
    "_media": room("what bytes are, and where they come from", "errors"),
    "_money": room("usage and cost: counts as a partition, exact amounts"),
    "wire": room("the wire as values"),
    "errors": room("the error tree"),
    "_json": room("the JSON codec"),
    "_version": room("the version"),
}

PRIVATE = re.compile(r"(^|\.)_(?!_version__$)")

PLANNED: frozenset[str] = frozenset()
"""Rooms of the map that are not built yet."""

COMPOSED = frozenset({"_costs", "instrumentation", "limits"})
"""Only the service joins these into a call; the API may use their verbs outside of one."""

FOR_TYPES = {
    ("errors", "embeddings"): "an error carries the vectors that had come; only in annotations, as with types",
    ("_aio", "_api"): "each class there is the other half of one here, and says so in its annotations",
    ("_aio", "_binding"): "as _api",
    ("_aio", "_listing"): "as the verb of the other half",
    ("_aio", "_embedding"): "as the verb of the other half",
    ("errors", "types"): "an error carries a Response and Attempts; types raises them, so only in annotations",
    ("providers", "transport"): "the embedded model is called by a transport, in the form that this one states",
}
"""Imports under TYPE_CHECKING that the map forbids at run time: (room, room) and the reason."""

OUTSIDE = {
    "msgspec": frozenset(HOUSE) - {"data", "_version", "quoth"},
    "botocore": frozenset({"providers"}),
    "google": frozenset({"providers"}),
    "httptools": frozenset({"transport", "testing"}),
    "opentelemetry": frozenset({"instrumentation"}),
    "prometheus_client": frozenset({"instrumentation"}),
    "httpx2": frozenset({"transport"}),
    "pydantic": frozenset({"_output"}),
    "psycopg": frozenset({"_database"}),
    "duckdb": frozenset({"instrumentation"}),
    "pyarrow": frozenset({"instrumentation"}),
    "truststore": frozenset({"transport"}),
    "xllamacpp": frozenset({"providers"}),
    "tiktoken": frozenset({"_estimating"}),
    "typing_extensions": frozenset(),
}
"""Packages that are not the standard library's, and the rooms that may import them."""

TYPES_ONLY_OUTSIDE = frozenset({"typing_extensions"})
"""Packages for any room, under TYPE_CHECKING only."""

# Reading imports.


class Import(NamedTuple):
    """``from module import name``, or ``import module`` (then ``name`` is empty), made absolute."""

    module: str
    name: str
    line: int
    when: Literal["loading", "calling", "types"]


def imports(module: str, source: str) -> Iterator[Import]:
    """All imports: of the module's own loading, inside functions, and under TYPE_CHECKING."""
    yield from _imports(module, ast.parse(source).body, "loading")


def _imports(module: str, nodes: Iterable[ast.AST], when: Literal["loading", "calling", "types"]) -> Iterator[Import]:
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, "", node.lineno, when) for alias in names)
            case ast.ImportFrom(names=names):
                origin = _absolute(module, node)
                yield from (Import(origin, alias.name, node.lineno, when) for alias in names)
            case ast.If(test=test) if ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                yield from _imports(module, node.body, "types")
                yield from _imports(module, node.orelse, when)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _imports(module, ast.iter_child_nodes(node), "types" if when == "types" else "calling")
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if _is_dynamic(function):
                yield Import(_resolve(module, name), "", node.lineno, when)
            case _:
                yield from _imports(module, ast.iter_child_nodes(node), when)


def _is_dynamic(function: ast.expr) -> bool:
    return ast.unparse(function) in ("__import__", "import_module", "importlib.import_module")


def _absolute(module: str, node: ast.ImportFrom) -> str:
    return _resolve(module, "." * node.level + (node.module or ""))


def _resolve(module: str, name: str) -> str:
    bare = name.lstrip(".")
    level = len(name) - len(bare)
    if not level:
        return name
    parent = module.split(".")[:-level]
    return ".".join([*parent, bare] if bare else parent)


def room_of(module: str, name: str = "") -> str:
    """The room of a module of quoth, or of what is imported by name from it."""
    parts = module.removesuffix(".__init__").split(".")
    if len(parts) > 1:
        return parts[1]
    return name if name in HOUSE else "quoth"


def _is_ours(found: Import) -> bool:
    return found.module.partition(".")[0] == "quoth"


def _at(module: str, line: int, words: str) -> str:
    return f"{module.removesuffix('.__init__')}:{line}: {words}"


# Law: imports point downwards, as the map says.


def check_rooms(module: str, source: str) -> list[str]:
    own = room_of(module)
    if own not in HOUSE:
        return [_at(module, 1, f"the room {own!r} has no row in HOUSE: say what it is and what it may import")]
    complaints = []
    for found in imports(module, source):
        if not _is_ours(found):
            continue
        other = room_of(found.module, found.name)
        if not _permitted(own, other, found):
            complaints.append(_at(module, found.line, f"{own} may not import from {other} ({HOUSE[own].what})"))
    return complaints


def _permitted(own: str, other: str, found: Import) -> bool:
    if other == own:
        return True
    if PUBLIC in HOUSE[own].may_import and other not in HOUSE[own].may_import:
        return not PRIVATE.search(f"{found.module}.{found.name}")
    return other in HOUSE[own].may_import or (found.when == "types" and (own, other) in FOR_TYPES)


def upward_arrows(house: Mapping[str, Room]) -> list[str]:
    """The permissions of a map that do not point to a room below."""
    rooms = list(house)
    return [
        f"{name} -> {other}"
        for height, (name, row) in enumerate(house.items())
        for other in row.may_import - {PUBLIC, *rooms[height + 1 :]}
    ]


def composers(house: Mapping[str, Room]) -> set[str]:
    return {name for name, row in house.items() if row.may_import & COMPOSED}


def check_outside(module: str, source: str) -> list[str]:
    """No package from outside the standard library beside those of the table, each in its rooms."""
    complaints = []
    for found in imports(module, source):
        package = found.module.partition(".")[0]
        if package in sys.stdlib_module_names or package in ("quoth", "__future__"):
            continue
        for_types = found.when == "types" and package in TYPES_ONLY_OUTSIDE
        if not for_types and room_of(module) not in OUTSIDE.get(package, frozenset()):
            complaints.append(_at(module, found.line, f"{room_of(module)} may not import the package {package}"))
    return complaints


# Law: no module imports itself over others, counting the imports inside functions.


def import_graph(sources: Mapping[str, str], *moments: str) -> dict[str, set[str]]:
    """The modules that each module imports at these moments; by default while loading and when called.

    Importing ``a.b`` loads ``a`` too, which counts unless the importer is itself inside ``a``.
    """
    moments = moments or ("loading", "calling")
    names = {module.removesuffix(".__init__") for module in sources}
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        own = module.removesuffix(".__init__")
        graph[own] = set()
        for found in imports(module, source):
            if _is_ours(found) and found.when in moments:
                full = f"{found.module}.{found.name}"
                target = full if full in names else found.module
                graph[own] |= {target, *(above for above in _above(target) if not f"{own}.".startswith(f"{above}."))}
    return graph


def _above(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def find_cycles(graph: Mapping[str, set[str]]) -> list[str]:
    """Every module that can be reached from itself, with one way."""
    return [" -> ".join(way) for module in sorted(graph) if (way := _way(graph, module, module))]


def _way(graph: Mapping[str, set[str]], start: str, goal: str) -> list[str] | None:
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        for following in sorted(graph.get(way[-1], ())):
            if following == goal:
                return [*way, goal]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return None


# Law: a dialect is pure, and its client half knows nothing of its server half.

DIALECT_ROOMS = frozenset({"types", "embeddings", "events", "errors", "wire", "_json", "_framing"})
PURE_MODULES = frozenset({
    "__future__", "base64", "binascii", "bisect", "collections", "collections.abc", "enum", "functools", "itertools",
    "math", "operator", "re", "string", "struct", "types", "typing",
})  # fmt: skip
"""What a dialect may import of the standard library: nothing here has a clock, an environment or a state."""

CARRIES = {"bedrock_invoke": "anthropic_messages"}
"""Dialects that are another one in an envelope of their own, and so may import it."""


def check_dialects(module: str, source: str) -> list[str]:
    if room_of(module) != "dialects":
        return []
    return [
        _at(module, found.line, f"a dialect may not import {found.module} {found.name}".rstrip())
        for found in imports(module, source)
        if not _fit_for_dialect(module, found)
    ]


def _fit_for_dialect(module: str, found: Import) -> bool:
    if not _is_ours(found):
        return found.module in PURE_MODULES or found.module.partition(".")[0] == "msgspec"
    if room_of(found.module, found.name) != "dialects":
        return room_of(found.module, found.name) in DIALECT_ROOMS
    path = f"{found.module}.{found.name}".split(".")[2:]  # below quoth.dialects
    own = module.split(".")[2]
    shared = path[0] not in dialect_folders() or own in ("__init__", "server", path[0])  # the two lists of dialects
    shared = shared or CARRIES.get(own) == path[0]
    return shared and not (_half(module) == "client" and "server" in path)


def _half(module: str) -> str:
    """``client`` for a module of the client half: whatever is not of the server half."""
    return "server" if "server" in module.split(".") else "client"


def servers_loaded(sources: Mapping[str, str]) -> list[str]:
    """The ways over which loading a module of a client half loads one of a server half."""
    graph = import_graph(sources, "loading")
    clients = [module for module in graph if room_of(module) == "dialects" and _half(module) == "client"]
    servers = [module for module in graph if "server" in module.split(".")]
    ways = (_way(graph, client, server) for client in clients for server in servers)
    return [" -> ".join(way) for way in ways if way]


def dialect_folders() -> set[str]:
    folders = {path.name for path in (SOURCE / "quoth" / "dialects").iterdir() if path.is_dir()}
    return (folders | {"openai_chat", "anthropic_messages"}) - {"__pycache__"}


# Law: nothing below the registry compares a provider's name.

ABOVE_THE_REGISTRY = frozenset({"quoth", "cli", "testing", "_api", "_options", "_prompt", "data"})
OTHER_MEANINGS = frozenset({"local", "llmgateway"})
"""Names of providers that are other things too (``local`` is a URL scheme and a kind of cost, ``llmgateway`` a source
of dates): compared freely unless what they are compared with is a provider."""
NAMES_OF_NAMES = frozenset({"provider", "provider_name", "provider_id", "vendor"})
HOLDERS_OF_NAMES = re.compile(r"spec|provider|row")
COMPARES: dict[str, str] = {}
"""Modules that may compare names of providers, and why."""


@cache
def provider_names() -> frozenset[str]:
    """The names and aliases of the rows, read from the tables' sources."""
    folder = SOURCE / "quoth" / "providers"
    names = set()
    for path in (folder / "_registry.py", *sorted(folder.glob("_rows/*.py"))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ProviderSpec":
                for keyword in node.keywords:
                    if keyword.arg in ("name", "aliases"):
                        names |= set(_strings(keyword.value, {}))
    return frozenset(names)


def check_names(module: str, source: str) -> list[str]:
    if room_of(module) in ABOVE_THE_REGISTRY:
        return []
    tree, names = ast.parse(source), provider_names() - OTHER_MEANINGS
    constants = _constants(tree)
    return [
        _at(module, node.lineno, f"compares a provider's name: {ast.unparse(node)[:80]}; a row is missing a column")
        for node, operands in _comparisons(tree)
        if (found := [text for operand in operands for text in _strings(operand, constants)])
        and (any(map(_is_name, operands)) or names.intersection(found))
    ]


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """The values of the module's own constants, by name."""
    constants = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                constants[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                constants[name] = value
    return constants


def _comparisons(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.Match, list[ast.expr]]]:
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                yield node, [left, *others]
            case ast.Call(func=ast.Attribute(value=value, attr="startswith" | "endswith"), args=args):
                yield node, [value, *args]
            case ast.Match(subject=subject, cases=cases):
                patterns = [inner for case in cases for inner in ast.walk(case.pattern)]
                yield node, [subject, *(inner.value for inner in patterns if isinstance(inner, ast.MatchValue))]


def _strings(node: ast.expr, constants: Mapping[str, ast.expr]) -> Iterator[str]:
    """The texts that an operand of a comparison holds: itself, its elements, or those of a constant it names."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            yield from (text for element in elements for text in _strings(element, constants))
        case ast.Call(func=ast.Name(id="frozenset" | "set" | "tuple"), args=[inner]):
            yield from _strings(inner, constants)
        case ast.Name(id=name) if name in constants:
            yield from _strings(constants[name], {})


def _is_name(node: ast.expr) -> bool:
    """Whether an expression looks like a provider's name."""
    match node:
        case ast.Name(id=name):
            return name in NAMES_OF_NAMES
        case ast.Attribute(attr=name) if name in NAMES_OF_NAMES:
            return True
        case ast.Attribute(value=holder, attr="name"):
            return bool(HOLDERS_OF_NAMES.search(ast.unparse(holder).rpartition(".")[2]))
        case ast.Call(func=ast.Attribute(value=inner, attr="lower" | "casefold" | "strip")):
            return _is_name(inner)
    return False


# Law: sockets, clocks, threads and waiting live in transport/ and _flow.py; and where the tools of a program run.

WAITING_ROOMS = frozenset({"transport", "_flow", "_executing"})
WAITING_MODULES = frozenset({
    "asyncio", "concurrent", "http", "multiprocessing", "queue", "sched", "select", "selectors", "signal", "socket",
    "socketserver", "ssl", "subprocess", "threading", "time",
})  # fmt: skip
CLOCK_NAMES = frozenset({
    "monotonic", "monotonic_ns", "perf_counter", "process_time", "sleep", "time", "time_ns", "today",
})  # fmt: skip
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
HARMLESS_IN_THREAD = frozenset({"LockType", "RLock", "allocate_lock", "get_ident"})
"""What any room may take from ``_thread``: a lock that guards a dictionary waits for nobody's network."""

WAITS: dict[tuple[str, str], str] = {
    ("quoth.providers._local", "threading"): "a lock: many calls at once load the weights once",
    ("quoth._registry", "quoth.transport._clock"): "the day: when a provider is built, its model may be retired",
    ("quoth._listing", "quoth.transport._clock"): "what is retired and what it costs, today",
    ("quoth._estimating", "quoth.transport._clock"): "what a call would cost now",
    ("quoth._budgets", "quoth.transport._clock"): "the clock of the budgets of a process: its days and months",
    ("quoth.limits._till", "queue"): "the till before the thread of a database; a call waits for it in a step",
    ("quoth.limits._till", "threading"): "that thread: it alone waits for the database",
    ("quoth.instrumentation.ledger._pump", "queue"): "records wait there for the ledger's thread: no call does",
    ("quoth.instrumentation.ledger._pump", "threading"): "that thread, which alone writes",
    ("quoth.instrumentation.metrics._sharing", "threading"): "the thread that writes this process's metrics: no call",
    ("quoth._service", "quoth.transport._clock"): "which gates are closed now, when metrics are asked for",
    ("quoth.metrics", "asyncio"): "a thread to tell metrics on, beside an ASGI server's loop: no call waits in it",
    ("quoth.metrics", "http.server"): "a server that answers with metrics: no call of ours waits in it",
    ("quoth.metrics", "socket"): "the family of its address",
    ("quoth.metrics", "socketserver"): "how it binds",
    ("quoth.metrics", "threading"): "its thread",
    ("quoth.testing.fake._server", "asyncio"): "a server, on a loop of its own: no call of ours waits in it",
    ("quoth.testing.fake._server", "socket"): "its listener",
    ("quoth.testing.fake._server", "threading"): "its thread",
}
"""(module, imported module) outside the waiting rooms, and why. Instrumentation reads no clock: it is told the time."""


def check_waiting(module: str, source: str) -> list[str]:
    if room_of(module) in WAITING_ROOMS:
        return []
    complaints = [
        _at(
            module, found.line, f"imports {found.module} {found.name}: only transport/ and _flow.py wait or read clocks"
        )
        for found in imports(module, source)
        if found.when != "types" and _waits(found) and (module, found.module) not in WAITS
    ]
    return complaints + [
        _at(module, node.lineno, f"waits or reads a clock: {ast.unparse(node)[:80]}")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and _is_waiting_call(node)
    ]


def _waits(found: Import) -> bool:
    if _is_ours(found):
        return found.name in CLOCK_NAMES
    if found.module == "_thread":
        return found.name not in HARMLESS_IN_THREAD
    return found.module.partition(".")[0] in WAITING_MODULES or found.module == "urllib.request"


def _is_waiting_call(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(attr=name) if name in CLOCK_CALLS:
            return True
        case ast.Attribute(attr="acquire"):
            return any(keyword.arg == "timeout" for keyword in call.keywords) or len(call.args) > 1
    return False


# Law: loading a module does nothing but define.

ACTIONS = re.compile(
    r"(builtins\.|io\.|os\.)?open|input|print|exec|eval"
    r"|(os\.)?getenv|(os\.)?environ(\..+)?"
    r"|(threading\.)?(Thread|Timer)|.*\.?start_new_thread|.*Executor"
    r"|socket\.\w+|ssl\.create_default_context|subprocess\.\w+|.*urlopen"
    r"|(pathlib\.)?Path\(.*\)\.(read|write|open|exists|home).*|.*\.(read_text|read_bytes)|.*files\(.*"
    r"|(time\.)?(time|monotonic|perf_counter|sleep)|.*\.(now|utcnow|today)"
    r"|logging\.\w+|warnings\.\w+|atexit\.\w+|signal\.\w+|os\.register_at_fork"
)
"""Calls that no module makes while it is loaded, as they are written."""
ENVIRONMENT = re.compile(r"(os\.)?environb?")


def check_loading(module: str, source: str) -> list[str]:
    return [
        _at(module, node.lineno, f"does something while it is loaded: {ast.unparse(node)[:80]}")
        for node in _run_on_loading(ast.parse(source).body)
        if _acts(node)
    ]


def _acts(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=function):
            return bool(ACTIONS.fullmatch(ast.unparse(function)))
        case ast.Attribute() | ast.Name():
            return bool(ENVIRONMENT.fullmatch(ast.unparse(node)))
    return False


def _run_on_loading(nodes: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """Every expression that is evaluated when the module is loaded: not what stands in functions, save defaults."""
    for node in nodes:
        match node:
            case ast.FunctionDef(args=args) | ast.AsyncFunctionDef(args=args):
                yield from _run_on_loading([*node.decorator_list, *args.defaults, *filter(None, args.kw_defaults)])
            case ast.Lambda(args=args):
                yield from _run_on_loading([*args.defaults, *filter(None, args.kw_defaults)])
            case ast.AnnAssign(target=target, value=value):  # annotations are not evaluated: `from __future__`
                yield from _run_on_loading([target] if value is None else [target, value])
            case ast.If(test=test) if ast.unparse(test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
                yield from _run_on_loading(node.orelse)
            case _:
                if isinstance(node, ast.expr):
                    yield node
                yield from _run_on_loading(ast.iter_child_nodes(node))


# Law: what does not fit in a glance has a reason.

LONGEST_FUNCTION = 60
LONGEST_FILE = 600
LONG: dict[str, str] = {"quoth.data.catalog": "generated: one row a line"}
"""Files (``module``) and functions (``module:name``) that are longer, and why."""


def check_length(module: str, source: str) -> list[str]:
    name = module.removesuffix(".__init__")
    complaints = []
    lines = source.count("\n")
    if lines > LONGEST_FILE and name not in LONG:
        complaints.append(_at(module, 1, f"{lines} lines: split it where the halves would have different names"))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION and f"{name}:{node.name}" not in LONG:
                complaints.append(_at(module, node.lineno, f"{node.name} has {length} lines"))
    return complaints


# Law: who catches everything says why.

CATCH_ALL = frozenset({"Exception", "BaseException"})
NO_REASON = re.compile(r"noqa(: [A-Z0-9, ]+\b)?|pragma: no \w+|(type|pyright): ignore(\[.*?\])?")
"""Words for tools, in a comment."""


def check_catching(module: str, source: str) -> list[str]:
    """A handler of everything has a comment in words on its line, unless all that it caught is raised again."""
    comments = _comments(source)
    complaints = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ExceptHandler() if _catches_all(node.type) and not _raises_again(node):
                line = node.lineno
            case ast.Call(func=function, args=args) if ast.unparse(function).endswith("suppress"):
                line = node.lineno if any(map(_catches_all, args)) else 0
            case _:
                continue
        if line and len(re.findall(r"\w+", NO_REASON.sub("", comments.get(line, "")))) < 3:
            complaints.append(_at(module, line, "catches everything without saying why on the line"))
    return complaints


def _catches_all(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(ast.unparse(each).rpartition(".")[2] in CATCH_ALL for each in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    match handler.body[-1]:
        case ast.Raise(exc=None):
            return not any(isinstance(node, ast.Return) for node in ast.walk(handler))
    return False


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


# The library keeps the laws.


def _sources() -> dict[str, str]:
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): path.read_text("utf-8")
        for path in sorted((SOURCE / "quoth").rglob("*.py"))
    }


SOURCES = _sources()
LAWS: list[Check] = [
    check_rooms,
    check_outside,
    check_dialects,
    check_names,
    check_waiting,
    check_loading,
    check_length,
    check_catching,
]


def _complaints(law: Check, sources: Mapping[str, str]) -> list[str]:
    return [complaint for module, source in sources.items() for complaint in law(module, source)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__.removeprefix("check_"))
def test_the_source_keeps_the_law(law: Check):
    excused = COMPARES if law is check_names else {}
    complaints = [each for each in _complaints(law, SOURCES) if each.partition(":")[0] not in excused]
    assert not complaints, "\n" + "\n".join(complaints)


def test_no_module_imports_itself_over_others():
    assert find_cycles(import_graph(SOURCES)) == []


def test_no_client_half_loads_a_server_half():
    assert servers_loaded(SOURCES) == []
    assert {"client", "server"} <= {module.rpartition(".")[2] for module in SOURCES if room_of(module) == "dialects"}


def test_arrows_of_the_map_point_downwards():
    assert upward_arrows(HOUSE) == []


def test_the_map_has_every_room_and_no_other():
    assert {room_of(module) for module in SOURCES} | PLANNED == {*HOUSE}


def test_a_room_that_is_built_is_planned_no_more():
    assert not PLANNED & {room_of(module) for module in SOURCES}


def test_only_the_service_composes_and_only_the_api_uses_the_verbs():
    outside_of_calls = {"_api", "_binding", "_estimating", "metrics", "testing"}
    assert composers(HOUSE) == {
        "_service", "_accounting", "_spending", "_tries", "_sending", "_watched", "_budgets", "_call",
    } | outside_of_calls  # fmt: skip


def test_only_the_costs_and_the_catalog_read_the_data():
    assert {name for name, row in HOUSE.items() if "data" in row.may_import} == {"_costs", "_catalog"}


def test_imports_for_types_are_all_needed():
    used = {
        (room_of(module), room_of(found.module, found.name))
        for module, source in SOURCES.items()
        for found in imports(module, source)
        if found.when == "types" and _is_ours(found)
    }
    assert {pair for pair in used if pair[1] not in HOUSE[pair[0]].may_import | {pair[0]}} == {*FOR_TYPES}


def test_instrumentation_never_reads_a_clock():
    waiting = {pair for pair in WAITS if room_of(pair[0]) == "instrumentation"}
    assert waiting == {
        ("quoth.instrumentation.ledger._pump", "queue"),
        ("quoth.instrumentation.ledger._pump", "threading"),
        ("quoth.instrumentation.metrics._sharing", "threading"),
    }
    assert not WAITING_ROOMS & {"instrumentation", "limits", "_costs", "_service"}


def test_every_exception_is_needed_still():
    names = {complaint.partition(":")[0] for complaint in _complaints(check_names, SOURCES)}
    assert {*COMPARES} <= names, "COMPARES"
    waits = {
        (module, found.module)
        for module, source in SOURCES.items()
        for found in imports(module, source)
        if room_of(module) not in WAITING_ROOMS and found.when != "types" and _waits(found)
    }
    assert {*WAITS} <= waits, "WAITS"
    assert {*LONG} <= {*_long_things()}, "LONG"


def _long_things() -> Iterator[str]:
    for module, source in SOURCES.items():
        name = module.removesuffix(".__init__")
        if source.count("\n") > LONGEST_FILE:
            yield name
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
                (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
            ):
                yield f"{name}:{node.name}"


def test_the_providers_are_read_from_their_table():
    assert {"openai", "anthropic", "claude", "google", "local", "groq", "ollama", "azure"} <= provider_names()


# The laws can be broken: each bad snippet is one way to do it, each good one looks like it and is none.

BAD: list[tuple[Check, str, str]] = [
    # An arrow that points upwards, or into a room that the map does not name, however it is written.
    (check_rooms, "quoth.wire", "from .types import Message"),
    (check_rooms, "quoth.types", "def late():\n    from .events import fold"),
    (check_rooms, "quoth.types", "import quoth.events"),
    (check_rooms, "quoth.types", "from . import events"),
    (check_rooms, "quoth.types", "from importlib import import_module\nimport_module('quoth.events')"),
    (check_rooms, "quoth.dialects.openai_chat.client", "from ...providers import PROVIDERS"),
    (check_rooms, "quoth.dialects.__init__", "from ..providers import PROVIDERS"),
    (check_rooms, "quoth.providers._provider", "from .._registry import SimpleModelRegistry"),
    (check_rooms, "quoth.providers._provider", "from ..transport import Deadline"),
    (check_rooms, "quoth._registry", "from . import _service"),
    (check_rooms, "quoth._stream", "from .limits import Gate"),
    (check_rooms, "quoth._registry", "from .instrumentation import Journal"),
    (check_rooms, "quoth._flow", "from ._costs import Prices"),
    (check_rooms, "quoth.instrumentation._usage", "from .._costs import Prices"),
    (check_rooms, "quoth._service", "from .data import prices"),
    (check_rooms, "quoth._service", "from .dialects.openai_chat import client"),
    (check_rooms, "quoth._service", "from . import models"),
    (check_rooms, "quoth._service", "from quoth import Response"),
    (check_rooms, "quoth.testing._scripted", "from .._service import ModelService"),
    (check_rooms, "quoth.cli.__init__", "from .._settings import VARIABLES"),
    (check_rooms, "quoth.cli.__init__", "from quoth.providers._registry import ROWS"),
    (check_rooms, "quoth.errors", "from .types import Response"),
    (check_rooms, "quoth.wire", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .types import Message"),
    (check_rooms, "quoth._helpers", ""),
    # A package from outside, in a room that has no business with it.
    (check_outside, "quoth._api", "import requests"),
    (check_outside, "quoth._api", "def late():\n    import httptools"),
    (check_outside, "quoth.types", "import typing_extensions"),
    (check_outside, "quoth._service", "from rich.table import Table"),
    # A dialect that is not pure.
    (check_dialects, "quoth.dialects.openai_chat.client", "import os"),
    (check_dialects, "quoth.dialects.openai_chat.client", "import time"),
    (check_dialects, "quoth.dialects.openai_chat.client", "def build():\n    import logging"),
    (check_dialects, "quoth.dialects.openai_chat.client", "from ..._costs import Prices"),
    (check_dialects, "quoth.dialects.openai_chat.client", "from ..anthropic_messages import client"),
    (check_dialects, "quoth.dialects.bedrock_invoke.client", "from ..openai_chat import client"),
    (check_dialects, "quoth.dialects.anthropic_messages.client", "from ..bedrock_invoke import client"),
    (check_dialects, "quoth.dialects._errors", "from .openai_chat import client"),
    # A client half that knows its judge.
    (check_dialects, "quoth.dialects.openai_chat.client", "from .server import parse_request"),
    (check_dialects, "quoth.dialects.openai_chat.client", "from . import server"),
    (check_dialects, "quoth.dialects.openai_chat._words", "def late():\n    from .server import build_error"),
    # Asking who is spoken to.
    (check_names, "quoth._service", "if provider == 'anything':\n    pass"),
    (check_names, "quoth._service", "if call.provider.spec.name != 'x':\n    pass"),
    (check_names, "quoth.dialects.openai_chat.client", "if name in ('openai', 'azure'):\n    pass"),
    (check_names, "quoth.dialects.openai_chat.client", "HOSTS = ('x', 'openai')\nodd = host in HOSTS"),
    (check_names, "quoth.transport._router", "odd = 'claude' == name"),
    (check_names, "quoth.providers._provider", "odd = self.spec.name in {'groq'}"),
    (check_names, "quoth.providers._provider", "match spec.name:\n    case 'x' | 'y':\n        pass"),
    (check_names, "quoth.transport._http", "odd = provider_name.lower().startswith('open')"),
    (check_names, "quoth._flow", "match anything:\n    case 'openai':\n        pass"),
    (check_names, "quoth._costs", "odd = usage.provider == 'local'"),
    # Sockets, clocks, threads and waiting, elsewhere.
    (check_waiting, "quoth._service", "import socket"),
    (check_waiting, "quoth._service", "def late():\n    from time import sleep"),
    (check_waiting, "quoth.instrumentation._record", "from time import time"),
    (check_waiting, "quoth.instrumentation._record", "from ..transport._clock import monotonic"),
    (check_waiting, "quoth._costs", "from .transport._clock import today"),
    (check_waiting, "quoth.providers._provider", "import threading"),
    (check_waiting, "quoth.providers._local", "from _thread import start_new_thread"),
    (check_waiting, "quoth._stream", "async def late():\n    import asyncio\n    await asyncio.sleep(1)"),
    (check_waiting, "quoth._costs", "def day():\n    from datetime import date\n    return date.today()"),
    (check_waiting, "quoth._costs", "now = datetime.now(UTC)"),
    (check_waiting, "quoth._registry", "def wait(lock):\n    lock.acquire(timeout=5)"),
    (check_waiting, "quoth._registry", "def wait(lock):\n    lock.acquire(True, 5)"),
    (check_waiting, "quoth._api", "import concurrent.futures"),
    # Doing something while being loaded.
    (check_loading, "quoth.types", "TABLE = open('table').read()"),
    (check_loading, "quoth.types", "import os\nKEY = os.environ['KEY']"),
    (check_loading, "quoth.types", "import os\nKEY = os.environ.get('KEY')"),
    (check_loading, "quoth.types", "import os\nKEY: str | None = os.getenv('KEY')"),
    (check_loading, "quoth.types", "from os import environ\nKEYS = [key for key in environ]"),
    (check_loading, "quoth.types", "import os\ndef call(key=os.environ.get('KEY')): ..."),
    (check_loading, "quoth.types", "import os\nclass Settings:\n    key = os.getenv('KEY')"),
    (check_loading, "quoth.types", "import threading\nthreading.Thread(target=print).start()"),
    (check_loading, "quoth.types", "import _thread\nif True:\n    _thread.start_new_thread(print, ())"),
    (check_loading, "quoth.types", "from pathlib import Path\nTEXT = Path('x').read_text()"),
    (check_loading, "quoth.types", "import logging\nLOG = logging.getLogger('quoth')"),
    (check_loading, "quoth.types", "from time import monotonic\nBEGUN = monotonic()"),
    (check_loading, "quoth.types", "try:\n    open('x')\nexcept OSError:\n    pass"),
    # Too long for a glance.
    (check_length, "quoth.types", "def long():\n" + "    pass\n" * 60),
    (check_length, "quoth.types", "class Type:\n    async def long(self):\n" + "        pass\n" * 60),
    (check_length, "quoth.types", "x = 1\n" * 601),
    # Catching everything in silence.
    (check_catching, "quoth.types", "try:\n    pass\nexcept Exception:\n    pass"),
    (check_catching, "quoth.types", "try:\n    pass\nexcept:\n    pass"),
    (check_catching, "quoth.types", "try:\n    pass\nexcept (ValueError, BaseException) as error:\n    pass"),
    (check_catching, "quoth.types", "try:\n    pass\nexcept Exception:  # noqa: BLE001\n    pass"),
    (check_catching, "quoth.types", "try:\n    pass\nexcept Exception:  # pragma: no cover\n    pass"),
    (check_catching, "quoth.types", "# the reason stands elsewhere\ntry:\n    pass\nexcept Exception:\n    pass"),
    (
        check_catching,
        "quoth.types",
        "def f():\n  try:\n    g()\n  except Exception:\n    if x:\n      return\n    raise",
    ),
    (check_catching, "quoth.types", "from contextlib import suppress\nwith suppress(Exception):\n    pass"),
]

GOOD: list[tuple[Check, str, str]] = [
    (check_rooms, "quoth.events", "from .types import Usage"),
    (check_rooms, "quoth.types", "from . import _json"),
    (
        check_rooms,
        "quoth.errors",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .types import Response",
    ),
    (check_rooms, "quoth.cli.__init__", "from quoth import models\nfrom quoth.errors import QuothError"),
    (check_rooms, "quoth.cli._table", "from . import _words"),
    (check_rooms, "quoth.transport._router", "from . import Deadline"),
    (check_outside, "quoth.types", "import msgspec\nimport decimal"),
    (check_outside, "quoth.types", "if TYPE_CHECKING:\n    from typing_extensions import TypeForm"),
    (check_dialects, "quoth.dialects.openai_chat.client", "import re\nfrom ... import _json\nfrom .._errors import x"),
    (check_dialects, "quoth.dialects.openai_chat.client", "from . import _words\nfrom .. import StreamParser"),
    (check_dialects, "quoth.dialects.openai_chat.server", "from .client import NAME"),
    (check_dialects, "quoth.dialects.__init__", "def load():\n    from .openai_chat import client"),
    (check_names, "quoth._service", "record = Record(provider='openai')"),
    (check_names, "quoth._service", "if tool.name == 'search':\n    pass"),
    (check_names, "quoth.providers._registry", "same = row.name == name"),
    (check_names, "quoth._api", "if provider == 'openai':\n    pass"),
    (check_names, "quoth.transport._router", "odd = scheme in ('https', 'local')"),
    (check_waiting, "quoth._flow", "from time import sleep"),
    (check_waiting, "quoth.transport._http", "import socket"),
    (check_waiting, "quoth._registry", "from _thread import allocate_lock\nallocate_lock().acquire(blocking=False)"),
    (check_waiting, "quoth._costs", "day = datetime.fromtimestamp(at, UTC)"),
    (check_waiting, "quoth._stream", "if TYPE_CHECKING:\n    from asyncio import Task"),
    (check_loading, "quoth.types", "import os\ndef key():\n    return os.environ['KEY']"),
    (check_loading, "quoth.types", "import os\nkey = lambda: os.getenv('KEY')"),
    (check_loading, "quoth.types", "if __name__ == '__main__':\n    print(open('x').read())"),
    (check_length, "quoth.types", "def short():\n" + "    pass\n" * 59),
    (check_length, "quoth.types", "x = 1\n" * 600),
    (check_catching, "quoth.types", "try:\n    pass\nexcept ValueError:\n    pass"),
    (check_catching, "quoth.types", "try:\n    f()\nexcept BaseException:\n    undo()\n    raise"),
    (
        check_catching,
        "quoth.types",
        "try:\n    f()\nexcept Exception:  # noqa: BLE001  # a plug-in raises what it likes\n    f()",
    ),
    (
        check_catching,
        "quoth.types",
        "try:\n    f()\nexcept Exception:  # noqa: BLE001 - a plug-in raises what it likes\n    f()",
    ),
]


def _id(value: object) -> str:
    return value.__name__.removeprefix("check_") if callable(value) else str(value).partition("\n")[0][:40]


@pytest.mark.parametrize(("law", "module", "source"), BAD, ids=_id)
def test_breaking_the_law_is_seen(law: Check, module: str, source: str):
    complaints = law(module, source)
    assert complaints
    assert all(re.match(r"quoth[\w.]*:\d+: \w", complaint) for complaint in complaints)


@pytest.mark.parametrize(("law", "module", "source"), GOOD, ids=_id)
def test_keeping_the_law_is_no_complaint(law: Check, module: str, source: str):
    assert law(module, source) == []


def test_every_law_has_been_broken():
    assert {law for law, _, _ in BAD} == {*LAWS} == {law for law, _, _ in GOOD}


def test_a_map_drawn_wrong_is_seen():
    assert upward_arrows({"a": room("", "b"), "b": room("", "a")}) == ["b -> a"]
    assert upward_arrows({"a": room("", "a missing")}) in (["a -> a", "a -> missing"], ["a -> missing", "a -> a"])
    assert upward_arrows({"a": room("", "b c"), "b": room("", "c"), "c": room("")}) == []
    assert composers({"a": room("", "limits"), "b": room("", "a")}) == {"a"}


@pytest.mark.parametrize("late", [False, True])
def test_a_server_half_behind_another_module_is_seen_where_it_is_loaded(late: bool):
    loading = "from .x.server import y"
    sources = {
        "quoth.dialects.x.client": "from .._shared import y",
        "quoth.dialects._shared": f"def later():\n    {loading}" if late else loading,
        "quoth.dialects.x.server": "",
    }
    assert bool(servers_loaded(sources)) is not late


@pytest.mark.parametrize(
    "sources",
    [
        {"quoth.a": "from . import b", "quoth.b": "from .a import x"},
        {"quoth.a": "from .b import x", "quoth.b": "def late():\n    from . import c", "quoth.c": "import quoth.a"},
        {"quoth.p.__init__": "from .a import x", "quoth.p.a": "from . import y"},
        {"quoth.a": "from .p.b import x", "quoth.p.__init__": "from ..a import y", "quoth.p.b": ""},
        {"quoth.__init__": "from .a import x", "quoth.a": "from quoth import models"},
    ],
)
def test_a_circle_is_seen(sources: dict[str, str]):
    assert find_cycles(import_graph(sources))


@pytest.mark.parametrize(
    "sources",
    [
        {"quoth.a": "from . import b", "quoth.b": "import re"},
        {"quoth.p.__init__": "from .a import x", "quoth.p.a": "from .b import y", "quoth.p.b": ""},
        {"quoth.a": "from .b import x", "quoth.b": "if TYPE_CHECKING:\n    from .a import y"},
        {"quoth.__init__": "from .a import x", "quoth.a": "from .b import y", "quoth.b": ""},
    ],
)
def test_what_is_no_circle_is_not_called_one(sources: dict[str, str]):
    assert find_cycles(import_graph(sources)) == []
