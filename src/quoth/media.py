"""Fetching pictures, documents and sound from an address, by ourselves, for those who ask for it.

``Image(url=...)`` is the provider's to fetch: it sees what anybody sees. ``fetch`` sees what this machine sees, so it
asks the public internet only, over https only, whoever wrote the address::

    from quoth import media, models

    models("gemini-3.8-flash", ["What is this?", media.fetch("https://example.com/cat.png")])
"""

from __future__ import annotations

from typing import TypeAlias

from ._media import sniff
from ._settings import flag
from .errors import ConfigurationError, InputError, InputTypeError
from .transport._public import Fetched, afetch_public, fetch_public
from .types import Audio, Document, Image

__all__ = ["MOST_BYTES", "SECONDS", "Fetchable", "afetch", "fetch"]

MOST_BYTES = 20_000_000
SECONDS = 10.0

Fetchable: TypeAlias = Image | Audio | Document
"""What may come of an address: its bytes tell which."""

_DOCUMENTS = ("application/pdf", "application/rtf", "application/vnd.openxmlformats-officedocument.")


def fetch(url: str, *, timeout: float = SECONDS, max_bytes: int = MOST_BYTES) -> Fetchable:
    """Fetch what stands at an https address: an Image, an Audio or a Document, as its bytes say.

    The name is looked up once, and only addresses of the public internet are connected to; at most three redirects are
    followed, each under the same rules. No proxy, no cookie and no key is used. ``timeout`` is in seconds, for it all.

    Raises:
        InputError, InputTypeError: the address is refused, answers with no 200, or holds nothing of these kinds.
        ConfigurationError: it is no URL, or holds a user or a password, or QUOTH_OFFLINE is set.
        TransportError: it cannot be reached, takes too long, or is larger than ``max_bytes``.
    """
    _check(url)
    return _part(fetch_public(url, timeout=timeout, most=max_bytes))


async def afetch(
    url: str,
    *,
    timeout: float = SECONDS,  # noqa: ASYNC109  # the twin of fetch
    max_bytes: int = MOST_BYTES,
) -> Fetchable:
    """As ``fetch``, for asyncio."""
    _check(url)
    return _part(await afetch_public(url, timeout=timeout, most=max_bytes))


def _check(url: str) -> None:
    given: object = url
    if not isinstance(given, str):
        raise InputTypeError(f"fetch takes a URL as a str, not {type(given).__name__}")
    if flag("QUOTH_OFFLINE"):
        raise ConfigurationError("QUOTH_OFFLINE is set, so nothing is fetched")


def _part(fetched: Fetched) -> Fetchable:
    data, url = fetched
    media_type = sniff(data) or ""
    if media_type.startswith("image/"):
        return Image(data=data, media_type=media_type)
    if media_type.startswith("audio/"):
        return Audio(data=data, media_type=media_type)
    if media_type.startswith(_DOCUMENTS):
        return Document(data=data, media_type=media_type, filename=_name(url))
    raise InputError(
        f"what was fetched is {media_type or 'of no type that its bytes say'}: it is no image, document or audio"
    )


def _name(url: str) -> str | None:
    """The file's name at the end of a URL."""
    path = url.partition("://")[2].partition("?")[0].partition("/")[2]
    return path.rpartition("/")[2] or None
