"""A provider's "no" on wires that have no codes: the status says most of it, and a few phrases the rest.

In a stream, after a 200, an object may name a status of its own; where it does not, the server failed.
"""

from __future__ import annotations

from .. import _json
from ..wire import ErrorInfo, WireReply
from ._errors import ErrorTables, classify, error_detail, error_info, reply_detail, status_named, word
from ._kept import Wire

__all__ = ["read_error", "read_stream_error", "spelled_in_stream"]


def read_error(tables: ErrorTables, reply: WireReply) -> ErrorInfo:
    """Read a provider's "no". Never raises, whatever the bytes."""
    _, detail, message = reply_detail(reply)
    return _info(tables, detail, message, reply, status_named(detail, reply.status))


def read_stream_error(tables: ErrorTables, said: Wire) -> ErrorInfo:
    """Read an error that came inside a stream."""
    detail, message = error_detail(said)
    message = message or "the stream carries an error without a message"
    return _info(tables, detail, message, WireReply(status=200), status_named(detail, 0) or 500)


def _info(tables: ErrorTables, detail: Wire, message: str, reply: WireReply, status: int) -> ErrorInfo:
    """The tables may say of ``status 498`` what it means on their wire."""
    code, type_ = word(detail.get("code")), word(detail.get("type") or detail.get("error_type"))
    kind = classify(tables, status, (code, type_, f"status {status}"), message)
    return error_info(kind, message, reply, code=code, type=type_, param=word(detail.get("param")), detail=detail)


def spelled_in_stream(reply: WireReply) -> Wire:
    """The fields of a spelled error, for a stream: there its status is a field too."""
    return {**_json.decode(reply.body), "status": reply.status}
