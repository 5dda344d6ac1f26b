"""Settings, and every environment variable in one table.

What a call says wins over the settings of its ModelsAPI, these over the environment, that over defaults.
The environment is read when a call needs it, never on import.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import msgspec
from msgspec import Struct

from ._scope import check_tags
from .errors import ConfigurationError, InputError, InputTypeError
from .providers._address import check_base_url
from .providers._auth import KeySource, as_source
from .transport import AsyncTransport, Transport
from .types import RetryPolicy

if TYPE_CHECKING:
    from ._database import Place
    from .transport._config import HTTPSettings

__all__ = [
    "DEFAULT_TIMEOUT",
    "SHARED_VARIABLES",
    "VARIABLES",
    "Settings",
    "SettingsOptions",
    "as_policy",
    "configured",
    "flag",
    "is_offline",
    "ledger_place",
    "metrics_folder",
    "named",
    "policy_of",
    "timeout_of",
    "variable",
]

DEFAULT_TIMEOUT = 600.0
"""Seconds for one call, retries included, where nobody says otherwise; the official SDKs' default too."""

LONGEST_TIMEOUT = 1e9

Named = TypeVar("Named")

VARIABLES: dict[str, str] = {
    "QUOTH_MODEL": "the model that the command uses when none is named",
    "QUOTH_TIMEOUT": "seconds that one call may take in all (600)",
    "QUOTH_OFFLINE": "1: refuse everything that would use the network; the embedded model still answers",
    "QUOTH_PRICES": "your own prices: inline JSON, or a path (or several) to JSON or TOML files",
    "QUOTH_LEDGER": "where every call is recorded: the path of a SQLite file, sqlite:///path, or postgresql://...",
    "QUOTH_METRICS_DIR": "a folder where processes put their metrics, so that each can tell those of all",
    "QUOTH_LOCAL_GGUF": "a path to other weights for the embedded model, in GGUF form",
    "QUOTH_LOCAL_THREADS": "threads that the embedded model computes with (1)",
}
"""The variables of quoth's own. The keys and base URLs of providers stand in their rows."""

SHARED_VARIABLES: dict[str, str] = {
    "HTTPS_PROXY": "the proxy for https, as a URL; also in lower case, which wins",
    "HTTP_PROXY": "the proxy for http; not read where REQUEST_METHOD is set, for there a client could set it",
    "ALL_PROXY": "the proxy for what neither of them names",
    "NO_PROXY": "hosts that are reached without a proxy, separated by commas",
    "TIKTOKEN_CACHE_DIR": "where tiktoken keeps its words: with both there, models.estimate counts tokens exactly",
    "XDG_STATE_HOME": "where programs keep their state: a ledger in PostgreSQL spills there (~/.local/state)",
    "SSL_CERT_FILE": "certificates to trust, as OpenSSL reads them",
    "SSL_CERT_DIR": "a directory of them",
    "SSLKEYLOGFILE": "Python's ssl writes the secrets of connections there, for who debugs them: leave it unset",
}
"""Variables that programs share, and quoth's transports read too."""


class Settings(Struct, frozen=True, kw_only=True):
    """What one ModelsAPI was told; what is None falls to the environment, then to the default.

    ``api_keys`` (each a str, a Secret, an EnvironmentKey or a function) and ``base_urls`` are by provider name.
    ``tags`` are those of every call. ``prices`` is what QUOTH_PRICES may hold. ``offline`` refuses the network, as
    QUOTH_OFFLINE does; either is enough. ``retries``, a number or a RetryPolicy, is for calls that say nothing of it.
    ``transport`` and ``async_transport`` carry every request to a network in place of quoth's own. Raises InputError,
    naming the setting, for a value that cannot be used. Shows no key.
    """

    timeout: float | None = None
    api_keys: Mapping[str, KeySource] = msgspec.field(default_factory=dict)
    base_urls: Mapping[str, str] = msgspec.field(default_factory=dict)
    prices: str | None = None
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)
    offline: bool = False
    retries: int | RetryPolicy | None = None
    transport: Transport | None = None
    async_transport: AsyncTransport | None = None
    ledger: str | None = None
    """Where every call is recorded, as QUOTH_LEDGER has it; a path may be a Path too."""
    metrics_dir: str | None = None
    """Where processes put their metrics, as QUOTH_METRICS_DIR has it; it may be a Path too."""
    http: HTTPSettings | None = None
    """Of quoth's own transports: proxies, certificates, caps; see ``quoth.transport.http``."""

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None:
                msgspec.structs.force_setattr(self, name, check(name, value))

    def __repr__(self) -> str:
        shown = ", ".join([f"{name}={value}" for name, value in self.__rich_repr__()])
        return f"Settings({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        named = [("api_keys", sorted(self.api_keys)), ("base_urls", dict(self.base_urls))]
        more = [(name, value) for name in ("tags", "offline") if (value := getattr(self, name))]
        return [("timeout", self.timeout), *named, *more]


class SettingsOptions(TypedDict, total=False):
    """What ``models.configure`` takes by keyword: the fields of ``Settings``, where None takes back."""

    timeout: float | None
    api_keys: Mapping[str, KeySource | None] | None
    base_urls: Mapping[str, str | None] | None
    prices: str | None
    tags: Mapping[str, str | None] | None
    offline: bool | None
    retries: int | RetryPolicy | None
    transport: Transport | None
    async_transport: AsyncTransport | None
    ledger: str | os.PathLike[str] | None
    metrics_dir: str | os.PathLike[str] | None
    http: HTTPSettings | None


_MERGED = ("api_keys", "base_urls", "tags")
"""Settings that hold one value a name: what is configured is put over what was there."""


def configured(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """New settings: these with the changes over them. None takes back a setting, or one name of a mapping.

    Raises InputTypeError for a name that is no setting, and what ``Settings`` raises.
    """
    fields = {name: getattr(settings, name) for name in Settings.__struct_fields__}
    for name, value in changes.items():
        if name not in fields:
            raise _no_such(name)
        if value is None:
            del fields[name]
        elif name in _MERGED and isinstance(value, Mapping):
            merged = {**fields[name], **_named_alike(value, fields[name], name)}
            fields[name] = {key: each for key, each in merged.items() if each is not None}
        else:
            fields[name] = value
    return Settings(**fields)


def _named_alike(changes: Mapping[Any, Any], old: Mapping[str, Any], name: str) -> dict[Any, Any]:
    """The changes under the names that the old mapping uses: providers are named in any case, tags exactly."""
    if name == "tags":
        return dict(changes)
    spelled = {key.lower(): key for key in old}
    return {spelled.get(key.lower(), key) if isinstance(key, str) else key: each for key, each in changes.items()}


def _no_such(name: str) -> InputTypeError:
    from ._catalog import closest

    near = closest(name, Settings.__struct_fields__)
    meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(Settings.__struct_fields__)}"
    return InputTypeError(f"there is no setting {name!r}: {meant}")


def _seconds(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= LONGEST_TIMEOUT:
        raise ConfigurationError(f"the setting {name} must be seconds above 0, not {value!r:.80}")
    return float(value)


def _by_provider(check: Callable[[object, str], Any]) -> Callable[[str, Any], dict[str, Any]]:
    def checked(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ConfigurationError(
                f"the setting {name} is keyed by provider, {name}={{'openai': ...}}, and this is not: "
                f"a {type(value).__name__}"
            )
        return {key: check(each, f"{name}[{key!r}] of the settings") for key, each in value.items()}

    return checked


def _key(value: object, name: str) -> KeySource:
    try:
        return as_source(value, name)
    except InputTypeError as error:
        raise ConfigurationError(error.message) from None


def _base_url(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
    return check_base_url(value, name)


def _prices(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"the setting {name} is JSON as a str, or a path, not {type(value).__name__}")
    return value


def _offline(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"the setting {name} is True or False, not {value!r:.80}")
    return value


def _retries(name: str, value: Any) -> RetryPolicy:
    return as_policy(f"the setting {name}", value)


def _transport(name: str, value: Any) -> Any:
    if not callable(getattr(value, "open", None)) or not callable(getattr(value, "close", None)):
        raise ConfigurationError(f"the setting {name} needs the methods open and close: {type(value).__name__}")
    return value


def _http(name: str, value: Any) -> HTTPSettings:
    from .transport._config import HTTPSettings

    if not isinstance(value, HTTPSettings):
        raise ConfigurationError(f"the setting {name} is an HTTPSettings, not {type(value).__name__}")
    return value


def _ledger(name: str, value: Any) -> str:
    from ._database import place_of

    text = _path(name, value, "a path or a URL")
    place_of(text, f"the setting {name}")
    return text


def _path(name: str, value: Any, what: str = "a path") -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigurationError(f"the setting {name} is {what}, not {type(value).__name__}")
    text = os.fspath(value)
    if not isinstance(text, str):
        raise ConfigurationError(f"the setting {name} is a path of text, not of bytes")
    if not text:
        raise ConfigurationError(f"the setting {name} is {what}, and this one is empty")
    return text


def metrics_folder(settings: Settings) -> str | None:
    """Where processes put their metrics: as the settings say, else QUOTH_METRICS_DIR; None where neither does."""
    return settings.metrics_dir or variable("QUOTH_METRICS_DIR")


def ledger_place(settings: Settings) -> Place | None:
    """Where calls are recorded: as the settings say, else QUOTH_LEDGER; None where neither does."""
    text, name = settings.ledger, "the setting ledger"
    if text is None:
        text, name = variable("QUOTH_LEDGER"), "QUOTH_LEDGER"
    if text is None:
        return None
    from ._database import place_of

    return place_of(text, name)


def _tags(name: str, value: Any) -> dict[str, str]:
    return check_tags(f"the setting {name}", value)


def as_policy(name: str, value: Any) -> RetryPolicy:
    """The retries as a policy: a number is that many, under the default rules. Raises InputError, naming ``name``."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = RetryPolicy(retries=value)
    if not isinstance(value, RetryPolicy):
        raise InputTypeError(f"{name} must be an int or a RetryPolicy, not {type(value).__name__}")
    for field in RetryPolicy.__struct_fields__:
        given: object = getattr(value, field)  # a Struct takes any value
        kinds = int if field in _COUNTS else (int, float)
        if isinstance(given, bool) or not isinstance(given, kinds) or not 0 <= given <= MOST:
            raise InputError(f"{name}: {field} must be a number from 0 to {MOST:,}, not {given!r:.80}")
    return value


MOST = 1_000_000
"""The largest number that a RetryPolicy may hold."""
_COUNTS = ("retries", "retries_if_billed")
"""Its fields that are whole numbers."""

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "timeout": _seconds,
    "api_keys": _by_provider(_key),
    "base_urls": _by_provider(_base_url),
    "prices": _prices,
    "tags": _tags,
    "offline": _offline,
    "retries": _retries,
    "transport": _transport,
    "async_transport": _transport,
    "ledger": _ledger,
    "metrics_dir": _path,
    "http": _http,
}
"""What checks each setting and gives it as it is kept: mappings are copied, keys become Secrets."""


def named(values: Mapping[str, Named], names: Iterable[str]) -> Named | None:
    """The value under the first of these names that a mapping has, in any case: settings may name as ids do."""
    if not values:
        return None
    for name in names:
        if name in values:
            return values[name]
    lowered = {name.lower(): value for name, value in values.items()}
    return next((lowered[name] for name in names if name in lowered), None)


def variable(name: str) -> str | None:
    """The variable's value without white space around it, or None where it is unset or empty."""
    return os.environ.get(name, "").strip() or None


def flag(name: str) -> bool:
    """Whether the variable says yes; raise ConfigurationError where it says neither yes nor no."""
    value = (variable(name) or "0").lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise ConfigurationError(f"the environment variable {name} is {value!r}; expected 1 or 0")


def is_offline(settings: Settings) -> bool:
    """Whether the settings or QUOTH_OFFLINE forbid the network."""
    return settings.offline or flag("QUOTH_OFFLINE")


def policy_of(settings: Settings) -> RetryPolicy | None:
    """The retries that the settings say, if they do."""
    return cast("RetryPolicy | None", settings.retries)  # checked when they were made


def timeout_of(settings: Settings) -> float:
    """The seconds that a call may take where it says nothing itself."""
    if settings.timeout is not None:
        return settings.timeout
    text = variable("QUOTH_TIMEOUT")
    if text is None:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"the environment variable QUOTH_TIMEOUT is {text!r}; expected seconds above 0")
    return seconds
