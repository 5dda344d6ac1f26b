"""``quoth models``: what is known of models and providers, as a table or as JSON lines; without the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from .. import ModelInfo, ModelsAPI, ProviderInfo
from .._json import encode
from ..errors import QuothError
from ._arguments import models_parser
from ._console import Console

__all__ = ["show_models"]

Known = TypeVar("Known", ModelInfo, ProviderInfo)

_MODEL_HEAD = ("model", "context", "input $/M", "output $/M", "retires")
_PROVIDER_HEAD = ("provider", "key", "default model", "URL")


def show_models(words: Sequence[str], models: ModelsAPI, console: Console) -> int:
    """Carry out ``quoth models [--provider NAME] [--providers] [--json]`` and give the exit code."""
    said = models_parser().parse_args(list(words[1:]))
    if said.help:
        console.write(models_parser().format_help())
        return 0
    try:
        if said.providers:
            _show(models.providers(), _PROVIDER_HEAD, _provider_cells, console, json=said.json)
        else:
            _show(models.list(provider=said.provider), _MODEL_HEAD, _model_cells, console, json=said.json)
    except QuothError as error:
        console.say(f"quoth: {error}")
        return 1
    return 0


def _show(
    known: Iterable[Known],
    head: tuple[str, ...],
    cells: Callable[[Known], tuple[str, ...]],
    console: Console,
    *,
    json: bool,
) -> None:
    if json:
        for each in known:
            console.write_json(encode(each).decode(), raw=False)
        return
    console.write_table([head, *map(cells, known)])


def _model_cells(model: ModelInfo) -> tuple[str, ...]:
    return (
        model.id,
        f"{model.context_window:,}" if model.context_window else "-",
        _dollars(model.price_of("input")),
        _dollars(model.price_of("output")),
        str(model.retires or ""),
    )


def _dollars(price: float | None) -> str:
    return "-" if price is None else f"{price:g}"


def _provider_cells(provider: ProviderInfo) -> tuple[str, ...]:
    key = provider.key_variable or ("given" if provider.has_key else "")
    missing = f"none: export {provider.key_variables[0]}=..." if provider.needs_key else "not needed"
    if provider.credentials:
        missing += f"; or {provider.credentials} credentials"
    return (provider.name, key or missing, provider.default_model or "-", provider.base_url or provider.problem or "-")
