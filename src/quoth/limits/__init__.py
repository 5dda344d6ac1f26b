"""What may happen: whether a model is tried again, and what has happened to it lately that speaks against it.

Nothing here waits, draws or reads a clock: the service is told how long to wait, and tells the time.
"""

from ..types import RetryPolicy

__all__ = ["RetryPolicy"]
