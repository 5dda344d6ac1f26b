"""Conformance: the dialects held to recorded traffic, ``python -m quoth.testing.wire DIR``.

Each recorded exchange that is on a wire of ours goes through these checks, over the public row of its URL:

* **Requests** (``_requests``): what a client sent is read, built again, and says the same at every path.
* **Answers** (``_answers``): what a call reads out of a body, beside a reading by somebody who knows nothing of the
  dialects (``readers/``): texts, thoughts, tool calls, why it ended, counts and their totals, ids; and of all that has
  no name here nothing is lost and nothing invented.
* **Streams** (``_streams``): the same, folded; however the body is cut, under each kind of line end; and one that was
  cut short never claims to be whole.
* **The server half** (``_server``): the answer, without what was kept raw, is spelled anew and reads back the same.
* **Errors** (``_errors``): the kind that was decided by reading it (``reviewed_errors.toml``), status, code, waits.

``--mutate`` (``_mutation``) asks whether these checks would notice. ``_files`` and ``_scope`` say what is read and what
of it is in scope, ``_rows`` through which provider, ``_wires`` who reads which wire, ``_report`` what is printed.
"""

from ._command import main

__all__ = ["main"]
