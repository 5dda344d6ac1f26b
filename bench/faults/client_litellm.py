"""LiteLLM, by chat completions."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from client_openai import Fold, OpenAI
from driver import Said, main

litellm: Any = import_module("litellm")


class LiteLLM(OpenAI):
    package = "litellm"

    def open(self, job: dict[str, Any]) -> Any:
        return {
            "model": "openai/m",
            "api_key": job["key"],
            "api_base": job["url"] + "/v1",
            "timeout": job["timeout"],
            "max_retries": job["retries"],
        }

    aopen = open

    def ask(self, opened: Any, job: dict[str, Any]) -> Said:
        result = litellm.completion(**{**self._request(job), **opened})
        if not job["stream"]:
            return self._whole(result)
        fold = Fold()
        for chunk in result:
            if fold.add(chunk) and job["leave"]:
                break
        return fold.said()

    async def aask(self, opened: Any, job: dict[str, Any]) -> Said:
        result = await litellm.acompletion(**{**self._request(job), **opened})
        if not job["stream"]:
            return self._whole(result)
        fold = Fold()
        async for chunk in result:
            if fold.add(chunk) and job["leave"]:
                break
        return fold.said()

    def close(self, opened: Any) -> None:
        """It has no client to close: what it keeps is dropped from its cache."""
        del opened
        litellm.in_memory_llm_clients_cache.flush_cache()

    async def aclose(self, opened: Any) -> None:
        await litellm.close_litellm_async_clients()
        self.close(opened)


if __name__ == "__main__":
    main(LiteLLM())
