"""Programs that keep a ledger, run by tests/test_ledger_writer.py as processes: ``python ledger_child.py VERB``.

They are ordinary programs: ``from quoth import models``, told by the environment where providers and ledger are. Each
prints what it knows to be true as a line of JSON.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
from contextlib import suppress

import msgspec

from quoth import QuothError, models

MODELS = ("openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "gemini/gemini-3.8-flash")


def say(**facts):
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    sys.stdout.flush()


def mixed(calls: int, seed: int) -> int:
    """Make calls in every way, some of which fail, are cut, or given up; give the sum of the answers' costs."""
    draw, femto = random.Random(seed), 0

    def options(number):
        return {"retries": 0, "tags": {"user": f"u{number % 7}", "process": str(seed)}}

    async def at_once(numbers):
        return await asyncio.gather(*[models.aio(MODELS[n % 3], f"async {n}", **options(n)) for n in numbers])

    def paid(response):
        return response.cost.femto or 0

    made = 0
    while made < calls:
        model, words = draw.choice(MODELS), f"{draw.choice(WORDS)} {made} {'x' * draw.randrange(200)}"
        with suppress(QuothError):
            match made % 10:
                case 0 | 1:
                    stream = models.stream(model, words, **options(made))
                    femto += paid(stream.read())
                case 2:
                    with models.stream(model, words, **options(made)) as stream:
                        next(iter(stream))
                    with suppress(QuothError):  # it has no answer, unless all of it had come
                        femto += paid(stream.response)
                case 3 if made + 8 <= calls:
                    femto += sum(map(paid, asyncio.run(at_once(range(made, made + 8)))))
                    made += 7
                case _:
                    femto += paid(models(model, words, **options(made)))
        made += 1
    return femto


WORDS = ("say", "say", "say", "say", "refuse", "cut")


def verb_mixed(calls: str, seed: str) -> None:
    """Mixed calls, and an end without a word to the ledger: what it prints is what the ledger must hold."""
    answers = mixed(int(calls), int(seed))
    say(answers=answers, total=models.usage().total)


def verb_steady(_: str) -> None:
    """Calls without end; each 10 are flushed, and their number said."""
    made = 0
    while True:
        for _ in range(10):
            models(MODELS[0], "say it")
            made += 1
        if models.flush(10.0):
            say(made=made)


def verb_spill(calls: str) -> None:
    """Calls while the database is locked by another; said when all are on the disk; then it waits to be killed."""
    for _ in range(int(calls)):
        models(MODELS[0], "say it")
    while models.ledger.counts.spilled < int(calls):
        models.flush(0.1)
    say(spilled=models.ledger.counts.spilled)
    sys.stdin.read()


def verb_full(limit: str) -> None:
    """Calls while no file may grow beyond some bytes; then the limit is lifted."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    models(MODELS[0], "say it")
    models.flush(10.0)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
    for _ in range(400):
        models(MODELS[0], "say it")
    flushed = models.flush(1.0)
    during = models.ledger.counts
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    after = models.flush(10.0)
    counts = models.ledger.counts
    models.close()
    say(flushed=flushed, during=during, after=after, counts=counts)


def verb_forks(_: str) -> None:
    """A parent, and children by os.fork and by multiprocessing, which all call, before and after."""
    for _ in range(20):
        models(MODELS[0], "say parent")
    for number in range(2):
        if os.fork() == 0:
            for _ in range(10):
                models(MODELS[0], "say child", tags={"child": str(number)})
            models.close()
            os._exit(0)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_child, args=(number,)) for number in (2, 3)]
    for child in children:
        child.start()
    for _ in range(20):
        models(MODELS[0], "say parent")
    for child in children:
        child.join()
    for _ in range(2):
        os.wait()


def _child(number: int) -> None:
    for _ in range(10):
        models(MODELS[0], "say child", tags={"child": str(number)})


def verb_plain(calls: str) -> None:
    """Some calls, and the end."""
    for _ in range(int(calls)):
        models(MODELS[0], "say it")
    say(modules=sorted(sys.modules))


if __name__ == "__main__":
    {name.removeprefix("verb_"): verb for name, verb in globals().items() if name.startswith("verb_")}[sys.argv[1]](
        *sys.argv[2:]
    )
