"""docs/growth.md and its plots say what the results say; a slope is what it is called; a chart holds its points."""

import importlib.util
import json
import math
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
SVG = "{http://www.w3.org/2000/svg}"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def growth():
    path = sys.path[:]
    sys.path.insert(0, str(BENCH))
    try:
        yield loaded("growth")
    finally:
        sys.path[:] = path
        for name in ("plots", "scripted"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def results(growth):
    return json.loads(growth.newest().read_text("utf-8"))


def test_every_series_was_measured_in_every_round_at_every_value(growth, results):
    described = {series.name: series for series in growth.described()}
    assert results["series"].keys() == described.keys()
    for name, by_line in results["series"].items():
        assert by_line.keys() == described[name].lines.keys()
        for row in by_line.values():
            assert list(row) == [str(value) for value in described[name].values]
            assert {len(taken) for taken in row.values()} == {growth.ROUNDS}
            assert all(each > 0 for taken in row.values() for each in taken)


def test_the_plots_are_drawn_from_the_newest_results(growth, results):
    drawn = growth.drawings(results)
    kept = {path.name: path.read_text("utf-8") for path in (ROOT / "docs" / "performance").glob("*.svg")}
    for name, drawing in drawn.items():
        assert kept.get(name) == drawing, f"python bench/growth.py --draw renews docs/performance/{name}"


def test_the_page_has_the_table_of_the_newest_results_and_shows_every_plot(growth, results):
    page = (ROOT / "docs" / "growth.md").read_text("utf-8")
    between = page.partition(growth.BEGIN)[2].partition(growth.END)[0]
    assert between.strip() == growth.table(results), "python bench/growth.py --draw renews it"
    assert set(re.findall(r"\(performance/([\w-]+\.svg)\)", page)) >= growth.drawings(results).keys()


@given(st.floats(-1, 3), st.floats(0.01, 100))
def test_a_slope_is_the_exponent_of_the_power_that_it_is_given(growth, exponent, factor):
    points = [(x, factor * x**exponent) for x in (1, 10, 100, 1000)]
    assert growth.slope(points).exponent == pytest.approx(exponent, abs=1e-9)


def test_one_more_costs_what_the_last_two_points_say(growth):
    assert growth.slope([(1, 5.0), (10, 5.0), (110, 205.0)]).more_us == 2.0


def test_rounds_that_the_file_has_are_not_measured_again(growth, tmp_path, monkeypatch):
    asked = []
    series = growth.Series("s", "S", "things", (1, 2), {"quoth": lambda value: asked.append(value) or 12.345678})
    monkeypatch.setattr(growth, "over_sockets", lambda url: [])
    monkeypatch.setattr(growth, "in_memory", lambda: [series])
    path = tmp_path / "results" / "growth.json"
    first = growth.measure(path, "", 1)
    assert first["series"] == {"s": {"quoth": {"1": [12.35], "2": [12.35]}}}
    assert json.loads(path.read_text("utf-8")) == first
    growth.measure(path, "", 2)
    assert asked == [1, 2, 1, 2]
    growth.forget(path, "other")
    growth.measure(path, "", 2)
    assert len(asked) == 4
    growth.forget(path, "s")
    growth.measure(path, "", 2)
    assert len(asked) == 8


@pytest.mark.parametrize("kind", ["answer", "chunks"])
def test_the_server_answers_what_quoth_and_the_bare_socket_read(growth, kind):
    with growth._server() as url:
        binding, bare = growth.quoth_at(f"{url}/{kind}/50"), growth.Bare(f"{url}/{kind}/50", "x" * 300_000)
        for _ in range(2):
            if kind == "answer":
                assert str(binding("x" * 300_000)) == "y" * 50
                assert bare.call()["choices"][0]["message"]["content"] == "y" * 50
            else:
                assert list(binding.stream("Hello")) == ["word "] * 50
                assert bare.stream() == 51
        bare.local.sock.close()


def test_a_chart_places_its_points_by_their_logarithms():
    plots = loaded("plots")
    drawn = ET.fromstring(
        plots.chart("A < B", "bytes", "us", {"one": [(1, 10), (10, 100), (100, 1000)], "two": [(1, 500)]})
    )
    title, *_ = [each.text for each in drawn.iter(f"{SVG}title")]
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in drawn.iter(f"{SVG}circle")]
    assert title == "A < B"
    assert dots[1] == pytest.approx(((dots[0][0] + dots[2][0]) / 2, (dots[0][1] + dots[2][1]) / 2), abs=0.1)
    assert dots[0][1] > dots[3][1] > dots[2][1]
    words = {each.text for each in drawn.iter(f"{SVG}text")}
    assert {"bytes", "us", "one", "two", "1", "10", "100", "1k"} <= words
    assert all(0 <= x <= plots.WIDTH and 0 <= y <= plots.HEIGHT and not math.isnan(x) for x, y in dots)


@pytest.mark.parametrize(("number", "said"), [(0.01, "0.01"), (1, "1"), (2_000, "2k"), (10_000_000, "10M")])
def test_an_axis_says_its_numbers_shortly(number, said):
    assert loaded("plots").short(number) == said
