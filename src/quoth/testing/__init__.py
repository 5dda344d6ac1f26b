"""For tests of programs that call models: transports that answer without a network, and a provider that is none."""

from typing import TYPE_CHECKING, Any

from ._scripted import Reply, ScriptedTransport

if TYPE_CHECKING:
    from .fake import FakeProvider, Fault, Received

__all__ = ["FakeProvider", "Fault", "Received", "Reply", "ScriptedTransport"]


def __getattr__(name: str) -> Any:
    """A server is loaded by who wants one: what answers in memory needs none."""
    if name not in __all__:
        raise AttributeError(f"module 'quoth.testing' has no attribute {name!r}")
    from . import fake

    return getattr(fake, name)
