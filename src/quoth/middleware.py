"""What middleware is written with: functions around every call, seen by sync, async and streams alike.

::

    def shouting(request: ModelRequest, next: Next) -> Flow:
        response = yield from next(request)
        return replace(response, message=Message.assistant(response.text.upper()))

    remove = models.use(shouting)

``request.model`` is the canonical id, ``provider/model``; a changed one is asked for, and another model is asked
with its own key. ``next(request)`` asks, with all retries and fallbacks, and raises what comes of it; it may be left
out (the answer is then one that cost nothing), and called again. What must wait is a step: ``yield Sleep(0.1)``, or
``yield Call(function)``, which runs it inline, and in a thread under asyncio. The pieces of a stream pass through
``yield from`` unseen; a response that middleware gives in place of one is shown to a stream as its pieces.
docs/reliability.md has an example, a cache.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from ._flow import Call, Flow as _Flow, Sleep
from .types import ModelRequest, Response

__all__ = ["Call", "Flow", "Middleware", "Next", "Sleep"]

Flow: TypeAlias = _Flow[Any, Response]
"""What middleware is: a generator of steps that returns the answer."""

Next: TypeAlias = Callable[[ModelRequest], Flow]
"""Asks what is behind: further middleware, at last the model. To be used as ``yield from next(request)``."""

Middleware: TypeAlias = Callable[[ModelRequest, Next], Flow]
"""A generator function of a request and of what comes next."""
