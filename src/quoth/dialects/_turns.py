"""Which parts of a message a wire says that has texts, pictures and calls, and takes its own thoughts back."""

from __future__ import annotations

from ..types import Part, Reasoning, Refusal, ToolResult
from ._kept import FOREIGN, Residues

__all__ = ["is_said"]


def is_said(part: Part, residues: Residues, changes: list[str], *, answer: bool) -> bool:
    """Whether a part is spelled in its turn; ``changes`` says of one that is not, or not as what it is.

    Thoughts of another wire are left out, unless it is an ``answer`` that is spelled.
    """
    if isinstance(part, ToolResult):  # it has a message of its own
        return False
    if isinstance(part, Reasoning) and not answer and residues.name not in part.provider_data:
        changes.append("reasoning that came over another wire left out: this one takes back its own")
        return False
    if residues.foreign(part):
        changes.append(FOREIGN)
        return False
    if isinstance(part, Refusal):
        changes.append("a refusal that came over another wire sent as text: this one has no part for it")
    return True
