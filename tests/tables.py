"""Tables of providers for tests of what is the same on every wire."""

from msgspec.structs import replace

from quoth.providers import ProviderTable


def chat_table():
    """A table of its own whose OpenAI answers on Chat Completions, as its answers in many tests are written."""
    table = ProviderTable()
    openai = table.get("openai")
    table.register(replace(openai, dialect="openai_chat", endpoints=(), model_wires=()))
    return table
