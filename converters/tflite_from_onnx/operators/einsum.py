"""Einsum, put together from transposes, sums and one matrix product for each further operand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.attention_core import reshaped
from mlpack_edge.converters.tflite_from_onnx.operators.products import matrix_product
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product
from mlpack_edge.converters.tflite_from_onnx.values import Value


@dataclass(frozen=True, slots=True)
class Term:
    """A value and the letter of each of its axes; the axes of an ellipsis are letters from "0"."""

    value: Value
    letters: str

    def size(self, letter: str) -> Size:
        return self.value.shape[self.letters.index(letter)] if letter in self.letters else 1


def einsum(node: Node) -> Value:
    """Einsum-12: as numpy.einsum, with ellipses, diagonals and an implied output."""
    text = str(node.attr("equation")).replace(" ", "")
    left, arrow, right = text.partition("->")
    values = [node.input(place) for place in range(len(node.inputs))]
    names = left.split(",")
    if len(names) != len(values):
        raise node.refuse(f"its equation {text!r} has {len(names)} terms, and it has {len(values)} inputs")
    dots = max(
        (value.rank - len(name.replace("...", "")) for name, value in zip(names, values, strict=True) if "..." in name),
        default=0,
    )
    letters = [_spelled(name, value.rank, dots) for name, value in zip(names, values, strict=True)]
    for name, value in zip(letters, values, strict=True):
        if len(name) != value.rank:
            raise node.refuse(f"its equation {text!r} has {len(name)} letters for {value.rank} dimensions")
    every = "".join(letters)
    wide = "".join(str(place) for place in range(dots))
    wanted = right.replace("...", wide)
    if not arrow:
        wanted = wide + "".join(sorted({letter for letter in every if every.count(letter) == 1} - set(wide)))
    terms = [_diagonal(node, Term(value, name)) for value, name in zip(values, letters, strict=True)]
    done = terms[0]
    for place, other in enumerate(terms[1:], 1):
        later = wanted + "".join(term.letters for term in terms[place + 1 :])
        done = _product(node, done, other, later)
    done = _summed(node, done, wanted)
    return _ordered(node, done, wanted)


def _ordered(node: Node, term: Term, letters: Sequence[str]) -> Value:
    if len(letters) < 2:
        return term.value
    return node.low.op("Transpose", term.value, perm=[term.letters.index(letter) for letter in letters])


def _spelled(name: str, rank: int, dots: int) -> str:
    """The ellipsis as letters, counted from the last: it may stand for fewer axes in one term than in another."""
    here = rank - len(name.replace("...", ""))
    return name.replace("...", "".join(str(place) for place in range(dots - here, dots)))


def _diagonal(node: Node, term: Term) -> Term:
    """A letter that stands twice takes the diagonal: all else is masked away, then summed."""
    repeated = next((letter for letter in term.letters if term.letters.count(letter) > 1), None)
    if repeated is None:
        return term
    first = term.letters.index(repeated)
    second = term.letters.index(repeated, first + 1)
    size = term.value.shape[first]
    if not isinstance(size, int) or size != term.value.shape[second]:
        raise node.refuse(
            "it takes a diagonal of sizes that are known only when the model runs", "fix them with --shape"
        )
    shape = [size if axis in (first, second) else 1 for axis in range(term.value.rank)]
    mask = np.eye(size, dtype=bool).reshape(shape)
    kept = node.low.op("Where", mask, term.value, np.zeros((), term.value.dtype))
    made = node.low.op("ReduceSum", kept, np.array([second], np.int64), keepdims=0)
    return _diagonal(node, Term(made, term.letters[:second] + term.letters[second + 1 :]))


def _summed(node: Node, term: Term, kept: str) -> Term:
    """Without the axes that nobody asks for any more."""
    gone = [axis for axis, letter in enumerate(term.letters) if letter not in kept]
    if not gone:
        return term
    made = node.low.op("ReduceSum", term.value, np.array(gone, np.int64), keepdims=0)
    return Term(made, "".join(letter for letter in term.letters if letter in kept))


def _product(node: Node, a: Term, b: Term, later: str) -> Term:
    """Two terms as one: letters that both have and nobody needs later are summed over."""
    a = _summed(node, a, b.letters + later)
    b = _summed(node, b, a.letters + later)
    shared = [letter for letter in a.letters if letter in b.letters]
    if any(_differ(a.size(letter), b.size(letter)) for letter in shared):
        return _broadcast(node, a, b, later)
    over = [letter for letter in shared if letter not in later]
    if not over:
        return _broadcast(node, a, b, later)
    front = [letter for letter in shared if letter in later]
    rows = [letter for letter in a.letters if letter not in shared]
    columns = [letter for letter in b.letters if letter not in shared]
    left = _grouped(node, a, front, rows, over)
    right = _grouped(node, b, front, over, columns)
    made = matrix_product(node, left, right)
    letters = "".join((*front, *rows, *columns))
    sizes = tuple(a.size(letter) if letter in a.letters else b.size(letter) for letter in letters)
    return Term(reshaped(node, made, sizes), letters)


def _differ(a: Size, b: Size) -> bool:
    """Whether one of two sizes is broadcast to the other."""
    return a != b and 1 in (a, b)


def _grouped(node: Node, term: Term, front: Sequence[str], rows: Sequence[str], columns: Sequence[str]) -> Value:
    """[front..., rows together, columns together]: what matrices are made of."""
    turned = _ordered(node, term, (*front, *rows, *columns))
    shape = [term.size(letter) for letter in front]
    shape += [product(term.size(letter) for letter in group) for group in (rows, columns)]
    return reshaped(node, turned, tuple(shape))


def _broadcast(node: Node, a: Term, b: Term, later: str) -> Term:
    """Element by element, all letters of both apart."""
    letters = a.letters + "".join(letter for letter in b.letters if letter not in a.letters)
    sides = [_spread(node, term, letters) for term in (a, b)]
    return _summed(node, Term(node.low.op("Mul", *sides), letters), later)


def _spread(node: Node, term: Term, letters: str) -> Value:
    turned = _ordered(node, term, [letter for letter in letters if letter in term.letters])
    return reshaped(node, turned, tuple(term.size(letter) for letter in letters))


OPERATORS = {
    "Einsum": einsum,
}
