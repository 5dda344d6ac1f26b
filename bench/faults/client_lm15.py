"""lm15, by chat completions."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from driver import PROMPT, Said, main, reading

lm15: Any = import_module("lm15")
transports: Any = import_module("lm15.transports")


class LM15:
    package = "lm15"

    def open(self, job: dict[str, Any]) -> Any:
        transport = transports.StdlibTransport(**_timeouts(job))
        return lm15.OpenAIChatLM(api_key=job["key"], base_url=job["url"] + "/v1", transport=transport)

    def aopen(self, job: dict[str, Any]) -> Any:
        transport = transports.StdlibAsyncTransport(**_timeouts(job))
        return lm15.AsyncOpenAIChatLM(api_key=job["key"], base_url=job["url"] + "/v1", transport=transport)

    def ask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            return _said(opened.complete(_request()))
        request = _request()
        stream = lm15.ResponseStream(opened.stream(request), request)
        if job["leave"]:
            for piece in stream:
                return Said(piece)
        return _said(stream.response)

    async def aask(self, opened: Any, job: dict[str, Any]) -> Said:
        if not job["stream"]:
            return _said(await opened.complete(_request()))
        request = _request()
        stream = lm15.AsyncResponseStream(opened.stream(request), request)
        if job["leave"]:
            async for piece in stream:
                return Said(piece)
        return _said(await stream.response())

    def close(self, opened: Any) -> None:
        opened.transport.close()

    async def aclose(self, opened: Any) -> None:
        await opened.transport.aclose()


def _timeouts(job: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout", "pool_timeout"), job["timeout"])


def _request() -> Any:
    return lm15.Request(model="m", messages=(lm15.Message.user(PROMPT),), config=lm15.Config(max_tokens=5000))


def _said(response: Any) -> Said:
    with reading():
        usage = response.usage
        return Said(response.text, response.finish_reason, usage.input_tokens, usage.output_tokens)


if __name__ == "__main__":
    main(LM15())
