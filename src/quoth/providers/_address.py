"""Where a call goes and with which key: the two are chosen together, so that no key reaches a foreign host.

The base URL comes from the call, else the settings, else the provider's variables, else its row; the key from
the call, else the settings, else its variables. To the provider's own URL, the row's, any of these keys may go.
To another URL goes only a key of the same source: else whoever sets ``OPENAI_BASE_URL`` would be sent the key that
a program keeps, and whoever calls with a ``base_url`` the one in the environment. A server on this machine needs
no key, and may be sent one that a caller gave.

A row's URL may leave parts open (``https://{resource}.openai.azure.com``), which variables fill. It stays the
provider's own as long as the end of its host stands in the row; where a variable says the whole host, that URL is the
variable's. So a variable that holds the whole URL of such a host (``AZURE_OPENAI_ENDPOINT``) is sent the key of a call
or of the settings too; but no base URL of these is sent the key of the environment.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from ..errors import ConfigurationError, MissingKeyError
from ._auth import KeySource, check_key, is_signed_token, read_key
from ._spec import ProviderSpec, Wire

if TYPE_CHECKING:
    from .credentials import Credentials

__all__ = [
    "Address",
    "Given",
    "chat_root",
    "check_base_url",
    "check_key",
    "fill",
    "find_address",
    "first_set",
    "host_of",
    "is_foreign",
    "is_loopback",
    "key_name",
    "url_in_force",
    "wants_credentials",
]

_URL = (
    r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9a-f:.]+\]|\w[\w.-]*)(?P<port>:\d{1,5})?"
    r"(?P<path>/[\w.~!$&'()*+,;=:@%{}/-]*)?"
)
_SCHEMES = ("https", "http", "local")


class Given(Struct, frozen=True, kw_only=True, gc=False):
    """What one source says of an address: a call, or the settings. Its repr hides the key."""

    api_key: KeySource | None = None
    base_url: str | None = None

    def __repr__(self) -> str:
        return f"Given(api_key={'...' if self.api_key else None}, base_url={self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("base_url", self.base_url)]


class Address(Struct, frozen=True, kw_only=True, gc=False):
    """A base URL and the key that may travel there (None: none is needed). Its repr hides the key."""

    base_url: str
    api_key: str | None
    token: bool = False
    """Whether that is an access token, in place of a key."""
    parts: Mapping[str, str] = {}
    """What stands for the names in braces of the wire's path, query and headers."""

    def __repr__(self) -> str:
        return f"Address({self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("base_url", self.base_url)]


class _Found(Struct, frozen=True, gc=False):
    """A value and who gave it: ``rank`` orders the sources, the call first; ``source`` names it in errors."""

    value: str
    rank: int
    source: str
    bare: bool = False
    """Whether it is a URL that stands for scheme and host only."""
    token: bool = False
    """Whether it is a token of a variable that holds one."""

    def __repr__(self) -> str:
        return f"_Found({self.source})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("source", self.source)]


_CALL, _SETTINGS, _VARIABLE, _ROW = range(4)


def find_address(
    spec: ProviderSpec,
    call: Given,
    settings: Given,
    environment: Mapping[str, str],
    wire: Wire | None = None,
    *,
    credentials: Credentials | None = None,
) -> Address:
    """The address of one call. Raises MissingKeyError, with the line that sets the key, or ConfigurationError.

    ``credentials`` stand in place of a key, and what they know of the address counts where no variable says otherwise.
    """
    wire = wire or spec.wire(spec.dialect)
    proving: dict[str, str] = {}
    if credentials is not None:
        environment = _with_known(spec, environment, credentials.parts)
        proving = {name: _needed(spec, name, environment, credentials.parts) for name in credentials.needs}
    url = _find_url(spec, wire, call, settings, environment)
    parts = {**proving, **(_parts(spec, _names_in(wire), environment) if spec.parts else {})}
    if credentials is not None:
        return Address(base_url=url.value, api_key=None, parts=parts)
    key = _find_key(spec, call, settings, environment)
    permitted = _permitted(spec, url, key)
    token = key is not None and spec.takes_tokens and (key.token or is_signed_token(key.value))
    return Address(base_url=url.value, api_key=permitted, token=token, parts=parts)


def wants_credentials(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> bool:
    """Whether a call is to be proved by credentials: its row has a source of them, and no key is given.

    They are the environment's, and go where its keys go: to no base URL of a call or of the settings.
    """
    if spec.credentials is None or call.api_key or settings.api_key:
        return False
    if first_set((*spec.token_variables, *spec.key_variables), environment):
        return False
    given = _given_url(spec, call, settings, environment)
    return given is None or given.rank == _VARIABLE


def _with_known(spec: ProviderSpec, environment: Mapping[str, str], known: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, with a part of the address where it says nothing of it itself and something else does."""
    added = {of[0]: known[name] for name, of in spec.parts if name in known and first_set(of, environment) is None}
    return ChainMap(added, cast("dict[str, str]", environment)) if added else environment  # only read


def _needed(spec: ProviderSpec, name: str, environment: Mapping[str, str], known: Mapping[str, str]) -> str:
    """A part that credentials need, be it in the address or not. Raises ConfigurationError where it is unknown."""
    variables = dict(spec.parts).get(name, ())
    if variables and first_set(variables, environment):
        return _parts(spec, [name], environment)[name]
    if name in known:
        return known[name]
    ways = f"export {variables[0]}=..." if variables else f"give the row parts=(({name!r}, (...)),)"
    raise ConfigurationError(
        f"{spec.name} needs to know the {name.replace('_', ' ')}, for which its credentials prove who calls: {ways}",
        provider=spec.name,
    )


def is_foreign(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> bool:
    """Whether a call goes to a host that is none of the provider's own, because somebody gave another base URL.

    Where the row's own wire and its Chat Completions have different roots, the one that was given tells first: a server
    of one's own, or a private deployment, speaks at any host what its path says.
    """
    given = _given_url(spec, call, settings, environment)
    if given is None:
        return False
    if (told := _is_at_chat(spec, _path_of(given.value))) is not None:
        return told
    return _origin(given.value) != _origin(spec.base_url) and not _is_own(spec, given.value)


def _is_at_chat(spec: ProviderSpec, path: str) -> bool | None:
    """Whether a root is that of the row's Chat Completions, and not of its own wire; None where that cannot be told."""
    root = chat_root(spec)
    if root is None:
        return None
    if path.endswith(root):
        return True
    return False if path == _path_of(spec.base_url) or is_loopback(spec.base_url) else None


def chat_root(spec: ProviderSpec) -> str | None:
    """The root of the row's Chat Completions, where its own wire has another one."""
    roots = [_path_of(each.base_url) for each in spec.endpoints if each.dialect == "openai_chat" and each.base_url]
    return roots[0] if roots and roots[0] != _path_of(spec.base_url) else None


def url_in_force(spec: ProviderSpec, settings: Given, environment: Mapping[str, str]) -> str:
    """Where a call goes that names no URL itself. Raises ConfigurationError where that cannot be said."""
    return _find_url(spec, spec.wire(spec.dialect), Given(), settings, environment).value


def _find_url(spec: ProviderSpec, wire: Wire, call: Given, settings: Given, environment: Mapping[str, str]) -> _Found:
    given = _given_url(spec, call, settings, environment)
    if given is None:
        return _own_url(spec, wire, environment)
    own = _path_of(wire.base_url)
    if given.bare or (given.rank != _CALL and own != _path_of(spec.base_url) and _is_own(spec, given.value)):
        path = fill(own, _parts(spec, _braces(own), environment))  # each wire keeps its own path there
        return _Found(_origin(given.value) + path, given.rank, given.source)
    root = chat_root(spec)
    if root is not None and wire.dialect == spec.dialect:  # the row's own wire, or its list of models
        return _Found(given.value.removesuffix(root), given.rank, given.source)
    return given


def _given_url(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> _Found | None:
    if call.base_url:
        return _Found(call.base_url, _CALL, "base_url")  # checked with the call's other options
    if settings.base_url:
        return _Found(settings.base_url, _SETTINGS, f"base_urls[{spec.name!r}] of the settings")  # checked there
    if variable := first_set(spec.base_url_variables, environment):
        source = f"the environment variable {variable}"
        url = check_base_url(_relocated(spec, environment[variable].strip()), source)
        return _Found(url, _VARIABLE, source, bare=variable in spec.root_variables and url == _origin(url))
    return None


def _is_own(spec: ProviderSpec, url: str) -> bool:
    from ._urls import is_own_host

    return is_own_host(spec, url)


def _is_surely_own(spec: ProviderSpec, url: str) -> bool:
    """Whether a URL leads to a host whose end at least stands in the row, so that nobody else can be there."""
    from ._urls import is_own_host, own_hosts

    return is_own_host(spec, url) and all(_ends_in_row(f"//{host}") for host in own_hosts(spec))


def _own_url(spec: ProviderSpec, wire: Wire, environment: Mapping[str, str]) -> _Found:
    """The row's own URL, its open parts filled in."""
    if "{" not in wire.base_url:
        return _Found(wire.base_url, _ROW, "")
    names = _braces(wire.base_url)
    filled = fill(wire.base_url, _parts(spec, names, environment))
    variables = [first_set(of, environment) for name, of in spec.parts if name in names]
    source = f"the environment variable {', '.join(filter(None, variables))}"
    rank = _ROW if _ends_in_row(_origin(wire.base_url)) else _VARIABLE
    return _Found(check_base_url(_relocated(spec, filled), source), rank, source)


def _ends_in_row(origin: str) -> bool:
    """Whether the end of a host, two whole labels at least, stands in the row: no variable leads elsewhere then."""
    return re.search(r"[./][a-z0-9-]+\.[a-z0-9-]+(:\d+)?$", origin) is not None


def _relocated(spec: ProviderSpec, url: str) -> str:
    if spec.relocate is None:
        return url
    from ._rewrites import LOCATIONS

    return LOCATIONS[spec.relocate](url)


_OPEN_PART = r"{(\w+)}"
_PART = r"[A-Za-z0-9][A-Za-z0-9._:-]*"


def _parts(spec: ProviderSpec, names: Collection[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What variables hold for these names in braces. Raises ConfigurationError, naming the variable that is missing."""
    known = dict(spec.parts)
    found = {}
    for name in names:
        variables = known.get(name, ())
        variable = first_set(variables, environment)
        if variable is None:
            raise _missing_part(spec, name, variables)
        value = environment[variable].strip()
        if not re.fullmatch(_PART, value):
            raise ConfigurationError(
                f"{spec.name}: the environment variable {variable} is no {name.replace('_', ' ')}: it holds more than "
                "letters, digits, '.', '_', ':' and '-'"
            )
        found[name] = value
    return found


def _missing_part(spec: ProviderSpec, name: str, variables: tuple[str, ...]) -> ConfigurationError:
    ways = [f"export {variable}=..." for variable in variables[:1]]
    if name in _braces(spec.base_url):  # a base URL of the caller's own leaves nothing open there
        ways += [f"export {variable}=https://..." for variable in spec.base_url_variables[:1]]
        ways += ["pass base_url=..."]
    return ConfigurationError(
        f"{spec.name} needs to know the {name.replace('_', ' ')}, which its address leaves open: {'; or '.join(ways)}",
        provider=spec.name,
    )


def fill(text: str, parts: Mapping[str, str]) -> str:
    """The text with each name in braces replaced by what stands for it."""
    return re.sub(_OPEN_PART, lambda match: parts[match[1]], text) if "{" in text else text


def _braces(*texts: str) -> list[str]:
    return [name for text in texts for name in re.findall(_OPEN_PART, text)]


def _names_in(wire: Wire) -> list[str]:
    """The names in braces of a wire's path, query and headers but ``model``, which no variable holds."""
    texts = [wire.path, *[value for _, value in (*wire.query, *wire.headers)]]
    return [name for name in _braces(*texts) if name != "model"]


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _path_of(url: str) -> str:
    return url.removeprefix(_origin(url))


def _find_key(spec: ProviderSpec, call: Given, settings: Given, environment: Mapping[str, str]) -> _Found | None:
    if call.api_key is not None:
        return _Found(read_key(call.api_key, "api_key"), _CALL, "api_key")
    if settings.api_key is not None:
        source = key_name(spec)
        return _Found(read_key(settings.api_key, source), _SETTINGS, source)
    if variable := first_set((*spec.token_variables, *spec.key_variables), environment):
        source = f"the environment variable {variable}"
        token = variable in spec.token_variables
        return _Found(check_key(environment[variable], source), _VARIABLE, source, token=token)
    return None


def key_name(spec: ProviderSpec) -> str:
    """What errors call the key that the settings hold for a provider."""
    return f"api_keys[{spec.name!r}] of the settings"


def _permitted(spec: ProviderSpec, url: _Found, key: _Found | None) -> str | None:
    """The key that may go to this URL; None where none is needed. Raises MissingKeyError."""
    if key is not None and (url.rank in (key.rank, _ROW) or (key.rank < url.rank and _is_surely_own(spec, url.value))):
        return key.value
    if is_loopback(url.value) or not spec.key_variables:
        return key.value if key is not None and key.rank < url.rank else None
    if key is not None and key.rank < url.rank:
        raise MissingKeyError(
            f"{spec.name}: {key.source} is not sent to {url.value}, which {url.source} names: give both together "
            "(base_url= beside api_key=), or neither",
            provider=spec.name,
        )
    if spec.key_optional:
        return None
    if url.rank in (_VARIABLE, _ROW):
        raise _missing(spec)
    raise MissingKeyError(
        f"{spec.name}: the base URL {url.value} was given without a key; give its own with api_key=..., "
        f"because the key of {spec.name} is not sent to another host",
        provider=spec.name,
    )


def _missing(spec: ProviderSpec) -> MissingKeyError:
    hint = f" ({spec.hint})" if spec.hint else ""
    return MissingKeyError(
        f"{spec.name} needs a key: export {spec.key_variables[0]}=...{hint}; or pass api_key=...; "
        "or use the embedded model, which needs none: models('local/smollm2', ...)",
        provider=spec.name,
    )


def first_set(variables: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """The first of these variables that holds more than white space."""
    for name in variables:
        if environment.get(name, "").strip():
            return name
    return None


def check_base_url(url: str, source: str) -> str:
    """The URL in its plain form: scheme and host in lower case, no slash at its end.

    Raises ConfigurationError, naming ``source``, where it is none, or would send a key readable: plain ``http``
    is for servers on this machine.
    """
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    plain = f"{scheme.lower()}://{host.lower()}{slash}{path}".rstrip("/")
    match = re.fullmatch(_URL, plain)
    if match is None or match["scheme"] not in _SCHEMES or not 0 < int((match["port"] or ":1")[1:]) < 65536:
        raise ConfigurationError(
            f"{source} is no base URL{_shown(url)}; expected https://host[:port]/path, without user or query"
        )
    if match["scheme"] == "http" and not is_loopback(plain):
        raise ConfigurationError(f"{source} is plain http to another machine: {plain!r}; use https")
    return plain


def _shown(url: str) -> str:
    """A URL for an error; not where it may hold a password or a token."""
    return "" if any(mark in url for mark in "@?#") else f": {url[:200]!r}"


def host_of(url: str) -> str:
    """The host of a plain base URL, without its port."""
    where = url.partition("://")[2].partition("/")[0]
    return where[: where.find("]") + 1] if where.startswith("[") else where.partition(":")[0]


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by name or number."""
    host = host_of(url)
    if host in ("localhost", "[::1]"):
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(map(_is_byte, parts))


def _is_byte(text: str) -> bool:
    """Whether this is a part of an IPv4 address; digits of other scripts make it a name, that may be anybody's."""
    return text.isascii() and text.isdecimal() and len(text) < 4 and int(text) < 256
