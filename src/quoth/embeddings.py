"""Texts as vectors: what ``models.embed`` asks for and gives.

A vector is a tuple of floats, as exact as the provider sent it. ``numpy.asarray(answer.vectors, dtype="float32")``
makes a matrix of them, one row a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias, overload

import msgspec
from msgspec import Struct

from . import _json
from .types import CallDetails, Cost, ProviderData, Usage

__all__ = ["EmbeddingRequest", "EmbeddingResponse", "InputType", "Vector"]

Vector: TypeAlias = tuple[float, ...]
"""One text as numbers. Of vectors in whole numbers (``int8``) each is a float too."""

InputType: TypeAlias = Literal["query", "document", "classification", "clustering", "similarity"]
"""What a text is embedded for: to search with it, to be found, to be sorted, to be grouped, to be compared."""


class EmbeddingRequest(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """What is asked of a model that embeds, before any wire: ``model`` is the provider's own id.

    ``dimensions`` is the length of a vector, None as the model has it. ``truncate`` says whether a text that is too
    long is cut (True) or refused (False); None leaves that to the provider. ``encoding`` is how vectors travel, None as
    the wire has it. ``extra`` holds fields of the wire's body that have no name here; they are sent as they are.
    """

    model: str
    texts: tuple[str, ...]
    dimensions: int | None = None
    input_type: InputType | None = None
    truncate: bool | None = None
    encoding: Literal["float", "base64"] | None = None
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)


class EmbeddingResponse(Struct, frozen=True, kw_only=True, gc=False, eq=False, repr_omit_defaults=True):
    """The vectors of some texts, one each, in their order: ``answer[0]``, ``len(answer)``, ``for vector in answer``.

    ``usage`` and ``cost`` are those of all requests that it took. ``model`` is the model that answered, as the provider
    names it. ``call`` (timings, attempts, headers) and ``body`` take no part in ``==``.
    """

    vectors: tuple[Vector, ...]
    model: str
    provider: str = ""
    id: str | None = None
    usage: Usage = Usage(source="missing")
    cost: Cost = Cost(femto=None, kind="unknown", reason="not priced yet")
    provider_data: ProviderData = msgspec.field(default_factory=dict)
    """What the wire says beside, by its name; of several requests, that of the last."""
    body: bytes | None = None
    """The body as it came, where one request was enough."""
    call: CallDetails = CallDetails()

    @property
    def vector(self) -> Vector:
        """The vector, where one text was embedded. Raises ValueError where there are none or several."""
        if len(self.vectors) != 1:
            raise ValueError(f"there are {len(self.vectors)} vectors, not one: use .vectors")
        return self.vectors[0]

    @property
    def dimensions(self) -> int | None:
        """The length of a vector; None where there is none."""
        return len(self.vectors[0]) if self.vectors else None

    @property
    def raw(self) -> Any:
        """The provider's own JSON, decoded anew at each access; None where it took several requests."""
        return None if self.body is None else _json.decode(self.body)

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[Vector]:
        return iter(self.vectors)

    @overload
    def __getitem__(self, index: int) -> Vector: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Vector, ...]: ...
    def __getitem__(self, index: int | slice) -> Vector | tuple[Vector, ...]:
        return self.vectors[index]

    def __repr__(self) -> str:
        return (
            f"EmbeddingResponse({len(self.vectors)} vectors of {self.dimensions}, model={self.model!r}, "
            f"provider={self.provider!r}, tokens={self.usage.total_tokens}, cost={str(self.cost)!r})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EmbeddingResponse):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    def __ne__(self, other: object) -> bool:  # Struct has its own, by identity where eq=False
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # it holds mappings


_COMPARED = tuple(name for name in EmbeddingResponse.__struct_fields__ if name not in ("call", "body"))
