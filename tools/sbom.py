"""The SBOM of a release: CycloneDX 1.6 of quoth and of what it was tested with, to the last package.

It lies beside the wheel and not in it: PEP 770 keeps ``dist-info/sboms`` for software that an archive brings along, and
quoth's brings none. Which versions are installed beside it is decided where it is installed, so a wheel that named them
would tell scanners of packages that are not there. From beside it, the document can name the archives' own SHA-256 too.

Everything in it comes from files of the checkout, so the same release gives the same bytes: versions and hashes from
the requirements files, licences and graph from ``tools/sbom_packages.json`` (both written by make pins), and the time
from SOURCE_DATE_EPOCH. It is written out here, not by a library: a document of this kind is two lists, and the library
that would write it is eight packages more in the environment that builds. The tests hold it to that library's schema.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from pin_requirements import DEV, PACKAGES, ROOT, WEIGHTS, Pin, normal, parse_pins

Packages = Mapping[str, Mapping[str, Any]]
Component = dict[str, Any]


def document(
    project: Mapping[str, Any],
    packages: Packages,
    pins: Iterable[Pin],
    *,
    version: str,
    archives: Iterable[Path],
    time: int,
) -> dict[str, Any]:
    """The document, of the ``[project]`` table, the packages' licences and graph, their pins, and what was built.

    ``time`` is in seconds since 1970. Raise ValueError where the packages do not fit the pins or the project.
    """
    by_name = {each.name: each for each in pins}
    declared = {_name(line) for line in project["dependencies"]}
    if declared != set(packages["quoth"]["needs"]):
        raise ValueError(f"{PACKAGES} is of other dependencies than pyproject.toml: make pins")
    required = _reached(packages, packages["quoth"]["needs"])
    names = sorted(name for name in packages if name != "quoth")
    for name in names:
        if name not in by_name or by_name[name].version != packages[name]["version"]:
            raise ValueError(f"{PACKAGES} and the pins differ in {name}: make pins")
    ours = purl("quoth", version)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "quoth tools/sbom.py", "version": version}]},
            "component": {
                "type": "library",
                "bom-ref": ours,
                "name": "quoth",
                "version": version,
                "description": project["description"],
                "licenses": _licences(project["license"]),
                "purl": ours,
                "externalReferences": [
                    {"type": "distribution", "url": each.name, "hashes": _hashes([_digest(each)])}
                    for each in sorted(archives)
                ],
            },
        },
        "components": [
            {
                "type": packages[name].get("type", "library"),
                "bom-ref": purl(name, packages[name]["version"]),
                "name": name,
                "version": packages[name]["version"],
                "scope": "required" if name in required else "optional",
                "hashes": _hashes(by_name[name].hashes),
                "licenses": _licences(packages[name]["licence"]),
                "purl": purl(name, packages[name]["version"]),
            }
            for name in names
        ],
        "dependencies": [
            {"ref": ours, "dependsOn": _refs(packages, {*packages["quoth"]["needs"], *packages["quoth"]["optional"]})},
            *({"ref": purl(name, packages[name]["version"]), "dependsOn": _refs(packages, packages[name]["needs"])}
              for name in names),
        ],
    }  # fmt: skip


def purl(name: str, version: str) -> str:
    """The package URL of a package of the Python index."""
    return f"pkg:pypi/{name}@{version.replace('+', '%2B')}"


def write(folder: Path, version: str, archives: Iterable[Path], time: int) -> Path:
    """Write the document of this checkout into a folder; give its path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    packages = json.loads((ROOT / PACKAGES).read_text("utf-8"))
    pins = [pin for name in (DEV, WEIGHTS) for pin in parse_pins((ROOT / name).read_text("utf-8"))]
    made = document(project, packages, pins, version=version, archives=archives, time=time)
    path = folder / f"quoth-{version}.cdx.json"
    path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8", newline="\n")
    return path


def _reached(packages: Packages, names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += packages[name]["needs"]
    return found


def _refs(packages: Packages, names: Iterable[str]) -> list[str]:
    return [purl(name, packages[name]["version"]) for name in sorted(names)]


def _hashes(hashes: Iterable[str]) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": each} for each in hashes]


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _licences(stated: str) -> list[dict[str, Any]]:
    """An SPDX expression as one, other words as a name; nothing where nothing is stated."""
    try:
        return [{"expression": canonicalize_license_expression(stated)}]
    except InvalidLicenseExpression:
        return [{"license": {"name": stated}}] if stated else []


def _name(requirement: str) -> str:
    return normal(Requirement(requirement).name)
