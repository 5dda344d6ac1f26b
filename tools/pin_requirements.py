"""Pin every environment to the last package, with hashes: ``make pins``, ``python tools/pin_requirements.py``.

What is named by hand stands in the ``.in`` files and in pyproject.toml; each ``.txt`` beside them is the whole answer,
one environment a file, with the SHA-256 of every file of each version, so that it installs on Linux, macOS and Windows
with Python 3.11 to 3.14. No address of a registry stands in them. ``uv pip compile`` resolves.

What is pinned already stays, unless ``--upgrade`` is given. A version that nobody named by hand must have been public
for COOL_DOWN days. ``tools/sbom_packages.json`` is written too: the licences and the graph that the SBOM tells of.
``--check`` writes nothing, and asks whether each file could be installed everywhere, from wheels alone.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
COOL_DOWN = 7
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {  # by uv's name, what markers ask
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}

DEV, WEIGHTS = "requirements-dev.txt", "requirements-local.txt"
ENVIRONMENTS = {
    DEV: ("requirements-dev.in", "requirements-release.in", "pyproject.toml", "--all-extras"),
    "requirements-hello.txt": ("requirements-release.in", "pyproject.toml", "--extra", "local", "--constraints", DEV),
    "requirements-release.txt": ("requirements-release.in", "pyproject.toml", "--constraints", DEV),
    "tests/requirements-sdk.txt": ("tests/requirements-sdk.in",),
}
"""The file of each environment, and what is resolved for it."""

PACKAGES = "tools/sbom_packages.json"
UNSTATED = {
    "truststore": "MIT",  # its metadata names a LICENSE file only, which is MIT's
}
"""Licences of packages whose metadata states none."""
WORDS = {"Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Dual License": "Apache-2.0 OR BSD-3-Clause"}
"""Licences that are stated in words, and the SPDX expressions that they mean."""


class Pin(NamedTuple):
    """One package of a requirements file: its marker ("" where it is always wanted) and its files' SHA-256."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_pins(text: str) -> Iterator[Pin]:
    """Read a requirements file. Raise ValueError for a line that is no exact pin."""
    for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines():
        if not line.strip():
            continue
        found = _PIN.match(line)
        if not found:
            raise ValueError(f"not an exact pin: {line.strip()[:100]}")
        hashes = tuple(re.findall(r"[0-9a-f]{64}", found[4]))
        yield Pin(normal(found[1]), found[2], (found[3] or "").strip(), hashes)


_PIN = re.compile(
    r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([\w.+!-]+)\s*(?:;(.*?))?((?:\s+--hash=sha256:[0-9a-f]{64})*)\s*$"
)


def named(name: str) -> list[str]:
    """The requirements that a file of ours names by hand, without comments."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines())
    return [line for line in lines if line]


def pin(*, upgrade: bool) -> None:
    """Write all the files."""
    for output, inputs in ENVIRONMENTS.items():
        by_hand = [line for name in inputs if name.endswith(".in") for line in named(name)]
        header = f"# Written by tools/pin_requirements.py (make pins), of {' '.join(inputs)}. Do not edit.\n"
        exempt = [f"--exclude-newer-package={re.split(r'[^A-Za-z0-9_.-]', line)[0]}=false" for line in by_hand]
        _uv("pip", "compile", *inputs, "--output-file", output, *_COMPILE, *_cool_down(), *exempt,
            *(["--upgrade"] if upgrade else []))  # fmt: skip
        path = ROOT / output
        path.write_text(header + path.read_text("utf-8"), "utf-8", newline="\n")
        print(f"{output}: {sum(1 for _ in parse_pins(path.read_text('utf-8')))} packages")
        for line in by_hand:
            if not _succeeds("pip", "compile", "-q", "-", "--no-deps", *_cool_down(), input=line):
                print(f"  named by hand, and younger than {COOL_DOWN} days: {line}")
    (ROOT / PACKAGES).write_text(json.dumps(packages(), indent=1, sort_keys=True) + "\n", "utf-8", newline="\n")
    print(PACKAGES)


# Extras stay in their pins: pip older than 23.3 looks for a version of "google-auth[requests]" of its own otherwise.
_COMPILE = ("--universal", "--generate-hashes", "--python-version", PYTHONS[0], "--no-strip-extras", "--no-annotate",
            "--no-header", "-q")  # fmt: skip


def _cool_down() -> tuple[str, ...]:
    return ("--exclude-newer", f"{COOL_DOWN} days", "--no-config")


def packages() -> dict[str, dict[str, Any]]:
    """What quoth and its extras need, to the last package: version, licence and the packages that each needs itself."""
    metadata = _metadata([*parse_pins(_read(DEV)), *parse_pins(_read(WEIGHTS))])
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    found = {"quoth": {"needs": _needed(project["dependencies"], ()), "optional": _needed(extras, ())}}
    weights = [each.name for each in parse_pins(_read(WEIGHTS))]
    found["quoth"]["optional"] += [(name, ()) for name in weights]  # which come alone, by --no-deps
    waiting = [*found["quoth"]["needs"], *found["quoth"]["optional"]]
    done: dict[str, dict[str, Any]] = {}
    while waiting:
        name, wanted = waiting.pop()
        needs = [] if name in weights else _needed(metadata[name].get("requires_dist", ()), wanted)
        known = done.setdefault(name, {"needs": set()})
        waiting += [each for each in needs if each[0] not in known["needs"]]
        known["needs"] |= {each[0] for each in needs}
        known |= {"version": metadata[name]["version"], "licence": licence(metadata[name])}
        known |= {"type": "machine-learning-model"} if name in weights else {}
    ours = {key: sorted({name for name, _ in each}) for key, each in found["quoth"].items()}
    return {"quoth": ours} | {name: known | {"needs": sorted(known["needs"])} for name, known in done.items()}


def _needed(requirements: Iterable[str], extras: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The packages, with their wanted extras, that are needed on a platform and Python of ours."""
    asked = [Requirement(line) for line in requirements]
    return [
        (normal(each.name), tuple(sorted(each.extras)))
        for each in asked
        if any(_holds(each.marker, extra) for extra in ("", *extras))
    ]


def _holds(marker: Marker | None, extra: str = "") -> bool:
    """Whether a marker holds on a platform and Python of ours."""
    cpython = {"platform_python_implementation": "CPython", "implementation_name": "cpython", "extra": extra}
    return marker is None or any(
        marker.evaluate({**cpython, **SYSTEMS[system], "python_version": python, "python_full_version": f"{python}.1"})
        for system in SYSTEMS
        for python in PYTHONS
    )


def licence(metadata: Mapping[str, Any]) -> str:
    """The SPDX expression of a package, or its own words where they are none; empty where nothing is stated."""
    stated = metadata.get("license_expression") or metadata.get("license") or ""
    if not stated or "\n" in stated:
        trove = [line for line in metadata.get("classifier", ()) if line.startswith("License :: OSI Approved :: ")]
        stated = trove[0].rpartition(" :: ")[2].removesuffix(" License") if trove else ""
    stated = WORDS.get(stated, stated) or UNSTATED.get(normal(metadata["name"]), "")
    try:
        return canonicalize_license_expression(stated)
    except InvalidLicenseExpression:
        return stated


def _metadata(pins: Iterable[Pin]) -> dict[str, dict[str, Any]]:
    """What each package says of itself, whatever platform it is for; nothing is installed."""
    ours = [each for each in pins if not each.marker or _holds(Marker(each.marker))]
    lines = [f"{each.name}=={each.version} {' '.join(f'--hash=sha256:{one}' for one in each.hashes)}" for each in ours]
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "requirements.txt"), Path(folder, "report.json")
        asked.write_text("\n".join(lines), "utf-8")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--dry-run", "--no-deps",
             "--ignore-installed", "--require-hashes", "--report", answer, "-r", asked],
            check=True,
        )  # fmt: skip
        reports = json.loads(answer.read_text("utf-8"))["install"]
    return {normal(each["metadata"]["name"]): each["metadata"] for each in reports}


def check() -> bool:
    """Say for each file, platform and Python whether it can be installed from wheels alone."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name in ENVIRONMENTS:
            for platform in SYSTEMS:
                for python in PYTHONS:
                    fits = _succeeds(
                        "pip", "install", "-q", "--dry-run", "--require-hashes", "--only-binary", ":all:",
                        "--no-config", "--target", folder, "--python-version", python, "--python-platform", platform,
                        "-r", name,
                    )  # fmt: skip
                    good &= fits
                    print(f"{name}, {platform}, Python {python}: {'yes' if fits else 'NO'}")
    return good


def _read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _uv(*arguments: str) -> None:
    done = subprocess.run([_UV, *arguments], cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"pin_requirements: uv {' '.join(arguments[:4])} ... failed, as it says above")


def _succeeds(*arguments: str, input: str = "") -> bool:
    return not subprocess.run(
        [_UV, *arguments], cwd=ROOT, check=False, input=input, text=True, capture_output=True
    ).returncode


_UV = str(Path(sysconfig.get_path("scripts")) / "uv")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take newer versions of what nobody named by hand")
    parser.add_argument("--check", action="store_true", help="write nothing; ask whether everything could be installed")
    said = parser.parse_args()
    if said.check:
        sys.exit(not check())
    pin(upgrade=said.upgrade)


if __name__ == "__main__":
    main()
