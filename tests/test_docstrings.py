"""What is public says what it is: ``__all__`` in each public module, docstrings, and the drawn tree of errors.

Docstrings and messages are read from the source, so that one of a base class does not stand in for its heirs.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from quoth import errors

SOURCE = Path(__file__).resolve().parents[1] / "src"

GENERATED = frozenset({"quoth.data.catalog"})
"""Tables that a script writes, for other rooms only: they have no ``__all__``."""

ONLY_A_DOCSTRING = 1
"""Statements of a package that defines nothing, and so lists nothing."""


def _sources() -> dict[str, str]:
    sources = {}
    for path in sorted((SOURCE / "quoth").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text("utf-8")
    return sources


SOURCES = _sources()
PUBLIC = [
    name
    for name, source in SOURCES.items()
    if "._" not in name and name not in GENERATED and len(ast.parse(source).body) > ONLY_A_DOCSTRING
]

# The checks, over source text: each gives complaints.


def check_module(source: str) -> list[str]:
    """A docstring whose first line is a sentence."""
    return check_docstring(ast.get_docstring(ast.parse(source)))


def check_docstring(text: str | None) -> list[str]:
    if not text:
        return ["no docstring"]
    first = text.partition("\n")[0]
    if not re.match(r"[A-Z`\"'(]|quoth: ", first):
        return [f"the first line does not begin as a sentence: {first!r}"]
    return [] if re.search(r"[.:?]`*$", first) else [f"the first line is no sentence: {first!r}"]


def check_all(source: str, required: bool = True) -> list[str]:
    """``__all__`` is there and sorted: constants, classes, the rest, each by name."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            right = sorted({*names}, key=_order)
            return [] if names == right else [f"__all__ is not sorted, or repeats a name; it should be {right}"]
    return ["no __all__"] if required else []


def _order(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def definitions(source: str) -> dict[str, str | None]:
    """The docstrings of the module's own classes and functions, by name."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: ast.get_docstring(node) for node in ast.parse(source).body if isinstance(node, kinds)}


def exclamations(source: str) -> list[str]:
    """Docstrings, of constants too, and messages of errors and warnings that raise their voice."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        for line, text in _texts(node):
            if re.search(r"![^=]|!$", re.sub(r"``.*?``", "", text, flags=re.DOTALL)):
                complaints.append(f"line {line} raises its voice: {text[:60]!r}")
    return complaints


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            yield node.lineno, text
        case ast.Call(func=function) if re.search(
            r"(Error|Warning|warn|[Ww]rong\w*|refuse\w*)$", ast.unparse(function)
        ):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield inner.lineno, inner.value
        case _:
            return


# The library keeps to them.


@pytest.mark.parametrize("module", SOURCES)
def test_every_module_says_what_it_is(module: str):
    assert check_module(SOURCES[module]) == []


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_lists_its_names(module: str):
    assert check_all(SOURCES[module]) == []


@pytest.mark.parametrize("module", [name for name in SOURCES if name not in PUBLIC])
def test_a_list_of_names_is_sorted_in_private_modules_too(module: str):
    assert check_all(SOURCES[module], required=False) == []


@pytest.mark.parametrize("module", SOURCES)
def test_every_listed_name_exists(module: str):
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "quoth").startswith("quoth"):
            raise
        pytest.skip(f"the extra that brings {error.name} is not installed")
    assert [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_class_and_function_says_what_it_is(module: str):
    loaded = import_module(module)
    complaints = []
    for name in loaded.__all__:
        value = getattr(loaded, name, None)
        home = getattr(value, "__module__", None)
        known = definitions(SOURCES[home]) if isinstance(home, str) and home in SOURCES else {}
        own = getattr(value, "__name__", None)
        if own in known:
            complaints += [f"{name} ({home}): {complaint}" for complaint in check_docstring(known[own])]
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_raises_its_voice(module: str):
    assert exclamations(SOURCES[module]) == []


# The tree of errors.


def drawn_tree(docstring: str) -> dict[str, tuple[str | None, set[str]]]:
    """The classes of a drawn tree: each with its parent and the built-in bases that stand in brackets."""
    tree: dict[str, tuple[str | None, set[str]]] = {}
    above: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        if drawn := re.match(r"(?P<indent> +|[ │]*[├└]─ )(?P<name>\w+Error)\b( \((?P<bases>[\w, ]+)\))?", line):
            column, name = len(drawn["indent"]), drawn["name"]
            above = [(at, parent) for at, parent in above if at < column]
            tree[name] = (above[-1][1] if above else None, {*(drawn["bases"] or "").split(", ")} - {""})
            above.append((column, name))
    return tree


def real_tree(root: type[BaseException]) -> dict[str, tuple[str | None, set[str]]]:
    tree: dict[str, tuple[str | None, set[str]]] = {}
    waiting = [root]
    for cls in waiting:
        parents = [base.__name__ for base in cls.__bases__ if issubclass(base, root)]
        built_in = {base.__name__ for base in cls.__bases__ if base.__module__ == builtins.__name__}
        tree[cls.__name__] = (parents[0] if parents else None, built_in - {"Exception"})
        waiting += [child for child in cls.__subclasses__() if child.__module__ == root.__module__]
    return tree


def test_the_tree_of_errors_is_drawn_as_it_is():
    assert drawn_tree(errors.__doc__ or "") == real_tree(errors.QuothError)


def _error_classes() -> list[type[errors.QuothError]]:
    return [getattr(errors, name) for name in real_tree(errors.QuothError)]


@pytest.mark.parametrize("cls", _error_classes(), ids=lambda cls: cls.__name__)
def test_every_error_is_public_has_a_kind_of_its_own_and_ends_in_error(cls: type[errors.QuothError]):
    assert cls.__name__.endswith("Error")
    assert cls.__name__ in errors.__all__
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", vars(cls).get("kind", ""))
    assert [other for other in _error_classes() if other.kind == cls.kind] == [cls]
    assert errors.KINDS[cls.kind] is cls


# The checks can fail.


@pytest.mark.parametrize("text", [None, "", "gives something.", "Gives something", "Gives something\nover two lines."])
def test_a_poor_docstring_is_seen(text: str | None):
    assert check_docstring(text)


@pytest.mark.parametrize("text", ["Give it.", "``a`` or ``b``: what is given.", "Give it::\n\n    x", "Is it?"])
def test_a_good_docstring_is_accepted(text: str):
    assert check_docstring(text) == []


@pytest.mark.parametrize(
    "source",
    ["x = 1", "__all__ = ['b', 'a']", "__all__ = ['a', 'B']", "__all__ = ['Ab', 'AB']", "__all__ = ['a', 'a']"],
)
def test_a_missing_or_unsorted_list_of_names_is_seen(source: str):
    assert check_all(source)


@pytest.mark.parametrize(
    "source",
    [
        '"""Hello!"""',
        'def f():\n    """Give it. Now!\n    """',
        'X = 1\n"""The best!"""',
        'raise ValueError("no!")',
        'raise ValueError(f"{x} is wrong! Go away")',
        'def f():\n    return InputError("no" " way!")',
        'warnings.warn("old!")',
    ],
)
def test_a_raised_voice_is_heard(source: str):
    assert exclamations(source)


@pytest.mark.parametrize(
    "source", ['"""Whether a != b."""', 'raise ValueError(f"{x!r}")', '"""``[!]`` is a pattern."""', 'x = "!"']
)
def test_what_is_no_raised_voice_is_not_heard(source: str):
    assert exclamations(source) == []


class RootError(Exception):
    """Of a small tree, drawn below."""


class LeafError(RootError, ValueError):
    """Of the same."""


class OtherError(RootError):
    """Of the same."""


DRAWN = """A tree.

::

    RootError
     ├─ LeafError (ValueError)     words
     └─ OtherError                 words about LeafError

RootError is the root.
"""


def test_a_tree_drawn_right_is_read_as_it_is():
    assert drawn_tree(DRAWN) == real_tree(RootError)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (" (ValueError)", ""),
        ("     └─ OtherError", "     │   └─ OtherError"),
        ("     └─ OtherError", "     └─ OddError"),
        ("     └─ OtherError                 words about LeafError\n", ""),
    ],
)
def test_a_tree_drawn_wrong_is_seen(right: str, wrong: str):
    assert right in DRAWN
    assert drawn_tree(DRAWN.replace(right, wrong)) != real_tree(RootError)
