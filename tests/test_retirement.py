"""Ids that their provider has retired, or will: one warning each, from a stated source, and the call goes out.

A process warns once of an id, so most of this is watched in fresh processes.
"""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from datetime import date, timedelta
from pathlib import Path

import pytest

from quoth import Message, ModelsAPI, Response, Settings, Usage
from quoth._catalog import known_models, model_info, warn_of_retirement
from quoth.data import catalog
from quoth.dialects.openai_chat.server import build_response
from quoth.errors import KINDS, ModelRetiredWarning
from quoth.providers import PROVIDERS
from quoth.testing import Reply, ScriptedTransport
from tables import chat_table

SOURCE = Path(__file__).resolve().parents[1] / "src"

ANSWER = build_response(Response(message=Message.assistant("Hi"), finish_reason="stop", model="", usage=Usage())).body

BEFORE = f"""
from quoth import ModelsAPI, Settings
from quoth.testing import Reply, ScriptedTransport
script = ScriptedTransport(lambda request: Reply(body={ANSWER!r}))
places = {{"openai": "https://chat.example/v1"}}
models = ModelsAPI(Settings(transport=script, api_keys={{"openai": "k", "mine": "k"}}, base_urls=places))
"""


def say(code, *options):
    """Run a program after ``BEFORE`` in a fresh process: its exit code and what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, *options, "-c", BEFORE + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": ""},
    )
    return done.returncode, done.stderr


CALLS = "models('gpt-4', 'Hi'); models('gpt-4', 'Hi'); models('openai/gpt-4', 'Hi'); models.bind('GPT-4')('Hi')\n"
SENT = "assert len(script.requests) == 4 and all(b'gpt-4' in each.body for each in script.requests[:3])\n"


def test_a_retired_id_goes_out_each_time_with_one_warning_of_the_users_line():
    code, said = say("def ask():\n    " + CALLS + "ask()\n" + SENT)
    assert code == 0, said
    assert said.count("ModelRetiredWarning") == 1
    assert "was retired on 2026-10-23, according to the package openai 3.54.0; it is asked for all the same" in said
    assert said.startswith("<string>:")


def test_the_warning_points_at_the_users_line_from_every_verb():
    ask = "async def ask(): return await models.aio('gpt-4', 'Hi')"
    for verb in (
        "models.bind('gpt-4')",
        "next(iter(models.stream('gpt-4', 'Hi')), None)",
        f"{ask}\ntry: ask().send(None)\nexcept BaseException: pass",
    ):
        _, said = say(f"import warnings\nwarnings.simplefilter('always')\n{verb}\n")
        line = BEFORE.count("\n") + 3
        assert said.startswith(f"<string>:{line}: ModelRetiredWarning"), said


@pytest.mark.parametrize(
    "silence",
    [
        "import warnings; warnings.simplefilter('ignore')",
        "import warnings; from quoth import errors; warnings.simplefilter('ignore', errors.ModelRetiredWarning)",
        "import warnings; warnings.filterwarnings('ignore', category=FutureWarning)",
    ],
)
def test_the_usual_filters_silence_it(silence):
    assert say(f"{silence}\n{CALLS}{SENT}") == (0, "")


def test_pythons_own_option_silences_it():
    assert say(CALLS + SENT, "-W", "ignore::FutureWarning") == (0, "")


def test_where_warnings_are_errors_it_is_one_each_time_and_nothing_is_sent():
    code, said = say(
        "from quoth.errors import ModelRetiredWarning\n"
        "for model in ('gpt-4', 'gpt-4', 'openai/gpt-4'):\n"
        "    try:\n        models(model, 'Hi')\n"
        "    except ModelRetiredWarning as warning:\n        assert 'retired' in str(warning)\n"
        "    else:\n        raise AssertionError(model)\n"
        "assert script.requests == []\n",
        "-W",
        "error",
    )
    assert code == 0, said


def test_threads_that_race_for_a_retired_id_in_two_spellings_warn_once():
    code, said = say(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(16) as pool:\n"
        "    list(pool.map(models.bind, ['gpt-4', 'openai/gpt-4', 'OpenAI/gpt-4', 'gpt-4'] * 8))\n",
        "-W",
        "always",
    )
    assert code == 0, said
    assert said.count("ModelRetiredWarning") == 1


def test_what_is_current_unknown_or_anothers_is_silent():
    code, said = say(
        "models.register_provider('mine', base_url='https://mine.example/v1')\n"
        "for model in ('gpt-6-luna', 'gpt-99', 'mine/gpt-4', 'ft:gpt-4:acme::x', 'local/smollm2'):\n"
        "    models.bind(model)\n"
    )
    assert (code, said) == (0, "")


def test_a_registration_does_not_warn_anew():
    code, said = say(
        "models.bind('gpt-4')\nmodels.register_provider('mine', base_url='https://mine.example/v1')\n"
        "models.bind('gpt-4')\nModelsAPI().bind('gpt-4')\n"
    )
    assert code == 0, said
    assert said.count("ModelRetiredWarning") == 1


# The words, by the day. Each id of these is used by one test alone: a process warns once.


def told(model, day):
    with pytest.warns(ModelRetiredWarning) as caught:
        warn_of_retirement(model, day)
    return str(caught[0].message)


def test_an_announced_date_is_worded_as_one_and_a_past_one_as_past():
    chosen = [model for name in ("bedrock", "groq", "mistral", "xai") for model in known_models(name) if model.retires]
    stated = [model for model in chosen if not model.retires_source.startswith("llmgateway")]
    assert len(stated) >= 4
    for number, model in enumerate(stated):
        before = number % 2
        words = told(model.id, model.retires - timedelta(days=before))
        assert f"{model.retires}, according to the package {model.retires_source}" in words
        assert words.startswith(f"{model.id} {'is deprecated and retires' if before else 'was retired'} on ")
        assert ("asked for all the same" in words) == (not before)
        assert "replacement" not in words


def test_a_date_that_one_gateway_alone_states_is_shown_and_not_cried():
    model = model_info("anthropic/claude-haiku-4-5")
    assert model.retires is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_retirement(model.id, date(2100, 1, 1))


def test_an_id_warns_once_whatever_the_day_and_spelling():
    model = next(model for model in known_models("vertex") if model.retires)
    told(model.id, date(2000, 1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for id_ in (model.id, model.id.upper()):
            warn_of_retirement(id_, date(2100, 1, 1))


@pytest.mark.parametrize("alias", [alias for alias, key in catalog.ALIASES.items() if model_info(key).retires])
def test_an_alias_is_not_said_to_retire_with_its_family(alias):
    """The date is stated for the row's own id; a snapshot may go sooner or later."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_retirement(alias, date(2100, 1, 1))


def test_a_hit_asks_the_catalog_nothing():
    """The check is part of the construction: the second call resolves, checks and warns nothing."""
    script = ScriptedTransport(lambda request: Reply(body=ANSWER))
    api = ModelsAPI(Settings(transport=script, api_keys={"openai": "k"}), providers=chat_table())
    api("gpt-4.1", "Hi")
    asked = []

    def watch(frame, event, _):
        if event == "call" and frame.f_code.co_filename.endswith(("_catalog.py", "providers/_registry.py")):
            asked.append(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        api("gpt-4.1", "Hi")
    finally:
        sys.setprofile(None)
    assert asked == []


def test_the_warning_is_plain_data_and_no_error_of_a_call():
    warning = ModelRetiredWarning("words")
    for same in (copy.copy(warning), pickle.loads(pickle.dumps(warning))):
        assert (type(same), str(same)) == (ModelRetiredWarning, "words")
    assert ModelRetiredWarning not in KINDS.values()


def test_the_providers_of_today_have_ids_to_warn_of():
    assert {row.name for row in PROVIDERS} & {key.partition("/")[0] for key in catalog.ROWS} >= {"openai", "google"}
