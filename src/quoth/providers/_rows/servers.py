"""Servers of your own, on this machine unless said otherwise. They answer without a key and take one."""

from __future__ import annotations

from .._spec import EmbeddingEndpoint, Endpoint, ProviderSpec, Quirks
from ._wires import EMBEDDINGS, RESPONSES, VERSION

__all__ = ["SERVERS"]

OLLAMA_V1 = "http://localhost:11434/v1"
"""Where Ollama speaks the wires of OpenAI."""

# fmt: off
SERVERS = (
    ProviderSpec(
        name="ollama", display_name="Ollama",
        base_url="http://localhost:11434",
        dialect="ollama_chat",
        key_variables=("OLLAMA_API_KEY",), key_optional=True,
        base_url_variables=("OLLAMA_HOST", "OLLAMA_BASE_URL", "OLLAMA_API_BASE"),
        root_variables=("OLLAMA_HOST", "OLLAMA_BASE_URL", "OLLAMA_API_BASE"),
        relocate="ollama_host",
        endpoints=(
            Endpoint(dialect="openai_chat", base_url=OLLAMA_V1, quirks=Quirks(reasoning_field="reasoning")),
            Endpoint(dialect="openai_responses", base_url=OLLAMA_V1),
        ),
        embeddings=(EmbeddingEndpoint(dialect="ollama_embed", base_url="http://localhost:11434", most_texts=512),),
        quirks=Quirks(output_rules="grammar"),
        models_path="/api/tags",
        confidence="recorded",
        note="OLLAMA_HOST is read as Ollama reads it; a base URL that ends in /v1 is its compatible API.",
    ),
    ProviderSpec(
        name="vllm", display_name="vLLM", aliases=("hosted_vllm",),
        base_url="http://localhost:8000/v1",
        key_variables=("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"), key_optional=True,
        base_url_variables=("VLLM_BASE_URL", "VLLM_API_BASE", "HOSTED_VLLM_API_BASE"),
        endpoints=(RESPONSES,),
        embeddings=EMBEDDINGS,
        quirks=Quirks(reasoning_field="reasoning", output_rules="grammar"),
        confidence="recorded",
    ),
    ProviderSpec(
        name="sglang", display_name="SGLang",
        base_url="http://localhost:30000/v1",
        key_optional=True,
        endpoints=(RESPONSES,),
        quirks=Quirks(output_rules="grammar"),
        confidence="one_source",
    ),
    ProviderSpec(
        name="lmstudio", display_name="LM Studio", aliases=("lm_studio", "lm-studio"),
        base_url="http://localhost:1234/v1",
        key_variables=("LM_STUDIO_API_KEY", "LMSTUDIO_API_KEY"), key_optional=True,
        base_url_variables=("LM_STUDIO_API_BASE", "LMSTUDIO_BASE_URL"),
        endpoints=(RESPONSES,),
        embeddings=EMBEDDINGS,
        quirks=Quirks(output_rules="grammar"),
        confidence="recorded",
    ),
    ProviderSpec(
        name="llamacpp", display_name="llama.cpp server", aliases=("llama.cpp", "llama-cpp", "llama_cpp"),
        base_url="http://localhost:8080/v1",
        key_variables=("LLAMACPP_API_KEY",), key_optional=True,
        base_url_variables=("LLAMACPP_API_BASE",),
        endpoints=(RESPONSES,),
        embeddings=EMBEDDINGS,
        quirks=Quirks(reasoning_field="reasoning_content", output_rules="grammar"),
        confidence="recorded",
    ),
    ProviderSpec(
        name="llamafile", display_name="llamafile",
        base_url="http://localhost:8080/v1",
        key_variables=("LLAMAFILE_API_KEY",), key_optional=True,
        base_url_variables=("LLAMAFILE_API_BASE",),
        quirks=Quirks(output_rules="grammar"),
        confidence="one_source",
    ),
    ProviderSpec(
        name="docker-model-runner", display_name="Docker Model Runner", aliases=("docker_model_runner",),
        base_url="http://localhost:22088/engines/llama.cpp/v1",
        key_variables=("DOCKER_MODEL_RUNNER_API_KEY",), key_optional=True,
        base_url_variables=("DOCKER_MODEL_RUNNER_API_BASE",),
        quirks=Quirks(output_rules="grammar"),
        confidence="one_source",
        note="The port depends on the installation.",
    ),
    ProviderSpec(
        name="lemonade", display_name="Lemonade Server",
        base_url="http://localhost:8000/api/v1",
        key_variables=("LEMONADE_API_KEY",), key_optional=True,
        base_url_variables=("LEMONADE_API_BASE",),
        quirks=Quirks(output_rules="grammar"),
        confidence="one_source",
    ),
    ProviderSpec(
        name="litellm-proxy", display_name="LiteLLM proxy", aliases=("litellm_proxy", "litellm"),
        base_url="http://localhost:4000",
        key_variables=("LITELLM_PROXY_API_KEY", "LITELLM_API_KEY"),
        base_url_variables=("LITELLM_PROXY_API_BASE",),
        endpoints=(RESPONSES, Endpoint(dialect="anthropic_messages", headers=VERSION)),
        embeddings=EMBEDDINGS,
        confidence="recorded",
    ),
)
