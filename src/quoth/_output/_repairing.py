"""The further turn in which a model is told what is wrong with its answer."""

from __future__ import annotations

from msgspec.structs import replace

from ..errors import OutputInvalidError
from ..types import Message, ModelRequest, Response

__all__ = ["repaired_request"]


def repaired_request(request: ModelRequest, response: Response) -> ModelRequest | None:
    """The request for a better answer; None where the answer is one already, or where asking again is of no use.

    A refusal is the model's word, and a call of the caller's own tools is no wrong answer.
    """
    if response.reader is None or (response.tool_calls and not response.text):
        return None
    try:
        response.reader.parse(response)
    except OutputInvalidError as error:
        told = Message.user(
            f"That is not the answer in the form that was asked for. {error.message.partition(': ')[2]}\n"
            "Answer again, with the whole corrected JSON and nothing else."
        )
        said = (response.message,) if response.text.strip() else ()
        return replace(request, messages=(*request.messages, *said, told))
    except Exception:  # noqa: BLE001  # a refusal; or the type itself fails, which parsed will say
        return None
    return None
