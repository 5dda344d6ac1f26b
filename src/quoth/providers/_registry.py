"""The providers as data, and how a model id finds its provider.

Here stand the rows that most programs ask for; the others, under ``_rows/``, are loaded when a name, an id or a
listing needs them, so that importing quoth does not pay for them. No prefix there begins as one here does: which rows
are loaded changes no answer.

``provider/model`` is canonical. A bare id goes to the provider that lists it, else to the one whose
documented prefix it bears (the longest wins). An id is split at its first ``/`` only where the head is a
provider's name or alias, so ``openrouter/anthropic/claude-x`` keeps its tail whole. Nothing is guessed beyond
that: an id that finds no provider is an UnknownModelError that names the nearest ones.

Sources of the rows: the providers' documentation and official SDKs (openai 3.54, anthropic 2.12, google-genai
3.4) as of 2026-11.
"""

from __future__ import annotations

import re
from _thread import LockType, allocate_lock
from collections.abc import Iterable, Iterator
from os import getpid
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import ConfigurationError, InputError, InputTypeError, UnknownModelError
from ._address import check_base_url
from ._spec import EmbeddingEndpoint, Endpoint, MediaLimits, ProviderSpec, Quirks

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["PROVIDERS", "ROWS", "ForkSafeLock", "ProviderTable", "check_id", "register_provider"]

_EARLY_MODELS = ("text-embedding-", "davinci-", "babbage-")
"""OpenAI's models of 2022, of which the last two live on under fine-tuned ones."""

_CHAT_MODELS = ("gpt-audio", "gpt-4o-audio", "gpt-4o-mini-audio", "gpt-4o-search", "gpt-4o-mini-search", "gpt-5-search")
"""OpenAI's models that hear, speak or always search: its page of each lists Responses as not supported
(https://developers.openai.com/api/docs/models/gpt-4o-audio-preview and others)."""

_RESPONSES_MODELS = ("codex-", "computer-use-", "o1-pro", "o3-pro", "o3-deep-research", "o4-mini-deep-research")
"""OpenAI's models of before 2026 that are typed for Responses only in its SDK; the catalog knows the newer ones."""

ROWS = (
    ProviderSpec(
        name="openai",
        display_name="OpenAI",
        base_url="https://api.openai.com/v1",
        hosts=("{region}.api.openai.com",),
        dialect="openai_responses",
        endpoints=(Endpoint(dialect="openai_chat"),),
        embeddings=(  # its API reference of /embeddings: 2,048 inputs, 300,000 tokens
            EmbeddingEndpoint(dialect="openai_embeddings", most_texts=2_048, most_tokens=300_000, base64=True),
        ),
        key_variables=("OPENAI_API_KEY",),
        base_url_variables=("OPENAI_BASE_URL",),
        model_prefixes=("gpt-", "chatgpt-", "o1", "o3", "o4", "codex-", "computer-use-", *_EARLY_MODELS),
        model_wires=(
            *[(prefix, "openai_chat") for prefix in _CHAT_MODELS],
            *[(prefix, "openai_responses") for prefix in _RESPONSES_MODELS],
        ),
        reasons_with_tools_on_responses=("gpt-5.6", "gpt-6"),
        fixed_temperature=True,
        default_model="gpt-6-luna",
        quirks=Quirks(max_tokens_field="max_completion_tokens", output_rules="openai"),
        confidence="recorded",
        hint="create one at https://platform.openai.com/api-keys",
    ),
    ProviderSpec(
        name="anthropic",
        display_name="Anthropic",
        aliases=("claude",),
        base_url="https://api.anthropic.com",
        dialect="anthropic_messages",
        embeddings=None,
        key_variables=("ANTHROPIC_API_KEY",),
        base_url_variables=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        auth_header="x-api-key",
        auth_prefix="",
        headers=(("anthropic-version", "2023-06-01"),),
        limits=MediaLimits(request=32_000_000, images=600),  # its guide to vision; 100 images where 200k tokens fit
        models_path="/v1/models",
        model_prefixes=("claude-",),
        default_model="claude-haiku-5-5",
        confidence="recorded",
        hint="create one at https://console.anthropic.com/settings/keys",
    ),
    ProviderSpec(
        name="google",
        display_name="Google Gemini API",
        aliases=("gemini", "deepmind", "google-genai", "google_genai", "google-ai-studio", "google-gla"),
        base_url="https://generativelanguage.googleapis.com",
        dialect="gemini",
        embeddings=(EmbeddingEndpoint(dialect="gemini_batch_embed", most_texts=100),),  # above it says so itself
        key_variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        base_url_variables=("GOOGLE_GEMINI_BASE_URL",),
        auth_header="x-goog-api-key",
        auth_prefix="",
        models_path="/v1beta/models",
        model_prefixes=("gemini-",),
        default_model="gemini-3.8-flash",
        quirks=Quirks(stream_end="finish_reason"),
        otel_name="gcp.gemini",
        confidence="recorded",
        hint="create one at https://aistudio.google.com/apikey",
    ),
    ProviderSpec(
        name="local",
        display_name="the embedded model",
        base_url="local://embedded",
        embeddings=None,
        default_model="smollm2",
        model_prefixes=("smollm2",),
        quirks=Quirks(
            output_rules="grammar",
            stream_only=True,
            tools=False,
            tools_hint="the embedded model ignores tools; use a hosted model, or ask for JSON in words",
        ),
        hint="docs/local-model.md says how to install it",
    ),
)

LONGEST_ID = 500
"""Characters of a model id: what is remembered by id is bounded in bytes too."""

_NAME = r"[a-z0-9][a-z0-9._-]*"


class ForkSafeLock:
    """A mutex that a forked child finds open, whoever held it when the process was forked: ``with lock: ...``.

    A fork copies a lock as it is, and of the threads only the one that forked: one that another thread held stays
    held for ever. What such a lock guards must be whole after every single operation, as a dictionary is.
    """

    __slots__ = ("_by_process",)

    def __init__(self) -> None:
        self._by_process: dict[int, LockType] = {getpid(): allocate_lock()}

    def __enter__(self) -> None:
        self._own().acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._own().release()

    def _own(self) -> LockType:
        process = getpid()
        return self._by_process.get(process) or self._by_process.setdefault(process, allocate_lock())


class ProviderTable:
    """The rows by name and alias. Reading takes no lock: a change publishes a new dictionary."""

    def __init__(self, rows: Iterable[ProviderSpec] | None = None) -> None:
        self._lock = ForkSafeLock()
        self._whole = rows is not None
        """Whether all rows are here: else those that are loaded late are not."""
        self._rows: dict[str, ProviderSpec] = {}
        self._names: dict[str, str] = {}
        self.version = 0
        """Counts registrations: who keeps something made from a row compares it."""
        for row in ROWS if rows is None else rows:
            self._add(row)

    def __iter__(self) -> Iterator[ProviderSpec]:
        self._complete()
        return iter(self._rows.values())

    def get(self, name: str) -> ProviderSpec | None:
        """The row with this name or alias, in any case, or None."""
        key = name.lower()
        if key not in self._names:
            self._complete()
        return self._rows.get(self._names.get(key, ""))

    def of_url(self, url: str) -> tuple[ProviderSpec, str] | None:
        """The row and the dialect that a request to this URL belongs to; None where it is nobody's."""
        from ._urls import row_of_url

        return row_of_url(self, url)

    def _complete(self) -> None:
        """Load the rows that are not here yet. Nothing that was found before means anything else after."""
        if self._whole:
            return
        from ._rows import MORE_ROWS

        with self._lock:
            if not self._whole:  # the rows before the word that they are here: readers take no lock
                self._put(MORE_ROWS)
                self._whole = True

    def register(self, provider: ProviderSpec | str, **fields: Any) -> ProviderSpec:
        """Add a provider, or replace the one of that name; see ``ProviderSpec`` for the fields."""
        row = _row(provider, fields)
        self._complete()  # else a row that is loaded later would take this one's place
        self._check(row)
        row = _with_plain_urls(row)
        with self._lock:
            self._add(row)
        return row

    def _add(self, row: ProviderSpec) -> None:
        self._put((row,))
        self.version += 1

    def _put(self, added: Iterable[ProviderSpec]) -> None:
        rows, names = dict(self._rows), dict(self._names)
        for row in added:
            if row.name in rows:
                names = {alias: name for alias, name in names.items() if name != row.name}
            rows[row.name] = row
            names.update(dict.fromkeys((row.name, *row.aliases), row.name))
        self._rows, self._names = rows, names

    def _check(self, row: ProviderSpec) -> None:
        for name in (row.name, *row.aliases):
            if not re.fullmatch(_NAME, name):
                raise ConfigurationError(
                    f"provider {name!r}: a name is lower-case letters, digits, '.', '_' and '-', without '/'"
                )
            owner = self._names.get(name, row.name)
            if owner != row.name:
                raise ConfigurationError(f"provider {row.name!r}: the name {name!r} belongs to {owner!r} already")

    def resolve(self, model: str) -> tuple[ProviderSpec, str]:
        """``gpt-4`` -> (openai, ``gpt-4``); ``deepmind/gemini-x`` -> (google, ``gemini-x``).

        Raises InputTypeError, InputError (an empty or malformed id) or UnknownModelError.
        """
        check_id(model)
        head, slash, tail = model.partition("/")
        row = self.get(head) if slash else None
        if row is not None:
            if not tail:
                raise InputError(f"{model!r} names the provider {row.name!r} and no model; write '{row.name}/model'")
            return row, tail
        row = self._owner(model)
        if row is None:
            raise self._unknown(model)
        return row, model

    def _owner(self, model: str) -> ProviderSpec | None:
        lowered = model.lower().removeprefix("ft:")  # a fine-tuned model is its family's
        while True:
            whole = self._whole
            known = self._rows.values()
            owners = [(prefix, row) for row in known for prefix in row.model_prefixes if lowered.startswith(prefix)]
            if owners:
                return max(owners, key=lambda owner: len(owner[0]))[1]
            if whole:
                break
            self._complete()
        from .._catalog import owner

        name = owner(model)
        return self.get(name) if name else None

    def _unknown(self, model: str) -> UnknownModelError:
        from .._catalog import nearest

        known = [f"{row.name}/{row.default_model}" for row in self if row.default_model]
        near = nearest(model, known, {row.name for row in self})
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        makers = sorted(row.name for row in self if row.model_prefixes)
        return UnknownModelError(
            f"no provider is known for the model {model!r}: {meant}"
            f"write 'provider/model' with a provider such as {', '.join(makers)} "
            f"(models.providers() lists all {len(self._rows)}); or add one with models.register_provider(...)",
            model=model,
        )


def _with_plain_urls(row: ProviderSpec) -> ProviderSpec:
    """The row with its base URLs checked. What names in braces stand for is checked when a call fills them in."""
    source = f"base_url of provider {row.name!r}"
    endpoints = [
        msgspec.structs.replace(wire, base_url=_plain_url(wire.base_url, source)) if wire.base_url else wire
        for wire in row.endpoints
    ]
    return msgspec.structs.replace(row, base_url=_plain_url(row.base_url, source), endpoints=tuple(endpoints))


def _plain_url(url: str, source: str) -> str:
    plain = check_base_url(re.sub(r"{\w+}", "x", url), source)
    return url.rstrip("/") if "{" in url else plain


def _row(provider: ProviderSpec | str, fields: dict[str, Any]) -> ProviderSpec:
    if isinstance(provider, ProviderSpec):
        if fields:
            raise InputTypeError("register_provider takes a ProviderSpec, or a name and its fields, not both")
        return provider
    unknown = sorted(set(fields) - set(ProviderSpec.__struct_fields__))
    if unknown:
        from .._catalog import closest

        near = closest(unknown[0], ProviderSpec.__struct_fields__)
        meant = f"did you mean {near[0]!r}?" if near else f"its fields are {', '.join(ProviderSpec.__struct_fields__)}"
        raise InputTypeError(f"a provider has no field {unknown[0]!r}: {meant}")
    if not isinstance(fields.get("base_url"), str):
        raise InputTypeError(f"provider {provider!r} needs base_url='https://...'")
    try:
        return msgspec.convert({"name": provider, **fields}, ProviderSpec)
    except msgspec.ValidationError as error:  # a lone str where a tuple belongs, above all
        raise InputTypeError(f"provider {provider!r}: {error}") from None


def check_id(model: object) -> None:
    """Raise InputTypeError or InputError where this cannot be a model id."""
    if not isinstance(model, str):
        raise InputTypeError(f"a model id is a str such as 'openai/gpt-4', not {type(model).__name__}")
    if len(model) > LONGEST_ID:
        raise InputError(f"the model id has {len(model):,} characters; was the prompt meant? it begins {model[:40]!r}")
    if not model.strip():
        raise InputError("the model id is empty; write for example 'openai/gpt-4' or 'local/smollm2'")
    if " " in model or not model.isprintable():  # zero-width and right-to-left marks too: they come with pasting
        raise InputError(f"the model id {model!r} has white space, or a character that does not show")
    if not {".", ".."}.isdisjoint(model.split("/")):  # in a URL's path they lead elsewhere, percent-encoded or not
        raise InputError(f"the model id {model!r} has a part that is a step in a path, and no name")
    if "//" in model or model.startswith("/") or (model.endswith("/") and "/" in model[:-1]):
        raise InputError(f"the model id {model!r} has an empty part")


PROVIDERS = ProviderTable()
"""The table that every ModelsAPI uses unless it is given its own."""


def register_provider(provider: ProviderSpec | str, **fields: Any) -> ProviderSpec:
    """Add a provider for the whole program, or replace the one of that name.

    ``register_provider("mine", base_url="https://host/v1", key_variables=("MINE_KEY",))`` makes ``mine/any-model``
    work over Chat Completions. Raises ConfigurationError where the name, an alias or the URL cannot be used.
    """
    return PROVIDERS.register(provider, **fields)
