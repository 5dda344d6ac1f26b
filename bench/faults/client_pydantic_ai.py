"""pydantic-ai, by its direct requests and chat completions."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from driver import PROMPT, Said, main, reading

openai: Any = import_module("openai")
pydantic_ai: Any = import_module("pydantic_ai")
direct: Any = import_module("pydantic_ai.direct")
models: Any = import_module("pydantic_ai.models.openai")
providers: Any = import_module("pydantic_ai.providers.openai")


class PydanticAI:
    package = "pydantic-ai-slim"

    def open(self, job: dict[str, Any]) -> Any:
        client = openai.AsyncOpenAI(
            api_key=job["key"], base_url=job["url"] + "/v1", timeout=job["timeout"], max_retries=job["retries"]
        )
        provider = providers.OpenAIProvider(openai_client=client)
        settings = {"timeout": job["timeout"], "request_timeout": job["timeout"], "max_tokens": 5000}
        return client, models.OpenAIChatModel("m", provider=provider), settings

    aopen = open

    def ask(self, opened: Any, job: dict[str, Any]) -> Said:
        _, model, settings = opened
        messages = [pydantic_ai.ModelRequest.user_text_prompt(PROMPT)]
        if not job["stream"]:
            return _said(direct.model_request_sync(model, messages, model_settings=settings))
        with direct.model_request_stream_sync(model, messages, model_settings=settings) as stream:
            for _ in stream:
                if job["leave"]:
                    break
            return _said(stream.response)

    async def aask(self, opened: Any, job: dict[str, Any]) -> Said:
        _, model, settings = opened
        messages = [pydantic_ai.ModelRequest.user_text_prompt(PROMPT)]
        if not job["stream"]:
            return _said(await direct.model_request(model, messages, model_settings=settings))
        async with direct.model_request_stream(model, messages, model_settings=settings) as stream:
            async for _ in stream:
                if job["leave"]:
                    break
            return _said(stream.get())

    def close(self, opened: Any) -> None:
        utils: Any = import_module("pydantic_ai._utils")
        utils.run_until_complete(opened[0].close())

    async def aclose(self, opened: Any) -> None:
        await opened[0].close()


def _said(response: Any) -> Said:
    with reading():
        text = "".join([part.content for part in response.parts if part.part_kind == "text"])
        usage = response.usage
        return Said(text, response.finish_reason, usage.input_tokens, usage.output_tokens)


if __name__ == "__main__":
    main(PydanticAI())
