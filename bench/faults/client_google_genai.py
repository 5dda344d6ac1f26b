"""The official SDK of Google, by generateContent."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from driver import PROMPT, Said, main, reading

genai: Any = import_module("google.genai")
types: Any = import_module("google.genai.types")


class Google:
    package = "google-genai"

    def open(self, job: dict[str, Any]) -> Any:
        retry = types.HttpRetryOptions(attempts=job["retries"] + 1)
        return genai.Client(
            api_key=job["key"],
            http_options=types.HttpOptions(
                base_url=job["url"], timeout=int(job["timeout"] * 1000), retry_options=retry
            ),
        )

    aopen = open

    def ask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            result = opened.models.generate_content(model="m", contents=PROMPT)
            with reading():
                return _said(result.text, result)
        pieces, chunk = [], None
        for chunk in opened.models.generate_content_stream(model="m", contents=PROMPT):
            pieces.append(_text(chunk))
            if job["leave"]:
                break
        with reading():
            return _said("".join(pieces), chunk)

    async def aask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            result = await opened.aio.models.generate_content(model="m", contents=PROMPT)
            with reading():
                return _said(result.text, result)
        pieces, chunk = [], None
        async for chunk in await opened.aio.models.generate_content_stream(model="m", contents=PROMPT):
            pieces.append(_text(chunk))
            if job["leave"]:
                break
        with reading():
            return _said("".join(pieces), chunk)

    def close(self, opened: Any) -> None:
        opened.close()

    async def aclose(self, opened: Any) -> None:
        await opened.aio.aclose()
        opened.close()


def _text(chunk: Any) -> str:
    with reading():
        return chunk.text or ""


def _said(text: Any, last: Any) -> Said:
    finish = last.candidates[0].finish_reason if last and last.candidates else None
    usage = last and last.usage_metadata
    return Said(
        text,
        finish and getattr(finish, "value", finish),
        usage and usage.prompt_token_count,
        usage and usage.candidates_token_count,
    )


if __name__ == "__main__":
    main(Google())
