"""No two lines of a table are called the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.converters.quantization.search.labels import told_apart
from mlpack_edge.converters.quantization.search.search import label_of
from mlpack_edge.converters.quantization.values import Point, Quality, Recipe

QUALITY = Quality("agreement", 1.0, 1.0, 0.0, 9, None, ())
START = Recipe("static")


def _points(*kept: frozenset[str]) -> list[Point]:
    recipes = [Recipe("static", kept_float=one) for one in kept]
    return [Point(label_of(recipe, START), recipe, 10, QUALITY) for recipe in recipes]


def test_a_single_layer_is_named_where_two_points_keep_another_one() -> None:
    one, other, none = told_apart(_points(frozenset({"a"}), frozenset({"b"}), frozenset()))
    assert [one.label, other.label, none.label] == ["static U8S8, a float", "static U8S8, b float", "static U8S8"]
    (alone,) = told_apart(_points(frozenset({"a"})))
    assert alone.label == "static U8S8, 1 layer float"


def test_what_names_do_not_tell_apart_is_numbered() -> None:
    found = told_apart(_points(frozenset("ab"), frozenset("bc"), frozenset("ac")))
    told = "static U8S8, 2 layers float"
    assert [point.label for point in found] == [told, f"{told} (2)", f"{told} (3)"]


@given(st.lists(st.sampled_from(["x", "x (2)", "x (2) (2)", "y"]), max_size=8))
def test_no_two_labels_are_the_same_whatever_they_were(labels: list[str]) -> None:
    found = [point.label for point in told_apart([Point(label, START, 10, QUALITY) for label in labels])]
    assert len(set(found)) == len(labels)
    assert all(new.startswith(old) for new, old in zip(found, labels, strict=True))
