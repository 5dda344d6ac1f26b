"""Gateways: many makers' models behind one key. None owns a bare id."""

from __future__ import annotations

from .._spec import Endpoint, ProviderSpec, Quirks
from ._wires import EMBEDDINGS, RESPONSES, VERSION

__all__ = ["GATEWAYS"]

# fmt: off
GATEWAYS = (
    ProviderSpec(
        name="openrouter", display_name="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
        base_url_variables=("OPENROUTER_API_BASE",),
        endpoints=(RESPONSES,),
        embeddings=EMBEDDINGS,
        quirks=Quirks(stream_usage_option=False, reasoning_dial="reasoning"),
        reported_cost="usage.cost", confidence="recorded",
    ),
    ProviderSpec(
        name="vercel", display_name="Vercel AI Gateway", aliases=("vercel-ai-gateway", "vercel_ai_gateway"),
        base_url="https://ai-gateway.vercel.sh/v1",
        key_variables=("AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
        base_url_variables=("VERCEL_AI_GATEWAY_API_BASE",),
        endpoints=(
            Endpoint(dialect="anthropic_messages", base_url="https://ai-gateway.vercel.sh", headers=VERSION),
        ),
        quirks=Quirks(reasoning_dial="reasoning"),
        reported_cost="usage.cost", confidence="recorded",
    ),
    ProviderSpec(
        name="huggingface", display_name="Hugging Face Inference Providers", aliases=("hf",),
        base_url="https://router.huggingface.co/v1",
        key_variables=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        base_url_variables=("HUGGINGFACE_API_BASE", "HF_INFERENCE_ENDPOINT"),
        endpoints=(RESPONSES,),
        confidence="recorded",
    ),
    ProviderSpec(
        name="github-models", display_name="GitHub Models", aliases=("github", "github_models"),
        base_url="https://models.github.ai/inference",
        key_variables=("GITHUB_TOKEN", "GITHUB_API_KEY"),
        base_url_variables=("GITHUB_MODELS_API_BASE", "GITHUB_API_BASE"),
        embeddings=EMBEDDINGS,
        models_path=None,
        confidence="two_sources",
    ),
    ProviderSpec(
        name="github-copilot", display_name="GitHub Copilot", aliases=("copilot", "github_copilot"),
        base_url="https://api.githubcopilot.com",
        key_variables=("COPILOT_GITHUB_TOKEN", "GITHUB_COPILOT_API_KEY", "GITHUB_COPILOT_API_TOKEN"),
        base_url_variables=("GITHUB_COPILOT_BASE_URL", "COPILOT_API_URL", "GITHUB_COPILOT_API_BASE"),
        headers=(("copilot-integration-id", "vscode-chat"),),
        endpoints=(
            RESPONSES,
            Endpoint(
                dialect="anthropic_messages",
                base_url="https://api.individual.githubcopilot.com",
                headers=VERSION,
            ),
        ),
        quirks=Quirks(max_tokens_field="max_completion_tokens", reasoning_field="reasoning_text"),
        confidence="recorded",
        note="The key is a token that GitHub's device flow gives; some plans have hosts of their own.",
    ),
    ProviderSpec(
        name="cloudflare-gateway", display_name="Cloudflare AI Gateway", aliases=("cloudflare-ai-gateway",),
        base_url="https://gateway.ai.cloudflare.com/v1/{account}/{resource}/compat",
        key_variables=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"), auth_header="cf-aig-authorization",
        parts=(("account", ("CLOUDFLARE_ACCOUNT_ID",)), ("resource", ("CLOUDFLARE_GATEWAY_ID",))),
        endpoints=(
            Endpoint(
                dialect="openai_responses",
                base_url="https://gateway.ai.cloudflare.com/v1/{account}/{resource}/openai",
            ),
            Endpoint(
                dialect="anthropic_messages",
                base_url="https://gateway.ai.cloudflare.com/v1/{account}/{resource}/anthropic",
                headers=VERSION,
            ),
        ),
        confidence="two_sources",
        note=(
            "The key is the gateway's own token; a key of the provider behind it goes into "
            'headers={"authorization": ...}.'
        ),
    ),
    ProviderSpec(
        name="requesty", display_name="Requesty",
        base_url="https://router.requesty.ai/v1",
        key_variables=("REQUESTY_API_KEY",),
        base_url_variables=("REQUESTY_API_BASE",),
        confidence="two_sources",
    ),
    ProviderSpec(
        name="portkey", display_name="Portkey",
        base_url="https://api.portkey.ai/v1",
        key_variables=("PORTKEY_API_KEY",), auth_header="x-portkey-api-key", auth_prefix="",
        base_url_variables=("PORTKEY_API_BASE",),
        confidence="two_sources",
        note="Which provider answers is said by headers of Portkey.",
    ),
    ProviderSpec(
        name="helicone", display_name="Helicone AI Gateway",
        base_url="https://ai-gateway.helicone.ai/v1",
        key_variables=("HELICONE_API_KEY",),
        confidence="two_sources",
    ),
    ProviderSpec(
        name="llmgateway", display_name="LLM Gateway",
        base_url="https://api.llmgateway.io/v1",
        key_variables=("LLMGATEWAY_API_KEY",),
        confidence="one_source",
    ),
    ProviderSpec(
        name="edenai", display_name="Eden AI",
        base_url="https://api.edenai.run/v3",
        key_variables=("EDENAI_API_KEY",),
        base_url_variables=("EDENAI_API_BASE",),
        endpoints=(RESPONSES,),
        reported_cost="usage.cost", confidence="two_sources",
    ),
    ProviderSpec(
        name="aihubmix", display_name="AIHubMix",
        base_url="https://aihubmix.com/v1",
        key_variables=("AIHUBMIX_API_KEY",),
        base_url_variables=("AIHUBMIX_API_BASE",),
        confidence="two_sources",
    ),
    ProviderSpec(
        name="opencode", display_name="OpenCode Zen", aliases=("opencode-zen",),
        base_url="https://opencode.ai/inference/openai/v1",
        key_variables=("OPENCODE_API_KEY",),
        endpoints=(RESPONSES,),
        confidence="two_sources",
    ),
    ProviderSpec(
        name="poe", display_name="Poe",
        base_url="https://api.poe.com/v1",
        key_variables=("POE_API_KEY",),
        confidence="two_sources",
    ),
    ProviderSpec(
        name="nano-gpt", display_name="NanoGPT", aliases=("nanogpt",),
        base_url="https://nano-gpt.com/api/v1",
        key_variables=("NANOGPT_API_KEY", "NANO_GPT_API_KEY"),
        confidence="two_sources",
    ),
    ProviderSpec(
        name="zenmux", display_name="ZenMux",
        base_url="https://zenmux.ai/api/v1",
        key_variables=("ZENMUX_API_KEY",),
        confidence="one_source",
    ),
    ProviderSpec(
        name="aiml", display_name="AI/ML API", aliases=("aimlapi",),
        base_url="https://api.aimlapi.com/v1",
        key_variables=("AIML_API_KEY", "AIMLAPI_KEY"),
        confidence="one_source",
    ),
)
