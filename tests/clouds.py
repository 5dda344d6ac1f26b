"""What the tests of clouds share: an AWS that checks signatures, token servers, and a bare environment.

``check_signature`` is the other implementation of AWS's signature: from its documentation, with the standard library,
over the bytes that a server received. It shares nothing with the one that it checks.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import threading
from urllib.parse import quote, unquote

ANSWER = json.dumps({
    "id": "1", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}).encode()  # fmt: skip
EVENTS = (
    b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
    b'data: {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    b'data: {"id": "1", "model": "m", "choices": [], '
    b'"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}\n\ndata: [DONE]\n\n'
)

CLOUD_VARIABLE = re.compile(r"(AWS|AZURE|GOOGLE|GCE|GCLOUD|CLOUDSDK|ANTHROPIC|OPENAI|CLOUD_ML|BEDROCK|QUOTH|NO_GCE)_?")


def clear_clouds(monkeypatch, folder):
    """An environment in which no cloud is found, whatever machine this is."""
    for name in [name for name in os.environ if CLOUD_VARIABLE.match(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-credentials"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(folder / "no-gcloud"))


def chat(peer):
    """Answer Chat requests for ever, as each asks."""
    while True:
        answer_one(peer, peer.read_request())


def answer_one(peer, body):
    if json.loads(body).get("stream"):
        peer.reply(EVENTS, 200, b"content-type: text/event-stream")
    else:
        peer.reply(ANSWER, 200, b"content-type: application/json")


def at_once(count, ask):
    """What so many threads get that ask together."""
    got = []
    threads = [threading.Thread(target=lambda: got.append(ask())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def turns_of_the_loop(coroutine):
    """What a coroutine gives, and how often the event loop went round every hundredth of a second meanwhile."""

    async def main():
        asked = asyncio.ensure_future(coroutine)
        turns = 0
        while not asked.done():
            await asyncio.sleep(0.01)
            turns += 1
        return await asked, turns

    return asyncio.run(main())


# The other implementation.


def head_of(head):
    """The request line and the header lines of a head, as a server reads them."""
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    return method, target, [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]


def headers_of(head):
    return dict(head_of(head)[2])


def check_signature(request, *, key_id, secret, service, region, token=None):
    """Fail unless the request, as it came, is signed by this key for this service and region."""
    head, body = request
    method, target, lines = head_of(head)
    headers = dict(lines)
    assert headers.get("x-amz-security-token") == token
    proof = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/ ]+)/(\d{8})/([^/ ]+)/([^/ ]+)/aws4_request, "
        r"SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})",
        headers["authorization"],
    )
    assert proof, headers["authorization"]
    date = headers["x-amz-date"]
    assert proof[1] == key_id
    assert (proof[2], proof[3], proof[4]) == (date[:8], region, service)
    names = proof[5].split(";")
    must = {"host", *[name for name, _ in lines if name.startswith(("x-amz-", "anthropic-")) or name == "content-type"]}
    assert must <= {*names}
    assert names == sorted(names)
    path, _, query = target.partition("?")
    pairs = sorted(
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~"))
        for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)
    )
    canonical = (
        f"{method}\n{quote(path, safe='/-_.~')}\n{'&'.join(f'{name}={value}' for name, value in pairs)}\n"
        + "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
        + f"\n{proof[5]}\n{hashlib.sha256(body).hexdigest()}"
    )
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode('latin-1')).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    assert hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == proof[6], canonical
