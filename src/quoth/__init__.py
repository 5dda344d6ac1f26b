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
from ._api import ModelsAPI
from ._binding import ModelBinding
from ._options import CallOptions
from ._settings import Settings
from ._stream import AsyncStream, Stream
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
    from ._chat import Chat
    from ._embedding import EmbedOptions
    from ._listing import ProviderInfo
    from ._run import Run
    from ._tools import FunctionTool
    from ._version import __version__
    from .embeddings import EmbeddingRequest, EmbeddingResponse

__all__ = [
    "AsyncStream",
    "Audio",
    "Budget",
    "BudgetState",
    "CallOptions",
    "Chat",
    "Cost",
    "Document",
    "EmbedOptions",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "EnvironmentKey",
    "FunctionTool",
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
    "Run",
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


_LATE = {
    "Budget": "_budgets",
    "BudgetState": "_budgets",
    "Chat": "_chat",
    "EmbedOptions": "_embedding",
    "EmbeddingRequest": "embeddings",
    "EmbeddingResponse": "embeddings",
    "FunctionTool": "_tools",
    "ModelInfo": "_catalog",
    "ProviderInfo": "_listing",
    "Run": "_run",
    "__version__": "_version",
}
"""What is seldom asked for, and the modules that it is loaded from when it is."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'quoth' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATE[name]}", __name__), name)
