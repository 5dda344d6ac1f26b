"""What came of one amount, and the report over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = ["Outcome", "Verdict", "summary"]

Outcome: TypeAlias = Literal["equal", "excepted", "failed"]


class Verdict(Struct, frozen=True, gc=False):
    """``group`` is whose amount it was, ``name`` the class, ``detail`` the two amounts in words."""

    id: str
    group: str
    outcome: Outcome
    name: str
    detail: str


def summary(verdicts: Iterable[Verdict]) -> str:
    """One line a class, with its number and an example; every failure in full."""
    groups: dict[str, dict[tuple[Outcome, str], list[Verdict]]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.group, {}).setdefault((verdict.outcome, verdict.name), []).append(verdict)
    lines: list[str] = []
    for group, classes in sorted(groups.items()):
        lines.append(f"{group}: {sum(map(len, classes.values()))} amounts")
        for (outcome, name), members in sorted(
            classes.items(), key=lambda item: (item[0][0] != "equal", -len(item[1]))
        ):
            lines.append(f"  {len(members):5} {outcome:8} {name}")
            shown = members if outcome == "failed" else members[:1] if outcome == "excepted" else []
            lines += [f"        {each.id}: {each.detail}" for each in shown]
    return "\n".join(lines)
