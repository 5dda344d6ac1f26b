"""What stands on the command line, as a value.

Parsed by argparse. Over ``import quoth`` (35 to 45 ms of CPU) it costs 4 ms, cyclopts 46, typer 190 and rich's
console alone 24; and one form with ten options needs none of what those add.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, HelpFormatter
from collections.abc import Sequence
from typing import Any, NoReturn

from msgspec import Struct

__all__ = ["Ask", "UsageError", "help_text", "ledger_parser", "models_parser", "parse"]

_USAGE = 'quoth [options] "prompt"'

_EPILOG = (
    "What is piped in is the prompt, or follows the one given after a blank line. "
    "Without -m the model is QUOTH_MODEL, else that of the first provider whose key is set, else local/smollm2, "
    "which needs no key. Exit codes: 0 answered, 1 the call failed, 2 wrong usage, 130 interrupted."
)


class UsageError(Exception):
    """The command line cannot be understood; the message says what to write instead."""


class Ask(Struct, frozen=True, kw_only=True):
    """The default form: ask a model. None means: not given."""

    prompt: str | None
    model: str | None
    system: str | None
    max_tokens: int | None
    temperature: float | None
    timeout: float | None
    json: bool
    no_stream: bool
    raw: bool
    quiet: bool
    version: bool
    help: bool

    def options(self) -> dict[str, Any]:
        """What is said of the call itself, as its keyword options."""
        given = {name: getattr(self, name) for name in ("system", "max_tokens", "temperature", "timeout")}
        return {name: value for name, value in given.items() if value is not None}


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _formatter(prog: str) -> HelpFormatter:
    # Of fixed width: asking the terminal imports shutil and its compressors, 5 ms on every start.
    return HelpFormatter(prog, max_help_position=28, width=96)


def _parser() -> ArgumentParser:
    parser = _Parser(
        prog="quoth",
        usage=_USAGE,
        description="Ask a language model.",
        epilog=_EPILOG,
        formatter_class=_formatter,
        add_help=False,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("prompt", nargs="*", help=SUPPRESS)
    add("-m", "--model", metavar="ID", help="the model: provider/model, or a known id such as gpt-6-luna")
    add("-s", "--system", metavar="TEXT", help="what the model is told before the prompt")
    add("--max-tokens", type=int, metavar="N", help="the most tokens the answer may have")
    add("--temperature", type=float, metavar="T", help="from 0 (steady) to 2 (wild)")
    add("--timeout", type=float, metavar="S", help="seconds for the whole call (600)")
    add("--json", action="store_true", help="print one JSON object: text, usage, cost, timings, or the error")
    add("--no-stream", action="store_true", help="ask for the answer in one piece")
    add("--raw", action="store_true", help="do not remove escape sequences from what a terminal shows")
    add("-q", "--quiet", action="store_true", help="no footer with tokens, cost and time after the answer")
    add("--version", action="store_true", help="print the version")
    add("-h", "--help", action="store_true", help="print this")
    return parser


def parse(argv: Sequence[str]) -> Ask:
    """Read the arguments of the default form; raise UsageError."""
    fields = vars(_parser().parse_args(list(argv)))
    words: list[str] = fields.pop("prompt")
    if len(words) > 1:
        raise UsageError('the prompt is several words: put them in quotes, as in quoth "What is this?"')
    return Ask(prompt=words[0] if words else None, **fields)


def help_text() -> str:
    """What ``--help`` prints."""
    return _parser().format_help()


def models_parser() -> ArgumentParser:
    """What ``quoth models`` reads."""
    parser = _Parser(
        prog="quoth models",
        usage="quoth models [options]",
        description="Show what is known of models and providers. Nothing is asked of the network.",
        formatter_class=_formatter,
        add_help=False,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--provider", metavar="NAME", help="the models of this provider only")
    add("--providers", action="store_true", help="the providers, and which variable holds each one's key")
    add("--json", action="store_true", help="one JSON object a line, with all that is known")
    add("-h", "--help", action="store_true", help="print this")
    return parser


def ledger_parser(verbs: Sequence[str]) -> ArgumentParser:
    """What ``quoth ledger`` reads."""
    parser = _Parser(
        prog="quoth ledger",
        usage=f"quoth ledger {{{','.join(verbs)}}} [FILE] [options]",
        description="Read and check the ledger, the database in which every call is recorded.",
        epilog="Exit codes: 0 done, 1 the ledger cannot be read, or check found a row that disagrees, 2 wrong usage.",
        formatter_class=_formatter,
        add_help=False,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("verb", nargs="?", choices=verbs, metavar="{" + ",".join(verbs) + "}", help="what to do")
    add("file", nargs="?", metavar="FILE", help="of export: a .csv, .jsonl or .parquet file to write")
    add("--ledger", metavar="PLACE", help="the ledger: a path or postgresql://... (else QUOTH_LEDGER)")
    add("--by", metavar="WHAT", default="model", help="of totals: day, model, provider, user, operation or tag:NAME")
    add("--since", metavar="DAY", help="only calls that began on this day (UTC) or later, such as 2026-12-01")
    add("--until", metavar="DAY", help="only calls that began before this day")
    add("--provider", metavar="NAME", help="only calls of this provider")
    add("--model", metavar="ID", help="only calls of this model, with its provider or without")
    add("--user", metavar="NAME", help="only calls that have the tag user=NAME")
    add("--tag", metavar="NAME=VALUE", action="append", default=[], help="only calls with this tag (may be repeated)")
    add("--limit", type=int, metavar="N", default=20, help="of show: how many of the last calls (20)")
    add("--json", action="store_true", help="one JSON object a line")
    add("-h", "--help", action="store_true", help="print this")
    return parser
