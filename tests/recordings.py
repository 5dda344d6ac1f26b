"""Where recorded traffic stands: outside the repository. What is tested on it skips where it is absent."""

import json
import os
import re
from functools import cache
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("QUOTH_SHARED") or Path(__file__).resolve().parents[1].parent / "shared")
WIRE = SHARED / "wire"

needs_recordings = pytest.mark.skipif(
    not WIRE.is_dir(), reason=f"no recorded traffic in {WIRE} (QUOTH_SHARED names another)"
)


@cache
def lines_of(name):
    """The exchanges of one file."""
    return [json.loads(line) for line in (WIRE / f"{name}.jsonl").read_text("utf-8").splitlines()]


def is_stream(body):
    return re.match(rb"\s*(data:|event:|:)", body) is not None
