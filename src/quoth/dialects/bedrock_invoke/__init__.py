"""Claude behind Bedrock's InvokeModel: Anthropic Messages, carried in the frames of AWS.

Bodies are Anthropic's, and so is what is kept of them: it stands in ``provider_data["anthropic_messages"]``, and a
conversation goes on between the two. What is Amazon's: the model stands in the path, and so does whether the answer is
a stream; a field names the version of the wire; each event of a stream is the payload of a frame, in base64; errors
are told as everywhere on Bedrock.
"""
