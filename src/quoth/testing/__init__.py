"""For tests of programs that call models: transports that answer without a network, and a provider that is none."""

from ._scripted import Reply, ScriptedTransport
from .fake import FakeProvider, Fault, Received

__all__ = ["FakeProvider", "Fault", "Received", "Reply", "ScriptedTransport"]
