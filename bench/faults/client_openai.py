"""The official SDK of OpenAI, by chat completions."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from driver import PROMPT, Said, main, reading

openai: Any = import_module("openai")


class OpenAI:
    package = "openai"

    def open(self, job: dict[str, Any]) -> Any:
        return openai.OpenAI(**self._settings(job))

    def aopen(self, job: dict[str, Any]) -> Any:
        return openai.AsyncOpenAI(**self._settings(job))

    def _settings(self, job: dict[str, Any]) -> dict[str, Any]:
        return {
            "api_key": job["key"],
            "base_url": job["url"] + "/v1",
            "timeout": job["timeout"],
            "max_retries": job["retries"],
        }

    def ask(self, opened: Any, job: dict[str, Any]) -> Said:
        result = opened.chat.completions.create(**self._request(job))
        if not job["stream"]:
            return self._whole(result)
        fold = Fold()
        for chunk in result:
            if fold.add(chunk) and job["leave"]:
                break
        return fold.said()

    async def aask(self, opened: Any, job: dict[str, Any]) -> Said:
        result = await opened.chat.completions.create(**self._request(job))
        if not job["stream"]:
            return self._whole(result)
        fold = Fold()
        async for chunk in result:
            if fold.add(chunk) and job["leave"]:
                break
        return fold.said()

    def _request(self, job: dict[str, Any]) -> dict[str, Any]:
        stream = {"stream": True, "stream_options": {"include_usage": True}} if job["stream"] else {}
        return {"model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 5000, **stream}

    def _whole(self, result: Any) -> Said:
        with reading():
            (choice, *_), usage = result.choices, result.usage
            return Said(
                choice.message.content,
                choice.finish_reason,
                usage and usage.prompt_tokens,
                usage and usage.completion_tokens,
            )

    def close(self, opened: Any) -> None:
        opened.close()

    async def aclose(self, opened: Any) -> None:
        await opened.close()


class Fold:
    """The chunks of a stream, read as the documentation reads them: what has no choices says no text."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.finish: Any = None
        self.usage: Any = None

    def add(self, chunk: Any) -> bool:
        """Whether the chunk had text."""
        with reading():
            choices: Iterable[Any] = chunk.choices or ()
            self.usage = getattr(chunk, "usage", None) or self.usage
            had = False
            for choice in choices:
                self.finish = choice.finish_reason or self.finish
                if choice.delta.content:
                    self.pieces.append(choice.delta.content)
                    had = True
            return had

    def said(self) -> Said:
        usage = self.usage
        return Said(
            "".join(self.pieces),
            self.finish,
            usage and usage.prompt_tokens,
            usage and usage.completion_tokens,
        )


if __name__ == "__main__":
    main(OpenAI())
