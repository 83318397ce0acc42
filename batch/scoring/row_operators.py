"""Operators of ONNX whose rows follow from the same rows of their inputs, and in the same bits wherever a row stands.

Opsets 1 to 25 and ai.onnx.ml 1 to 5. Those that only change a shape belong here where they keep the first dimension,
which is seen when tables are made (`coded`). Arithmetic is IEEE's correctly rounded one, the same in every lane; nothing
here sums, and no function is approximated.
"""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto, TensorProto

Texts = set[str]


def _first(node: NodeProto, texts: Texts) -> bool:
    return node.input[0] in texts


def _either(node: NodeProto, texts: Texts) -> bool:
    return any(name in texts for name in node.input[1:])


def _text(node: NodeProto, texts: Texts) -> bool:
    return True


def _number(node: NodeProto, texts: Texts) -> bool:
    return False


def _cast(node: NodeProto, texts: Texts) -> bool:
    return any(item.name == "to" and item.i == TensorProto.STRING for item in node.attribute)


def _encoder(node: NodeProto, texts: Texts) -> bool:
    names = {item.name: item for item in node.attribute}
    tensor = names.get("values_tensor")
    return "values_strings" in names or (tensor is not None and tensor.t.data_type == TensorProto.STRING)


#: (domain, operator) -> whether what it gives is text, given the node and which tensors are.
GIVES_TEXT: dict[tuple[str, str], Callable[[NodeProto, Texts], bool]] = {
    **{("", name): _first for name in ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Concat", "Gather")},
    ("", "Where"): _either,
    ("", "StringConcat"): _text,
    ("", "Cast"): _cast,
    **{("", name): _number for name in (
        "Equal", "Not", "And", "Or", "RegexFullMatch", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "IsNaN", "Add",
        "Sub", "Mul", "Div", "Neg", "Abs", "Sqrt",
    )},
    ("ai.onnx.ml", "LabelEncoder"): _encoder,
    ("ai.onnx.ml", "CategoryMapper"): lambda node, texts: node.input[0] not in texts,
}  # fmt: skip


#: Operators whose later inputs say a shape or an axis for all rows together.
_SHAPED = {"Reshape", "Squeeze", "Unsqueeze"}


def follows_rows(node: NodeProto, known: set[str]) -> bool:
    """Whether the inputs that vary with the rows (`known`) stand where a row meets the same row only."""
    if node.op_type in _SHAPED:
        return not any(name in known for name in node.input[1:])
    return node.op_type != "Gather" or not (node.input[0] in known and node.input[1] in known)


def gives_text(node: NodeProto) -> Callable[[NodeProto, Texts], bool] | None:
    """None for operators that are not of this kind."""
    return GIVES_TEXT.get(("" if node.domain == "ai.onnx" else node.domain, node.op_type))
