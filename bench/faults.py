"""The faults of tests/faults.py against quoth and its peers: what each makes of them, by facts and one judge.

    python bench/faults.py                     # all clients, by blocking calls; some five minutes
    python bench/faults.py --client lm15 --scene no-end --shell asyncio --show     # look closer
    python bench/faults.py --write             # docs/faults.md anew from the newest results, without a run

Servers are threads of this process on 127.0.0.1. Each client runs in its own pinned environment (bench/peers.py), in
one driver a wire and a shell, which plays the scenes one after another; a call that hangs is killed with its driver.
The facts go to ``bench/results/faults-<date>.json``, and from there into docs/faults.md.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "bench" / "faults"
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "faults.md"
sys.path[:0] = [str(HERE), str(ROOT / "src")]

from judge import classes  # noqa: E402  # behind the path
from page import CLIENTS, SEATS, Seat, put_into, rendered  # noqa: E402
from peers import python_of  # noqa: E402
from scenes import GRACE, SCENES, TIMEOUT, Scene, staged  # noqa: E402

PATIENCE = 60.0
"""Seconds for a driver to start, or to tell its facts after a call."""
WARM_UP = [scene for scene in SCENES if scene.name in ("name-twice", "crlf")]
"""One whole answer and one streamed."""


class Driver:
    """A driver process, started anew after it was killed."""

    def __init__(self, client: str, folder: str) -> None:
        self.client, self.folder = client, folder
        self.versions: dict[str, str] = {}
        self._start()

    def _start(self) -> None:
        keep = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL")
        environment = {name: os.environ[name] for name in keep if name in os.environ}
        environment |= {"HOME": self.folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONUTF8": "1"}
        script = HERE / f"client_{self.client.replace('-', '_')}.py"
        self.process = subprocess.Popen(
            [str(python_of(self.client)), str(script)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.process, self.lines), daemon=True).start()
        self.versions = self._line(PATIENCE) or {}
        if not self.versions:
            raise SystemExit(f"the driver of {self.client} does not start")

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put("null")

    def _line(self, seconds: float) -> Any:
        try:
            return json.loads(self.lines.get(timeout=seconds))
        except queue.Empty:
            return None

    def play(self, job: dict[str, Any], limit: float) -> dict[str, Any]:
        """The facts of a job; a hang is one."""
        if self.process.poll() is not None:
            self._start()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        if self._line(limit) is None:
            alive = self.process.poll() is None
            self.stop()
            return {"hang": True} if alive else {"error": {"mro": ["the process died"], "message": "", "length": 0}}
        facts = self._line(PATIENCE)
        if facts is None:
            self.stop()
            return {"hang": True}
        return dict(facts)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def played(seat: Seat, scenes: Iterable[Scene], folder: str) -> dict[str, Any]:
    """All facts of one client on one wire in one shell, and its versions."""
    driver = Driver(seat.client, folder)
    found = {}
    try:
        for scene in WARM_UP:  # what a client loads at its first call is no fault
            facts, _ = _once(driver, scene, seat, PATIENCE)
            if facts.get("text") != scene.text:
                print(f"{seat}: the warm-up came to {facts}", file=sys.stderr)
        for scene in scenes:
            if scene.fork and (seat.shell == "asyncio" or not hasattr(os, "fork")):
                continue
            facts, server = _once(driver, scene, seat)
            if _grew(facts):  # once may be a pool that fills: only what grows each time is a leak
                facts, server = _once(driver, scene, seat)
            found[scene.name] = cleaned({**facts, **server})
    finally:
        driver.stop()
    return {"versions": driver.versions, "facts": found}


def _once(
    driver: Driver, scene: Scene, seat: Seat, limit: float = TIMEOUT + GRACE
) -> tuple[dict[str, Any], dict[str, Any]]:
    with staged(scene, seat.wire, seat.shell) as stage:
        facts = driver.play(stage.job, limit)
        return facts, stage.facts()


def _grew(facts: dict[str, Any]) -> bool:
    return any(after > before for before, after in (facts.get("sockets", (0, 0)), facts.get("threads", (0, 0))))


PLACES = (
    (re.compile(r"(127\.0\.0\.1|localhost|example\.test|::1\]?)[:/]?:?\d{4,5}"), r"\1:PORT"),
    (re.compile(r"port[= ]\d{4,5}"), "port PORT"),
    (re.compile(r"(?:/[\w.-]+){3,}/?"), "PATH"),
    (re.compile(r"0x[0-9a-f]{6,}"), "ADDRESS"),
)


def cleaned(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without what is of this machine: ports, paths, addresses."""
    if "error" in facts:
        message = facts["error"]["message"].replace("zq9-5e3f0b71c2d84a96-plain", "KEY")
        for pattern, word in PLACES:
            message = pattern.sub(word, message)
        facts["error"]["message"] = message
    return facts


def main() -> int:
    options = _options()
    if not options.write:
        chosen = [seat for seat in SEATS if not options.client or seat.client in options.client]
        seats = [seat._replace(shell=options.shell) for seat in chosen]
        scenes = [scene for scene in SCENES if not options.scene or scene.name in options.scene]
        for client in {seat.client: None for seat in seats}:
            python_of(client)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
            done = dict(zip(seats, pool.map(lambda seat: played(seat, scenes, folder), seats), strict=True))
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
        if options.client or options.scene or options.show or options.shell != "blocking":
            _show(done, full=options.show)
            return 0
        results = results_of(done)
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"faults-{results['date']}.json"
        path.write_text(dumped(results), "utf-8")
        print(path.relative_to(ROOT))
    PAGE.write_text(put_into(PAGE.read_text("utf-8"), rendered(json.loads(newest().read_text("utf-8")))), "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--client", action="append", default=[], help="only this one, and write nothing")
    parser.add_argument("--scene", action="append", default=[], help="only this one, and write nothing")
    parser.add_argument("--shell", choices=("blocking", "asyncio"), default="blocking", help="asyncio writes nothing")
    parser.add_argument("--show", action="store_true", help="print the facts, and write nothing")
    parser.add_argument("--write", action="store_true", help="make the page from the newest results, without a run")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="drivers at once (4)")
    return parser.parse_args()


def _show(done: dict[Seat, dict[str, Any]], full: bool) -> None:
    own = {client.name: client.own for client in CLIENTS}
    for seat, result in done.items():
        for name, facts in result["facts"].items():
            print(f"{seat.client:<13}{seat.wire:<19}{seat.shell:<9}{name:<24}", end="")
            print(", ".join(classes(name, facts, own[seat.client])) or "correct")
            if full:
                print("    ", json.dumps(facts))


def results_of(done: dict[Seat, dict[str, Any]]) -> dict[str, Any]:
    """What is committed: facts, and what they were found with."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": next(iter(done.values()))["versions"]["python"],
        "system": sys.platform,
        "timeout": TIMEOUT,
        "versions": {seat.client: result["versions"]["version"] for seat, result in done.items()},
        "facts": {"/".join(seat): result["facts"] for seat, result in done.items()},
    }


def dumped(results: dict[str, Any]) -> str:
    """JSON with a line for each fact sheet, so that a diff can be read."""
    rest = json.dumps({name: value for name, value in results.items() if name != "facts"}, indent=1)
    seats = [
        f"{json.dumps(seat)}: {{\n"
        + ",\n".join([f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=True)}" for name, one in facts.items()])
        + "\n}"
        for seat, facts in results["facts"].items()
    ]
    return rest[:-2] + ',\n "facts": {\n' + ",\n".join(seats) + "\n}}\n"


def newest(found: Sequence[Path] | None = None) -> Path:
    """The newest results."""
    return max(found or RESULTS.glob("faults-*.json"))


if __name__ == "__main__":
    raise SystemExit(main())
