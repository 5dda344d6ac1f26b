"""ProviderSpec: everything that depends on who is spoken to, as one row of data."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from ..wire import Headers, Quirks

__all__ = [
    "PATHS",
    "SHORT_NAMES",
    "CheckLevel",
    "Confidence",
    "EmbeddingEndpoint",
    "Endpoint",
    "MediaLimits",
    "ProviderSpec",
    "Query",
    "Quirks",
    "Wire",
]

Confidence: TypeAlias = Literal["recorded", "two_sources", "one_source"]
"""What a row rests on: recorded traffic of its host, two independent packages that agree, or one."""

CheckLevel: TypeAlias = Literal["warn", "strict", "off"]
"""What to do about what the row or the catalog knows to be refused."""

SHORT_NAMES = {"chat": "openai_chat", "messages": "anthropic_messages", "responses": "openai_responses"}
"""What a caller may say in place of a dialect's name."""

Query: TypeAlias = tuple[tuple[str, str], ...]

PATHS = {
    "anthropic_messages": "/v1/messages",
    "bedrock_converse": "/model/{model}/converse",
    "bedrock_invoke": "/model/{model}/invoke",
    "cohere_chat": "/v2/chat",
    "gemini": "/v1beta/models/{model}:generateContent",
    "ollama_chat": "/api/chat",
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
}
"""Where each wire is behind a base URL, unless a row says otherwise."""


class Endpoint(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """A further wire of a provider. What is None here is as in its row."""

    dialect: str
    base_url: str | None = None
    path: str | None = None
    """What follows the base URL; None: the usual path of the wire."""
    query: Query = ()
    """Sent with every request, and so are the headers."""
    headers: Headers = ()
    auth_header: str | None = None
    auth_prefix: str | None = None
    quirks: Quirks | None = None
    rewrite: str | None = None
    """The function of ``_rewrites.py`` that changes each request; None: none does."""


class EmbeddingEndpoint(Endpoint, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """Where a provider embeds: ``dialect`` is the name of a format of ``dialects/embeddings``; its path, if None."""

    models: tuple[str, ...] = ()
    """Parts of the ids that it is for; empty for all that no other is for."""
    most_texts: int = 256
    """How many texts one request may have; unless a source says more, a number that servers take."""
    most_tokens: int | None = None
    """How many tokens they may have together."""
    base64: bool = False
    """Whether it sends vectors as base64, which is a third of the size, where it is asked to."""


class Wire(Struct, frozen=True, kw_only=True, gc=False):
    """One wire of a provider with all that it needs; ``Endpoint`` and ``ProviderSpec`` say what the fields are."""

    dialect: str
    base_url: str
    path: str
    query: Query
    headers: Headers
    auth_header: str
    auth_prefix: str
    quirks: Quirks
    rewrite: str | None


class MediaLimits(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """How much a provider takes in one request, as it documents it. Sizes are in bytes, of media before base64."""

    request: int | None = None
    """The whole body."""
    image: int | None = None
    images: int | None = None
    document: int | None = None
    documents: int | None = None


class ProviderSpec(Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """One provider. Adding one that speaks a known dialect is adding a row.

    ``base_url``, ``path``, ``query`` and ``headers`` may name the ``parts`` in braces, here and in ``endpoints``; and a
    path ``{model}``.
    """

    name: str
    """Canonical, lower case: the first part of ``provider/model``."""
    base_url: str
    """What a request's path is appended to; no slash at the end."""
    display_name: str = ""
    dialect: str = "openai_chat"
    """The wire that is spoken unless a call, a foreign base URL or the model says otherwise."""
    endpoints: tuple[Endpoint, ...] = ()
    """The other wires that it speaks."""
    foreign_dialect: str = "openai_chat"
    """The wire that is spoken at a foreign base URL, where it is one of these: what others understand too."""
    embeddings: tuple[EmbeddingEndpoint, ...] | None = ()
    """Where it embeds, for its models in turn. Empty: nobody says, and OpenAI's format is tried where it speaks one of
    OpenAI's wires. None: nowhere."""
    embeds_only: bool = False
    """Whether its models embed, and none answers."""
    aliases: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold the key; the first that is set wins. None: no key is needed."""
    token_variables: tuple[str, ...] = ()
    """Environment variables that may hold an access token in place of a key; they come before those of keys."""
    takes_tokens: bool = False
    """It takes a signed access token (``eyJ...``) wherever a key may be given, as ``authorization: Bearer ...``."""
    credentials: str | None = None
    """The source of credentials (``aws``, ``google``; see ``quoth.providers.credentials``) that is asked where there is
    no key; None: none is."""
    credentials_service: str = ""
    """The service for which AWS credentials sign."""
    key_optional: bool = False
    """It answers without a key, but takes one: a server of one's own."""
    base_url_variables: tuple[str, ...] = ()
    """Environment variables that may replace ``base_url``; the first that is set wins."""
    root_variables: tuple[str, ...] = ()
    """Those of them that usually hold no path: the path of the wire's own base URL is put behind such a value."""
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What stands for each name in braces: environment variables, of which the first that is set wins."""
    relocate: str | None = None
    """The function of ``_rewrites.py`` that changes a base URL of the row or of a variable; None: none does."""
    hosts: tuple[str, ...] = ()
    """Hosts that are its own, beside those of its base URLs."""
    path: str | None = None
    """What follows the base URL; None: the usual path of the wire."""
    query: Query = ()
    """Always sent, as are the headers."""
    headers: Headers = ()
    auth_header: str = "authorization"
    auth_prefix: str = "Bearer "
    rewrite: str | None = None
    """The function of ``_rewrites.py`` that changes each request; None: none does."""
    limits: MediaLimits | None = None
    model_prefixes: tuple[str, ...] = ()
    """Beginnings of bare model ids that are this provider's own (``gpt-``)."""
    model_wires: tuple[tuple[str, str], ...] = ()
    """Beginnings of its ids that answer on one wire only, each with that wire."""
    reasons_with_tools_on_responses: tuple[str, ...] = ()
    """Beginnings of its ids that take function tools together with a reasoning effort on Responses only."""
    fixed_temperature: bool = False
    """Its models that reason take no temperature but their own."""
    models_path: str | None = "/models"
    """Where it says which models it has, behind the base URL; None where nowhere."""
    default_model: str | None = None
    """What the command uses when it has this provider's key and no model was named."""
    quirks: Quirks = Quirks()
    price_namespace: str | None = None
    """The provider's name in the price table, where it differs from ``name``."""
    priced_as_asked: bool = False
    """The id that was asked for says the price, whatever model the answer names: it also says where it is served."""
    region_part: str | None = None
    """The name in braces of its base URL that says where answers are made, where these do not say it themselves."""
    reported_cost: str | None = None
    """Where an answer's body states its own cost, as a path (``usage.cost``)."""
    reported_cost_units: int = 1
    """How many of the units of ``reported_cost`` make a US dollar."""
    otel_name: str | None = None
    """The value of ``gen_ai.provider.name``, where it differs from ``name``."""
    confidence: Confidence | None = None
    """What the row rests on; None for a row of the user's own."""
    hint: str = ""
    """What to do when its key is missing, beside the ``export`` line."""
    note: str = ""
    """What one has to know before using it, for the page of providers."""

    @property
    def prices(self) -> str:
        """The provider's name in the price table."""
        return self.price_namespace or self.name

    @property
    def telemetry_name(self) -> str:
        """The value of ``gen_ai.provider.name``."""
        return self.otel_name or self.name

    @property
    def dialects(self) -> tuple[str, ...]:
        """The wires that it speaks, the usual one first."""
        return (self.dialect, *[endpoint.dialect for endpoint in self.endpoints])

    def wire(self, dialect: str) -> Wire:
        """One of its wires. Raises KeyError where it does not speak it."""
        own = next((each for each in self.endpoints if each.dialect == dialect), None)
        if own is None and dialect != self.dialect:
            raise KeyError(dialect)
        return self.joined(dialect, own or self, PATHS.get(dialect, ""))

    def joined(self, dialect: str, there: ProviderSpec | Endpoint, path: str) -> Wire:
        """A wire that is spoken there, at ``path`` where that says no other; what it leaves open is as in the row."""
        return Wire(
            dialect=dialect,
            base_url=there.base_url or self.base_url,
            path=there.path or path,
            query=there.query,
            headers=there.headers,
            auth_header=there.auth_header or self.auth_header,
            auth_prefix=self.auth_prefix if there.auth_prefix is None else there.auth_prefix,
            quirks=there.quirks or self.quirks,
            rewrite=there.rewrite,
        )
