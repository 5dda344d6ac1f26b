"""The signature of a request to AWS, version 4: pure; the keys and the time are given.

Ours, because botocore's signer writes what it signs, the session token among it, to its log, and reads a clock of its
own. The tests hold the two against each other. The rules are AWS's, "Create a signed AWS API request" in the IAM User
Guide (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). Two of them are
easily missed:

- A path is encoded once more than it is sent, segment by segment (for every service but S3): the ``%3A`` of a model's
  id is ``%253A`` in what is signed.
- What is signed is what the server will see. So lines that a proxy may change on the way are left out.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote_to_bytes

from ...wire import Headers
from .._auth import Secret
from ._protocols import Outgoing

__all__ = ["AWSCredentials"]

ALGORITHM = "AWS4-HMAC-SHA256"

UNSIGNED = frozenset({
    "accept", "accept-encoding", "authorization", "baggage", "connection", "content-length", "expect", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "te", "traceparent", "tracestate", "trailer", "transfer-encoding",
    "upgrade", "user-agent", "x-amz-date", "x-amz-security-token", "x-amzn-trace-id",
})  # fmt: skip
"""Lines that a hop may change; and our own, which are added in their place."""


class AWSCredentials:
    """An access key, its secret and, for those that live for a while only, a session token; for one service of AWS."""

    __slots__ = ("_key_id", "_secret", "_token", "parts", "service")

    needs = ("region",)

    def __init__(self, key_id: str, secret: str, token: str | None, *, service: str, region: str | None = None) -> None:
        self._key_id, self._secret = Secret(key_id), Secret(secret)
        self._token = Secret(token) if token else None
        self.service = service
        self.parts = {"region": region} if region else {}

    def __repr__(self) -> str:
        return f"AWSCredentials(service={self.service!r})"

    def secrets(self) -> tuple[str, ...]:
        """All three."""
        return tuple([each.reveal() for each in (self._key_id, self._secret, self._token) if each is not None])

    def headers(self, outgoing: Outgoing, /) -> Headers:
        """The date, the session token and the signature."""
        stamp = datetime.fromtimestamp(outgoing.at, UTC).strftime("%Y%m%dT%H%M%SZ")
        own: Headers = (("x-amz-date", stamp),)
        if self._token is not None:
            own += (("x-amz-security-token", self._token.reveal()),)
        signed = _signed_lines([*outgoing.request.headers, ("host", outgoing.host)], own)
        scope = (stamp[:8], outgoing.parts["region"], self.service, "aws4_request")
        text = "\n".join([ALGORITHM, stamp, "/".join(scope), _hash(_canonical(outgoing, signed).encode())])
        signature = _mac(self._signing_key(scope), text).hex()
        names = ";".join([name for name, _ in signed])
        proof = f"Credential={self._key_id.reveal()}/{'/'.join(scope)}, SignedHeaders={names}, Signature={signature}"
        return (*own, ("authorization", f"{ALGORITHM} {proof}"))

    def _signing_key(self, scope: Iterable[str]) -> bytes:
        key = f"AWS4{self._secret.reveal()}".encode()
        for word in scope:
            key = _mac(key, word)
        return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


def _canonical(outgoing: Outgoing, signed: Sequence[tuple[str, str]]) -> str:
    """The request as AWS writes it down to sign it."""
    request = outgoing.request
    target = re.sub(r"^\w+://[^/?]*", "", request.url)
    path, _, query = target.partition("?")
    lines = "".join([f"{name}:{value}\n" for name, value in signed])
    names = ";".join([name for name, _ in signed])
    return "\n".join([request.method, _path(path), _query(query), lines, names, _hash(request.body)])


def _path(path: str) -> str:
    """Without empty segments and dots, each segment encoded again."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{end}", safe="/")


def _query(query: str) -> str:
    """In the order of the encoded names, then of the values."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    return "&".join([f"{name}={value}" for name, value in sorted([(_encoded(a), _encoded(b)) for a, b in pairs])])


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="")


def _signed_lines(lines: Iterable[tuple[str, str]], own: Headers) -> list[tuple[str, str]]:
    """Name and value of all that is signed, in order; what has a name twice is joined.

    A value that is not ASCII is none that both sides write down alike: it goes unsigned.
    """
    signed: dict[str, list[str]] = {}
    for name, value in (*[line for line in lines if line[0] not in UNSIGNED], *own):
        signed.setdefault(name, []).append(re.sub(" +", " ", value.strip()))
    return [(name, ",".join(values)) for name, values in sorted(signed.items()) if "".join(values).isascii()]
