"""Points of quantization as they travel between processes: whole, unlike the JSON of the results."""

from __future__ import annotations

from dataclasses import asdict

from mlpack_edge.converters.quantization.values import (
    Json,
    Layer,
    LayerFacts,
    Point,
    Quality,
    Recipe,
    SliceFacts,
)

_SETS = ("kept_float", "operators", "float_weights")


def recipe_to_json(recipe: Recipe) -> Json:
    return {**asdict(recipe), **{name: sorted(getattr(recipe, name)) for name in _SETS}}


def recipe_from_json(record: Json) -> Recipe:
    sets = {name: frozenset(record[name]) for name in _SETS}
    return Recipe(**{**record, **sets})


def point_to_json(point: Point) -> Json:
    """What `point_from_json` makes the same point of."""
    return {**asdict(point), "recipe": recipe_to_json(point.recipe)}


def point_from_json(record: Json) -> Point:
    quality = record["quality"]
    return Point(
        record["label"], recipe_from_json(record["recipe"]), record["bytes"],
        Quality(**{**quality, "slices": tuple(SliceFacts(**one) for one in quality["slices"])}),
        tuple(
            LayerFacts(Layer(**facts["layer"]), facts["noise"], facts["kept_float"], facts["stored"])
            for facts in record["layers"]
        ),
        tuple(record["notes"]),
    )  # fmt: skip
