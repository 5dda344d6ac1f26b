"""How much a model may think: ``additionalModelRequestFields``, in which each maker's models have words of their own.

Claude takes a number of tokens as the budget of its ``thinking`` (until version 4.5), an effort beside adaptive
thinking (since 4.6); Amazon's Nova 2 an effort in ``reasoningConfig``; OpenAI's models ``reasoning_effort``. What
another model takes is not known here, and is given in ``extra``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from ...errors import UnsupportedParameterError
from .._kept import Wire
from .._requests import object_in

__all__ = ["read_reasoning", "write_reasoning"]

Amount: TypeAlias = str | int


class Dial(NamedTuple):
    """How the models of one maker are told how much to think; reading gives None for what is not ours."""

    write: Callable[[Amount], Wire]
    read: Callable[[Mapping[str, Any]], Amount | None]


def write_reasoning(model: str, amount: Amount) -> Wire:
    """The fields for this model.

    Raises:
        UnsupportedParameterError: it is not known how to tell this model, or it takes no such amount.
    """
    dial = _dial(model)
    if dial is None:
        raise UnsupportedParameterError(
            f"reasoning={amount!r}: it is not known here how {model!r} is told how much to think; say it in its own "
            'words, as in extra={"bedrock": {"additionalModelRequestFields": {...}}}'
        )
    if isinstance(amount, int) and amount < 0:
        raise UnsupportedParameterError(f"reasoning={amount}: a number of tokens is not negative")
    return dial.write(amount)


def read_reasoning(model: str, fields: object) -> Amount | None:
    """What such fields say, where they can be spelled again."""
    dial = _dial(model)
    if dial is None or not isinstance(fields, dict):
        return None
    amount = dial.read(fields)
    if amount is None or (isinstance(amount, int) and (isinstance(amount, bool) or amount < 0)):
        return None
    return amount if all(fields.get(key) == value for key, value in dial.write(amount).items()) else None


def _dial(model: str) -> Dial | None:
    return next((dial for maker, dial in DIALS.items() if maker in model), None)


def _effort(value: object) -> str | None:
    return value if isinstance(value, str) and value and value != "none" else None


def _write_claude(amount: Amount) -> Wire:
    if amount in ("none", 0):
        return {"thinking": {"type": "disabled"}}
    if isinstance(amount, str):
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": amount}}
    return {"thinking": {"type": "enabled", "budget_tokens": amount}}


def _read_claude(fields: Mapping[str, Any]) -> Amount | None:
    thinking = object_in(fields, "thinking")
    if thinking.get("type") == "disabled":
        return "none"
    if thinking.get("type") == "adaptive":
        return _effort(object_in(fields, "output_config").get("effort"))
    budget = thinking.get("budget_tokens")
    return budget if isinstance(budget, int) and budget else None


def _write_nova(amount: Amount) -> Wire:
    if amount in ("none", 0):
        return {"reasoningConfig": {"type": "disabled"}}
    if isinstance(amount, int):
        raise UnsupportedParameterError(f"reasoning={amount}: Amazon's Nova takes an effort: low, medium or high")
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": amount}}


def _read_nova(fields: Mapping[str, Any]) -> Amount | None:
    config = object_in(fields, "reasoningConfig")
    return "none" if config.get("type") == "disabled" else _effort(config.get("maxReasoningEffort"))


def _write_openai(amount: Amount) -> Wire:
    if isinstance(amount, int) and amount:
        raise UnsupportedParameterError(f"reasoning={amount}: OpenAI's models take an effort: low, medium or high")
    return {"reasoning_effort": amount or "none"}


def _read_openai(fields: Mapping[str, Any]) -> Amount | None:
    effort = fields.get("reasoning_effort")
    return effort if isinstance(effort, str) and effort else None


DIALS: Mapping[str, Dial] = {
    "anthropic.claude": Dial(_write_claude, _read_claude),
    "amazon.nova": Dial(_write_nova, _read_nova),
    "openai.": Dial(_write_openai, _read_openai),
}
"""By what the ids of a maker's models hold, also those of inference profiles and in ARNs."""
