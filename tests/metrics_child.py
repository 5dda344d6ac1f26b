"""A process with metrics in a folder: ``python metrics_child.py FOLDER CALLS``, then it does what stdin says.

Lines of stdin: ``call`` makes one call more, ``metrics`` prints how many all processes have made; at its end the
process ends. Each line is answered by one on stdout.
"""

import sys

from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth.dialects.openai_chat.server import build_response
from quoth.testing import Reply, ScriptedTransport
from tables import chat_table

HELLO = Response(
    message=Message.assistant("Hi"), finish_reason="stop", model="gpt-4", usage=Usage(input=1000, output=1)
)


def api_in(folder):
    """Whose calls are all answered, and cost 0.03006 dollars each."""
    body = build_response(HELLO).body
    settings = Settings(
        transport=ScriptedTransport(lambda request: Reply(body=body)),
        api_keys={"openai": "none"},
        metrics_dir=str(folder),
    )
    return ModelsAPI(settings, providers=chat_table())


def calls_of(text):
    """How many calls a text of metrics counts."""
    return sum(int(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("quoth_requests_total{"))


def make(api, calls):
    for _ in range(calls):
        api("gpt-4", "Hi")


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(folder, calls):
    api = api_in(folder)
    make(api, int(calls))
    say("made")
    for line in sys.stdin:
        if line.strip() == "call":
            make(api, 1)
            say("called")
        else:
            say(calls_of(api.metrics()))


if __name__ == "__main__":
    main(*sys.argv[1:])
