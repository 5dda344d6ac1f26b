"""Ollama's own chat (``/api/chat``), in both directions.

``client`` builds requests and reads answers; ``server`` mirrors it. What the wire says and our types do not
model stands in ``provider_data["ollama_chat"]``, laid out as on the wire, so that whoever knows the wire finds it:

* On a message, a call or a tool: fields to put over the object that we would build. A user may write there too.
* On a response: the fields of the body that have no name here (``logprobs``), and ``created_at`` where it says more
  than whole seconds.

``extra`` is put over the body, and its ``options`` over ours: ``{"options": {"num_ctx": 8192}}`` stands beside our
temperature. ``keep_alive``, ``truncate`` and the like are fields of the body.

A content is one text: those of a message are joined, with line ends between them but in an answer. Pictures are base64
without a type; their type is told by their first bytes. Counts and durations (nanoseconds) stand in the answer itself,
and are the ``reported`` of its usage.

Arguments are an object here, so an answer does not tell how they were spaced. Calls may have no id: they are given one
that begins with ``ollama_`` and is never sent; their results are known by the function's name.

A stream is one JSON object a line, and a whole answer is one such object. So the first line tells them apart: where it
says ``"done": false``, others follow. One that is done is the same answer, however it is read.

Keys that begin with a colon are ours and never sent (``:absent``: which fields were left out). What is not kept,
because it says nothing: ``null`` for a request field that has a name here; in answers also fields that are null or
empty, and the ``index`` of a call.
"""
