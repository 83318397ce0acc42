"""Two candidates of one content are one, and it has the plainer name."""

from __future__ import annotations

from pathlib import Path

from mlpack_edge.converters.quantization.same_files import without_copies
from mlpack_edge.converters.quantization.values import Point, Quality, Recipe


def _point(recipe: Recipe, drop: float) -> Point:
    return Point(recipe.name, recipe, 100, Quality("agreement", 1.0, 1 - drop, drop, 60, None, ()))


def test_the_copy_that_promises_more_is_left_out_and_its_file_removed(tmp_path: Path) -> None:
    points = []
    for recipe, drop in ((Recipe("dynamic"), 0.1), (Recipe("weights"), 0.1), (Recipe("fp16"), 0.2)):
        file = tmp_path / recipe.scheme
        file.write_bytes(b"a model")
        points.append((_point(recipe, drop), file))
    kept, copies = without_copies(points, lambda recipe: b"int8" if recipe.scheme != "fp16" else b"half")
    assert [point.label for point, _ in kept] == ["weights int8", "fp16"]
    assert [(copy.label, same.label) for copy, same in copies] == [("dynamic", "weights int8")]
    assert {path.name for path in tmp_path.iterdir()} == {"weights", "fp16"}


def test_what_was_judged_alike_and_differs_stays() -> None:
    points = [(_point(Recipe("dynamic"), 0.1), None), (_point(Recipe("weights"), 0.1), None)]
    assert without_copies(points, lambda recipe: recipe.scheme.encode()) == (points, [])


def test_contents_are_made_only_of_what_was_judged_alike() -> None:
    def content(recipe: Recipe) -> bytes:
        raise AssertionError("nothing is alike")

    points = [(_point(Recipe("dynamic"), 0.1), None), (_point(Recipe("weights"), 0.2), None)]
    assert without_copies(points, content) == (points, [])
