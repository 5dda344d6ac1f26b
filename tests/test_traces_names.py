"""The names of ``_semconv`` beside those of OpenTelemetry's own package: an alarm where they drift."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from quoth.instrumentation.metrics import METRICS
from quoth.instrumentation.metrics._names import OPERATIONS, PROVIDERS
from quoth.instrumentation.otel import CAPTURE_VARIABLE, Capture, _semconv
from quoth.providers import PROVIDERS as ROWS

pytest.importorskip("opentelemetry.util.genai", reason="opentelemetry-util-genai is not installed")

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.util import genai

DELIBERATE = {
    "gen_ai.tool.call.arguments": "newer than the constants of some versions of the package",
    "gen_ai.tool.call.result": "as above",
    "gen_ai.usage.reasoning.output_tokens": "as above",
}
"""Names of ours that the package may lack, and why they stay."""

LEFT_OUT = {
    "gen_ai.agent": "a run has no name, id or version of an agent",
    "gen_ai.conversation.compacted": "a chat that trims itself says so in its own history",
    "gen_ai.data_source.id": "retrieval is no operation here",
    "gen_ai.embeddings.dimension.count": "the record of a call has no such field",
    "gen_ai.execute_tool.duration": "the span of a tool has it",
    "gen_ai.invoke_agent.duration": "the span of a run has it",
    "gen_ai.invoke_workflow.duration": "there are no workflows here",
    "gen_ai.prompt": "there are no stored prompts here",
    "gen_ai.request.encoding_formats": "the record of a call has no such field",
    "gen_ai.request.stream_cursor": "no stream is taken up again here",
    "gen_ai.response.status": "the finish reason and the outcome say it",
    "gen_ai.retrieval": "retrieval is no operation here",
    "gen_ai.usage.image.cache_read.input_tokens": "no wire tells them apart",
    "gen_ai.workflow.name": "there are no workflows here",
    "gen_ai.client.operation.time_per_output_chunk": "pieces of text are no chunks of a wire: not known honestly",
}
"""What the package emits and quoth does not, by the beginning of the name, and why."""


def names_of_ours():
    values = [value for name, value in vars(_semconv).items() if name.isupper() and isinstance(value, str)]
    return {value for value in values if value.startswith("gen_ai.")}


def names_of_the_package():
    """Those that its source spells, and those of the constants that it uses."""
    source = "".join(path.read_text("utf-8") for path in Path(genai.__path__[0]).glob("*.py"))
    spelled = set(re.findall(r'"(gen_ai\.[a-z_.]*[a-z])\.?"', source))
    constants = {*re.findall(r"\bGEN_AI_[A-Z_]+\b", source)}
    known = {**vars(gen_ai_metrics), **vars(gen_ai_attributes)}
    return spelled | {known[name] for name in constants if isinstance(known.get(name), str)}


def test_every_name_of_ours_is_one_of_the_packages():
    assert len(names_of_ours()) > 40
    unknown = names_of_ours() - names_of_the_package() - DELIBERATE.keys()
    assert not unknown, f"not in opentelemetry-util-genai {version('opentelemetry-util-genai')}"


def test_what_the_package_emits_and_quoth_does_not_is_left_out_on_purpose():
    emitted = {name for name in names_of_the_package() if not name.startswith(tuple(LEFT_OUT))}
    # The constants of deprecated names stand in the package too, where it reads them.
    assert not emitted - names_of_ours(), "new names: emit them, or say in LEFT_OUT why not"


def test_the_words_that_switch_content_on_are_the_packages():
    from typing import get_args

    from opentelemetry.util.genai.environment_variables import OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT
    from opentelemetry.util.genai.types import ContentCapturingMode

    assert CAPTURE_VARIABLE == OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT
    assert {*get_args(Capture)} == {mode.name for mode in ContentCapturingMode}


def test_the_metrics_for_prometheus_are_those_of_opentelemetry():
    names = {"_".join(each.split(".")) for each in (_semconv.DURATION, _semconv.TOKEN_USAGE, _semconv.FIRST_CHUNK)}
    ours = {metric.name.removesuffix("_seconds") for metric in METRICS if metric.name.startswith("gen_ai_")}
    assert ours == names
    buckets = {metric.name: metric.buckets for metric in METRICS}
    assert buckets["gen_ai_client_operation_duration_seconds"] == _semconv.SECONDS
    assert buckets["gen_ai_client_token_usage"] == _semconv.TOKENS
    assert OPERATIONS == _semconv.OPERATIONS


def test_a_provider_has_one_name_in_traces_and_metrics():
    for row in ROWS:
        assert row.telemetry_name == PROVIDERS.get(row.name, row.name), row.name
