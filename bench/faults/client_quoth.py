"""quoth itself, on the wire that the job names."""

from __future__ import annotations

from typing import Any

from driver import PROMPT, Said, main, reading

from quoth import ModelsAPI, Settings
from quoth.providers import ProviderTable

PATHS = {"openai_chat": "/v1", "anthropic_messages": "/v1", "gemini": "/v1beta"}


class Quoth:
    package = "quoth"

    def open(self, job: dict[str, Any]) -> Any:
        table = ProviderTable()
        base_url = job["url"] + PATHS[job["wire"]]
        table.register("mine", base_url=base_url, key_variables=("MINE_KEY",), dialect=job["wire"])
        settings = Settings(api_keys={"mine": job["key"]}, timeout=job["timeout"], retries=job["retries"])
        return ModelsAPI(settings, providers=table)

    aopen = open

    def ask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            return _said(opened("mine/m", PROMPT, max_tokens=5000))
        if job["leave"]:
            for piece in opened.stream("mine/m", PROMPT, max_tokens=5000):
                return Said(piece)
        return _said(opened.stream("mine/m", PROMPT, max_tokens=5000).read())

    async def aask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            return _said(await opened.aio("mine/m", PROMPT, max_tokens=5000))
        if job["leave"]:
            async for piece in opened.aio.stream("mine/m", PROMPT, max_tokens=5000):
                return Said(piece)
        return _said(await opened.aio.stream("mine/m", PROMPT, max_tokens=5000).read())

    def close(self, opened: Any) -> None:
        opened.close()

    async def aclose(self, opened: Any) -> None:
        opened.close()


def _said(response: Any) -> Said:
    with reading():
        usage = response.usage
        return Said(
            response.text,
            response.finish_reason,
            usage.input_tokens,
            usage.output_tokens,
            marked=usage.source != "provider",
        )


if __name__ == "__main__":
    main(Quoth())
