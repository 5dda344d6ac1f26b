"""Build what would be released, and refuse what a release must not hold: ``make release-check``.

Run by an environment that holds what builds and nothing else, pinned with hashes (requirements-release.txt):

1. sdist and wheel are built from the checkout; again from a copy of its tracked files, in another folder, with another
   umask, time zone and hash seed; and the wheel from the unpacked sdist. Each must come out the same, byte for byte.
2. Wheel and sdist are held to tools/release_contents.py.
3. The wheel is installed into a new environment, imported, and its command run, with every connection refused: by an
   audit hook in each Python process, and where Linux allows it, by a network namespace with no network in it.
4. The SBOM is written (tools/sbom.py).

What passed is left in dist/, with SHA256SUMS. The time in the archives is SOURCE_DATE_EPOCH, else the last commit's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import sbom
from pin_requirements import ROOT
from release_contents import differing_sources, irregular, read_sdist, sdist_problems, unsafe_paths, wheel_problems

EPOCH = 1_577_836_800
"""2020-01-01, where neither the environment nor version control knows a time."""
PLACES = (
    {"umask": "022", "TZ": "UTC", "PYTHONHASHSEED": "0"},
    {"umask": "077", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4242"},
)
BUILD = """
import os, sys
os.umask(int(sys.argv[3], 8))
from hatchling import build
getattr(build, f"build_{sys.argv[1]}")(sys.argv[2])
"""
GUARD = '''"""Ends the process at the first try to reach anything over the network; exceptions could be swallowed."""
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") or event.startswith("socket.gethostby") or (
        event in ("socket.getaddrinfo", "socket.getnameinfo")
    ):
        os.write(2, f"network: {event} {arguments!r}\\n".encode())
        os._exit(97)

sys.addaudithook(refuse)
'''


class ReleaseError(Exception):
    """What went wrong, a line each."""


def build(what: str, source: Path, into: Path, epoch: int, place: Mapping[str, str] = PLACES[0]) -> Path:
    """Build the ``sdist`` or ``wheel`` of a folder into a new folder; give the archive's path."""
    into.mkdir(parents=True)
    environment = _environment(SOURCE_DATE_EPOCH=str(epoch), **{k: v for k, v in place.items() if k != "umask"})
    run([sys.executable, "-P", "-c", BUILD, what, str(into), place["umask"]], source, environment)
    (archive,) = into.iterdir()
    return archive


def build_all(root: Path, folder: Path, epoch: int) -> tuple[Path, Path, list[str]]:
    """Build everything in every way; give the sdist, the wheel, and what did not come out the same."""
    sdist = build("sdist", root, folder / "sdist", epoch)
    wheel = build("wheel", root, folder / "wheel", epoch)
    inside = unpacked(sdist, folder / "from sdist")
    copy = _copy(root, folder / "elsewhere" / "a copy") if tracked(root) else inside
    again = {"the sdist of another place": build("sdist", copy, folder / "sdist again", epoch, PLACES[1])}
    for what, source in {"the wheel of another place": copy, "the wheel of the sdist": inside}.items():
        again[what] = build("wheel", source, folder / what, epoch, PLACES[1])
    return (
        sdist,
        wheel,
        [
            f"reproducible: {what} differs from the first"
            for what, archive in again.items()
            if archive.read_bytes() != (sdist if archive.name == sdist.name else wheel).read_bytes()
        ],
    )


def unpacked(sdist: Path, into: Path) -> Path:
    """Unpack an sdist into a new folder; give the folder in it."""
    entries = read_sdist(sdist)
    if problems := [*unsafe_paths(entries), *irregular(entries)]:
        raise ReleaseError("\n".join(problems))
    for entry in entries:
        (into / entry.name).parent.mkdir(parents=True, exist_ok=True)
        (into / entry.name).write_bytes(entry.data)
    return into / sdist.name.removesuffix(".tar.gz")


def tracked(root: Path) -> list[str]:
    """The files that version control knows, by their paths with slashes; none where there is no version control."""
    if not (root / ".git").exists() or not shutil.which("git"):
        return []
    return [name for name in run(["git", "ls-files", "-z"], root).split("\0") if name]


def untracked(sdist: Path, known: list[str]) -> Iterator[str]:
    """What is in an sdist and not in version control."""
    for entry in read_sdist(sdist):
        name = entry.name.partition("/")[2]
        if name not in known and name != "PKG-INFO":
            yield f"version control: {name} is in the sdist, and nobody committed it"


def install(wheel: Path, folder: Path, version: str) -> list[str]:
    """Install a wheel, import it and run its command, offline; say what went wrong."""
    environment = folder / "environment"
    venv.create(environment, symlinks=os.name != "nt")
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    variables = guarded(folder / "guard")
    python = str(scripts / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--no-cache-dir",
           "--disable-pip-version-check", "-q", str(wheel)]  # fmt: skip
    asked = {
        "install": (pip, ""),
        "import": ([python, "-c", "import quoth; from quoth import models; print(quoth.__file__)"], str(environment)),
        "command": ([str(scripts / "quoth"), "--version"], f"quoth {version}"),
    }
    for what, (command, expected) in asked.items():
        try:
            said = run([*_wall(), *command], folder, variables)
        except ReleaseError as error:
            return [f"{what}: {error}"]
        if expected not in said:
            return [f"{what}: it said {said.strip()!r}, not {expected!r}"]
    return []


def guarded(folder: Path) -> dict[str, str]:
    """An environment whose Pythons end when they reach out; they find what this Python has installed."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(GUARD, "utf-8")
    return _environment(PYTHONPATH=os.pathsep.join((str(folder), sysconfig.get_path("purelib"))))


def _wall() -> list[str]:
    """The command that takes the network away from another, where Linux allows that."""
    wall = ["unshare", "--map-root-user", "--net", "--"]
    if not shutil.which(wall[0]) or subprocess.run([*wall, "true"], capture_output=True, check=False).returncode:
        return []
    return wall


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command printed. Raise ReleaseError where it failed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(command[:4])} ... ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _environment(**variables: str) -> dict[str, str]:
    """This process's environment without what steers Python, pip or quoth, and with the given variables."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_", "QUOTH", "HATCH", "VIRTUAL"))}
    return kept | variables


def _copy(root: Path, into: Path) -> Path:
    for name in tracked(root):
        if not (root / name).exists():  # deleted, and nobody committed that
            continue
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, into / name)
    return into


def epoch_of(root: Path) -> int:
    """The time that the archives bear, in seconds since 1970."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    return int(run(["git", "log", "-1", "--format=%ct"], root)) if tracked(root) else EPOCH


def version_of(root: Path) -> str:
    """The version that the checkout states."""
    text = (root / "src" / "quoth" / "_version.py").read_text("utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def check(root: Path, folder: Path) -> list[Path]:
    """Build and check everything; give what may be released. Raise ReleaseError where something may not."""
    version, epoch, readme = version_of(root), epoch_of(root), (root / "README.md").read_text("utf-8")
    sdist, wheel, problems = build_all(root, folder, epoch)
    own = [str(each) for each in (root, Path.home()) if len(each.parts) > 2]
    known = tracked(root)
    problems += [*wheel_problems(wheel, version, readme, own), *sdist_problems(sdist, version, readme, own)]
    problems += [*differing_sources(wheel, sdist, version), *(untracked(sdist, known) if known else ())]
    if problems:
        raise ReleaseError("\n".join(problems))
    print(f"reproducible: {sdist.name} twice, {wheel.name} three times, the same bytes")
    print("contents: nothing that the lists do not allow, no native code, nothing run at start, no path, host or key")
    problems = install(wheel, folder / "installed", version)
    if problems:
        raise ReleaseError("\n".join(problems))
    print(f"offline: installed, imported and run without a connection{', in a network namespace' if _wall() else ''}")
    return [sdist, wheel, sbom.write(folder, version, [sdist, wheel], epoch)]


def main() -> None:
    """Run the command."""
    output = ROOT / "dist"
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        try:
            made = check(ROOT, Path(folder))
        except ReleaseError as error:
            sys.exit(f"release-check: not to be released:\n{error}")
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        for each in made:
            shutil.copyfile(each, output / each.name)
    sums = "".join(f"{hashlib.sha256((output / each.name).read_bytes()).hexdigest()}  {each.name}\n" for each in made)
    (output / "SHA256SUMS").write_text(sums, "utf-8", newline="\n")
    print(f"dist/ has what passed:\n{sums}", end="")
    if tracked(ROOT) and run(["git", "status", "--porcelain"], ROOT):
        print("It was made with changes that nobody committed.")


if __name__ == "__main__":
    main()
