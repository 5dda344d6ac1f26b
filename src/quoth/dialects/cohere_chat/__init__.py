"""Cohere's Chat API v2 (``/v2/chat``), in both directions.

``client`` builds requests and reads answers; ``server`` mirrors it. What the wire says and our types do not
model stands in ``provider_data["cohere_chat"]``, laid out as on the wire, so that whoever knows the wire finds it:

* On a part, a message or a tool: fields to put over the object that we would build. ``citations`` stand on the message
  that they are about, and go back with it. A user may write there too.
* On a response: the fields of the body that have no name here (``logprobs``).

Everything else of the wire is ``extra``: ``documents``, ``citation_options``, ``safety_mode``, ``k``, the penalties.

What a model says before it calls tools is its ``tool_plan``: a ``Text`` that keeps where it stood. A result of a tool
may hold documents; one is a ``Text`` without text that keeps it whole.

Keys that begin with a colon are ours and never sent. ``:form`` says that one text was spelled as a list, ``:field``
that a text is the plan, ``:absent`` which fields were left out.

What is not kept, because it says nothing: ``null`` for a request field that has a name here, ``"stream": false``; in
answers also fields that are null or empty. An answer does not name its model.
"""
