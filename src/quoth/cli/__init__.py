"""The command: ``quoth "Hello"``.

Its default form takes a bare prompt. A command is an exact first word that stands in ``COMMANDS``: ``quoth help``
is one; ``quoth "help me"`` is a prompt, and so is a command's word that is not first (``quoth -m gpt-6-luna
help``) or follows ``--`` (``quoth -- help``). So ``quoth models`` is a row of that table and a module beside
``_ask``. The words that the design gives to coming commands are refused already: a prompt of such a word would
change its meaning some day.

What goes where: the answer to standard output and nothing else; the model that was chosen for the user, the
footer and errors to standard error; with ``--json`` the answer or the error, as one object, to standard output.

Exit codes: 0 answered; 1 the call failed, or the answer could not be written; 2 the command line cannot be
understood; 130 Ctrl-C; 141 the reader of the output went away (``quoth ... | head -1``), as for any Unix tool.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from .. import ModelsAPI
from ._arguments import UsageError, help_text, parse
from ._ask import ask
from ._console import Console, UnwritableError

__all__ = ["COMMANDS", "main", "run"]

_FAILED, _MISUSED, _INTERRUPTED, _UNREAD = 1, 2, 130, 141


def _help(_words: Sequence[str], _models: ModelsAPI, console: Console) -> int:
    console.write(help_text())
    return 0


def _show_models(words: Sequence[str], models: ModelsAPI, console: Console) -> int:
    from ._models import show_models

    return show_models(words, models, console)


def _ledger(words: Sequence[str], models: ModelsAPI, console: Console) -> int:
    from ._ledger import use_ledger

    return use_ledger(words, models, console)


def _planned(words: Sequence[str], _models: ModelsAPI, _console: Console) -> int:
    raise UsageError(
        f"the command {words[0]!r} is not built yet in this version (as a prompt it is written quoth -- {words[0]})"
    )


COMMANDS: dict[str, Callable[[Sequence[str], ModelsAPI, Console], int]] = {
    "help": _help,
    "ledger": _ledger,
    "models": _show_models,
    **dict.fromkeys(("chat", "serve"), _planned),
}
"""Every first word that is no prompt, and what carries it out: it is given all words and gives the exit code."""


def run(argv: Sequence[str], models: ModelsAPI, console: Console, environment: Mapping[str, str]) -> int:
    """Carry out one command line and give its exit code. ``environment`` is where a default model is sought."""
    try:
        command = COMMANDS.get(argv[0]) if argv else None
        return command(argv, models, console) if command else ask(parse(argv), models, console, environment)
    except UsageError as error:
        console.say(f"quoth: {error}; quoth --help shows the options")
        return _MISUSED
    except UnwritableError as error:
        console.say(f"quoth: the answer cannot be written: {error}")
        return _FAILED
    except BrokenPipeError:
        return _UNREAD
    except KeyboardInterrupt:
        console.newline()
        return _INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command over the streams of the process and give its exit code; Ctrl-C ends the process here."""
    from .. import models

    console = Console.of_process()
    code = run(sys.argv[1:] if argv is None else argv, models, console, os.environ)
    console.settle()
    if code == _INTERRUPTED:
        os._exit(code)  # at once: an orderly end waits for a model that is being loaded, a second or more
    return code
