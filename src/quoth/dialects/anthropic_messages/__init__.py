"""Anthropic Messages, in both directions: Anthropic itself, the clouds that host Claude, and those that resemble it.

``client`` builds requests and reads answers; ``server`` mirrors it. What the wire says and our types do not
model stands in ``provider_data["anthropic_messages"]``, laid out as on the wire, so that whoever knows the wire
finds it:

* On a part, a message or a tool: fields to put over the object that we would build (``cache_control``,
  ``citations``, ``signature``, ``caller``). A user may write there too:
  ``Text(text="...", provider_data={"anthropic_messages": {"cache_control": {"type": "ephemeral"}}})``.
* On a response: the fields of the body that have no name here (``stop_sequence``, ``stop_details``,
  ``container``, ``context_management``).

A block that our types do not know (a server's tool call and its result, a compaction, an upload) is a ``Text``
without text that keeps the block whole and gives it back exactly. Thoughts are sent back only where they came
over this wire: the signature in their ``provider_data`` makes them good, and the name alone says where they are
from. Redacted ones are a ``Reasoning`` without text.

Keys that begin with a colon are ours and never sent. ``:form`` says which of two spellings of a content was used
(``string`` or ``list``), ``:field`` that a system message stood among the messages, ``:turn`` that tool results
begin a turn of their own, ``:absent`` which fields were left out.

What is not kept, because it says nothing: ``null`` for a request field that has a name here, ``"stream": false``,
an empty list of tools or stops; in answers also fields of a text, a thought or a tool call that are null or empty.
The arguments of a tool call are an object on this wire, so a whole answer does not tell how they were spaced.
"""
