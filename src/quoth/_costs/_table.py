"""The built-in prices: a text of one line a model, read at the first use; a line is understood when it is asked for.

Text and not a module, so that it loads in a fraction of a millisecond also where Python may write no byte code.
``tools/build_prices.py`` writes it and says how it is laid out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from ._plans import RateSet, Row

__all__ = ["Table", "names_of", "table"]

_SNAPSHOT = r"(?:-20\d\d-[01]\d-[0-3]\d|[-@]20\d\d[01]\d[0-3]\d)$"


class Table(Struct, frozen=True, kw_only=True):
    """``body`` holds aliases and rows in order, not yet understood; ``free`` by namespace, ``withheld`` by id say why.

    ``billed`` are ends of ids, by namespace, that cost something although their namespace is free. ``moving`` are ids
    that are given to another model now and then.
    """

    as_of: str
    sources: Mapping[str, str]
    free: Mapping[str, str]
    billed: Mapping[str, str]
    withheld: Mapping[str, str]
    moving: Mapping[str, str]
    body: bytes

    def row(self, id: str) -> Row | None:
        """The row of exactly this id."""
        columns = self._find(f"{id}\t")
        return None if columns is None else _row(id, columns, self.as_of, moving=id in self.moving)

    def alias(self, id: str) -> str | None:
        """The id that another one stands for."""
        return self._find(f"@alias\t{id}\t")

    def ids(self) -> list[str]:
        """All ids that have a row."""
        return [line.partition("\t")[0] for line in self.body.decode().splitlines() if not line.startswith("@")]

    def aliases(self) -> dict[str, str]:
        """All aliases, and what each stands for."""
        pairs = [line.split("\t") for line in self.body.decode().splitlines() if line.startswith("@")]
        return {alias: row for _, alias, row in pairs}

    def _find(self, start: str) -> str | None:
        """What follows in the line that starts so: a search by halves, for lines are in order."""
        wanted, body = start.encode("utf-8", "replace"), self.body
        low, high = 0, len(body)
        while low < high:
            middle = body.rfind(b"\n", low, (low + high) // 2) + 1 or low  # where the line in the middle begins
            if body[middle : middle + len(wanted)] < wanted:
                low = body.index(b"\n", middle) + 1
            else:
                high = middle
        if not body.startswith(wanted, low):
            return None
        return body[low + len(wanted) : body.index(b"\n", low)].decode()


_kept: list[Table] = []


def table() -> Table:
    """The table; it is read once."""
    if not _kept:
        _kept.append(_parse(_read()))  # who races here reads it twice, and both have read the same
    return _kept[0]


def _read() -> bytes:
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "prices.txt")  # noqa: PTH118, PTH120
    get_data = getattr(__spec__.loader, "get_data", None)  # also out of a zip file
    if get_data is None:
        with open(path, "rb") as file:  # noqa: PTH123  # importing pathlib takes 3 ms
            return file.read()
    text: bytes = get_data(path)
    return text


_SECTIONS = ("as_of", "source", "free", "billed", "withheld", "moving")


def _parse(text: bytes) -> Table:
    """Read ``# comment`` and ``@section<TAB>key<TAB>value``, which come first, and keep the rest for later."""
    if text[: text.index(b"\n")].endswith(b"\r"):  # a checkout may have given it the line ends of Windows
        text = text.replace(b"\r\n", b"\n")
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    place = 0
    while text[place : place + 1] in (b"#", b"@") and not text.startswith(b"@alias", place):
        end = text.index(b"\n", place)
        if text[place] == ord("@"):
            section, key, value = text[place + 1 : end].decode().split("\t")
            sections[section][key] = value
        place = end + 1
    return Table(
        as_of=next(iter(sections["as_of"])),
        sources=sections["source"],
        free=sections["free"],
        billed=sections["billed"],
        withheld=sections["withheld"],
        moving=sections["moving"],
        body=text[place:],
    )


def _row(id: str, columns: str, as_of: str, *, moving: bool) -> Row:
    """Read ``sources<TAB>disputes<TAB>multipliers<TAB>set|set``; a set is ``mode;since;window;above;source;rates``."""
    agreeing, disputes, multipliers, sets = columns.split("\t")
    stated = [_set(text) for text in sets.split("|")]
    fees = {each.since: _fees(each) for each in stated if (each.mode, each.window, each.above) == ("standard", "", 0)}
    complete = [replace(each, rates={**fees[each.since], **each.rates}) if each.rates else each for each in stated]
    return Row(
        id=id,
        source=f"built-in table ({agreeing})",
        kind="estimate" if moving else "computed",
        as_of=as_of,
        multipliers=_pairs(multipliers),
        disputed=tuple(disputes.split("; ")) if disputes else (),
        sets=tuple(complete),
    )


def _fees(listed: RateSet) -> dict[str, str]:
    """What is taken by the piece stands once a period: it varies neither with the tier nor with the size."""
    return {field: rate for field, rate in listed.rates.items() if field.endswith("_per_1000")}


def _set(text: str) -> RateSet:
    mode, since, window, above, source, rates = text.split(";")
    return RateSet(mode, since, window, int(above or 0), f"built-in table ({source})" if source else "", _pairs(rates))


def _pairs(text: str) -> dict[str, str]:
    """Read ``input=2 output=10``."""
    words = [word.partition("=") for word in text.split()]
    return {field: rate for field, _, rate in words}


def names_of(id: str) -> Iterator[str]:
    """Under which names to look for an id, best first: itself, its alias, and both without a trailing date."""
    for name in dict.fromkeys((id, re.sub(_SNAPSHOT, "", id))):
        yield name
        alias = table().alias(name)
        if alias is not None:
            yield alias
