"""Clouds, where a model stands at an address of your own: a resource, a region, an account."""

from __future__ import annotations

from .._spec import EmbeddingEndpoint, Endpoint, MediaLimits, ProviderSpec, Quirks
from ._wires import EMBEDDINGS, VERSION

__all__ = ["CLOUDS"]

RESOURCE = ("resource", ("AZURE_OPENAI_RESOURCE_NAME", "AZURE_RESOURCE_NAME"))
REGION = ("region", ("AWS_REGION", "AWS_DEFAULT_REGION"))
PROJECT = ("project", ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"))
LOCATION = ("region", ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"))
VERTEX_HOSTS = ("aiplatform.googleapis.com", "aiplatform.{region}.rep.googleapis.com")
"""Where ``global``, ``us`` and ``eu`` are."""

VERTEX_MODEL = "/v1/projects/{project}/locations/{region}/publishers/google/models/{model}"

# fmt: off
CLOUDS = (
    ProviderSpec(
        name="azure", display_name="Azure OpenAI", aliases=("azure-openai", "azureopenai", "azure_openai"),
        base_url="https://{resource}.openai.azure.com/openai/v1",
        hosts=("{resource}.services.ai.azure.com", "{resource}.cognitiveservices.azure.com"),
        dialect="openai_responses",
        key_variables=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"), auth_header="api-key", auth_prefix="",
        token_variables=("AZURE_OPENAI_AD_TOKEN",), takes_tokens=True,
        base_url_variables=("AZURE_OPENAI_ENDPOINT",), root_variables=("AZURE_OPENAI_ENDPOINT",),
        parts=(RESOURCE,),
        endpoints=(Endpoint(dialect="openai_chat"),),
        embeddings=(EmbeddingEndpoint(dialect="openai_embeddings", most_texts=2_048, most_tokens=300_000),),
        quirks=Quirks(max_tokens_field="max_completion_tokens"),
        otel_name="azure.ai.openai", confidence="recorded",
        note="The model is the name of your deployment. An Entra token is taken in place of a key.",
    ),
    ProviderSpec(
        name="azure-deployments",
        display_name="Azure OpenAI, by deployment and API version",
        aliases=("azure-classic",),
        base_url="https://{resource}.openai.azure.com/openai",
        path="/deployments/{model}/chat/completions", query=(("api-version", "{api_version}"),),
        key_variables=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"), auth_header="api-key", auth_prefix="",
        token_variables=("AZURE_OPENAI_AD_TOKEN",), takes_tokens=True,
        base_url_variables=("AZURE_OPENAI_ENDPOINT",), root_variables=("AZURE_OPENAI_ENDPOINT",),
        embeddings=(
            EmbeddingEndpoint(
                dialect="openai_embeddings",
                path="/deployments/{model}/embeddings", query=(("api-version", "{api_version}"),),
                most_texts=2_048, most_tokens=300_000, base64=True,
            ),
        ),
        parts=(RESOURCE, ("api_version", ("OPENAI_API_VERSION", "AZURE_API_VERSION"))),
        quirks=Quirks(max_tokens_field="max_completion_tokens"),
        models_path=None,
        otel_name="azure.ai.openai", confidence="recorded",
        note=(
            "The older paths, for resources that need an API version; the model is the name of your deployment. "
            "An Entra token is taken in place of a key."
        ),
    ),
    ProviderSpec(
        name="azure-foundry",
        display_name="Azure AI Foundry model inference",
        aliases=("azure-ai", "azure_ai", "azure-ai-inference"),
        base_url="https://{resource}.services.ai.azure.com/models",
        query=(("api-version", "2024-05-01-preview"),),
        key_variables=("AZURE_AI_API_KEY", "AZURE_API_KEY"), auth_header="api-key", auth_prefix="", takes_tokens=True,
        base_url_variables=("AZURE_AI_API_BASE", "AZURE_AI_CHAT_ENDPOINT"),
        root_variables=("AZURE_AI_API_BASE", "AZURE_AI_CHAT_ENDPOINT"),
        parts=(("resource", ("AZURE_AI_RESOURCE_NAME", "AZURE_RESOURCE_NAME")),),
        embeddings=(EmbeddingEndpoint(dialect="openai_embeddings", query=(("api-version", "2024-05-01-preview"),)),),
        models_path=None,
        otel_name="azure.ai.inference", confidence="recorded",
        note="An Entra token is taken in place of a key.",
    ),
    ProviderSpec(
        name="azure-anthropic",
        display_name="Claude in Microsoft Foundry",
        aliases=("foundry-anthropic", "azureanthropic"),
        base_url="https://{resource}.services.ai.azure.com/anthropic",
        dialect="anthropic_messages",
        key_variables=("ANTHROPIC_FOUNDRY_API_KEY", "AZURE_ANTHROPIC_API_KEY"), auth_header="x-api-key", auth_prefix="",
        takes_tokens=True,
        base_url_variables=("ANTHROPIC_FOUNDRY_BASE_URL",),
        parts=(("resource", ("ANTHROPIC_FOUNDRY_RESOURCE",)),),
        headers=VERSION,
        models_path=None,
        otel_name="azure.ai.inference", confidence="two_sources",
        note="The model is the name of your deployment. An Entra token is taken in place of a key.",
    ),
    ProviderSpec(
        name="vertex",
        display_name="Google Cloud Vertex AI",
        aliases=("google-vertex", "vertexai", "vertex_ai", "google-cloud", "google_vertexai"),
        base_url="https://{region}-aiplatform.googleapis.com",
        hosts=VERTEX_HOSTS,
        dialect="gemini",
        path="/v1/projects/{project}/locations/{region}/publishers/google/models/{model}:generateContent",
        key_variables=("GOOGLE_OAUTH_ACCESS_TOKEN",), credentials="google",
        relocate="vertex_host",
        parts=(PROJECT, LOCATION),
        endpoints=(
            Endpoint(
                dialect="anthropic_messages",
                path="/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict",
                rewrite="vertex_body",
            ),
            Endpoint(
                dialect="openai_chat",
                path="/v1/projects/{project}/locations/{region}/endpoints/openapi/chat/completions",
            ),
        ),
        embeddings=(  # Google's page of the text embeddings API: a text of Gemini's, 250 and 20,000 tokens of others'
            EmbeddingEndpoint(
                dialect="gemini_embed", path=f"{VERTEX_MODEL}:embedContent",
                models=("gemini-embedding-2",), most_texts=1,
            ),
            EmbeddingEndpoint(
                dialect="vertex_predict", path=f"{VERTEX_MODEL}:predict", models=("gemini-embedding",), most_texts=1,
            ),
            EmbeddingEndpoint(
                dialect="vertex_predict", path=f"{VERTEX_MODEL}:predict", most_texts=250, most_tokens=20_000,
            ),
        ),
        models_path=None,
        otel_name="gcp.vertex_ai", confidence="recorded",
        hint="an access token, which lives an hour: gcloud auth print-access-token",
        note='dialect="chat" reaches the open models, vertex-anthropic Claude. Without a token: Google credentials.',
    ),
    ProviderSpec(
        name="vertex-anthropic",
        display_name="Claude on Vertex AI",
        aliases=("google-vertex-anthropic", "vertexaianthropic"),
        base_url="https://{region}-aiplatform.googleapis.com",
        hosts=VERTEX_HOSTS,
        dialect="anthropic_messages",
        path="/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict",
        rewrite="vertex_body",
        key_variables=("GOOGLE_OAUTH_ACCESS_TOKEN",), credentials="google",
        base_url_variables=("ANTHROPIC_VERTEX_BASE_URL",), relocate="vertex_host",
        parts=(PROJECT, LOCATION),
        models_path=None,
        price_namespace="vertex", otel_name="gcp.vertex_ai", confidence="one_source",
        hint="an access token, which lives an hour: gcloud auth print-access-token",
        note="Without a token: Google credentials.",
    ),
    ProviderSpec(
        name="bedrock",
        display_name="Amazon Bedrock",
        aliases=("aws", "aws-bedrock", "amazon-bedrock", "bedrock_converse"),
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        hosts=(
            "bedrock-runtime.{region}.amazonaws.com.cn", "bedrock-runtime.{region}.amazonaws.eu",
            "bedrock-runtime-fips.{region}.amazonaws.com", "{endpoint}.bedrock-runtime.{region}.vpce.amazonaws.com",
        ),
        dialect="bedrock_converse", foreign_dialect="bedrock_converse",
        key_variables=("AWS_BEARER_TOKEN_BEDROCK",), credentials="aws", credentials_service="bedrock",
        base_url_variables=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"),
        root_variables=("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"), relocate="aws_host",
        parts=(REGION,),
        endpoints=(
            Endpoint(dialect="bedrock_invoke"),
            Endpoint(dialect="openai_chat", base_url="https://bedrock-runtime.{region}.amazonaws.com/openai/v1"),
        ),
        # Amazon Bedrock's user guide, on the request of Converse.
        limits=MediaLimits(image=3_750_000, images=20, document=4_500_000, documents=5),
        embeddings=(  # each maker's body of InvokeModel; Amazon's pages of them
            EmbeddingEndpoint(dialect="titan_embed", models=("titan-embed",), most_texts=1),
            EmbeddingEndpoint(dialect="nova_embed", models=("multimodal-embeddings",), most_texts=1),
            EmbeddingEndpoint(dialect="bedrock_cohere_embed", models=("cohere.embed",), most_texts=96),
        ),
        models_path=None,
        priced_as_asked=True, region_part="region",
        otel_name="aws.bedrock", confidence="recorded",
        hint="a Bedrock API key",
        note=(
            'Without a key: AWS credentials. Every model by Converse; Claude also by dialect="bedrock_invoke", '
            'gpt-oss by dialect="chat". Ids of inference profiles (us., eu., global.) and ARNs are taken as they are.'
        ),
    ),
    ProviderSpec(
        name="bedrock-mantle", display_name="Amazon Bedrock (mantle)", aliases=("bedrock-openai", "aws-mantle"),
        base_url="https://bedrock-mantle.{region}.api.aws/v1",
        dialect="openai_responses",
        key_variables=("AWS_BEARER_TOKEN_BEDROCK", "BEDROCK_MANTLE_API_KEY"),
        credentials="aws", credentials_service="bedrock-mantle",
        base_url_variables=("AWS_ENDPOINT_URL_BEDROCK_MANTLE", "ANTHROPIC_BEDROCK_MANTLE_BASE_URL"),
        root_variables=("AWS_ENDPOINT_URL_BEDROCK_MANTLE",),
        parts=(REGION,),
        endpoints=(
            Endpoint(dialect="openai_chat"),
            Endpoint(
                dialect="anthropic_messages",
                base_url="https://bedrock-mantle.{region}.api.aws/anthropic",
                auth_header="x-api-key",
                auth_prefix="",
                headers=VERSION,
            ),
        ),
        quirks=Quirks(max_tokens_field="max_completion_tokens"),
        price_namespace="bedrock", otel_name="aws.bedrock", confidence="recorded",
        hint="a Bedrock API key",
        note="Without a key: AWS credentials. OpenAI's newest ids stand under /openai/v1: give that base URL.",
    ),
    ProviderSpec(
        name="aws-anthropic", display_name="Claude Platform on AWS",
        base_url="https://aws-external-anthropic.{region}.api.aws",
        dialect="anthropic_messages",
        key_variables=("ANTHROPIC_AWS_API_KEY",), auth_header="x-api-key", auth_prefix="",
        credentials="aws", credentials_service="aws-external-anthropic",
        base_url_variables=("AWS_ENDPOINT_URL_AWS_EXTERNAL_ANTHROPIC", "ANTHROPIC_AWS_BASE_URL"),
        parts=(REGION, ("account", ("ANTHROPIC_AWS_WORKSPACE_ID",))),
        headers=(*VERSION, ("anthropic-workspace-id", "{account}")),
        models_path="/v1/models",
        otel_name="anthropic", confidence="two_sources",
        note="Without a key: AWS credentials.",
    ),
    ProviderSpec(
        name="databricks", display_name="Databricks",
        base_url="https://{resource}/ai-gateway/mlflow/v1",
        key_variables=("DATABRICKS_TOKEN", "DATABRICKS_API_KEY"),
        base_url_variables=("DATABRICKS_HOST", "DATABRICKS_API_BASE"),
        root_variables=("DATABRICKS_HOST",),
        relocate="https_host",
        models_path=None,
        confidence="two_sources",
        note="DATABRICKS_HOST is the address of your workspace.",
    ),
    ProviderSpec(
        name="cloudflare", display_name="Cloudflare Workers AI", aliases=("cloudflare-workers-ai", "workers-ai"),
        base_url="https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        key_variables=("CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN"),
        base_url_variables=("CLOUDFLARE_API_BASE",),
        parts=(("account", ("CLOUDFLARE_ACCOUNT_ID",)),),
        embeddings=EMBEDDINGS,
        models_path=None,
        confidence="two_sources",
        note="Ids begin with @cf/.",
    ),
    ProviderSpec(
        name="snowflake", display_name="Snowflake Cortex", aliases=("snowflake-cortex",),
        base_url="https://{account}.snowflakecomputing.com/api/v2/cortex/v1",
        key_variables=("SNOWFLAKE_TOKEN", "SNOWFLAKE_CORTEX_PAT", "PROGRAMMATIC_ACCESS_TOKEN"),
        parts=(("account", ("SNOWFLAKE_ACCOUNT",)),),
        quirks=Quirks(max_tokens_field="max_completion_tokens", reasoning_dial="reasoning"),
        models_path=None,
        confidence="recorded",
        note="The account as it stands in its URL: organisation-name.",
    ),
)
