"""Parts of this wire, and back: what both halves share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from ... import _json
from ...errors import UnsupportedContentError
from ...types import Audio, Document, Image, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from .._arguments import read_arguments, write_arguments
from .._kept import Wire
from .._media import read_base64, read_data_url, write_base64
from ._spelling import PART, camelled, merged, with_marks
from ._words import BASE64, FORM, MADE, NAME, RESIDUES

__all__ = ["Names", "is_made", "made_id", "opaque", "read_part", "residue_of", "write_part"]

residue_of = RESIDUES.of

Names: TypeAlias = Mapping[str, str]
"""The function that was called, by the id of the call."""


def made_id(where: object, place: int) -> str:
    """An id for a call or a result that has none."""
    return f"{MADE}{where}_{place}"


def is_made(id_: str) -> bool:
    """Whether an id is one of ours, which is not sent."""
    return not id_ or id_.startswith(MADE)


# Writing.


def write_part(part: Part, changes: list[str], names: Names = {}) -> Wire:  # noqa: B006  # a Mapping, not changed
    """Spell one part; ``names`` knows the functions that results are for.

    Raises:
        UnsupportedContentError: the part has no form on this wire.
    """
    built = _write_result(part, changes, names) if isinstance(part, ToolResult) else _WRITERS[type(part)](part, changes)
    data = residue_of(part)
    return merged(built, data, PART) if data else built


def _write_text(text: Text, _changes: list[str]) -> Wire:
    return {"text": text.text}


def _write_thought(reasoning: Reasoning, _changes: list[str]) -> Wire:
    return {"text": reasoning.text, "thought": True}


def _write_refusal(refusal: Refusal, changes: list[str]) -> Wire:
    changes.append("a refusal that came over another wire sent as text: this one has no part for it")
    return {"text": refusal.text}


def _write_image(image: Image, changes: list[str]) -> Wire:
    if image.detail is not None:
        changes.append("detail of an image left out: this wire has mediaResolution, which provider_data may hold")
    return _write_file(image, image.url)


def _write_document(document: Document, changes: list[str]) -> Wire:
    if document.filename is not None:
        changes.append("filename of a document left out: this wire has no field for it")
    return _write_file(document, document.file_id if document.url is None else document.url)


def _write_audio(audio: Audio, _changes: list[str]) -> Wire:
    return _write_file(audio, None)


def _write_file(part: Image | Audio | Document, uri: str | None) -> Wire:
    """Inline bytes, or the address of a file: one that was uploaded, one in a bucket, or one that Google fetches."""
    kind, media_type = type(part).__name__, part.media_type
    if part.data is None and (inline := read_data_url(uri)) is not None:
        return {"inlineData": {"mimeType": inline[1], "data": write_base64(inline[0])}}
    if part.data is not None:
        if not media_type:
            raise UnsupportedContentError(
                f"{kind} data needs its media_type to be sent, as in {kind}(data=..., media_type='image/png')"
            )
        text = write_base64(part.data)
        if residue_of(part).get(BASE64) == "url":
            text = text.translate(_TO_URL)
        return {"inlineData": {"mimeType": media_type, "data": text}}
    if uri is None:
        raise UnsupportedContentError(f"this {kind} holds neither data nor an address: give it one of them")
    return {"fileData": {"fileUri": uri} if media_type is None else {"mimeType": media_type, "fileUri": uri}}


_TO_URL, _FROM_URL = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")
"""The other alphabet of base64: what Google's SDK for Python sends."""


def _write_call(call: ToolCall, changes: list[str]) -> Wire:
    inner: Wire = {} if is_made(call.id) else {"id": call.id}
    inner["name"] = call.name
    inner["args"] = write_arguments(call.arguments, changes)
    return {"functionCall": inner}


def _decoded(text: str) -> Any:
    try:
        return _json.decode(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None


_WRITERS: dict[type, Callable[[Any, list[str]], Wire]] = {
    Text: _write_text,
    Reasoning: _write_thought,
    Refusal: _write_refusal,
    Image: _write_image,
    Audio: _write_audio,
    Document: _write_document,
    ToolCall: _write_call,
}


def _write_result(result: ToolResult, changes: list[str], names: Names) -> Wire:
    data = residue_of(result)
    name = names.get(result.call_id)
    if name is None and NAME not in result.provider_data:
        raise UnsupportedContentError(
            f"the result of the call {result.call_id!r} follows no such call, and this wire needs its function's "
            "name: keep the message with the call before it"
        )
    inner: Wire = {} if is_made(result.call_id) else {"id": result.call_id}
    inner["name"] = name or ""
    texts = [part for part in result.parts if isinstance(part, Text) and not residue_of(part)]
    inner["response"] = _write_response([part.text for part in texts], result, data.get(FORM))
    if files := [write_part(part, changes) for part in result.parts if part not in texts]:
        inner["parts"] = files
    return {"functionResponse": inner}


def _write_response(texts: list[str], result: ToolResult, form: object) -> Wire:
    """What a tool said, as an object."""
    if form == "object" and len(texts) == 1 and isinstance(value := _decoded(texts[0]), dict):
        return value
    if not texts and not result.is_error:
        return {}
    return {"error" if result.is_error else "output": texts[0] if len(texts) == 1 else texts}


# Reading.


def read_part(wire: Wire, id_: str, names: Names = {}) -> Part:  # noqa: B006  # as above
    """Read one part exactly; one of an unknown kind is opaque. ``id_`` is for a call or a result that has none."""
    camel, marks = camelled(wire, PART)
    kind = next((key for key in _READERS if key in camel), "")
    read = _READERS[kind](camel, id_) if kind else None
    part: Part = Text(text="") if read is None else read
    part = RESIDUES.exact(part, camel, _built(part, names))
    unnamed = isinstance(part, ToolResult) and part.call_id not in names
    if not marks and not unnamed:
        return part
    return msgspec.structs.replace(part, provider_data={NAME: with_marks({**residue_of(part)}, marks)})


def _built(part: Part, names: Names) -> Wire:
    """What building a part that was just read gives, without what it is about to keep."""
    if isinstance(part, ToolResult):
        return _write_result(part, [], {part.call_id: names.get(part.call_id, "")})
    return _WRITERS[type(part)](part, [])


def opaque(wire: Wire) -> Text:
    """Keep a part that has no name here: an empty Text that gives it back whole."""
    return RESIDUES.exact(Text(text=""), wire, {"text": ""})


def _read_text(wire: Wire, _id: str) -> Part | None:
    text = wire["text"]
    if not isinstance(text, str):
        return None
    return Reasoning(text=text, provider_data={NAME: {}}) if wire.get("thought") is True else Text(text=text)


def _read_inline(wire: Wire, _id: str) -> Part | None:
    inner = wire["inlineData"]
    media_type, text = (inner.get("mimeType"), inner.get("data")) if isinstance(inner, dict) else (None, None)
    if not isinstance(media_type, str) or not media_type or not isinstance(text, str):
        return None
    data, kept = read_base64(text), {}
    if data is None and ("-" in text or "_" in text) and not ("+" in text or "/" in text):
        data, kept = read_base64(text.translate(_FROM_URL)), {NAME: {BASE64: "url"}}
    if data is None:
        return None
    return _MEDIA.get(media_type.partition("/")[0], Document)(data=data, media_type=media_type, provider_data=kept)


_MEDIA: dict[str, type[Image | Audio | Document]] = {"image": Image, "audio": Audio}


def _read_file(wire: Wire, _id: str) -> Part | None:
    inner = wire["fileData"]
    uri, media_type = (inner.get("fileUri"), inner.get("mimeType")) if isinstance(inner, dict) else (None, None)
    if not isinstance(uri, str):
        return None
    media_type = media_type if isinstance(media_type, str) else None
    kind = Image if media_type is not None and media_type.startswith("image/") else Document
    return kind(url=uri, media_type=media_type)


def _read_call(wire: Wire, id_: str) -> Part | None:
    inner = wire["functionCall"]
    if not isinstance(inner, dict):
        return None
    name = inner.get("name")
    return ToolCall(
        id=_own_id(inner, id_),
        name=name if isinstance(name, str) else "",
        arguments=read_arguments(inner.get("args")),
    )


def _own_id(inner: Wire, made: str) -> str:
    own = inner.get("id")
    return own if isinstance(own, str) and not is_made(own) else made


def _read_result(wire: Wire, id_: str) -> Part | None:
    inner = wire["functionResponse"]
    if not isinstance(inner, dict):
        return None
    texts, is_error, form = _read_response(inner.get("response"))
    spelled = inner.get("parts")
    files = spelled if isinstance(spelled, list) and all(isinstance(entry, dict) for entry in spelled) else []
    return ToolResult(
        call_id=_own_id(inner, id_),
        parts=(*[Text(text=text) for text in texts], *[_read_result_part(entry) for entry in files]),
        is_error=is_error,
        provider_data={NAME: form} if form else {},
    )


def _read_response(value: Any) -> tuple[Sequence[str], bool, Wire]:
    """The texts of a tool's result, whether it failed, and its form, where it is an object of its own."""
    if not isinstance(value, dict) or not value:
        return (), False, {}
    key = next(iter(value))
    said = value[key]
    if len(value) == 1 and key in ("output", "error"):
        if isinstance(said, str):
            return (said,), key == "error", {}
        if isinstance(said, list) and len(said) != 1 and all(isinstance(text, str) for text in said):
            return said, key == "error", {}
    return (_json.encode(value).decode("utf-8"),), len(value) == 1 and key == "error", {FORM: "object"}


def _read_result_part(entry: Wire) -> Text | Image | Document:
    part = read_part(entry, "")
    return part if isinstance(part, (Image, Document)) else opaque(entry)


_READERS: dict[str, Callable[[Wire, str], Part | None]] = {
    "text": _read_text,
    "functionCall": _read_call,
    "functionResponse": _read_result,
    "inlineData": _read_inline,
    "fileData": _read_file,
}
