"""Amazon Bedrock's Converse and ConverseStream, in both directions: one wire for the models of many makers.

``client`` builds requests and reads answers; ``server`` mirrors it. What the wire says and our types do not model
stands in ``provider_data["bedrock_converse"]``, laid out as on the wire, so that whoever knows the wire finds it:

* On a part, a message or a tool: fields to put over the object that we would build. A block is an object with one
  member, so on a ``Text`` without text that member is the block: a point of a cache is
  ``Text(text="", provider_data={"bedrock_converse": {"cachePoint": {"type": "default"}}})``, and so are
  ``guardContent`` and ``searchResult``. A tool of Amazon's own is a ``Tool`` that keeps its object:
  ``Tool(name="nova_grounding", provider_data={"bedrock_converse": {"systemTool": {"name": "nova_grounding"}}})``.
* On a response: the fields of the body that have no name here (``metrics``, ``trace``,
  ``additionalModelResponseFields``).

The model stands in the path, and so does whether the answer is a stream. ``extra`` is merged into the body, object by
object: ``{"inferenceConfig": {...}}`` stands beside our temperature.

A block that our types do not know (a server's tool call and its result) is a ``Text`` without text that keeps the
block whole and gives it back exactly. A text with its sources is a ``Text`` that keeps the sources. Thoughts are sent
back only where they came over this wire: the signature in their ``provider_data`` makes them good, and the name alone
says where they are from. Redacted ones are a ``Reasoning`` without text. Video is a ``Document``; so is sound in a
bucket.

Keys that begin with a colon are ours and never sent. ``:form`` says that a text came with sources, that a document came
as a text, or a result as JSON; ``:field`` that a system message stood among the messages, or that a document's name is
its own on the wire; ``:turn`` that a message begins a turn of its own, though the one before it has the same speaker;
``:said`` what an answer says of a call and a request must not; ``:absent`` which fields were left out.

What is not kept, because it says nothing: who speaks in an answer, the padding ``p`` of a stream's events, a latency of
0. The arguments of a call are an object on this wire, so a whole answer does not tell how they were spaced. No answer
names itself or its model.
"""
