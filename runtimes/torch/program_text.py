"""Whether the JSON of an exported PyTorch program (.pt2) may be given to torch.export.load. Standard library only.

A .pt2 file is more than pickles: torch evaluates symbolic sizes (`expr_str`) with sympy's `eval`, executes
`guards_code`, writes node names into Python source that it executes, and resolves operators by attribute from `torch`
itself (`torch.os.system` is one). So each text in the JSON is held against what its place may hold; a text in a place
not listed here is refused. (torch/_export/serde/serialize.py and torch/export/_unlift.py of 2.13)
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

from mlpack_edge.core.errors import BadInput, MlpackError, Unsupported, Untrusted

Json = Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IDENTIFIER = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*\Z")
_DOTTED = re.compile(r"(?!__)[A-Za-z0-9_]+(\.(?!__)[A-Za-z0-9_]+)*\Z")
_SYMBOL = re.compile(r"[A-Za-z]{1,8}[0-9]{1,9}\Z")
_LONGEST = 4096

#: What torch's own printer writes in symbolic sizes: sympy's functions and those of torch.utils._sympy.functions.
_SIZE_FUNCTIONS = _words(
    "Symbol Integer Rational Float Add Mul Mod Max Min Abs floor ceiling And Or Not "
    "Eq Ne Equality Unequality GreaterThan StrictGreaterThan LessThan StrictLessThan "
    "FloorDiv ModularIndexing Where PythonMod CleanDiv CeilToInt FloorToInt CeilDiv FloatTrueDiv IntTrueDiv "
    "TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat Identity Pow PowByNatural FloatPow"
)
_POWERS = frozenset(("Pow", "PowByNatural", "FloatPow"))
_CONSTANTS = frozenset(("oo", "int_oo", "true", "false"))
_KEYWORDS = frozenset(("positive", "nonnegative", "negative", "integer", "real", "finite", "evaluate", "precision"))
_MEASURES = frozenset(("size", "stride", "storage_offset"))
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Load,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip

_OPERATORS = {
    "_operator": _words("add sub mul floordiv truediv mod pow neg pos abs eq ne lt le gt ge and_ or_ not_ getitem"),
    "math": _words("ceil floor trunc sqrt log exp pow"),
    "torch": _words("sym_int sym_float sym_ite sym_max sym_min sym_not sym_sum sym_sqrt _sym_sqrt _sym_log2"),
    "torch.ops.higher_order": _words("cond while_loop scan map_impl wrap_with_set_grad_enabled wrap_with_autocast"),
}
#: ATen operators that open files.
_FILE_OPERATORS = frozenset(("from_file",))
_CONTAINERS = frozenset((None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"))


def checked_json(data: bytes, name: str) -> Json:
    """The JSON of `data` without its notes on where it came from (`metadata`), once every text in it may be there.

    Raises Untrusted where torch would run a text as code, Unsupported where an operator or container needs code
    that is not torch's, BadInput where it is no JSON.
    """
    try:
        return _walk(json.loads(data), "", name)
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError) as fault:
        raise BadInput(
            f"{name} is damaged",
            "export the model again with torch.export.save",
            why=f"{type(fault).__name__}: {fault}",
        ) from fault


def _walk(value: Json, key: str, name: str) -> Json:
    if isinstance(value, dict):
        if key == "metadata":
            return {}
        if key in _TEXTS:  # a text inside it would be judged as if it stood elsewhere
            raise untrusted(name, f"a dict as {key!r}")
        for inner in value:
            if inner and not _DOTTED.match(inner):
                raise untrusted(name, f"the name {inner[:80]!r}")
        return {inner: _walk(item, "" if key in _NAMED else inner, name) for inner, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, key, name) for item in value]
    if isinstance(value, str):
        check = _TEXTS.get(key)
        if check is None:
            raise untrusted(name, f"the text {value[:80]!r} as {key!r}")
        check(value, name)
    return value


def _identifier(text: str, name: str) -> None:
    if text and not _IDENTIFIER.match(text):
        raise untrusted(name, f"the name {text[:80]!r}")


def _dotted(text: str, name: str) -> None:
    if text and not _DOTTED.match(text):
        raise untrusted(name, f"the name {text[:80]!r}")


def _plain(text: str, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.+<= -]*", text):
        raise untrusted(name, f"the text {text[:80]!r}")


def _free(text: str, name: str) -> None:
    """An argument of an operator ("mean", "ij,jk"): torch quotes it."""
    if len(text) > _LONGEST:
        raise untrusted(name, f"a text of {len(text):,} letters as an argument")


def _object(text: str, name: str) -> None:
    raise Untrusted(
        f"{name} holds an object of the class {text[:80]!r}",
        "export the model without script objects, or give the module itself: package.module:attribute",
        why="opening it would run code in the file",
    )


def _operator(text: str, name: str) -> None:
    owner, _, called = text.rpartition(".")
    if called in _OPERATORS.get(owner, ()):
        return
    parts = text.split(".")
    if parts[:2] == ["torch", "ops"] and len(parts) in (4, 5) and all(_IDENTIFIER.match(part) for part in parts):
        if parts[2] == "aten" and parts[3] not in _FILE_OPERATORS:
            return
        if parts[2] != "aten":
            raise Unsupported(
                f"{name} uses the operator {text}, which is not one of PyTorch's own (aten)",
                "export the model without it",
                why="its code is not in the file",
            )
    raise untrusted(name, f"the call {text[:80]!r}")


def _size(text: str, name: str) -> None:
    _expression(text, name, guard=False)


def _guard(text: str, name: str) -> None:
    _expression(text, name, guard=True)


def _expression(text: str, name: str, guard: bool) -> None:
    if len(text) > _LONGEST or not text.isprintable() or "#" in text:
        raise untrusted(name, f"the expression {text[:80]!r}")
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as fault:
        raise untrusted(name, f"the expression {text[:80]!r}") from fault
    allowed = set[ast.AST]()
    for node in ast.walk(tree):
        if node in allowed or isinstance(node, _NODES):
            continue
        known = _known(node, guard)
        if known is None:
            raise untrusted(name, f"the expression {text[:80]!r}")
        allowed.update(known)


def _known(node: ast.AST, guard: bool) -> list[ast.AST] | None:
    """None where the node may not stand in an expression, else the parts of it that need no other look."""
    match node:
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str() as symbol)], keywords=keywords):
            fits = _SYMBOL.match(symbol) and all(item.arg in _KEYWORDS for item in keywords)
            return [node.func, node.args[0], *keywords] if fits else None
        case ast.Call(func=ast.Name(id=called), keywords=keywords) if called in _SIZE_FUNCTIONS:
            small = called not in _POWERS or (
                len(node.args) == 2 and isinstance(node.args[1], ast.Constant | ast.Call) and _exponent(node.args[1])
            )
            return [node.func, *keywords] if small and all(item.arg in _KEYWORDS for item in keywords) else None
        case ast.Call(func=ast.Attribute(attr=measure), args=[], keywords=[]) if guard and measure in _MEASURES:
            return [node.func]
        case ast.Subscript(slice=ast.Constant(value=str() as key)) if guard and _IDENTIFIER.match(key):
            return [node.slice]
        case ast.Subscript(slice=ast.Constant(value=int())) if guard:
            return [node.slice]
        case ast.Name(id=symbol):
            return [] if _SYMBOL.match(symbol) or symbol in _CONSTANTS or (guard and symbol == "L") else None
        case ast.Constant(value=bool() | float()):
            return []
        case ast.Constant(value=int() as number):
            return [] if abs(number) < 1 << 63 else None
    return None


def _exponent(node: ast.AST) -> bool:
    """Whether an exponent is a small constant: anything else could take all memory."""
    inner = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else node
    return isinstance(inner, ast.Constant) and isinstance(inner.value, int | float) and abs(inner.value) <= 8


def _structure(text: str, name: str) -> None:
    """A pytree of arguments or results, as JSON in a text."""
    _version, tree = json.loads(text)
    pending = [tree]
    while pending:
        node = pending.pop()
        kind = node["type"]
        if kind not in _CONTAINERS:
            raise Unsupported(
                f"{name} gives or takes a {str(kind)[:80]}",
                "export a model whose inputs and outputs are tensors in tuples, lists and dicts",
                why="the code of this class is not in the file",
            )
        keys = json.loads(node["context"]) if isinstance(node["context"], str) else None
        if not all(isinstance(item, str | int) for item in keys or []):
            raise untrusted(name, f"the dict keys {str(keys)[:80]}")
        pending += node["children_spec"]


def untrusted(name: str, what: str) -> MlpackError:
    """The error for a place in the file that would run code, or might."""
    return Untrusted(
        f"{name} is not opened: it holds {what}",
        "export the model again with torch.export.save, or give the module itself: package.module:attribute --weights",
        why="PyTorch would run it as code, and torch.export.save does not write it",
    )


#: Dicts whose keys are names from the model, which may be any of the keys below.
_NAMED = _words(
    "tensor_values sym_int_values sym_float_values sym_bool_values custom_obj_values config opset_version "
    "range_constraints as_string_to_argument treespec_namedtuple_fields"
)
_TEXTS: dict[str, Callable[[str, str], None]] = {
    "name": _identifier, "as_name": _identifier, "forward_arg_names": _identifier,
    "parameter_name": _dotted, "buffer_name": _dotted, "tensor_constant_name": _dotted, "user_input_name": _dotted,
    "fqn": _dotted, "target": _operator, "as_operator": _operator, "expr_str": _size, "guards_code": _guard,
    "as_string": _free, "as_strings": _free, "in_spec": _structure, "out_spec": _structure,
    "type": _plain, "verifiers": _plain, "torch_version": _plain, "path_name": _identifier,
    "class_fqn": _object, "custom_obj_name": _object,
}  # fmt: skip
