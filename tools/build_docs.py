"""Write the generated parts of docs/configuration.md: what stands between its marks comes from the tables.

::

    python tools/build_docs.py            # write
    python tools/build_docs.py --check    # fail where the page is out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))  # this checkout's tables, whatever is installed

from quoth._settings import SHARED_VARIABLES, VARIABLES  # noqa: E402  # the path comes first
from quoth.providers._registry import ROWS  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"


def variables() -> str:
    """The variables that quoth itself reads."""
    return _table(("variable", "meaning"), [(f"`{name}`", meaning) for name, meaning in VARIABLES.items()])


def shared() -> str:
    """The variables that other programs read too."""
    return _table(("variable", "meaning"), [(f"`{name}`", meaning) for name, meaning in SHARED_VARIABLES.items()])


def providers() -> str:
    """The variables that each provider's row reads, the first that is set first."""
    rows = [
        (f"`{row.name}`", _names(row.key_variables), _names(row.base_url_variables), f"`{row.base_url}`")
        for row in ROWS
    ]
    return _table(("provider", "key", "base URL", "its own base URL"), rows)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def filled(text: str, parts: Mapping[str, str]) -> str:
    """The text with each part between its marks. Raises ValueError where a mark is missing."""
    for name, part in parts.items():
        begin, end = f"<!-- {name}: written by tools/build_docs.py -->", f"<!-- end of {name} -->"
        found = re.findall(f"{re.escape(begin)}.*?{re.escape(end)}", text, flags=re.DOTALL)
        if len(found) != 1:
            raise ValueError(f"the page must have the marks of {name} once, and has them {len(found)} times")
        text = text.replace(found[0], f"{begin}\n{part}\n{end}")
    return text


def pages() -> dict[Path, str]:
    """Each page and the text that it should have."""
    parts = {"variables": variables(), "shared": shared(), "providers": providers()}
    return {PAGE: filled(PAGE.read_text("utf-8"), parts)}


def main() -> int:
    late = [path for path, text in pages().items() if path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in late:
            print(f"{path.relative_to(ROOT)} is out of date: run python tools/build_docs.py")
        return len(late)
    for path, text in pages().items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
