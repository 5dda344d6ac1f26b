"""The default form of the command: ask a model and show what it answers."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from warnings import catch_warnings

from .. import ModelBinding, ModelsAPI, __version__
from ..errors import CapabilityWarning, ModelRetiredWarning, QuothError
from ..events import TextDelta
from ..providers import PROVIDERS
from ..types import Response
from ._arguments import Ask, UsageError, help_text
from ._choice import choose
from ._console import Console, Page
from ._report import answer_json, error_json, footer

__all__ = ["ask"]


def ask(said: Ask, models: ModelsAPI, console: Console, environment: Mapping[str, str]) -> int:
    """Carry out what the command line said and give the exit code; raise UsageError where there is no prompt."""
    if said.help or said.version:
        console.write(help_text() if said.help else f"quoth {__version__}\n")
        return 0
    prompt = _prompt(said.prompt, console)
    try:
        binding = _bind(said, models, console, environment)
        with _warnings_said(console):
            if said.json:
                _answer_as_json(said, binding, prompt, console)
            else:
                _answer(said, binding, prompt, console)
    except QuothError as error:
        _tell(error, said, console)
        return 1
    except (CapabilityWarning, ModelRetiredWarning) as warning:  # where the user's filters turn warnings into errors
        console.say(f"quoth: {warning}")
        return 1
    return 0


def _prompt(argument: str | None, console: Console) -> str:
    try:
        pieces = [piece for piece in (argument, console.piped()) if piece and piece.strip()]
    except UnicodeDecodeError as error:
        raise UsageError(f"what was piped in is no {error.encoding} text") from None
    if not pieces:
        raise UsageError('there is no prompt: write quoth "Hello", or pipe text in')
    return "\n\n".join(pieces)


def _bind(said: Ask, models: ModelsAPI, console: Console, environment: Mapping[str, str]) -> ModelBinding:
    choice = choose(said.model, environment, PROVIDERS)
    if choice.reason:
        console.say(f"{choice.model} ({choice.reason})")
    with _warnings_said(console):
        return models.bind(choice.model, **said.options())


@contextmanager
def _warnings_said(console: Console) -> Generator[None]:
    """What is warned of inside (a retired model, a temperature that it refuses) is said as the command says things."""
    with catch_warnings(record=True) as warned:
        try:
            yield
        finally:
            for warning in warned:
                console.say(f"quoth: {warning.message}")


def _answer_as_json(said: Ask, binding: ModelBinding, prompt: str, console: Console) -> None:
    response = binding(prompt) if said.no_stream else binding.stream(prompt).read()
    console.write_json(answer_json(response), raw=said.raw)


def _answer(said: Ask, binding: ModelBinding, prompt: str, console: Console) -> None:
    page = console.page(raw=said.raw)
    if said.no_stream:
        response = binding(prompt)
        page.write(response.text)
    else:
        response = _stream(binding, prompt, page)
    page.end()
    if response.refusal:
        console.say(f"the model refused: {response.refusal}")
    if not said.quiet:
        console.say(footer(response))


def _stream(binding: ModelBinding, prompt: str, page: Page) -> Response:
    with binding.stream(prompt) as stream:
        try:
            for event in stream.events():
                if isinstance(event, TextDelta):
                    page.write(event.text)
        except QuothError:
            page.end()  # what came stays, on lines of its own
            raise
        return stream.response


def _tell(error: QuothError, said: Ask, console: Console) -> None:
    if said.json:
        console.write_json(error_json(error), raw=said.raw)
    else:
        console.say(f"quoth: {error}")
