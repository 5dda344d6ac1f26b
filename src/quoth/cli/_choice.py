"""Which model answers when none is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from ..dialects import CLIENTS
from ..providers import ProviderSpec

__all__ = ["EMBEDDED", "Choice", "choose"]

EMBEDDED = "local/smollm2"


class Choice(Struct, frozen=True, kw_only=True):
    """A model's id, and why it was chosen where nobody named it."""

    model: str
    reason: str | None = None


def choose(named: str | None, environment: Mapping[str, str], rows: Iterable[ProviderSpec]) -> Choice:
    """The model that was named, else QUOTH_MODEL, else that of the first row with a key, else the embedded one."""
    model = named if named is not None else environment.get("QUOTH_MODEL", "").strip()
    if model or named is not None:
        return Choice(model=model)
    hosted = [row for row in rows if row.default_model and row.key_variables and row.dialect in CLIENTS]
    for row in hosted:
        for variable in row.key_variables:
            if environment.get(variable, "").strip():
                return Choice(
                    model=f"{row.name}/{row.default_model}",
                    reason=f"{variable} is set; choose another with -m or QUOTH_MODEL",
                )
    wanted = f"; export {hosted[0].key_variables[0]}=... to use a hosted model" if hosted else ""
    return Choice(model=EMBEDDED, reason=f"no key found{wanted}")
