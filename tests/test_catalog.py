"""What is known of models and providers: listed, filtered and told without a network, and never more than is stated."""

import ast
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import quoth
from quoth import ModelInfo, ModelsAPI, ProviderInfo, Settings
from quoth._catalog import KINDS
from quoth._costs import _table
from quoth.data import catalog
from quoth.dialects import CLIENTS
from quoth.errors import ConfigurationError, InputError, InputTypeError, UnknownModelError
from quoth.providers import ProviderSpec, ProviderTable

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("QUOTH_SHARED", ROOT.parent / "shared"))
FACTS, PRICE_TABLE = SHARED / "facts" / "models.json", SHARED / "prices" / "table.json"

EVERYONE = sorted({key.partition("/")[0] for key in catalog.ROWS})


@pytest.fixture
def table():
    return ProviderTable()


@pytest.fixture
def everyone(table):
    """A table with a row for every provider of the catalog, whichever the house has today."""
    for name in EVERYONE:
        if table.get(name) is None:
            table.register(name, base_url=f"https://{name}.example/v1")
    return table


@pytest.fixture
def api(table):
    return ModelsAPI(providers=table)


def rows(api, **filters):
    return [model.id for model in api.list(**filters)]


# The data.


def test_a_row_is_as_wide_as_its_columns_and_says_things_in_known_words():
    for key, row in catalog.ROWS.items():
        fields = dict(zip(catalog.COLUMNS, row, strict=True))
        assert fields["kind"] in KINDS, key
        for column in ("released", "retires"):
            assert re.fullmatch(r"(\d{4}-\d\d-\d\d \S.*)?", fields[column]), key
        assert re.fullmatch(r"(yes|\d{4}-\d\d-\d\d)?", fields["deprecated"]), key
        assert re.fullmatch(r"((context|input|output|dimensions|cache_min)=[1-9]\d* ?)*", fields["limits"]), key
        assert fields["sources"], key


def test_an_alias_means_a_row_at_once_so_that_none_goes_in_circles():
    prices = _table.table()
    for names, rows in ((catalog.ALIASES, {*catalog.ROWS}), (prices.aliases(), {*prices.ids()})):
        assert not names.keys() & {*names.values()}
        assert not names.keys() & rows
        assert {*names.values()} <= rows


def test_nothing_is_catalogued_twice_but_for_its_case():
    keys = [*catalog.ROWS, *catalog.ALIASES]
    assert len({key.lower() for key in keys}) == len(keys)


def test_no_replacement_stands_that_no_source_states():
    stated = [key for key, row in catalog.ROWS.items() if row[catalog.COLUMNS.index("replacement")]]
    assert stated == []  # the packages of today state none; a build that finds one shows here


def test_the_embedded_models_context_is_the_one_that_it_is_given(api):
    from quoth.providers._local import CONTEXT

    assert api.info("local/smollm2").context_window == CONTEXT


@pytest.mark.skipif(not FACTS.exists(), reason="the facts that the catalog is built from are not beside the repository")
def test_the_catalog_is_what_its_script_makes_of_the_facts(tmp_path):
    built = tmp_path / "catalog.py"
    script = ROOT / "tools" / "build_catalog.py"
    subprocess.run([sys.executable, script, FACTS, PRICE_TABLE, built], check=True, timeout=60)
    assert built.read_text("utf-8") == (ROOT / "src" / "quoth" / "data" / "catalog.py").read_text("utf-8")


@pytest.mark.skipif(not FACTS.exists(), reason="the facts that the catalog is built from are not beside the repository")
@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "horoscope"), ("retires", "soon"), ("context_window", -1), ("priced", None), ("features", ["to ols"])],
)
def test_the_script_stops_at_what_it_does_not_understand(tmp_path, field, value):
    facts = json.loads(FACTS.read_text("utf-8"))
    facts["models"][1][field] = value
    (tmp_path / "models.json").write_text(json.dumps(facts), "utf-8")
    script = ROOT / "tools" / "build_catalog.py"
    arguments = [sys.executable, script, tmp_path / "models.json", PRICE_TABLE, tmp_path / "out.py"]
    stopped = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60)
    assert stopped.returncode == 1
    assert "build_catalog: " in stopped.stderr
    assert not (tmp_path / "out.py").exists()


def test_every_module_of_data_is_source_text_that_runs_nothing():
    for path in (ROOT / "src" / "quoth" / "data").glob("*.py"):
        assert not [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]


# One model.


def test_a_model_is_told_with_its_sources(api):
    gpt = api.info("gpt-4")
    assert gpt == ModelInfo(
        id="openai/gpt-4",
        provider="openai",
        model="gpt-4",
        kind="chat",
        context_window=8192,
        max_input_tokens=8192,
        max_output_tokens=8192,
        inputs=("text",),
        outputs=("text",),
        features=("prompt_cache", "system_messages", "tool_choice", "tools"),
        dialect="openai_responses",
        released=date(2023, 11, 6),
        released_source="price table",
        deprecated=True,
        retires=date(2026, 10, 23),
        retires_source="openai 3.54.0",
        price=gpt.price,
        sources=gpt.sources,
    )
    assert (gpt.price_of("input"), gpt.price_of("output"), gpt.price_of("cache_read")) == (30.0, 60.0, None)
    assert gpt.is_retired(date(2026, 10, 23))
    assert not gpt.is_retired(date(2026, 10, 22))
    assert "openai 3.54.0" in gpt.sources


@pytest.mark.parametrize("spelled", ["gpt-4o", "openai/gpt-4o", "OpenAI/GPT-4o", "gpt-4o-2024-08-06"])
def test_a_model_is_found_under_every_spelling_and_alias(api, spelled):
    gpt = api.info(spelled)
    assert gpt.id == "openai/gpt-4o"
    assert gpt.aliases == ("openai/gpt-4o-2024-08-06", "openai/gpt-4o-2024-11-20")


def test_the_providers_alias_is_understood(api):
    assert api.info("deepmind/gemini-2.5-pro").id == "google/gemini-2.5-pro"


def test_an_embedding_has_dimensions_and_what_was_inferred_says_so(api):
    small = api.info("text-embedding-3-small")
    assert (small.kind, small.outputs, small.dimensions, small.inferred) == ("embedding", ("embedding",), 1536, False)
    assert any(model.inferred for model in api.list())


@pytest.mark.parametrize("model", ["gpt-99", "openai/gpt-99"])
def test_an_unknown_id_of_a_known_provider_names_the_nearest_and_says_that_it_may_work(api, model):
    with pytest.raises(
        UnknownModelError, match=r"openai/gpt-99, which may be called all the same.*openai/gpt-"
    ) as caught:
        api.info(model)
    assert (caught.value.provider, caught.value.model) == ("openai", "gpt-99")


def test_an_unknown_id_of_nobody_names_the_nearest(api):
    with pytest.raises(UnknownModelError, match=r"did you mean [^?]*google/gemini-2\.5-pro"):
        api.info("models/gemini-2.5-pro")


def test_a_host_of_nothing_similar_suggests_nothing(api, table):
    table.register("mine", base_url="https://mine.example/v1")
    with pytest.raises(UnknownModelError, match=r"all the same$"):
        api.info("mine/gpt-4")


def test_ones_own_price_is_the_models_price():
    api = ModelsAPI(Settings(prices='{"openai/gpt-4": {"input": "1.5", "output": "2"}}'))
    assert api.info("gpt-4").price_of("input") == 1.5


@given(st.text(max_size=30) | st.sampled_from([*catalog.ROWS, *catalog.ALIASES]).map(str.swapcase))
def test_any_text_is_told_of_or_refused_with_an_input_error(text):
    api = ModelsAPI(providers=ProviderTable())
    try:
        found = api.info(text)
    except InputError:
        return
    assert api.info(found.id) == found


# The list.


def test_all_models_of_all_providers_are_listed_once(everyone):
    listed = rows(ModelsAPI(providers=everyone))
    assert sorted(listed) == sorted(catalog.ROWS)
    assert len(listed) > 500


def test_only_models_that_can_be_named_are_listed(api, table):
    rows = {row.name for row in table}
    defaults = {row.name for row in table if row.default_model}
    assert {model.provider for model in api.list()} == rows & {id_.partition("/")[0] for id_ in catalog.ROWS} | defaults
    for model in api.list():
        assert api.info(model.id).id == model.id


def test_within_a_provider_the_served_come_first_and_the_newest_of_them_at_the_top(api):
    listed = api.list()
    assert [model.provider for model in listed] == sorted(model.provider for model in listed)
    claude = api.list(provider="claude", retired=False)
    dates = [model.released for model in claude if model.released]
    assert dates == sorted(dates, reverse=True)
    assert api.list(provider="openai")[-1].retires is not None


FILTERS = {
    "provider": ("openai", lambda model: model.provider == "openai"),
    "kind": ("embedding", lambda model: model.kind == "embedding"),
    "input": ("image", lambda model: "image" in model.inputs),
    "output": ("audio", lambda model: "audio" in model.outputs),
    "feature": ("tools", lambda model: "tools" in model.features),
    "priced": (True, lambda model: model.price is not None),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_lets_through_what_it_says_and_all_of_that(api, name):
    value, holds = FILTERS[name]
    found = api.list(**{name: value})
    assert found == [model for model in api.list() if holds(model)]
    assert 0 < len(found) < len(api.list())


@pytest.mark.parametrize("name", ["priced", "retired"])
def test_the_two_answers_to_a_question_are_all_models(api, name):
    yes, no = rows(api, **{name: True}), rows(api, **{name: False})
    assert yes
    assert no
    assert sorted(yes + no) == sorted(rows(api))


def test_what_is_past_is_retired_and_what_is_announced_is_not(api):
    assert "openai/gpt-4" in rows(api, retired=True)
    far = max((model for model in api.list() if model.retires), key=lambda model: model.retires)
    assert far.retires > date(2028, 1, 1)
    if date.today() < far.retires:  # noqa: DTZ011  # a day's difference does not matter before 2028
        assert far.id in rows(api, retired=False)


def test_of_several_words_all_must_hold(api):
    both = rows(api, feature=("tools", "reasoning"))
    assert {*both} == {*rows(api, feature="tools")} & {*rows(api, feature=["reasoning"])}
    assert rows(api, feature=()) == rows(api)


@pytest.mark.parametrize("name", ["kind", "input", "output", "feature"])
def test_a_word_that_no_model_has_is_refused_with_those_that_there_are(api, name):
    with pytest.raises(InputError, match=r"no model has 'magic' among its .*; known: "):
        api.list(**{name: "magic"})
    for wrong in (5, ["tools", 5]):
        with pytest.raises(InputTypeError, match="not int"):
            api.list(**{name: wrong})


def test_an_unknown_provider_is_named_with_the_nearest(api):
    with pytest.raises(UnknownModelError, match="'opena': did you mean 'openai'"):
        api.list(provider="opena")
    with pytest.raises(UnknownModelError, match=r"models\.providers\(\) lists"):
        api.list(provider="zzzzzz")
    with pytest.raises(InputTypeError, match="not int"):
        api.list(provider=5)


def test_a_registered_providers_default_model_is_listed_and_told(api, table):
    table.register("mine", base_url="https://mine.example/v1", default_model="big")
    assert rows(api, provider="mine") == ["mine/big"]
    info = api.info("mine/big")
    assert (info.dialect, info.context_window, info.price, info.features) == ("openai_chat", None, None, ())
    table.register("mine", base_url="https://mine.example/v1")
    assert rows(api, provider="mine") == []


def test_a_catalogued_default_model_is_listed_once(api, table):
    for row in table:
        if row.default_model:
            assert rows(api).count(f"{row.name}/{row.default_model}") == 1


# The providers.


def provider(api, name):
    return next(info for info in api.providers() if info.name == name)


@pytest.fixture
def _no_variables(monkeypatch):
    for row in ProviderTable():
        for variable in (*row.key_variables, *row.base_url_variables):
            monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("_no_variables")
def test_every_provider_says_which_variables_it_reads_and_that_none_is_set(api, table):
    infos = api.providers()
    assert [info.name for info in infos] == sorted(row.name for row in table)
    for info in infos:
        row = table.get(info.name)
        assert (info.key_variables, info.base_url_variables) == (row.key_variables, row.base_url_variables)
        assert (info.key_variable, info.base_url_variable) == (None, None)
        if "{" in row.base_url:
            assert info.base_url is None
            assert "export" in info.problem
            assert row.name in info.problem
        else:
            assert (info.base_url, info.problem) == (row.base_url, None)
        assert not info.has_key
        assert info.needs_key == (bool(row.key_variables) and not row.key_optional)
        assert info.dialects == row.dialects
        assert info.spoken == (row.dialect in CLIENTS)
        assert info.display_name


@pytest.mark.usefixtures("_no_variables")
def test_the_variable_that_is_used_is_named_and_no_key_is_shown(api, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", "  ")
    monkeypatch.setenv("GEMINI_API_KEY", "secret-key-value")
    google = provider(api, "google")
    assert (google.has_key, google.key_variable) == (True, "GEMINI_API_KEY")
    assert "secret" not in repr(api.providers())


@pytest.mark.usefixtures("_no_variables")
def test_a_key_and_a_url_of_the_settings_come_before_variables(table, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://variable.example/v1")
    told = Settings(api_keys={"OpenAI": "secret"}, base_urls={"openai": "https://told.example/v1/"})
    openai = provider(ModelsAPI(told, providers=table), "openai")
    assert (openai.has_key, openai.key_variable, openai.base_url_variable) == (True, None, None)
    assert openai.base_url == "https://told.example/v1"
    openai = provider(ModelsAPI(providers=table), "openai")
    assert (openai.key_variable, openai.base_url_variable) == ("OPENAI_API_KEY", "OPENAI_BASE_URL")
    assert openai.base_url == "https://variable.example/v1"


@pytest.mark.usefixtures("_no_variables")
def test_a_url_that_is_none_is_a_problem_of_that_provider_alone(api, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:password@host/v1")
    openai = provider(api, "openai")
    assert openai.base_url is None
    assert "OPENAI_BASE_URL" in openai.problem
    assert "password" not in repr(api.providers())
    assert provider(api, "google").problem is None


def test_a_registered_provider_is_among_them(api):
    api.register_provider("mine", base_url="https://mine.example/v1", dialect="smoke_signals", key_variables=("MINE",))
    mine = provider(api, "mine")
    assert (mine.name, mine.display_name, mine.spoken, mine.needs_key) == ("mine", "mine", False, True)


def test_bad_prices_are_said_when_models_are_listed_too():
    with pytest.raises(ConfigurationError, match=r"Settings\.prices"):
        ModelsAPI(Settings(prices="{")).list()


# Public words.


def test_the_types_are_public_and_loaded_when_they_are_asked_for():
    assert quoth.ModelInfo is ModelInfo
    assert quoth.ProviderInfo is ProviderInfo
    with pytest.raises(AttributeError, match="no attribute 'ModelsInfo'"):
        _ = quoth.ModelsInfo


def test_nothing_of_this_opens_a_socket(api):
    code = (
        "import sys\n"
        "def audit(event, arguments):\n"
        "    assert not event.startswith('socket.'), event\n"
        "sys.addaudithook(audit)\n"
        "from quoth import models\n"
        "models.list(); models.info('gpt-6-luna'); models.providers()\n"
        "assert 'socket' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


def test_a_row_with_another_price_namespace_is_priced_there(api, table):
    table.register(
        ProviderSpec(name="mine", base_url="https://m.example", default_model="gpt-4", price_namespace="openai")
    )
    assert api.info("mine/gpt-4").price_of("input") == 30.0
