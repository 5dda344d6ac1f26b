"""The comparison's part of docs/faults.md, made from committed facts and from nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from judge import CLASSES, classes
from scenes import APART, GRACE, SCENES

BEGIN = "<!-- made by: python bench/faults.py -->\n"
END = "<!-- end of what bench/faults.py makes -->\n"
CHAT, MESSAGES, GEMINI = "openai_chat", "anthropic_messages", "gemini"
WIRES = {CHAT: "Chat Completions", MESSAGES: "Messages", GEMINI: "Gemini"}


class Client(NamedTuple):
    """A client, the wires that it speaks here, where its own errors live, and how it was set."""

    name: str
    wires: tuple[str, ...]
    own: list[str]
    settings: str


class Seat(NamedTuple):
    """One client on one wire, and how it is called: blocking or asyncio."""

    client: str
    wire: str
    shell: str


CLIENTS = (
    Client("quoth", (CHAT, MESSAGES, GEMINI), ["quoth.errors"], "`Settings(timeout=3, retries=0)`"),
    Client("openai", (CHAT,), ["openai"], "`OpenAI(timeout=3, max_retries=0)`: of each wait for bytes"),
    Client("anthropic", (MESSAGES,), ["anthropic"], "`Anthropic(timeout=3, max_retries=0)`: of each wait for bytes"),
    Client(
        "google-genai",
        (GEMINI,),
        ["google.genai.errors"],
        "`HttpOptions(timeout=3000, retry_options=HttpRetryOptions(attempts=1))`: of each wait for bytes",
    ),
    Client(
        "litellm",
        (CHAT,),
        ["litellm.exceptions", "openai"],
        '`completion(timeout=3, max_retries=0)`, `LITELLM_LOCAL_MODEL_COST_MAP=True`; `model="openai/m"`',
    ),
    Client(
        "lm15",
        (CHAT,),
        ["lm15.errors"],
        "`StdlibTransport(connect_timeout=3, read_timeout=3, write_timeout=3, pool_timeout=3)`; it never retries",
    ),
    Client(
        "pydantic-ai",
        (CHAT,),
        ["pydantic_ai.exceptions"],
        "`ModelSettings(timeout=3, request_timeout=3)` by `pydantic_ai.direct`, over `AsyncOpenAI(max_retries=0)`",
    ),
)
SEATS = [Seat(client.name, wire, "blocking") for client in CLIENTS for wire in client.wires]
OWN = {client.name: client.own for client in CLIENTS}

NOTES = {
    "line-break-in-key": "no client let the header through. The others quote the refused one in their error, so the "
    "key.",
    "redirect": "to follow is a choice, and not counted; quoth and lm15 do not, the others sent the prompt on. "
    "google-genai sends its key in a header that went with it.",
    "large-error": "quoth's message ends at 2,000 characters; the others carry all 10 MB, LiteLLM's after 30 s if "
    "it is let.",
    "no-usage": "LiteLLM and pydantic-ai give counts of zero, which nothing tells from none.",
    "no-usage-stream": "Anthropic's own servers always tell usage there; a compatible one may not.",
    "usage-negative": "an SDK that hands on the wire's own object hands on -5: not counted. pydantic-ai says zero for "
    "both counts, quoth that they are suspect.",
    "large-event": "quoth refuses it, for its cap of 16 MB. The others answer.",
    "no-end": "the reason to finish is None with the SDKs, so who looks can see it; pydantic-ai says `stop`.",
    "quota": "tries are not counted, only time: google-genai waits longer between its three.",
    "no-time-to-wait": "their timeout is that of one try, and the wait between two is no part of it.",
    "fork": "the answers were right, one after the other; but both processes used one connection.",
    "pickle": "what an error takes into its pickle is counted here alone. Those of openai, LiteLLM and lm15 cannot be "
    "loaded again, google-genai's come back as their base class, and those of the three SDKs hold the key.",
}
"""What was looked at by hand, by scene."""


def rendered(results: dict[str, Any]) -> str:
    """The part of the page: everything between the marks."""
    return "\n".join([*_head(results), *_summary(results), *_table(results), *_notes(), *_apart()])


def put_into(page: str, part: str) -> str:
    """The page with this part between its marks, or behind it where it has none yet."""
    before, _, rest = page.partition(BEGIN)
    return before.rstrip("\n") + "\n\n" + BEGIN + part + END + rest.partition(END)[2]


def _head(results: dict[str, Any]) -> list[str]:
    rows = [
        f"| {client.name} {results['versions'][client.name]} | {', '.join(WIRES[wire] for wire in client.wires)} | "
        f"{client.settings} | {', '.join(f'`{module}`' for module in client.own)} |"
        for client in CLIENTS
    ]
    return [
        "| | wires | settings | its own errors |",
        "|---|---|---|---|",
        *rows,
        "",
        (
            f"Facts of {results['date']}, Python {results['python']} on {results['system']}, by blocking calls. "
            "Nothing in them is drawn by chance, so there is no seed. Where a scene is about retries, each had two "
            "instead of none (`attempts=3` for google-genai; lm15 none). "
            "LiteLLM had them by `max_retries`, as its `num_retries` needs a package that it does "
            "not bring."
        ),
        "",
        "What may come of a scene, the worst first:",
        "",
        *[f"- **{name}**: {meaning}." for name, meaning in CLASSES.items()],
        "- ✓: a right answer, or an error of the library's own within the time; whichever the scene calls right.",
        "",
    ]


def _verdicts(results: dict[str, Any], seat: Seat) -> dict[str, list[str]]:
    return {name: classes(name, facts, OWN[seat.client]) for name, facts in results["facts"]["/".join(seat)].items()}


def _summary(results: dict[str, Any]) -> list[str]:
    lines = [
        "Scenes by the worst that is true of them:",
        "",
        f"| | ✓ | {' | '.join(CLASSES)} |",
        "|---|" + "---|" * (len(CLASSES) + 1),
    ]
    for seat in SEATS:
        count = Counter(found[0] if found else "" for found in _verdicts(results, seat).values())
        lines.append(f"| {_title(seat)} | {' | '.join([str(count[name] or '–') for name in ('', *CLASSES)])} |")
    return [*lines, ""]


def _title(seat: Seat) -> str:
    return f"{seat.client}, {WIRES[seat.wire]}"


def _table(results: dict[str, Any]) -> list[str]:
    lines = [
        "The number is that of the list above. Behind `foreign` stands the class that was raised.",
        "",
        f"| | scene | what the other side does | right | {' | '.join(_title(seat) for seat in SEATS)} |",
        "|---|---|---|---|" + "---|" * len(SEATS),
    ]
    for scene in sorted(SCENES, key=lambda scene: scene.number):
        mark = f" [{list(NOTES).index(scene.name) + 1}]" if scene.name in NOTES else ""
        cells = [_cell(results, seat, scene.name) for seat in SEATS]
        lines.append(f"| {scene.number} | `{scene.name}`{mark} | {scene.does} | {scene.expect} | {' | '.join(cells)} |")
    return [*lines, ""]


def _cell(results: dict[str, Any], seat: Seat, name: str) -> str:
    facts = results["facts"]["/".join(seat)][name]
    found = classes(name, facts, OWN[seat.client])
    words = [_with_error(each, facts) for each in found]
    return ", ".join(words) or "✓"


def _with_error(name: str, facts: dict[str, Any]) -> str:
    if name != "foreign":
        return f"**{name}**"
    return f"**foreign** `{facts['error']['mro'][0].rpartition('.')[2]}`"


def _notes() -> list[str]:
    return [f"{number}. `{name}`: {note}" for number, (name, note) in enumerate(NOTES.items(), 1)] + [""]


def _apart() -> list[str]:
    return [
        (
            f"Not put to the peers: {' '.join(f'{number}: {why}' for number, why in sorted(APART.items()))} Of the "
            "others, what needs settings of ours is left out: full pools, an authority of one's own, caps. "
            f"A call is killed {GRACE:g} s after its timeout."
        ),
        "",
    ]
