"""Nodes read as formulas: products with their factors in any order and grouping, sums, constants."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

#: Exporters nest what is looked for here no deeper.
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Product:
    """number * the factors, each as often as it is counted. Names are those of values."""

    number: float
    factors: Counter[str] = field(default_factory=Counter)

    def times(self, other: Product) -> Product:
        return Product(self.number * other.number, self.factors + other.factors)

    def is_of(self, number: float, *factors: str) -> bool:
        return close(self.number, number) and self.factors == Counter(factors)


def close(a: float, b: float) -> bool:
    """Equal as far as constants that were rounded to float32 or written with seven digits tell it."""
    return math.isclose(a, b, rel_tol=2e-6)


class Expressions:
    """The nodes of a graph by what they make. constants: content by name."""

    def __init__(self, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, NDArray[np.generic]]) -> None:
        self._makers = {name: node for node in nodes if not node.domain for name in node.output if name}
        self._constants = constants

    def maker(self, name: str, *kinds: str) -> onnx.NodeProto | None:
        """The node of the standard's domain that makes a value, None where it is none of `kinds`."""
        node = self._makers.get(name)
        return node if node is not None and node.op_type in kinds else None

    def number(self, name: str) -> float | None:
        """A constant of one element and at most one axis, None for any other value."""
        array = self._constants.get(name)
        if array is None:
            node = self.maker(name, "Constant")
            array = None if node is None else _content(node)
        if array is None or array.size != 1 or array.ndim > 1 or array.dtype.kind not in "fiu":
            return None
        return float(array.item())

    def product(self, name: str, stop: Iterable[str] = (), depth: int = _DEPTH) -> Product:
        """A value as a product; values in `stop` are factors, whatever makes them."""
        number = self.number(name)
        if number is not None:
            return Product(number)
        node = self.maker(name, "Mul", "Div", "Pow")
        if node is None or name in stop or not depth:
            return Product(1.0, Counter([name]))
        if node.op_type == "Mul":
            left, right = (self.product(part, stop, depth - 1) for part in node.input)
            return left.times(right)
        number = self.number(node.input[1])
        if node.op_type == "Div" and number:
            return self.product(node.input[0], stop, depth - 1).times(Product(1.0 / number))
        if node.op_type == "Pow" and number in (2.0, 3.0):
            inner = self.product(node.input[0], stop, depth - 1)
            return inner.times(inner) if number == 2.0 else inner.times(inner).times(inner)
        return Product(1.0, Counter([name]))

    def summands(self, name: str) -> tuple[str, str] | None:
        """The two inputs of an Add, None for any other value."""
        node = self.maker(name, "Add")
        return None if node is None else (node.input[0], node.input[1])

    def added(self, name: str, number: float) -> str | None:
        """The value to which `number` is added, None where `name` is no such sum."""
        for one, other in _both_ways(self.summands(name)):
            found = self.number(other)
            if found is not None and close(found, number):
                return one
        return None

    def under(self, name: str, depth: int = _DEPTH) -> set[str]:
        """Every value that products and sums below `name` are made of, that one included: what a formula may be of."""
        node = self.maker(name, "Mul", "Div", "Pow", "Add")
        found = {name}
        if node is not None and depth:
            for part in node.input:
                if self.number(part) is None:
                    found |= self.under(part, depth - 1)
        return found

    def attribute(self, node: onnx.NodeProto, name: str, default: float) -> float:
        """A float attribute of a node."""
        for attribute in node.attribute:
            if attribute.name == name:
                return float(helper.get_attribute_value(attribute))
        return default


def _both_ways(pair: tuple[str, str] | None) -> tuple[tuple[str, str], ...]:
    return () if pair is None else (pair, (pair[1], pair[0]))


def _content(node: onnx.NodeProto) -> NDArray[np.generic] | None:
    attribute = node.attribute[0]
    if attribute.name == "value":
        return numpy_helper.to_array(attribute.t)
    if attribute.name in ("value_float", "value_int"):
        return np.asarray(helper.get_attribute_value(attribute))
    return None
