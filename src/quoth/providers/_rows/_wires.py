"""What several rows say in the same words of their further wires."""

from __future__ import annotations

from .._spec import Endpoint

__all__ = ["RESPONSES", "VERSION"]

RESPONSES = Endpoint(dialect="openai_responses")
"""Responses under the same base URL as Chat Completions."""

VERSION = (("anthropic-version", "2023-06-01"),)
"""What everyone who speaks Anthropic Messages takes, and Anthropic demands."""
