"""The four ways to ask: blocking and under asyncio, whole and streamed. Each gives the response."""

import asyncio


def whole(api, prompt="Hi", model="gpt-4", **options):
    return api(model, prompt, **options)


def streamed(api, prompt="Hi", model="gpt-4", **options):
    return api.stream(model, prompt, **options).read()


def async_whole(api, prompt="Hi", model="gpt-4", **options):
    async def main():
        return await api.aio(model, prompt, **options)

    return asyncio.run(main())


def async_streamed(api, prompt="Hi", model="gpt-4", **options):
    async def main():
        return await api.aio.stream(model, prompt, **options).read()

    return asyncio.run(main())


WAYS = {"whole": whole, "streamed": streamed, "async whole": async_whole, "async streamed": async_streamed}
STREAMS = {"streamed": streamed, "async streamed": async_streamed}
