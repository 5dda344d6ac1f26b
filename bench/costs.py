"""What a price costs: ``python bench/costs.py [--peers PYTHON] [--rounds N] [--json]``.

Ours: CPU time of ``Prices.cost`` over its number, for a call that was priced before in this process (look-up
included), with two buckets and with five; of the same with the amount as a Decimal; of a model that has no price; of
the first price of a model; and of loading the table. Each is the best of the rounds: what the code itself takes.

Peers: the same usages through genai-prices, LiteLLM's ``cost_per_token`` and tokencost, in the interpreter that
``--peers`` names: one of an environment of their own, ``pip install genai-prices litellm tokencost``. Without it they
are left out.

Right: worked examples whose amount the providers' documents or bills give, in US dollars, and how many each gets to the
last of twelve decimals. What a peer has no parameter for (an hour of the week, a cache's lifetime) it is not given.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time_ns
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

CALLS = 20_000
NOW = 1_795_435_200.0
"""2026-11-23, 12:00 UTC: a Monday, off-peak."""

SMALL = {"input": 2_000, "output": 500}
LARGE = {"input": 2_000, "cache_read": 10_000, "cache_write_5m": 1_000, "output": 400, "reasoning": 100}

EXAMPLES: list[tuple[str, str | None, float, dict[str, int], str]] = [
    ("openai/gpt-5", None, NOW, {"input": 200, "cache_read": 1000, "output": 200, "reasoning": 300}, "0.005375"),
    ("openai/gpt-5", "priority", NOW, {"input": 200, "cache_read": 1000, "output": 200, "reasoning": 300}, "0.01075"),
    ("openai/gpt-6-sol", "flex", NOW, {"input": 2000, "cache_read": 2000, "cache_write_5m": 1000, "output": 700},
     "0.00695"),
    ("openai/gpt-6.1-sol", None, NOW, {"input": 272_000, "output": 1000}, "0.554"),
    ("openai/gpt-6.1-sol", None, NOW, {"input": 272_001, "output": 1000}, "1.103004"),
    ("anthropic/claude-sonnet-5-5", None, NOW, {"input": 2000, "cache_read": 10000, "cache_write_5m": 1000,
     "cache_write_1h": 2000, "output": 500, "web_searches": 2}, "0.0405"),
    ("google/gemini-2.5-flash", None, NOW, {"input": 350, "cache_read": 400, "input_audio": 300, "output": 200,
     "reasoning": 300}, "0.001667"),
    ("bedrock/us.anthropic.claude-sonnet-4-6", None, NOW, {"input": 100, "cache_read": 4000, "cache_write_1h": 1000,
     "output": 50}, "0.009075"),
    ("mistral/mistral-small-2603", None, NOW, {"input": 200, "cache_read": 800, "output": 100}, "0.000102"),
    ("groq/openai/gpt-oss-120b", None, NOW, {"input": 200, "cache_read": 800, "output": 100}, "0.00015"),
    ("xai/grok-4.3", None, NOW, {"input": 9992, "cache_read": 128, "output": 1499, "reasoning": 2809}, "0.0232856"),
    ("deepseek/deepseek-flash", None, NOW, {"input": 400, "cache_read": 600, "output": 100}, "0.0001218"),
    ("deepseek/deepseek-flash", None, NOW - 36_000, {"input": 400, "cache_read": 600, "output": 100}, "0.0002436"),
    ("deepseek/deepseek-flash", None, NOW - 2 * 86_400 - 36_000, {"input": 400, "cache_read": 600, "output": 100},
     "0.0001218"),
    ("cohere/command-a-03-2025", None, NOW, {"input": 100, "output": 50}, "0.00075"),
    ("openai/text-embedding-3-small", None, NOW, {"input": 1000}, "0.00002"),
]  # fmt: skip
"""Id, served tier, time of the request, counts, and what it costs."""


def per_call(call: Callable[[], object], calls: int = CALLS) -> float:
    """Nanoseconds."""
    began = process_time_ns()
    for _ in range(calls):
        call()
    return (process_time_ns() - began) / calls


def best(call: Callable[[], object], rounds: int, calls: int = CALLS) -> float:
    return min(per_call(call, calls) for _ in range(rounds))


# Ours.


def ours(rounds: int) -> dict[str, Any]:
    from quoth._costs import Prices, _table
    from quoth.types import Usage

    began = process_time_ns()
    _table.table()
    loaded = (process_time_ns() - began) / 1e6
    prices = Prices()
    found: dict[str, Any] = {"load_ms": loaded}
    for name, counts in (("two buckets", SMALL), ("five buckets", LARGE)):
        usage = _usage(Usage, counts)

        def price(usage: Any = usage) -> Any:
            return prices.cost(
                "anthropic", "claude-sonnet-5-5", usage, at=NOW, tier="standard", requested="claude-sonnet-5-5",
                region="global", host="host:api.anthropic.com",
            )  # fmt: skip

        found[name] = best(price, rounds)
        found[f"{name}, as a Decimal"] = best(lambda price=price: price().usd, rounds)  # type: ignore[misc]
    usage = _usage(Usage, SMALL)
    found["a model without a price"] = best(lambda: prices.cost("openai", "no-such", usage, at=NOW), rounds)
    first = [_first(Prices(), model, usage) for model in ("gpt-6-sol", "gpt-5", "gpt-4o") for _ in range(rounds)]
    found["the first price of a model"] = min(first)
    found["right"] = sum(
        str(prices.cost(*_split(key), _usage(Usage, counts), at=at, tier=tier).usd) == expected
        for key, tier, at, counts, expected in EXAMPLES
    )
    return found


def _usage(make: Any, counts: dict[str, int]) -> Any:
    return make(**counts)


def _split(key: str) -> tuple[str, str]:
    provider, _, model = key.partition("/")
    return provider, model


def _first(prices: Any, model: str, usage: Any) -> float:
    prices.load()
    began = process_time_ns()
    prices.cost("openai", model, usage, at=NOW)
    return process_time_ns() - began


# Peers: run in another interpreter, which has them and not us.


def peers(rounds: int) -> dict[str, Any]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    found = {}
    for name, load in (("genai-prices", genai_prices), ("litellm", litellm), ("tokencost", tokencost)):
        try:
            price = load()
        except ImportError as error:
            found[name] = {"error": str(error)}
            continue
        found[name] = measured(price, rounds)
    return found


def measured(price: Callable[..., Any], rounds: int) -> dict[str, Any]:
    key = next(key for key in TIMED if _amount(price, key, None, NOW, LARGE) > 0)
    answers = [_amount(price, *example[:4]) for example in EXAMPLES]
    return {
        "two buckets": best(lambda: price(key, None, NOW, SMALL), rounds, 500),
        "five buckets": best(lambda: price(key, None, NOW, LARGE), rounds, 500),
        "right": sum(map(is_right, answers, EXAMPLES)),
        "answers": answers,
    }


def is_right(answer: float, example: tuple[str, str | None, float, dict[str, int], str]) -> bool:
    return f"{answer:.12f}" == f"{float(example[4]):.12f}"


def _amount(price: Any, *call: Any) -> float:
    try:
        return float(price(*call))
    except Exception:  # noqa: BLE001  # a peer that has no price raises what it likes: no amount is a wrong one
        return float("nan")


def _read(counts: dict[str, int]) -> int:
    return sum(n for name, n in counts.items() if name.startswith(("input", "cache_")))


def _written(counts: dict[str, int]) -> int:
    return counts.get("output", 0) + counts.get("reasoning", 0)


TIMED = ("anthropic/claude-sonnet-5-5", "openai/gpt-4o")
"""The model that a peer is timed with: the first that it has."""

GENAI = {"bedrock": "aws", "xai": "x-ai"}


def genai_prices() -> Callable[..., Any]:
    from datetime import UTC, datetime

    from genai_prices import Usage, calc_price

    def price(key: str, tier: str | None, at: float, counts: dict[str, int]) -> Any:
        provider, model = _split(key)
        long = counts.get("cache_write_1h", 0)
        usage = Usage(
            input_tokens=_read(counts),
            cache_read_tokens=counts.get("cache_read", 0),
            cache_write_tokens=counts.get("cache_write_5m", 0) + long,
            **({"cache_write_1h_tokens": long} if long else {}),
            input_audio_tokens=counts.get("input_audio", 0),
            **({"cache_audio_read_tokens": 0} if "input_audio" in counts else {}),
            output_tokens=_written(counts),
            **({"web_searches": counts["web_searches"]} if "web_searches" in counts else {}),
        )
        context = {"price_context": {"service_tier": tier}} if tier else {}
        return calc_price(
            usage, model, provider_id=GENAI.get(provider, provider),
            genai_request_timestamp=datetime.fromtimestamp(at, UTC), **context,
        ).total_price  # fmt: skip

    return price


LITELLM = {"google": "gemini", "bedrock": "bedrock_converse", "cohere": "cohere_chat"}


def litellm() -> Callable[..., Any]:
    from litellm import cost_per_token
    from litellm.types.utils import CacheCreationTokenDetails, PromptTokensDetailsWrapper, Usage

    def price(key: str, tier: str | None, at: float, counts: dict[str, int]) -> Any:
        del at  # it reads the clock itself
        provider, model = _split(key)
        short, long = counts.get("cache_write_5m", 0), counts.get("cache_write_1h", 0)
        details = PromptTokensDetailsWrapper(
            cached_tokens=counts.get("cache_read", 0),
            audio_tokens=counts.get("input_audio", 0),
            text_tokens=counts.get("input", 0),
            cache_creation_tokens=short + long,
            cache_creation_token_details=CacheCreationTokenDetails(
                ephemeral_5m_input_tokens=short, ephemeral_1h_input_tokens=long
            ),
        )
        usage = Usage(
            prompt_tokens=_read(counts), completion_tokens=_written(counts),
            total_tokens=_read(counts) + _written(counts), prompt_tokens_details=details,
            cache_creation_input_tokens=short + long, cache_read_input_tokens=counts.get("cache_read", 0),
        )  # fmt: skip
        call_type = {"call_type": "embedding"} if "embedding" in model else {}
        parts = cost_per_token(
            model=model, custom_llm_provider=LITELLM.get(provider, provider), usage_object=usage,
            prompt_tokens=_read(counts), completion_tokens=_written(counts), service_tier=tier, **call_type,
        )  # fmt: skip
        return sum(parts)

    return price


def tokencost() -> Callable[..., Any]:
    from tokencost import calculate_cost_by_tokens

    def price(key: str, tier: str | None, at: float, counts: dict[str, int]) -> Any:
        del tier, at  # it knows neither
        model = _split(key)[1]
        read = calculate_cost_by_tokens(_read(counts) - counts.get("cache_read", 0), model, "input")
        cached = calculate_cost_by_tokens(counts.get("cache_read", 0), model, "cached")
        return read + cached + calculate_cost_by_tokens(_written(counts), model, "output")

    return price


def show(found: dict[str, Any]) -> None:
    mine, others = found["quoth"], found.get("peers", {})
    print(f"Python {found['python']}, best of {found['rounds']} rounds; the table loads in {mine['load_ms']:.2f} ms\n")
    print("| quoth | us |\n|---|---|")
    for name, value in mine.items():
        if name not in ("load_ms", "right"):
            print(f"| {name} | {value / 1e3:.2f} |")
    print(f"\n| | two buckets, us | five buckets, us | right of {len(EXAMPLES)} |\n|---|---|---|---|")
    for name, row in {"quoth": mine, **others}.items():
        if "error" in row:
            print(f"| {name} | {row['error']} | | |")
        else:
            print(f"| {name} | {row['two buckets'] / 1e3:.2f} | {row['five buckets'] / 1e3:.2f} | {row['right']} |")
    for name, row in others.items():
        for example, answer in zip(EXAMPLES, row.get("answers", ()), strict=False):
            if not is_right(answer, example):
                print(f"{name}: {example[0]} {example[1] or ''} {answer:.10g}, right {example[4]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_peer:
        print(json.dumps(peers(given.rounds)))
        return
    found: dict[str, Any] = {"python": platform.python_version(), "rounds": given.rounds, "quoth": ours(given.rounds)}
    if given.peers:
        command = [given.peers, __file__, "--as-peer", "--rounds", str(given.rounds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found["peers"] = json.loads(done.stdout.splitlines()[-1])
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
