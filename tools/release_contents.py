"""What a wheel and an sdist of quoth may hold: the tables, and the checks that hold an archive to them.

Each check gives what is wrong, a line each, and nothing where all is well; ``wheel_problems`` and ``sdist_problems``
run them all. They read archives as bytes, and run nothing that stands in them.
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import re
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from email.parser import BytesParser
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from packaging.metadata import Metadata
from packaging.requirements import Requirement

# Patterns: a star crosses folders, and {info} is quoth-VERSION.dist-info. What has no star must be there.
WHEEL_FILES = (
    "quoth/*.py",
    "quoth/py.typed",
    "quoth/data/prices.txt",
    "quoth/testing/wire/reviewed_errors.toml",
    "{info}/METADATA",
    "{info}/WHEEL",
    "{info}/RECORD",
    "{info}/entry_points.txt",
    "{info}/licenses/LICENSE",
)
SDIST_FILES = (
    *(f"src/{name}" for name in WHEEL_FILES if not name.startswith("{info}")),
    "tests/*.py",
    "tests/*.json",
    "tests/requirements-sdk.in",
    "tests/requirements-sdk.txt",
    "tools/*.py",
    "tools/sbom_packages.json",
    "bench/*.py",
    "bench/*.json",
    "bench/*.txt",
    "docs/*.md",
    "docs/*.toml",
    "docs/*.json",
    "docs/*.yaml",
    "docs/*.yml",
    "docs/*.svg",
    "docs/*.png",
    "requirements-*.in",
    "requirements-*.txt",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "PKG-INFO",
    "README.md",
    "SECURITY.md",
    "pyproject.toml",
)

RUN_TIME = (
    "httptools>=0.6.4",
    "msgspec>=0.20",
    'truststore>=0.10.5; sys_platform == "darwin" or sys_platform == "win32"',
)
"""What quoth needs, exactly: the design allows nothing else at run time."""
EXTRAS = (
    "botocore",
    "google-auth",
    "httpx2",
    "opentelemetry-api",
    "prometheus-client",
    "psycopg",
    "xllamacpp",
)
"""What its extras may ask for."""
COMMANDS = {"console_scripts": {"quoth": "quoth.cli:main"}}
PYTHON = ">=3.11"

WHEEL_BYTES, SDIST_BYTES, FILE_BYTES = 2_000_000, 5_000_000, 1_000_000
"""The most that an archive, and one file in it, may weigh: the archive as it is sent, the file as it is read."""

NATIVE_NAMES = (".so", ".pyd", ".dll", ".dylib", ".exe", ".o", ".a", ".lib", ".obj", ".node", ".wasm", ".pyc", ".class")
NATIVE_BEGINNINGS = {
    "ELF": (b"\x7fELF",),
    "Windows": (b"MZ",),
    "Mach-O": (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"),
    "a static library": (b"!<arch>\n",),
    "WebAssembly": (b"\x00asm",),
}
AT_START = ("sitecustomize.py", "usercustomize.py")

LEAKS = {  # a letter of each in brackets, so that this file is none of what it looks for
    "a path of a machine": rb"(?<![\w./-])(?:/hom[e]/|/User[s]/|/roo[t]/|/wor[k]/|[A-Za-z]:\\+Users\\+)[\w.-]+[/\\]",
    "a registry's host": (
        rb"\b(?:pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.(?:org|com)|deb\.debia[n]\.org|crate[s]\.io)\b"
    ),
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}",
    "a key": rb"(?<![\w/+-])(?:sk-[\w-]{16,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|gh[pousr]_\w{36}"
    rb"|github_pat_\w{30,}|gsk_\w{20,}|xai-\w{20,}|hf_\w{30,}|pypi-[\w-]{40,}|npm_\w{36}|xox[abp]-[\w-]{20,})",
}
INVENTED = rb"0123456789|abcdefghij|QUOTH|TEAMTEAM|PROGRAM|ROLEROLE|MACHINE|EXAMPLE|Ab3dEfGh1jKlMn0pQrsT9uVwXyZ0"
"""What stands in the keys that tests and benches invent. In the wheel no key stands at all."""


class Entry(NamedTuple):
    """One file of an archive: its path as written there, its bytes, its kind and permissions."""

    name: str
    data: bytes
    regular: bool
    mode: int


def wheel_problems(path: Path, version: str, readme: str, own: Iterable[str] = ()) -> list[str]:
    """Everything that is wrong with a wheel.

    ``readme`` is what its description must be, ``own`` are paths of this machine that may stand nowhere.
    """
    entries = read_wheel(path)
    info = f"quoth-{version}.dist-info"
    found = {entry.name: entry.data for entry in entries}
    return [
        *_named(path, f"quoth-{version}-py3-none-any.whl"),
        *_common(entries),
        *too_large(entries, path.stat().st_size, WHEEL_BYTES),
        *listed(entries, [name.format(info=info) for name in WHEEL_FILES]),
        *leaks(entries, (), own),
        *metadata(found.get(f"{info}/METADATA", b""), version, readme),
        *pure(found.get(f"{info}/WHEEL", b"")),
        *commands(found.get(f"{info}/entry_points.txt", b"")),
        *record(entries, f"{info}/RECORD"),
    ]


def sdist_problems(path: Path, version: str, readme: str, own: Iterable[str] = ()) -> list[str]:
    """Everything that is wrong with an sdist; the arguments are those of ``wheel_problems``."""
    root = f"quoth-{version}/"
    entries = read_sdist(path)
    inner = [entry._replace(name=entry.name.removeprefix(root)) for entry in entries]
    found = {entry.name: entry.data for entry in inner}
    return [
        *_named(path, f"quoth-{version}.tar.gz"),
        *_common(entries),
        *(f"path: {entry.name} is not in {root}" for entry in entries if not entry.name.startswith(root)),
        *too_large(entries, path.stat().st_size, SDIST_BYTES),
        *listed(inner, SDIST_FILES),
        *leaks(inner, ("tests/", "bench/"), own),
        *metadata(found.get("PKG-INFO", b""), version, readme),
    ]


def differing_sources(wheel: Path, sdist: Path, version: str) -> Iterator[str]:
    """What of the package is in one archive and not in the other, or not the same."""
    in_wheel = {each.name: each.data for each in read_wheel(wheel) if each.name.startswith("quoth/")}
    root = f"quoth-{version}/src/"
    in_sdist = {each.name.removeprefix(root): each.data for each in read_sdist(sdist) if each.name.startswith(root)}
    for name in sorted(in_wheel.keys() | in_sdist.keys()):
        if in_wheel.get(name) != in_sdist.get(name):
            yield f"sources: {name} differs between the wheel and the sdist"


def read_wheel(path: Path) -> list[Entry]:
    """The files of a wheel."""
    with zipfile.ZipFile(path) as archive:
        return [
            Entry(
                each.filename,
                archive.read(each),
                stat.S_IFMT(mode) in (0, stat.S_IFREG) and not each.is_dir(),
                stat.S_IMODE(mode),
            )
            for each in archive.infolist()
            for mode in [each.external_attr >> 16]
        ]


def read_sdist(path: Path) -> list[Entry]:
    """The files of an sdist."""
    with tarfile.open(path, "r:gz") as archive:
        return [
            Entry(each.name, file.read() if each.isreg() and (file := archive.extractfile(each)) else b"",
                  each.isreg(), each.mode)
            for each in archive
        ]  # fmt: skip


def _named(path: Path, name: str) -> Iterator[str]:
    if path.name != name:
        yield f"name: {path.name} is not {name}"


def _common(entries: list[Entry]) -> Iterator[str]:
    for check in (unsafe_paths, irregular, executable, native, at_start, doubled):
        yield from check(entries)


def unsafe_paths(entries: list[Entry]) -> Iterator[str]:
    """Paths that could be written elsewhere than in their folder, on some system."""
    for entry in entries:
        if entry.name.startswith("/") or ".." in entry.name.split("/") or re.search(r"[\\:\x00-\x1f]", entry.name):
            yield f"path: {entry.name!r} could leave its folder"


def irregular(entries: list[Entry]) -> Iterator[str]:
    """Links, devices and folders of their own."""
    return (f"kind: {entry.name} is no regular file" for entry in entries if not entry.regular)


def executable(entries: list[Entry]) -> Iterator[str]:
    """Executable bits, and those that change the user."""
    return (f"mode: {entry.name} has {entry.mode:o}" for entry in entries if entry.mode & 0o7111)


def native(entries: list[Entry]) -> Iterator[str]:
    """Machine code, by name or by how it begins."""
    for entry in entries:
        if entry.name.lower().endswith(NATIVE_NAMES) or ".so." in entry.name:
            yield f"native: {entry.name} is named as machine code is"
        for kind, beginnings in NATIVE_BEGINNINGS.items():
            if entry.data.startswith(beginnings):
                yield f"native: {entry.name} begins as {kind} does"


def at_start(entries: list[Entry]) -> Iterator[str]:
    """What an interpreter would run at its start, before anybody imports quoth."""
    for entry in entries:
        if entry.name.lower().endswith(".pth") or PurePosixPath(entry.name.lower()).name in AT_START:
            yield f"start: {entry.name} would run whenever Python starts"


def doubled(entries: list[Entry]) -> Iterator[str]:
    """Names that are one and the same, on a file system that does not tell capitals too."""
    counted = Counter(entry.name.lower() for entry in entries)
    return (f"name: {name} is there {count} times" for name, count in counted.items() if count > 1)


def listed(entries: Iterable[Entry], allowed: Iterable[str]) -> Iterator[str]:
    """Files that no pattern allows, and files that should be there."""
    names = {entry.name for entry in entries}
    patterns = tuple(allowed)
    for name in sorted(names):
        if not any(fnmatchcase(name, pattern) for pattern in patterns):
            yield f"list: {name} is not allowed (tools/release_contents.py)"
    for pattern in patterns:
        if "*" not in pattern and pattern not in names:
            yield f"list: {pattern} is missing"


def leaks(entries: Iterable[Entry], invented: tuple[str, ...], own: Iterable[str] = ()) -> Iterator[str]:
    """Text that belongs to one machine, or is a secret. In the folders ``invented``, keys may be invented ones."""
    patterns = LEAKS | {f"{text}, of this machine": rb"(?<![\w./-])" + re.escape(text.encode()) for text in own}
    for entry in entries:
        for what, pattern in patterns.items():
            for found in re.finditer(pattern, entry.data):
                if what == "a key" and entry.name.startswith(invented) and re.search(INVENTED, found[0]):
                    continue
                line = entry.data.count(b"\n", 0, found.start()) + 1
                yield f"text: {entry.name}, line {line}, holds {what}"


def too_large(entries: Iterable[Entry], size: int, bound: int) -> Iterator[str]:
    """What is heavier than expected."""
    if size > bound:
        yield f"size: {size} bytes, more than {bound}"
    for entry in entries:
        if len(entry.data) > FILE_BYTES:
            yield f"size: {entry.name} has {len(entry.data)} bytes, more than {FILE_BYTES}"


def record(entries: Iterable[Entry], name: str) -> Iterator[str]:
    """RECORD lists every file but itself, with its true SHA-256 and size, and no other."""
    found = {entry.name: entry.data for entry in entries}
    rows = {row[0]: tuple(row[1:]) for row in csv.reader(io.StringIO(found.pop(name, b"").decode())) if row}
    if rows.pop(name, None) != ("", ""):
        yield "record: it does not list itself"
    for each in sorted(found.keys() ^ rows.keys()):
        yield f"record: {each} is {'not in it' if each in found else 'not in the wheel'}"
    for each in sorted(found.keys() & rows.keys()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(found[each]).digest()).rstrip(b"=").decode()
        if rows[each] != (f"sha256={digest}", str(len(found[each]))):
            yield f"record: {each} is not as written there"


def pure(data: bytes) -> Iterator[str]:
    """WHEEL says that it is pure."""
    said = BytesParser().parsebytes(data)
    if said["Root-Is-Purelib"] != "true" or said.get_all("Tag") != ["py3-none-any"]:
        yield "wheel: it is not said to be pure and for every platform"


def commands(data: bytes) -> Iterator[str]:
    """The entry points are ours, and no others."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(data.decode())
    found = {section: dict(parser[section]) for section in parser.sections()}
    if found != COMMANDS:
        yield f"commands: the entry points are {found}, not {COMMANDS}"


def metadata(data: bytes, version: str, readme: str) -> Iterator[str]:
    """The metadata are valid, and say what the project says."""
    try:
        said = Metadata.from_email(data, validate=True)
    except ExceptionGroup as errors:
        yield from (f"metadata: {error}" for error in errors.exceptions)
        return
    expected = {
        "name": "quoth",
        "version": version,
        "license_expression": "Apache-2.0",
        "license_files": ["LICENSE"],
        "requires_python": PYTHON,
        "description_content_type": "text/markdown",
        "description": readme,
        "dynamic": None,
    }
    for field, value in expected.items():
        got = getattr(said, field)
        if (got if isinstance(got, list | None) else str(got)) != value:
            yield f"metadata: {field} is not {str(value)[:60]!r}"
    yield from requirements(said.requires_dist or [])


def requirements(said: Iterable[Requirement]) -> Iterator[str]:
    """What is asked for: exactly RUN_TIME, by no address, and for extras nothing beyond EXTRAS."""
    asked = list(said)
    optional = [each for each in asked if each.marker and "extra" in str(each.marker)]
    found = {str(each) for each in asked if each not in optional}
    wanted = {str(Requirement(line)) for line in RUN_TIME}
    yield from (f"needs: {each} is {'missing' if each in wanted else 'not ours'}" for each in sorted(found ^ wanted))
    yield from (f"needs: {each.name} is not ours, as an extra" for each in optional if each.name not in EXTRAS)
    yield from (f"needs: {each.name} comes from an address" for each in asked if each.url)
