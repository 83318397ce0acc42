"""Which nodes compute with codes, and which tensors are codes on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from mlpack_edge.converters.quantization.static.operators import ATTENTION, DEFAULT, INTEGER_ONLY, MOVES, WEIGHTED
from mlpack_edge.converters.quantization.static.units import Unit, is_move, reached, units
from mlpack_edge.converters.quantization.static.view import View
from mlpack_edge.converters.quantization.values import Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """active: the units that compute with codes, by node name. sources: tensor -> the tensor whose range its grid is
    made of, of all tensors that are codes. written: those of them that an operator on codes gives; the others are
    quantized where they are read."""

    active: dict[str, Unit]
    sources: dict[str, str]
    written: frozenset[str]


def operators_of(recipe: Recipe) -> frozenset[str]:
    return recipe.operators or (INTEGER_ONLY if recipe.integer_only else DEFAULT)


def planned(view: View, recipe: Recipe) -> Plan:
    """Operators with weights compute with codes where the recipe says so. Others only between such: where one that
    writes codes is before them and one that reads codes behind; alone they would lose precision and time for nothing
    (a `Concat` of boxes and scores before the output stays float). With `integer_only` wherever they can."""
    chosen = operators_of(recipe)
    active = {
        name: unit
        for name, unit in units(view).items()
        if unit.kind in chosen and name not in recipe.kept_float
    }  # fmt: skip
    if not recipe.integer_only:
        _drop_lonely(view, active)
    written = _written(view, active, recipe)
    sources = dict(written)
    for unit in active.values():
        for name in unit.reads:
            sources.setdefault(name, name)
    return Plan(active, sources, frozenset(written))


def _drop_lonely(view: View, active: dict[str, Unit]) -> None:
    changed = True
    while changed:
        changed = False
        made = {unit.output for unit in active.values()}
        for name, unit in list(active.items()):
            if unit.kind in WEIGHTED | ATTENTION:
                continue
            fed = all(root(view, source) in made for source in unit.reads)
            if not fed or not _is_wanted(view, unit.output, active):
                del active[name]
                changed = True


def _is_wanted(view: View, name: str, active: dict[str, Unit]) -> bool:
    """Whether an operator on codes reads a tensor, maybe moved, and the caller does not."""
    readers = list(reached(view, name, MOVES))
    reading = any(node is not None and _reads(active, node, tensor) for tensor, node in readers)
    return reading and not any(node is None for _, node in readers)


def _reads(active: dict[str, Unit], node: onnx.NodeProto, tensor: str) -> bool:
    return node.name in active and tensor in active[node.name].reads


def _written(view: View, active: dict[str, Unit], recipe: Recipe) -> dict[str, str]:
    """Tensors that are given as codes, each with the tensor of whose range its grid is."""
    found: dict[str, str] = {}
    for unit in active.values():
        if _writes(view, unit, active, recipe):
            found[unit.output] = unit.output
    for node in view.nodes:
        source = found.get(node.input[0]) if node.input and is_move(view, node, MOVES) else None
        if source is None:
            continue
        for output in node.output:
            if output and (recipe.integer_only or any(
                reader is not None and _reads(active, reader, tensor) for tensor, reader in reached(view, output, MOVES)
            )):  # fmt: skip
                found[output] = source
    return found


def _writes(view: View, unit: Unit, active: dict[str, Unit], recipe: Recipe) -> bool:
    """A convolution gives codes or has no kernel on codes; matrix products can give float, and do where nobody reads
    codes: nothing is rounded twice. TFLite's cannot."""
    if unit.kind not in ("BatchMatMul", "Gemm", "MatMul") or recipe.activations == "int8" or recipe.integer_only:
        return True
    return any(node is not None and _reads(active, node, tensor) for tensor, node in reached(view, unit.output, MOVES))


def sharing(plan: Plan, unit: Unit) -> list[Unit]:
    """The units on codes that read the weights of `unit` in the same way, itself among them."""
    return [other for other in plan.active.values() if _read_alike(unit, other)]


def _read_alike(unit: Unit, other: Unit) -> bool:
    a, b = unit.weights, other.weights
    if a is None or b is None or unit.node.input[1] != other.node.input[1] or unit.kind != other.kind:
        return False
    return (
        a.axis == b.axis and a.groups == b.groups and (a.content is b.content or np.array_equal(a.content, b.content))
    )


def root(view: View, name: str) -> str:
    """The tensor of which `name` holds elements, as far as nodes in between only move them."""
    maker = view.makers.get(name)
    while maker is not None and is_move(view, maker, MOVES):
        name = maker.input[0]
        maker = view.makers.get(name)
    return name
