"""What a recipe can choose among, and what calibration has to observe."""

from __future__ import annotations

from dataclasses import replace

from mlpack_edge.converters.quantization.static.columns import is_table
from mlpack_edge.converters.quantization.static.operators import FIXED
from mlpack_edge.converters.quantization.static.plan import operators_of, planned, root
from mlpack_edge.converters.quantization.static.rewriting import graph_of
from mlpack_edge.converters.quantization.static.units import units
from mlpack_edge.converters.quantization.static.view import HasModel
from mlpack_edge.converters.quantization.values import Layer, Recipe


def layers_of(prepared: HasModel, recipe: Recipe | None = None) -> tuple[Layer, ...]:
    """The nodes that compute with codes under `recipe` (by default the default one) when none is kept float."""
    wanted = replace(recipe or Recipe("static"), kept_float=frozenset())
    active = planned(graph_of(prepared), wanted).active
    return tuple(
        Layer(unit.name, unit.node.op_type, 0 if unit.weights is None else int(unit.weights.content.size) * 4)
        for unit in active.values()
    )


def tensors_of(prepared: HasModel, recipe: Recipe) -> list[str]:
    """The tensors whose ranges `static_model` may ask for, whatever the recipe keeps float; in the graph's order."""
    view = graph_of(prepared)
    wanted = operators_of(recipe)
    found: dict[str, None] = {}
    for unit in units(view).values():
        if unit.kind not in wanted:
            continue
        for name in unit.reads:
            found.setdefault(name)
            found.setdefault(root(view, name))
        if unit.kind not in FIXED:
            found.setdefault(unit.output)
    known = dict.fromkeys(view.same.get(name, name) for name in found)
    return [name for name in known if view.constant(name) is None]


def columns_of(prepared: HasModel, recipe: Recipe) -> frozenset[str]:
    """The tensors `[rows, columns]` whose columns calibration should keep apart (see `columns`)."""
    view = graph_of(prepared)
    plan = planned(view, replace(recipe, kept_float=frozenset()))
    return frozenset(unit.reads[0] for unit in plan.active.values() if is_table(view, unit))
