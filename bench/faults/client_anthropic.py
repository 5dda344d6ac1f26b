"""The official SDK of Anthropic, by messages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from driver import PROMPT, Said, main, reading

anthropic: Any = import_module("anthropic")


class Anthropic:
    package = "anthropic"

    def open(self, job: dict[str, Any]) -> Any:
        return anthropic.Anthropic(**self._settings(job))

    def aopen(self, job: dict[str, Any]) -> Any:
        return anthropic.AsyncAnthropic(**self._settings(job))

    def _settings(self, job: dict[str, Any]) -> dict[str, Any]:
        return {
            "api_key": job["key"],
            "base_url": job["url"],
            "timeout": job["timeout"],
            "max_retries": job["retries"],
        }

    def ask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            return _said(opened.messages.create(**self._request()))
        if not job["leave"]:
            with opened.messages.stream(**self._request()) as stream:
                return _said(stream.get_final_message())
        for event in opened.messages.create(**self._request(), stream=True):
            if event.type == "content_block_delta":
                return Said(event.delta.text)
        return Said(None)

    async def aask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            return _said(await opened.messages.create(**self._request()))
        if not job["leave"]:
            async with opened.messages.stream(**self._request()) as stream:
                return _said(await stream.get_final_message())
        async for event in await opened.messages.create(**self._request(), stream=True):
            if event.type == "content_block_delta":
                return Said(event.delta.text)
        return Said(None)

    def _request(self) -> dict[str, Any]:
        return {"model": "m", "max_tokens": 5000, "messages": [{"role": "user", "content": PROMPT}]}

    def close(self, opened: Any) -> None:
        opened.close()

    async def aclose(self, opened: Any) -> None:
        await opened.close()


def _said(message: Any) -> Said:
    with reading():
        text = "".join([block.text for block in message.content])
        usage = message.usage
        return Said(text, message.stop_reason, usage and usage.input_tokens, usage and usage.output_tokens)


if __name__ == "__main__":
    main(Anthropic())
