"""OpenAI Chat Completions: the lingua franca, in both directions.

``client`` builds requests and reads answers; ``server`` mirrors it. What the wire says and our types do not
model stands in ``provider_data["openai_chat"]``, laid out as on the wire, so that whoever knows the wire finds it:

* On a part, a message or a tool: fields to put over the object that we would build. A user may write there too:
  ``Text(text="...", provider_data={"openai_chat": {"cache_control": {"type": "ephemeral"}}})``.
* On a response: the fields of the body that have no name here; ``choices[0]`` holds those of the first choice and,
  in its ``message``, those of the message that are not to be sent back (annotations, audio).
* On a candidate: what is kept of its choice, likewise.

Keys that begin with a colon are ours and never sent. ``:form`` says which of two spellings of a content was used
(``string`` or ``list``), ``:field`` where in the message a text stood, ``:absent`` which fields were left out.

What is not kept, because it says nothing: ``null`` for a request field that has a name here, ``"stream": false``,
the difference between one stop string and a list of one; in answers also fields that are null or empty, and the
``index`` of a tool call.
"""
