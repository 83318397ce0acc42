"""What the charts of the bench page are made of: scales, ticks, histograms, figures in words, places for labels."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.cli.bench_page.charts.tradeoff import front
from mlpack_edge.cli.bench_page.histogram import log_counts, log_edges, outline
from mlpack_edge.cli.bench_page.labels import Box, place_labels, short_names, shortened, text_width
from mlpack_edge.cli.bench_page.scales import (
    Scale,
    labelled,
    linear_range,
    linear_ticks,
    log_range,
    log_ticks,
)
from mlpack_edge.cli.bench_page.svg import element
from mlpack_edge.cli.bench_page.units import (
    count_text,
    ratio_span_text,
    ratio_text,
    share_text,
    span_text,
    time_text,
)

POSITIVE = st.floats(1e-3, 1e12)


@given(POSITIVE, st.floats(1.001, 1e9), st.floats(0, 1), st.booleans())
def test_a_scale_maps_its_ends_on_the_ends_and_keeps_order(low: float, factor: float, share: float, log: bool) -> None:
    scale = Scale(low, low * factor, 10.0, 500.0, log)
    assert scale(scale.low) == 10.0 and math.isclose(scale(scale.high), 500.0)
    one, other = low * factor**share, low * factor ** (share / 2)
    assert scale(one) >= scale(other) - 1e-9
    if log:
        assert math.isclose(scale(one), 10 + 490 * share, abs_tol=1e-3)
    assert scale(low / 2) == 10.0 and scale(low * factor * 2) == 500.0


@given(st.lists(POSITIVE | st.floats(-1e3, 0), max_size=20))
def test_a_logarithmic_range_holds_every_positive_value_with_room(values: list[float]) -> None:
    low, high = log_range(values, 0.05, 1.1)
    positive = [value for value in values if value > 0]
    assert 0 < low < high
    assert all(low < value < high for value in positive)
    assert high / low >= 1.1 - 1e-9


@given(st.lists(st.floats(-1e9, 1e9), max_size=20))
def test_a_linear_range_holds_every_value_with_room(values: list[float]) -> None:
    low, high = linear_range(values)
    assert low < high and all(low <= value <= high for value in values)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 12))
def test_linear_ticks_are_inside_few_evenly_apart_and_round(low: float, span: float, most: int) -> None:
    ticks = linear_ticks(low, low + span, most)
    assert len(ticks) <= most
    assert most < 3 or ticks
    assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    if steps:
        assert max(steps) - min(steps) <= 1e-6 * max(abs(low), span)
        assert f"{steps[0]:.0e}"[0] in "125"


@given(POSITIVE, st.floats(1.02, 1e8), st.integers(2, 10))
def test_logarithmic_ticks_are_inside_few_and_have_different_labels(low: float, factor: float, most: int) -> None:
    ticks = log_ticks(low, low * factor, most)
    assert len(ticks) <= most
    assert all(low * (1 - 1e-6) <= tick <= low * factor * (1 + 1e-6) for tick in ticks)
    labels = [text for _, text in labelled(ticks, time_text)]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0.9e6, 1.1e8, 8, [1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8]),
        (0.9e6, 1.1e8, 4, [1e6, 1e7, 1e8]),
        (1e3, 1e9, 3, [1e4, 1e6, 1e8]),
        (2.35, 2.52, 4, [2.35, 2.4, 2.45, 2.5]),
    ],
)
def test_logarithmic_ticks_are_those_that_people_would_choose(
    low: float, high: float, most: int, ticks: list[float]
) -> None:
    assert log_ticks(low, high, most) == pytest.approx(ticks)


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=200), st.integers(1, 60))
def test_every_sample_between_the_edges_is_counted_once(samples: list[float], bins: int) -> None:
    low, high = log_range(samples)
    assert log_counts(np.array(samples), log_edges(low, high, bins)).sum() == len(samples)
    middle = math.sqrt(low * high)
    inside = sum(low <= sample <= middle for sample in samples)
    assert abs(int(log_counts(np.array(samples), log_edges(low, middle, bins)).sum()) - inside) <= samples.count(middle)


@given(st.lists(st.floats(0, 90), min_size=1, max_size=80))
def test_an_outline_gives_back_the_heights_it_was_drawn_from(heights: list[float]) -> None:
    """Walked step by step; to a tenth of a pixel, however many steps there are."""
    path = outline(np.array(heights), 5.0, 5.0 + 7 * len(heights), 100.0)
    if not path:
        assert max(heights) == 0
        return
    x, y = map(float, re.match(r"M([\d.]+) ([\d.]+)", path).groups())  # type: ignore[union-attr]
    drawn = {}
    for command, number in re.findall(r"([hvV])(-?[\d.]+)", path):
        if command == "h":
            drawn |= {
                index: 100 - y for index in range(len(heights)) if x - 0.2 < 5 + 7 * index < x + float(number) - 0.2
            }
            x += float(number)
        else:
            y = float(number) if command == "V" else y + float(number)
    assert y == 100.0 and path.endswith("z")
    for index, height in enumerate(heights):
        assert drawn.get(index, 0.0) == pytest.approx(max(height, 0.5) if height else 0.0, abs=0.06)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(None, "–"), (0, "0 ns"), (0.5, "0.500 ns"), (850, "850 ns"), (999.4, "999 ns"), (999.6, "1.00 µs"), (2410.0, "2.41 µs"),
     (24_100, "24.1 µs"), (999_600, "1.00 ms"), (2.41e6, "2.41 ms"), (8.41e10, "84.1 s"), (1.2345e13, "12,300 s")],
)  # fmt: skip
def test_times_have_three_digits_and_the_unit_that_people_read(nanoseconds: float | None, text: str) -> None:
    assert time_text(nanoseconds).replace("\N{NO-BREAK SPACE}", " ") == text


def test_other_figures_read_as_people_write_them() -> None:
    plain = {
        count_text(31_459_265, 4): "31.46 M", count_text(0): "0", count_text(812): "812", count_text(None): "–",
        span_text(2.391e6, 2.437e6): "2.39 to 2.44 ms", span_text(2.4081e6, 2.4216e6): "2.408 to 2.422 ms",
        span_text(900, 1100): "0.90 to 1.10 µs", span_text(None, 3.0): "–", ratio_text(None): "–",
        ratio_text(0.61712, 0.029): "0.617", ratio_text(1000641.0, 7542.0): "1,000,641",
        ratio_span_text(0.6021, 0.6313): "0.602 to 0.631", share_text(0.0): "0 %", share_text(0.0004): "< 1 %",
        share_text(0.9999): "> 99 %", share_text(1.0): "100 %", share_text(0.125, 1): "12.5 %",
    }  # fmt: skip
    for made, wanted in plain.items():
        assert made.replace("\N{NO-BREAK SPACE}", " ") == wanted


@given(st.text(max_size=120), st.floats(20, 400))
def test_a_shortened_name_fits_and_keeps_both_ends(text: str, width: float) -> None:
    short = shortened(text, width, 13)
    assert text_width(short, 13) <= max(width, text_width("…", 13))
    if short != text and short != "…":
        front_part, back = short.split("…", 1) if text.count("…") == 0 else (short[:1], "")
        assert text.startswith(front_part) and text.endswith(back)


def test_names_are_as_short_as_tells_them_apart() -> None:
    assert short_names(["a/net.onnx", "b/net.onnx", "c/other.onnx"]) == ["a/net.onnx", "b/net.onnx", "other.onnx"]
    assert short_names(["x/a/net.onnx", "y/a/net.onnx"]) == ["x/a/net.onnx", "y/a/net.onnx"]
    assert short_names(["net.onnx", "net.onnx"]) == ["net.onnx", "net.onnx"]
    assert short_names([r"C:\models\net.onnx"]) == ["net.onnx"]


@given(st.lists(st.tuples(st.floats(10, 390), st.floats(10, 190)), max_size=12))
def test_labels_lie_inside_over_no_dot_and_over_no_other_label(points: list[tuple[float, float]]) -> None:
    room = Box(0, 0, 400, 200)
    texts = [[f"{k} some-model.onnx", str(k)] for k in range(len(points))]
    placed = [label for label in place_labels(points, texts, 12, room, 5) if label]
    dots = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    for label in placed:
        assert room.holds(label.box)
        assert not any(label.box.meets(dot) for dot in dots)
    assert not any(one.box.meets(other.box) for one, other in itertools.combinations(placed, 2))


def test_a_lonely_point_gets_its_whole_name_beside_it() -> None:
    (label,) = place_labels([(50.0, 50.0)], [["name", "1"]], 12, Box(0, 0, 200, 100), 5)
    assert label is not None and label.text == "name" and not label.led and label.box.left > 55


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=15), st.booleans())
def test_the_front_is_what_no_other_point_beats_in_both(points: list[tuple[int, int]], high: bool) -> None:
    sign = -1 if high else 1
    chosen = {points[index] for index in front(points, high)}

    def beaten(point: tuple[int, int]) -> bool:
        cost, worth = point
        return any(
            other != point and other[0] <= cost and sign * other[1] <= sign * worth for other in points
        )  # fmt: skip

    assert chosen == {point for point in points if not beaten(point)}


def test_an_element_escapes_text_and_attributes() -> None:
    made = element("text", "<b>&", x=1.25, class_='"><i', text_anchor=None)
    assert made == '<text x="1.2" class="&#34;&gt;&lt;i">&lt;b&gt;&amp;</text>'
