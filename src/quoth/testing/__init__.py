"""For tests of programs that call models: transports that answer without a network."""

from ._scripted import Reply, ScriptedTransport

__all__ = ["Reply", "ScriptedTransport"]
