"""What SECURITY.md promises and no other file of tests holds: nothing is executed, nothing injected, nothing hangs."""

from __future__ import annotations

import ast
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from quoth import Message, ModelsAPI, Response, Settings, ToolCall, Usage, errors
from quoth.cli._terminal import escape_json, neutralize
from quoth.dialects._paths import quoted, target_of, unquoted
from quoth.errors import ConfigurationError, InputError, QuothError
from quoth.providers import PROVIDERS
from quoth.providers._address import check_base_url, check_key
from quoth.providers._auth import is_signed_token
from quoth.providers._urls import row_of_url
from quoth.testing import FakeProvider, Reply, ScriptedTransport
from quoth.transport._proxy import bypasses, parse_proxy
from quoth.transport._url import split_url
from servers import RawServer

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "quoth"
KEY = "zq9-5e3f0b71c2d84a96-plain"


# SECURITY.md names tests that are there.


def named_tests() -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", (ROOT / "SECURITY.md").read_text("utf-8"))


@pytest.mark.parametrize("named", sorted({*named_tests()}))
def test_each_test_that_the_page_names_is_there(named: str):
    path, _, function = named.partition("::")
    assert (ROOT / path).is_file()
    names = {
        node.name
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert any(name.startswith("test_") for name in names)
    assert not function or function in names


def test_each_promise_of_the_page_names_a_test_of_its_own():
    page = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|") and not line.startswith(("| promise", "|---"))]
    assert len(rows) > 30
    assert not [row for row in rows if not re.search(r"`tests/[\w/]+\.py(::\w+)?`", row)]


# Nothing executes what others wrote.

EXECUTES = {"__import__", "compile", "eval", "exec", "import_module"}
"""Functions that execute or import what they are given, by their own name or as the last part of one."""
OF_MODULES = re.compile(
    r"(os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|startfile|fork\w*))|.*\.(enable_)?load_extension"
)
IMPORTS = {
    "code", "ctypes", "dill", "imp", "marshal", "multiprocessing", "pickle", "pty", "runpy", "shelve", "subprocess",
    "yaml",
}  # fmt: skip
"""Modules that do so, or construct whatever a text names; each import of one is seen, so nothing is aliased."""

PERMITTED = {
    ("__init__.py", "import_module"): "a module of ours, looked up in a table of ours",
    ("_output/_reading.py", "import pickle"): "a program that pickles an answer keeps the answer's type within it",
    ("providers/_local.py", "import ctypes"): "a pointer to the embedded model's own logging function",
}
"""What is used all the same, by file and name, and why nothing that others wrote is executed there."""


def executing(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in EXECUTES:
                yield name
            case ast.Call(func=ast.Attribute(attr=name) as function):
                whole = ast.unparse(function)
                if (name in EXECUTES and whole != "re.compile") or OF_MODULES.fullmatch(whole):
                    yield name
            case ast.Import(names=names):
                yield from (f"import {each.name}" for each in names if each.name.partition(".")[0] in IMPORTS)
            case ast.ImportFrom(module=str(module), level=0) if module.partition(".")[0] in IMPORTS:
                yield f"import {module}"


def sources() -> list[Path]:
    """What is used at a call; ``testing`` runs in the tests of programs, on their own data."""
    return [path for path in sorted(SOURCE.rglob("*.py")) if "testing" not in path.parts]


def test_nothing_in_the_library_executes_data():
    found = {(path.relative_to(SOURCE).as_posix(), name) for path in sources() for name in executing(path)}
    assert found - {*PERMITTED} == set()
    assert {*PERMITTED} - found == set(), "needed no longer"


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)",
        "import os\nos.system(x)",
        "import yaml",
        "from pickle import loads",
        "exec(x)",
        "a.load_extension(y)",
        "import builtins\nbuiltins.eval(x)",
        "def late():\n    import subprocess as s",
        "importlib.import_module(x)",
    ],
)
def test_what_executes_is_seen(code: str, tmp_path: Path):
    (tmp_path / "a.py").write_text(code)
    assert [*executing(tmp_path / "a.py")]


def test_arguments_and_names_that_a_model_writes_are_data(tmp_path: Path):
    """A tool that is not there, and arguments that are code, run nothing: the model is told what is wrong."""
    mark = tmp_path / "executed"
    evil = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    calls = [
        ToolCall(id="1", name="__import__", arguments='{"name": "os"}'),
        ToolCall(id="2", name="os.system", arguments=f'{{"command": "touch {mark}"}}'),
        ToolCall(id="3", name="add", arguments=evil),
        ToolCall(id="4", name="add", arguments=f'{{"a": "{evil}", "b": 1}}'),
        ToolCall(id="5", name="add.__globals__", arguments="{}"),
        ToolCall(id="6", name="", arguments="[" * 100_000),
    ]

    def add(a: int, b: int) -> int:
        return a + b

    def answer(request):
        if request.messages[-1].role == "user":
            return Response(message=Message.assistant(*calls), finish_reason="tool_calls", model="m", usage=Usage())
        return "done"

    with FakeProvider(answer) as fake:
        run = fake.models().run("openai/gpt-6-luna", "Go.", tools=[add])
    assert [each.result.is_error for each in run.calls] == [True] * len(calls)
    assert not mark.exists()


# Nothing is injected into a request.

BREAKS = [
    "\r\nx-evil: 1",
    "\nx-evil: 1",
    "\rx-evil: 1",
    "\x00",
    "\x0b",
    "\x7f",
    "\u2028",
    "\u010d\u010a",
    "\u560d\u560a",
]
"""The last two are CR and LF to who cuts characters to their lower byte."""


def sent_raw(options: Callable[[str], dict[str, object]], bad: str, model: str = "openai/gpt-4") -> bytes | None:
    """The head that a server is sent by a call with these options; None where the call is refused."""

    def refuse(peer):
        peer.read_request()
        peer.reply(b'{"error": {"message": "no"}}', 401, b"content-type: application/json")

    with RawServer(refuse) as server:
        api = ModelsAPI(Settings(timeout=10, retries=0))
        given = {"api_key": "k", "base_url": server.url("/v1"), "check": "off", **options(bad)}
        try:
            api(given.pop("model", model), "Hi", **given)
        except (ConfigurationError, InputError):
            assert not server.requests
            return None
        except errors.APIStatusError:
            pass
        finally:
            api.close()
        [(head, _)] = server.requests
        return head


INTO = {
    "the key": lambda bad: {"api_key": f"k{bad}k"},
    "a header": lambda bad: {"headers": {"x-own": f"a{bad}b"}},
    "a header's name": lambda bad: {"headers": {f"x-own{bad}": "a"}},
    "the base URL": lambda bad: {"base_url": f"http://127.0.0.1:1/v1{bad}"},
    "the model": lambda bad: {"model": f"openai/gpt{bad}4"},
}


@pytest.mark.parametrize("bad", BREAKS, ids=ascii)
@pytest.mark.parametrize("place", INTO)
def test_what_could_begin_another_header_is_refused_before_anything_is_sent(place, bad):
    head = sent_raw(INTO[place], bad)
    if place == "the model" and head is not None:  # it travels in the body, as JSON; what shows is no control
        assert b"x-evil" not in head
        return
    assert head is None


@pytest.mark.parametrize("name", ["host", "content-length", "transfer-encoding", "connection", "proxy-authorization"])
def test_a_header_that_frames_the_request_is_the_transports_own(name):
    assert sent_raw(lambda _: {"headers": {name: "evil.example"}}, "") is None


@pytest.mark.parametrize("variable", ["OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID", "OPENAI_PROJECT"])
@pytest.mark.parametrize("bad", ["a\nx-evil: 1", "a\r\nx-evil: 1", "\x01", "caf\u00e9"], ids=ascii)
def test_a_variable_adds_no_line_to_a_request(variable, bad, monkeypatch):
    monkeypatch.setenv(variable, bad)
    head = sent_raw(lambda _: {}, "")
    assert head is None or (b"evil" not in head and bad.encode() not in head)


PATH_MODELS = [
    "a?key=b", "a#b", "a%2e%2e%2fb", "%2e%2e", "a/b/c", "a\\..\\b", "a;b", "a:b", "a@evil.example", "a&b=c", "..a",
    "a..", "...", "a%00b", "\u00e4\u2024\u2024", "\uff0e\uff0e", "a'b\"c", "{region}", "a{model}b", "$x", "https://evil.example",
]  # fmt: skip
IN_PATH = {
    "google": {},
    "bedrock": {"AWS_REGION": "eu-west-1"},
    "azure": {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com"},
    "vertex": {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "europe-west1"},
    "vertex-anthropic": {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "europe-west1"},
}
"""Providers of which some wire says the model in its path, and what their addresses need."""


def urls_of(provider: str, model: str) -> Iterator[str]:
    """Where a model's calls go, by each wire of its provider."""
    for dialect in (
        PROVIDERS[provider].dialects if hasattr(PROVIDERS, "__getitem__") else PROVIDERS.get(provider).dialects
    ):
        script = ScriptedTransport(lambda _: Reply(status=401, body=b"{}"))
        api = ModelsAPI(Settings(transport=script))
        try:
            api(f"{provider}/{model}", "Hi", api_key="k", dialect=dialect, check="off", max_tokens=5)
        except errors.APIStatusError:
            yield script.requests[0].url
        except QuothError:
            continue  # this wire, or the credentials for it, are not there: nothing to look at


@pytest.mark.parametrize("model", PATH_MODELS, ids=ascii)
@pytest.mark.parametrize("provider", IN_PATH)
def test_a_model_in_a_path_is_one_segment_of_it_whatever_its_id_holds(provider, model, monkeypatch):
    for name, value in IN_PATH[provider].items():
        monkeypatch.setenv(name, value)
    if "//" in model:
        with pytest.raises(InputError):
            PROVIDERS.resolve(f"{provider}/{model}")
        return
    plain = [*urls_of(provider, "plainmodel")]
    odd = [*urls_of(provider, model)]
    assert plain
    assert len(odd) == len(plain)
    for url, expected in zip(odd, plain, strict=True):
        (origin, target), (wanted, usual) = split_url(url), split_url(expected)
        assert origin == wanted
        slashes = model.count("/") if "models/a/b/c" in target else 0  # Gemini's own ids have them (tunedModels/x)
        assert target.count("/") == usual.count("/") + slashes
        assert target.count("?") == usual.count("?")
        assert not {".", "..", "%2e", "%2e%2e"} & {*target.lower().partition("?")[0].split("/")}
        if "plainmodel" in usual:
            before, _, after = usual.partition("plainmodel")
            assert target.startswith(before)
            assert target.endswith(after)
            inside = target[len(before) : len(target) - len(after)] if after else target[len(before) :]
            assert re.fullmatch(r"([A-Za-z0-9._~@:/-]|%[0-9A-F]{2})+", inside)
            assert unquoted(inside) == model


@given(st.text(min_size=1, max_size=30))
def test_a_name_in_a_path_comes_back_and_holds_nothing_that_ends_it(name):
    written = quoted(name)
    assert re.fullmatch(r"([A-Za-z0-9._~@-]|%[0-9A-F]{2})+", written) or not name.isascii()
    assert not set(written) & set("/?#&= \r\n\\")
    assert unquoted(written) == name


# Nothing that others write takes more than its length.

SIZE, MOST_SECONDS = 10_000, 0.3
"""Characters, of which the square would take many seconds."""
READERS: dict[str, Callable[[str], object]] = {
    "an error's text": errors.clean,
    "a terminal": neutralize,
    "JSON for a terminal": escape_json,
    "a base URL": lambda text: check_base_url(text, "x"),
    "a URL": split_url,
    "a proxy": lambda text: parse_proxy(text, "x"),
    "a list of hosts": lambda text: bypasses(split_url("https://api.example/")[0], (text,)),
    "a key": lambda text: check_key(text, "x"),
    "a token": is_signed_token,
    "whose URL": lambda text: row_of_url(PROVIDERS, f"https://api.openai.com/{text}"),
    "a name in a path": quoted,
    "a name from a path": unquoted,
    "a path of Bedrock": target_of,
}
UNITS = [
    "a", "0", " ", "\t", "\n", "\r", "-", "_", ".", ":", "/", "@", "%", "%41", "\\", '"', "'", "`", "{", "}", "[", "]",
    "(", "=", ",", ";", "#", "\x1b", "\x1b[", "\x1b]", "\x9b", "\u202e", "sk-", "sk-a", "sk-proj-", "Bearer ",
    "bearer  ", "a@", "a:", "://", "a:b@", "eyJ", "eyJa.", "eyJa.a.", "token=", "token: ", "api_key", "a.", "key-",
    "AIza", "```\n", "0.", "127.", "é",
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_reading_foreign_text_takes_a_time_that_its_length_bounds(reader):
    """The best of three against pauses of the machine; a square would be a thousand times above the bound."""
    slowest = 0.0
    for unit in UNITS:
        for text in (
            unit * (SIZE // len(unit)) + "!",
            "https://" + unit * (SIZE // len(unit)),
            "a" + unit * SIZE + "\x00",
        ):
            slowest = max(slowest, min(_seconds(READERS[reader], text) for _ in range(3)))
    assert slowest < 0.5


def _seconds(read: Callable[[str], object], text: str) -> float:
    begun = time.perf_counter()
    with contextlib.suppress(QuothError, ValueError):
        read(text)
    return time.perf_counter() - begun
