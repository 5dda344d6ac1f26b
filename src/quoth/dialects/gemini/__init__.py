"""Gemini's generateContent, in both directions: Google AI Studio, Vertex AI, and those that resemble them.

``client`` builds requests and reads answers; ``server`` mirrors it. What the wire says and our types do not
model stands in ``provider_data["gemini"]``, laid out as on the wire, so that whoever knows the wire finds it:

* On a part, a message or a tool: fields to put over the object that we would build (``thoughtSignature``,
  ``videoMetadata``, ``mediaResolution``). A user may write there too. A tool of Google's own is a ``Tool`` that keeps
  an object under its name: ``Tool(name="googleSearch", provider_data={"gemini": {"googleSearch": {}}})``.
* On a response: the fields of the body that have no name here; ``candidates[0]`` holds those of the first candidate
  (``groundingMetadata``, ``citationMetadata``, ``safetyRatings``, ``logprobsResult``). Each further candidate keeps
  its own.

The model stands in the path, and so does whether the answer is a stream. ``extra`` is merged into the body, object by
object: ``{"generationConfig": {"topK": 40}}`` stands beside our temperature.

A part that our types do not know (executable code and its result, a server's tool call) is a ``Text`` without text
that keeps the part whole and gives it back exactly. Video is a ``Document``; so is sound by its address. Every part
may carry a ``thoughtSignature``, which goes back with it, in its place. Thoughts are sent back only where they came
over this wire.

Calls may have no id here. They are given one that begins with ``gemini_`` and is never sent: their results are known
by the function's name and their place. The result of a tool is an object: ``{"output": "..."}``, ``{"error": "..."}``
where it failed; one that came as another object is its JSON, and goes back as the object.

Keys that begin with a colon are ours and never sent. ``:form`` says that a result came as an object, ``:field`` which
of two fields held a schema, ``:turn`` that tool results begin a turn of their own, ``:object`` that a tool begins an
object of its own and what stands beside it there, ``:base64`` which alphabet was used, ``:snake`` which names were
spelled in snake_case, which Google takes too, ``:absent`` which fields were left out.

What is not kept, because it says nothing: in answers, fields that are null or empty, and the place of a candidate. The
arguments of a call are an object on this wire, so an answer does not tell how they were spaced.
"""
