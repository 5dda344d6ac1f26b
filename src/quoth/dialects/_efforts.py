"""How much a model may think: words on some wires, tokens on others; what each is on the other.

Nothing says what a word is in tokens but Google's compatible endpoint, which takes ``low``, ``medium`` and ``high`` as
1,024, 8,192 and 24,576 (its documentation of OpenAI compatibility). So it is here, wherever a wire does not know the
form that was asked for; ``changes`` names it.
"""

from __future__ import annotations

__all__ = ["effort_of", "tokens_of"]

TOKENS = {"minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}

_EFFORTS = ((0, "none"), (1_024, "low"), (8_192, "medium"))
"""Up to so many tokens, and the word for it; above them all it is ``high``."""


def tokens_of(effort: str, changes: list[str]) -> int | None:
    """The tokens of a word; None for a word that is none of these."""
    tokens = TOKENS.get(effort)
    if tokens is not None:
        changes.append(f"reasoning={effort!r} sent as {tokens} tokens: this server takes no words")
    return tokens


def effort_of(tokens: int, changes: list[str]) -> str:
    """The word for a number of tokens."""
    effort = next((word for most, word in _EFFORTS if tokens <= most), "high")
    changes.append(f"reasoning={tokens} sent as {effort!r}: this wire takes no number of tokens")
    return effort
