"""OpenAI Responses, in both directions: OpenAI itself, Azure, xAI, Bedrock's mantle, and those that resemble them.

``client`` builds requests and reads answers; ``server`` mirrors it. The wire is a flat list of *items*: messages,
thoughts, tool calls and their results, each with an id. Items in a row that a model wrote are one assistant's message
here, each item as its parts, so that ``Response.message`` in a conversation is spelled as the very items that came.
What the wire says and our types do not model stands in ``provider_data["openai_responses"]``, laid out as on the
wire, so that whoever knows the wire finds it:

* On a part that is an item (a thought, a tool call, its result): fields to put over the item that we would build
  (``id``, ``status``, ``encrypted_content``, ``namespace``). On a part inside a message item: over its entry of the
  content (``annotations``, ``logprobs``, ``prompt_cache_breakpoint``). On a user's or a system message, on a tool, on
  an output format: over theirs. A user may write there too.
* On a response: the fields of the body that have no name here, most of them echoes of the request.

An item that our types do not know (a server's tool call, a compaction, a reference) is a ``Text`` without text that
keeps the item whole and gives it back exactly, in its place. So is an unknown entry of a content. A thought without
words is a ``Reasoning`` without text that keeps what makes it good.

Keys that begin with a colon are ours and never sent. ``:item``, on the first part of an assistant's message item,
says that the item begins there, and which fields it has beside its content; ``:form`` which of two spellings of a
content was used (``string`` or ``list``); ``:field`` where a text stood: ``instructions`` or ``input`` for a message,
``content`` for a thought that was no summary, ``item`` for one that keeps an item, ``body`` for a thought beside the
items; ``:absent`` which fields were left out.

What is not kept, because it says nothing: ``null`` for a request field that has a name here, ``"stream": false``,
an empty list of tools or of input; in answers also fields of the body that are null, empty, or the default that
``_answers`` lists, and ``output_text``, which repeats the items.
"""
