"""Output types: what ``output=T`` means, how each provider is asked for it, and how an answer becomes a T.

A type becomes a schema and a decoder once (``_forms``). For each target of a call the schema is brought to what that
provider accepts (``_rules`` says what, ``_rewriting`` does it), and the request to the way in which it is asked for
(``_asking``): its own form of an answer, a tool that must be called, or words. Whatever was asked, the answer is held
to the whole type here (``_reading``), piece by piece while it streams (``_growing``). Loaded by the first call that
has an ``output=``; pure, and none of it waits.
"""

from ._asking import Asked, ask_for
from ._forms import Form, form_of
from ._reading import Reading
from ._repairing import repaired_request

__all__ = ["Asked", "Form", "Reading", "ask_for", "form_of", "repaired_request"]
