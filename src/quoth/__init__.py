"""quoth: call any language model from Python.

    from quoth import models

    answer = models("local/smollm2", "Hello")          # or "gpt-6-luna", "claude-sonnet-5-5", "provider/model"
    print(answer, answer.usage.total_tokens, answer.cost)
    for piece in models.stream("local/smollm2", "Tell me a story"):
        print(piece, end="")

A key comes from the provider's own variable (OPENAI_API_KEY); ``local/`` models need none.
"""

from typing import TYPE_CHECKING, Any

from . import errors
from ._api import ModelBinding, ModelsAPI
from ._options import CallOptions
from ._settings import Settings
from ._stream import AsyncStream, Stream
from ._version import __version__
from .errors import QuothError
from .providers._auth import EnvironmentKey, KeySource, Secret
from .types import (
    Audio,
    Cost,
    Document,
    Image,
    Message,
    Reasoning,
    Refusal,
    Response,
    RetryPolicy,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)

if TYPE_CHECKING:
    from ._budgets import Budget, BudgetState
    from ._catalog import ModelInfo
    from ._listing import ProviderInfo

__all__ = [
    "AsyncStream",
    "Audio",
    "Budget",
    "BudgetState",
    "CallOptions",
    "Cost",
    "Document",
    "EnvironmentKey",
    "Image",
    "KeySource",
    "Message",
    "ModelBinding",
    "ModelInfo",
    "ModelsAPI",
    "ProviderInfo",
    "QuothError",
    "Reasoning",
    "Refusal",
    "Response",
    "RetryPolicy",
    "Secret",
    "Settings",
    "Stream",
    "Text",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "Usage",
    "__version__",
    "errors",
    "models",
]

models = ModelsAPI()
"""The one that most programs need."""


def __getattr__(name: str) -> Any:
    """The types of what is seldom asked for are loaded when they are."""
    if name in ("Budget", "BudgetState"):
        from . import _budgets

        return getattr(_budgets, name)
    if name == "ModelInfo":
        from ._catalog import ModelInfo

        return ModelInfo
    if name == "ProviderInfo":
        from ._listing import ProviderInfo

        return ProviderInfo
    raise AttributeError(f"module 'quoth' has no attribute {name!r}")
