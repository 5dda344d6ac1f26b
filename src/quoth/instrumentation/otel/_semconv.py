"""The names of OpenTelemetry's conventions for generative AI that are used here, and of our own beside them.

They are those of https://github.com/open-telemetry/semantic-conventions-genai, which has no release yet (its pages say
"Development"); ``tests/test_traces_names.py`` holds them against ``opentelemetry-util-genai`` where that is installed.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MEANINGS", "SEMCONV"]

SEMCONV: Final = "genai-2026-10"
"""The conventions that the names here are of; on the instrumentation scope as ``quoth.semconv``."""

# What was asked.

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
CONVERSATION: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
REQUEST_REASONING: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE: Final = "gen_ai.request.previous_response.id"

# What came.

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TEXT_INPUT_TOKENS: Final = "gen_ai.usage.text.input_tokens"
IMAGE_INPUT_TOKENS: Final = "gen_ai.usage.image.input_tokens"
AUDIO_INPUT_TOKENS: Final = "gen_ai.usage.audio.input_tokens"
TEXT_OUTPUT_TOKENS: Final = "gen_ai.usage.text.output_tokens"
IMAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.image.output_tokens"
AUDIO_OUTPUT_TOKENS: Final = "gen_ai.usage.audio.output_tokens"
TEXT_CACHE_READ_TOKENS: Final = "gen_ai.usage.text.cache_read.input_tokens"
AUDIO_CACHE_READ_TOKENS: Final = "gen_ai.usage.audio.cache_read.input_tokens"

SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
STATUS: Final = "http.response.status_code"

# Content, where it was asked for.

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
DETAILS: Final = "gen_ai.client.inference.operation.details"
"""The event that carries content in place of the span, or beside it."""

# Tools.

TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"

# Operations, by ours.

OPERATIONS: Final = {"generate": "chat", "embed": "embeddings"}
INVOKE_AGENT: Final = "invoke_agent"
EXECUTE_TOOL: Final = "execute_tool"

FINISH_REASONS: Final = {"tool_calls": "tool_call"}
"""Ours whose word is another there; the rest are alike."""

# Metrics.

DURATION: Final = "gen_ai.client.operation.duration"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105  # a name
FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105  # a name

SECONDS: Final = tuple([round(0.01 * 2**power, 2) for power in range(17)])
"""Bounds of the buckets of durations: those of the convention, up to 81.92, and three more for models that think."""
TOKENS: Final = tuple([4**power for power in range(14)])

# Ours.

CALL_ID: Final = "quoth.call.id"
RUN_ID: Final = "quoth.run.id"
"""On a run, and on the calls that were made for it: the ``parent`` of their records."""
OUTCOME: Final = "quoth.outcome"
COST_USD: Final = "quoth.cost.usd"
COST_KIND: Final = "quoth.cost.kind"
TAG: Final = "quoth.tag."
CONTENT_CUT: Final = "quoth.content.cut"
RETRY: Final = "quoth.retry"
FALLBACK: Final = "quoth.fallback"
ATTEMPT: Final = "quoth.attempt"
WAITED: Final = "quoth.waited"

# For docs/observability.md.

MEANINGS: Final = {
    OPERATION: "`chat`, `embeddings`, `execute_tool`, `invoke_agent`",
    PROVIDER: "the convention's name of the provider, else that of its row",
    REQUEST_MODEL: "the id that was asked for, without the provider; of a fallback, the one that ended the call",
    f"{REQUEST_MAX_TOKENS}, {REQUEST_TEMPERATURE}, {REQUEST_TOP_P}, {REQUEST_TOP_K}, {REQUEST_SEED}, {REQUEST_STOP}, "
    f"{REQUEST_FREQUENCY_PENALTY}, {REQUEST_PRESENCE_PENALTY}, {REQUEST_CHOICES}": "as given",
    REQUEST_PREVIOUS_RESPONSE: "as given",
    REQUEST_STREAM: "`true` for a stream",
    REQUEST_REASONING: "how much the model was asked to think: a word or a number of tokens",
    OUTPUT_TYPE: "`json`, where `output=` was given",
    CONVERSATION: "the tag `conversation_id`, where there is one",
    f"{RESPONSE_ID}, {RESPONSE_MODEL}, {RESPONSE_FINISH_REASONS}": "as the provider said; one reason a candidate",
    RESPONSE_FIRST_CHUNK: "of a stream: seconds from the call's begin to its first piece",
    f"{INPUT_TOKENS}, {OUTPUT_TOKENS}": "the totals: what was cached, and reasoning, are among them",
    f"{CACHE_READ_TOKENS}, {CACHE_WRITE_TOKENS}, {REASONING_TOKENS}": "the parts that there are",
    f"{TEXT_INPUT_TOKENS}, {IMAGE_INPUT_TOKENS}, {AUDIO_INPUT_TOKENS}, {TEXT_OUTPUT_TOKENS}, {IMAGE_OUTPUT_TOKENS}, "
    f"{AUDIO_OUTPUT_TOKENS}, {TEXT_CACHE_READ_TOKENS}, {AUDIO_CACHE_READ_TOKENS}": "where there were others than text",
    f"{SERVER_ADDRESS}, {SERVER_PORT}": "where the last request went",
    ERROR_TYPE: "the kind of the error, as in docs/errors.md; of a tool, the class of what it raised",
    f"{TOOL_NAME}, {TOOL_TYPE}, {TOOL_CALL_ID}, {TOOL_DESCRIPTION}": "of an executed tool",
    f"{SYSTEM_INSTRUCTIONS}, {INPUT_MESSAGES}, {OUTPUT_MESSAGES}, {TOOL_DEFINITIONS}, {TOOL_ARGUMENTS}, "
    f"{TOOL_RESULT}": "content: only where it was asked for",
    CALL_ID: "the id of the call's record",
    RUN_ID: "of a run, and of the calls made for it: the `parent` of their records",
    OUTCOME: "`answered`, `failed`, `cancelled`, `abandoned`",
    COST_USD: "what the call cost, in US dollars; absent where that is unknown",
    COST_KIND: "whose word the cost is; `unknown` where it is",
    f"{TAG}*": "each tag of the call",
    CONTENT_CUT: "`true` where content had no room",
    f"{RETRY}, {FALLBACK}": (
        f"events: what followed a failed attempt, with `{ATTEMPT}`, `{ERROR_TYPE}`, `{STATUS}` and `{WAITED}`, the "
        "seconds waited before the next"
    ),
}
"""What each attribute, or event, of a span says."""
