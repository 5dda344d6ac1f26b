"""A provider that is none, for tests: one server on loopback that speaks every wire from a script.

``python -m quoth.testing.fake`` runs it as a process of its own.
"""

from ._embeddings import vector_of
from ._provider import FakeProvider, Received
from ._script import LOAD_FAULTS, Answer, Cut, Fault

__all__ = ["LOAD_FAULTS", "Answer", "Cut", "FakeProvider", "Fault", "Received", "vector_of"]
