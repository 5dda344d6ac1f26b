"""How an answer that came over any wire says on this one why it ended."""

from __future__ import annotations

from collections.abc import Mapping

from ..types import FinishReason, Response

__all__ = ["finish_word"]


def finish_word(
    response: Response, reasons: Mapping[str, FinishReason], words: Mapping[FinishReason, str]
) -> str | None:
    """The raw word, where it is one of this wire (``reasons``) or none of ours; else this wire's word for ours."""
    raw, ours = response.finish_reason_raw, response.finish_reason
    if ours == "other" or (raw is not None and reasons.get(raw) == ours):
        return raw
    return words[ours]
