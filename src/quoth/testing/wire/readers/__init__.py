"""One reader a wire: what an answer says, from its raw JSON, by the written convention of the wire.

A reader imports nothing of the dialects, so that the two can only agree where both read the same bytes the same
way. ``Reader`` in ``_wires`` says what each gives; ``MUTABLE`` lists the leaves that a mutation may change.
"""
