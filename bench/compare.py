"""quoth beside its peers, each in its own pinned environment: ``make bench``, and ``make bench-quick`` in two minutes.

    python bench/compare.py [--write] [--rounds 3] [--seconds 0.3] [--peers lm15,openai] [--only blocking,burst]
    python bench/compare.py --quick              # quoth, lm15 and openai, short rounds; nothing is written
    python bench/compare.py --show               # the table of the newest results once more

Every client calls the same server (``bench/loopback.py``) by its own documented way (``bench/clients.py``), with the
same prompt and the same answer. A round puts every client through every case, the clients in another order each time; a
figure is the median over the rounds, and a ratio the median of the ratios within the rounds, so that a busy machine
disturbs all alike. CPU is user and system time of the client's process alone. Client and server share one core where
the system allows it. A case that a client fails, or does not end within its limit, is recorded with its words; after
two failures it is not tried again.

``--write`` keeps the raw rounds in ``bench/results/compare-<date>.json`` and puts the table into docs/performance.md.
The file grows by every round: the same command goes on where an interrupted run of the same day stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import comparison
import peers
from clients import CASES, CLIENTS, QUIET
from loopback import KEY, MODELS, PROMPT, Worker, make_certificates, share_one_core, start_server
from processes import ProgramError, Round, look, run

RESULTS = Path(__file__).with_name("results")
QUICK = ("quoth", "quoth bound", "lm15", "openai")
LIMIT = 30.0
"""Seconds for one client in one case of one round."""
SEED = 7
FORMS = ("quoth bound", "quoth messages", "quoth gemini")
"""They share quoth's memory: it is measured once."""
MOST_CALLS = 100_000
DROPPED = ("QUOTH_", "PYTHON", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")
STARTS = ("bare", "import", "first answer")

INSTALLED = """
import json, sys
from importlib.metadata import distributions
from pathlib import Path
count = size = 0
versions = {}
for each in distributions():
    name = each.metadata["Name"]
    if name.lower() in ("pip", "setuptools", "wheel"):
        continue
    count += 1
    versions[name] = each.version
    for file in each.files or ():
        path = Path(file.locate())
        if path.suffix != ".pyc" and path.is_file():
            size += path.stat().st_size
for path in Path(sys.argv[1]).rglob("*") if sys.argv[1] else ():
    if path.suffix != ".pyc" and path.is_file():
        size += path.stat().st_size
print(json.dumps({"packages": count, "bytes": size, "versions": versions}))
"""


class Comparison:
    """One run: the server, a worker for each client, and what has been measured."""

    def __init__(
        self, chosen: Sequence[str], options: argparse.Namespace, results: dict[str, Any], folder: str
    ) -> None:
        self.options, self.results, self.folder = options, results, folder
        self.pythons: dict[str, str] = {}
        self.workers: dict[str, Worker] = {}
        for name in chosen:
            environment = peers.OURS if name.startswith(("floor", "quoth")) else name
            try:
                self.pythons[name] = str(peers.python_of(environment))
            except peers.PeerError as problem:
                self.fail(name, "environment", str(problem))
        share_one_core()
        self.authority, certificate = make_certificates(folder) or ("", "")
        self.server, self.roots = start_server(certificate)

    def environment(self, name: str) -> dict[str, str]:
        """What a client's process sees: no settings of ours, no proxies, our authority."""
        kept = {each: value for each, value in os.environ.items() if not each.upper().startswith(DROPPED)}
        home = Path(self.folder, name.replace(" ", "-"))
        home.mkdir(exist_ok=True)
        urls = {"OPENAI_BASE_URL": "/v1", "ANTHROPIC_BASE_URL": "/v1", "GOOGLE_GEMINI_BASE_URL": "/v1beta"}
        ours = {each: self.roots["plain"] + path for each, path in urls.items()}
        keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), KEY)
        trust = {"SSL_CERT_FILE": self.authority} if self.authority else {}
        return {**kept, **QUIET, **keys, **ours, **trust, "LLM_USER_PATH": str(home)}

    def fail(self, name: str, case: str, problem: str) -> None:
        self.results["failures"].setdefault(name, {}).setdefault(case, []).append(comparison.clean(problem))

    def given_up(self, name: str, case: str) -> bool:
        return len(self.results["failures"].get(name, {}).get(case, ())) >= 2

    def program(self, name: str, start: str) -> str:
        client = CLIENTS[name]
        imports, first = client.program
        facts = {"KEY": KEY, "URL": self.roots["plain"], "MODEL": MODELS[client.wire], "PROMPT": PROMPT}
        told = "\n".join([f"{each} = {value!r}" for each, value in facts.items()])
        done = "assert answer.startswith('The sea leans'), answer"
        return {"bare": "pass", "import": imports, "first answer": f"{imports}\n{told}\n{first}\n{done}"}[start]

    def prepare(self) -> None:
        """What each client brings and loads; it also leaves the bytecode behind that the timed starts find."""
        for name, python in self.pythons.items():
            if name in self.results["installed"]:
                continue
            source = str(peers.ROOT / "src" / "quoth") if name.startswith("quoth") else ""
            found = json.loads(peers._run(python, "-c", INSTALLED, source))  # noqa: SLF001
            self.results["installed"][name] = {each: found[each] for each in ("packages", "bytes")}
            if CLIENTS[name].package:
                self.results["versions"][name] = found["versions"][CLIENTS[name].package]
            for start in STARTS:
                try:
                    seen = look(self.program(name, start), self.environment(name), python)
                except ProgramError as problem:
                    self.fail(name, start, str(problem))
                    self.fail(name, start, str(problem))
                else:
                    self.results["looks"].setdefault(name, {})[start] = list(seen)

    def start(self, name: str, case: str) -> dict[str, Any]:
        measured: Round = run(self.program(name, case), self.environment(name), self.pythons[name])
        return {"cpu": round(measured.cpu, 2), "wall": round(measured.wall, 2)}

    def work(self, name: str, case: str) -> dict[str, Any]:
        """Put one client through one case. Raise what went wrong."""
        if name not in self.workers:
            command = (self.pythons[name], str(Path(__file__).with_name("clients.py")), name, json.dumps(self.roots))
            self.workers[name] = Worker(*command, environment=self.environment(name))
        limit, question = LIMIT, [case, self.options.seconds]
        if case == "memory":
            question = [case, self.options.memory, MOST_CALLS]
            limit += self.options.memory
        before = self.server.ask()
        try:
            figures: dict[str, Any] = self.workers[name].ask(*question, seconds=limit)
        except (EOFError, TimeoutError):
            self.workers.pop(name).close()
            raise
        after = self.server.ask()
        if "error" in figures:
            self.workers.pop(name).close()
            raise ProgramError(figures["error"])
        figures["server"] = round((after[0] - before[0]) / max(after[1] - before[1], 1) * 1e6, 1)
        return figures

    def measure(self, number: int, case: str) -> dict[str, dict[str, Any]]:
        """One case of one round, all clients."""
        order = [each for each in self.pythons if case != "memory" or each not in FORMS]
        random.Random(f"{SEED} {number} {case}").shuffle(order)
        taken: dict[str, dict[str, Any]] = {}
        for name in order:
            if self.given_up(name, case):
                continue
            try:
                taken[name] = self.start(name, case) if case in STARTS else self.work(name, case)
            except (ProgramError, TimeoutError, EOFError) as problem:
                said = str(problem) if isinstance(problem, ProgramError) else f"{type(problem).__name__}: {problem}"
                self.fail(name, case, said)
            if case == "memory" and name in self.workers:
                self.workers.pop(name).close()
        return taken

    def close(self) -> None:
        for worker in [*self.workers.values(), self.server]:
            worker.close()


def begin(chosen: Sequence[str], cases: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Results that hold nothing yet, but say of what and where."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "one core": hasattr(os, "sched_setaffinity"),
        "seed": SEED,
        "seconds": options.seconds,
        "memory seconds": options.memory,
        "clients": list(chosen),
        "cases": list(cases),
        "versions": {},
        "installed": {},
        "looks": {},
        "failures": {},
        "rounds": [],
        "memory": {},
        "finished": False,
    }


def cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def keep(results: dict[str, Any], path: Path | None) -> None:
    """Write what there is, whole or not at all."""
    if path is not None:
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(comparison.dump(results), "utf-8")
        fresh.replace(path)


def compare(
    chosen: Sequence[str], cases: Sequence[str], options: argparse.Namespace, path: Path | None
) -> dict[str, Any]:
    """Measure, going on from what the file holds already of the same run."""
    results = begin(chosen, cases, options)
    if path is not None and path.exists():
        held = json.loads(path.read_text("utf-8"))
        same = ("python", "clients", "cases", "seconds", "memory seconds")
        if not held["finished"] and [held.get(each) for each in same] == [results[each] for each in same]:
            results = held
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        running = Comparison(chosen, options, results, folder)
        try:
            running.prepare()
            for number in range(len(results["rounds"]), options.rounds):
                begun = time.perf_counter()
                taken: dict[str, Any] = {"load": load(), "cases": {}}
                for case in cases:
                    if sys.stderr.isatty():
                        sys.stderr.write(f"\rround {number + 1} of {options.rounds}: {case:<30}\r")
                    if case != "memory" and not (case.startswith("TLS") and "tls" not in running.roots):
                        taken["cases"][case] = running.measure(number, case)
                taken["seconds"] = round(time.perf_counter() - begun)
                results["rounds"].append(taken)
                keep(results, path)
                say(f"round {number + 1} of {options.rounds}: {taken['seconds']} s, load {taken['load']}")
            if "memory" in cases and not results["memory"]:
                for worker in running.workers.values():
                    worker.close()
                running.workers.clear()
                results["memory"] = running.measure(0, "memory")
            results["finished"] = True
            keep(results, path)
        finally:
            running.close()
    return results


def say(words: str) -> None:
    sys.stderr.write(words + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, metavar="N", help="of every client and case (3)")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="that one client spends in one case of a round (0.3)"
    )
    parser.add_argument("--memory", type=float, metavar="S", help="seconds for the memory of up to 100,000 calls (40)")
    parser.add_argument("--peers", default="", metavar="A,B", help="these clients, beside the floor and quoth")
    parser.add_argument(
        "--only", default="", metavar="A;B", help=f"these cases: {'; '.join([*STARTS, *CASES])}; memory"
    )
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)}: two minutes")
    parser.add_argument(
        "--write", action="store_true", help="keep the rounds, and put the table into the documentation"
    )
    parser.add_argument(
        "--show", action="store_true", help="print the table of the newest results; with --write, render"
    )
    options = parser.parse_args(arguments)
    if not options.show:
        defaults = (
            {"rounds": 2, "seconds": 0.15, "memory": 4.0}
            if options.quick
            else {"rounds": 3, "seconds": 0.3, "memory": 40.0}
        )
        for name, value in defaults.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
        picked = list(QUICK) if options.quick else [each for each in CLIENTS if each != "floor"]
        if options.peers:
            wanted = options.peers.split(",")
            picked = [each for each in CLIENTS if each == "quoth" or each in wanted]
        cases = [*STARTS, *CASES, "memory"]
        if options.only:
            cases = [each for each in cases if each in options.only.split(";")]
        today = datetime.now(UTC).date().isoformat()
        path = RESULTS / f"compare-{today}.json" if options.write else None
        begun = time.perf_counter()
        results = compare(["floor", *picked], cases, options, path)
        say(f"{time.perf_counter() - begun:.0f} s in all")
    else:
        results = json.loads(comparison.newest(RESULTS).read_text("utf-8"))
    print(comparison.text(results))
    if options.write:
        comparison.write_document(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
