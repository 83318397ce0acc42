"""Judge a `.skops` file by its schema before skops builds anything: every node must be one that skops itself writes.

skops checks names and not the node a name stands in, so a trusted name can be called where only its state should have
been set. Here each kind of node has its own list of names and its own shape; whatever is not allowed is refused.
Read beside skops/io/_general.py, _numpy.py, _scipy.py and _sklearn.py of skops 0.16 (protocols 0 to 2).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import skops.io._trusted_types as known

from mlpack_edge.core.errors import Untrusted
from mlpack_edge.runtimes.sklearn import skops_trusted as listed

#: One node of the schema, as JSON holds it.
Node = dict[str, Any]

MAX_BYTES = 512 * 2**20
#: A node within a node: scikit-learn's own estimators stay below 40; skops recurses and would overflow beyond this.
MAX_DEPTH = 150

_WHY = "calling an unknown function, or setting the state of an unknown type, can run any code"
_HINT = "where you know who made the file: --trust-pickle loads it without these checks"

#: Scorers call this method of the model that they score.
_RESPONSES = {"predict", "predict_proba", "decision_function"}
#: skops calls the attribute of numpy.random with this name.
_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}
_TEXT_READERS = "sklearn.feature_extraction.text."


def judge_schema(path: Path) -> None:
    """Return where every node of the file's schema.json may be built.

    Raises Untrusted, naming the nodes and the names in them, where one may not; and what zipfile, json and a missing
    key raise (KeyError, TypeError, ValueError, RecursionError, zlib.error, ...) where the file is damaged.
    """
    with zipfile.ZipFile(path) as archive, archive.open("schema.json") as member:
        text = member.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"its schema.json is longer than {MAX_BYTES >> 20} MiB")
    root = json.loads(text)
    if not isinstance(root, dict):
        raise TypeError("its schema.json holds no node")
    protocol = root.pop("protocol")
    root.pop("_skops_version", None)
    judge = _Judge(path, old=protocol == 0)
    judge.node(root, "model", 0)
    if judge.unlisted:
        names = sorted(judge.unlisted)
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        raise Untrusted(
            f"{path} holds types that are not on the list of trusted ones: {', '.join(names[:10])}{more}",
            _HINT,
            why=_WHY,
        )


@dataclass
class _Judge:
    """Walks the nodes once. `ids`: what each `__id__` stands for; `numbers`: equal nodes have one number."""

    path: Path
    old: bool
    unlisted: set[str] = field(default_factory=set)
    ids: dict[int, int] = field(default_factory=dict)
    numbers: dict[object, int] = field(default_factory=dict)

    def node(self, node: Node, where: str, depth: int) -> int:
        """Judge a node and those in it; gives the number of its content.

        skops builds only the first node with an `__id__` and takes it for all later ones, so nodes that share one
        must be equal: else a harmless node could stand where it is judged and another be used.
        """
        if depth > MAX_DEPTH:
            raise self.refusal(where, f"nodes more than {MAX_DEPTH} deep")
        if not isinstance(node, dict):
            raise TypeError(f"{where} is no node")
        loader, name = node["__loader__"], name_of(node)
        rule = _RULES.get(loader) if isinstance(loader, str) else None
        if rule is None:
            raise self.refusal(where, f"{name} as {loader}")
        unknown = set(node) - {"__class__", "__module__", "__loader__", "__id__", *rule.keys}
        if unknown:
            raise self.refusal(where, f"{name} as {loader} with {', '.join(sorted(unknown))}")
        if rule.names is not None and name not in rule.names:
            self.unlisted.add(f"{name} (a {loader} at {where})")
        parts = rule.judge(self, node, where, depth + 1)
        number = self.numbers.setdefault((loader, name, parts), len(self.numbers))
        if "__id__" in node:
            saved = node["__id__"]
            if type(saved) is not int or self.ids.setdefault(saved, number) != number:
                raise self.refusal(where, f"{name} under the id {saved!r} of another node")
        return number

    def refusal(self, where: str, what: str) -> Untrusted:
        return Untrusted(f"{self.path} is not as skops writes files: {what} at {where}"[:500], _HINT, why=_WHY)

    def only(self, node: object, loaders: tuple[str, ...], where: str) -> Node:
        """The node, refused where it is of another kind than `loaders`."""
        if not isinstance(node, dict) or node.get("__loader__") not in loaders:
            found = f"{name_of(node)} as {node.get('__loader__')}" if isinstance(node, dict) else repr(node)[:80]
            raise self.refusal(where, f"{found} instead of {' or '.join(loaders)}")
        return node

    def children(self, content: Node, keys: tuple[str, ...], where: str, depth: int) -> object:
        if set(content) != set(keys):
            raise self.refusal(where, f"the parts {', '.join(sorted(content))} instead of {', '.join(keys)}")
        return tuple(self.node(content[key], f"{where}.{key}", depth) for key in keys)


def name_of(node: Node) -> str:
    """The full name in a node, which is where skops imports from."""
    module, kind = node["__module__"], node["__class__"]
    if not isinstance(module, str) or not isinstance(kind, str):
        raise TypeError("a node whose class has no name")
    return f"{module}.{kind}"


def _nothing(judge: _Judge, node: Node, where: str, depth: int) -> object:
    return ()


def _file(judge: _Judge, node: Node, where: str, depth: int) -> object:
    # A member of the archive, read into memory. An object written twice gets new files for the bytes and arrays that
    # its state is made of, so the name says nothing about equality, and the numbers in them are not judged.
    if not isinstance(node["file"], str):
        raise TypeError(f"{where} names no file")
    return node.get("type")


def _json(judge: _Judge, node: Node, where: str, depth: int) -> object:
    if not isinstance(node["content"], str):
        raise TypeError(f"{where} holds no JSON")
    return node["content"]


def _items(judge: _Judge, node: Node, where: str, depth: int) -> object:
    if not isinstance(node["content"], list):
        raise TypeError(f"{where} holds no list")
    return tuple([judge.node(item, f"{where}[{at}]", depth) for at, item in enumerate(node["content"])])


def _dict(judge: _Judge, node: Node, where: str, depth: int) -> object:
    """skops calls each of `key_types` on the text of a key: only plain types may stand there."""
    types = judge.only(node["key_types"], ("ListNode",), f"{where} (key_types)")
    for item in types["content"]:
        kind = name_of(judge.only(item, ("TypeNode",), f"{where} (key_types)"))
        if kind not in listed.KEY_TYPES:
            raise judge.refusal(where, f"keys of the type {kind}")
    content = node["content"]
    if len(types["content"]) != len(content):
        raise judge.refusal(where, f"{len(types['content'])} types for {len(content)} keys")
    numbers = [judge.node(value, f"{where}.{key}", depth) for key, value in content.items()]
    return (judge.node(types, f"{where} (key_types)", depth), tuple(content), tuple(numbers))


def _default_dict(judge: _Judge, node: Node, where: str, depth: int) -> object:
    judge.only(node["content"]["main"], ("DictNode",), where)
    factory = judge.only(node["content"]["default_factory"], ("TypeNode", "JsonNode"), where)
    if factory["__loader__"] == "JsonNode" and factory["content"] != "null":
        raise judge.refusal(where, "a default_factory that is no type")
    return judge.children(node["content"], ("main", "default_factory"), where, depth)


def _function(judge: _Judge, node: Node, where: str, depth: int) -> object:
    """Protocol 0 kept the name of the function apart."""
    name = name_of(node)
    if judge.old:
        name = f"{node['content']['module_path']}.{node['content']['function']}"
    elif "content" in node:
        raise judge.refusal(where, f"{name} as FunctionNode with content")
    if name not in _FUNCTIONS:
        judge.unlisted.add(f"{name} (a FunctionNode at {where})")
    return name


def _partial(judge: _Judge, node: Node, where: str, depth: int) -> object:
    content = node["content"]
    function = name_of(judge.only(content["func"], ("FunctionNode",), f"{where}.func"))
    if function not in _PARTIAL_FUNCTIONS:
        raise judge.refusal(where, f"functools.partial of {function}")
    judge.only(content["args"], ("TupleNode",), f"{where}.args")
    judge.only(content["kwds"], ("DictNode",), f"{where}.kwds")
    space = judge.only(content["namespace"], ("DictNode", "JsonNode"), f"{where}.namespace")
    if space["content"] not in ({}, "null"):
        raise judge.refusal(where, "functools.partial with attributes")
    return judge.children(content, ("func", "args", "kwds", "namespace"), where, depth)


def _slice(judge: _Judge, node: Node, where: str, depth: int) -> object:
    content = node["content"]
    parts = tuple(content[key] for key in ("start", "stop", "step"))
    if len(content) != 3 or not all(part is None or type(part) in (int, str) for part in parts):
        raise judge.refusal(where, "a slice of something else than numbers or names")
    return parts


def _array(judge: _Judge, node: Node, where: str, depth: int) -> object:
    if node["type"] == "numpy" and "content" not in node:
        return _file(judge, node, where, depth)
    if node["type"] != "json" or "file" in node:
        raise judge.refusal(where, f"{name_of(node)} as NdArrayNode of the type {node['type']!r}")
    judge.only(node["shape"], ("TupleNode",), f"{where} (shape)")
    return (_items(judge, node, where, depth), judge.node(node["shape"], f"{where} (shape)", depth))


def _masked(judge: _Judge, node: Node, where: str, depth: int) -> object:
    for part in node["content"].values():
        judge.only(part, ("NdArrayNode",), where)
    return judge.children(node["content"], ("data", "mask"), where, depth)


def _dtype(judge: _Judge, node: Node, where: str, depth: int) -> object:
    return judge.node(judge.only(node["content"], ("NdArrayNode",), where), where, depth)


def _random_state(judge: _Judge, node: Node, where: str, depth: int) -> object:
    return judge.node(judge.only(node["content"], ("DictNode",), where), where, depth)


def _generator(judge: _Judge, node: Node, where: str, depth: int) -> object:
    content = node["content"]
    for part in content.values():
        judge.only(part, ("DictNode",), where)
    if _literal(content["bit_generator"]["content"]["bit_generator"]) not in {f'"{name}"' for name in _GENERATORS}:
        raise judge.refusal(where, "a random generator of an unknown kind")
    keys = ("bit_generator", "seed_seq") if "seed_seq" in content else ("bit_generator",)  # protocol 1 kept no seed
    return judge.children(content, keys, where, depth)


def _reduced(judge: _Judge, node: Node, where: str, depth: int) -> object:
    """Losses and trees: an extension type called with plain numbers, then given a state."""
    reduced = node["__reduce__"]
    judge.only(reduced["args"], ("TupleNode",), f"{where} (arguments)")
    judge.only(node["content"], ("DictNode", "TupleNode"), where)
    made = judge.children(reduced, ("args",), where, depth)
    return (made, judge.node(node["content"], where, depth))


def _object(judge: _Judge, node: Node, where: str, depth: int) -> object:
    if node.get("content") is None:
        return ()
    name = name_of(node)
    kinds = ("TupleNode", "JsonNode") if name in listed.TUPLE_STATE else ("DictNode", "JsonNode")
    state = judge.only(node["content"], kinds, where)
    if state["__loader__"] == "JsonNode":
        if state["content"] != "null":
            raise judge.refusal(where, f"the state of {name} as JSON")
    elif state["__loader__"] == "DictNode":
        _judge_state(judge, name, state, where)
    return judge.node(state, where, depth)


def _judge_state(judge: _Judge, name: str, state: Node, where: str) -> None:
    """Attributes that make a harmless class read files or call by name."""
    if name_of(state) != "builtins.dict":
        raise judge.refusal(where, f"the state of {name} as {name_of(state)}")
    attributes = state["content"]
    memory = attributes.get("memory")
    if memory is not None and _literal(memory) != "null":
        raise judge.refusal(where, f"{name} with memory, a folder of pickles that it would read,")
    source = attributes.get("input")
    if name.startswith(_TEXT_READERS) and source is not None and _literal(source) != '"content"':
        raise judge.refusal(where, f"{name} that reads the files its input names")
    if name in listed.SCORERS:
        _judge_scorer(judge, name, attributes, where)


def _judge_scorer(judge: _Judge, name: str, attributes: Node, where: str) -> None:
    if name.endswith("._PassthroughScorer"):
        judge.only(attributes["_estimator"], ("ObjectNode",), f"{where}._estimator")
        return
    response = attributes["_response_method"]
    names = response["content"] if response["__loader__"] in ("TupleNode", "ListNode") else [response]
    if not all(_literal(each) in {f'"{known}"' for known in _RESPONSES} for each in names):
        raise judge.refusal(where, f"{name} that calls another method than {', '.join(sorted(_RESPONSES))}")
    function = judge.only(attributes["_score_func"], ("FunctionNode",), f"{where}._score_func")
    if name_of(function) not in listed.SCORE_FUNCTIONS:
        raise judge.refusal(where, f"{name} of {name_of(function)}")


def _literal(node: Node) -> object:
    return node["content"] if node["__loader__"] == "JsonNode" else None


@dataclass(frozen=True, slots=True)
class _Rule:
    """names: what may stand in the node (None: the rule says itself); keys: what the node may hold."""

    judge: Callable[[_Judge, Node, str, int], object]
    names: frozenset[str] | None
    keys: tuple[str, ...] = ("content",)


def _own(name: str) -> frozenset[str]:
    """A list of skops's own; older versions lack some."""
    return frozenset(getattr(known, f"{name}_TYPE_NAMES", ()))


_PARTIAL_FUNCTIONS = listed.PARTIAL_FUNCTIONS | _own("NUMPY_UFUNC")
_FUNCTIONS = listed.FUNCTIONS | listed.SCORE_FUNCTIONS | _own("NUMPY_UFUNC") | _own("SCIPY_UFUNC")
_CLASSES = listed.CLASSES | listed.SCORERS | _own("SKLEARN_ESTIMATOR") | _own("SKLEARN_INTERNAL")
_SCALARS = _own("NUMPY_DTYPE")
_MASKED = frozenset({"numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"})

#: Not here, so refused: ConstructorFromReduceNode, MethodNode and OperatorFuncNode, which call what the file names and
#: which no fitted estimator of scikit-learn needs; CachedNode, which skops never writes; types of packages that mlpack does not convert.
_RULES: dict[str, _Rule] = {
    "BytearrayNode": _Rule(_file, frozenset({"builtins.bytearray"}), ("file",)),
    "BytesNode": _Rule(_file, frozenset({"builtins.bytes"}), ("file",)),
    "DTypeNode": _Rule(_dtype, frozenset({"numpy.dtype"})),
    "DefaultDictNode": _Rule(_default_dict, frozenset({"collections.defaultdict"})),
    "DictNode": _Rule(_dict, listed.DICTS, ("content", "key_types")),
    "FunctionNode": _Rule(_function, None),
    "JsonNode": _Rule(_json, frozenset({"builtins.str"}), ("content", "is_json")),
    "ListNode": _Rule(_items, frozenset({"builtins.list"})),
    "LossNode": _Rule(_reduced, listed.LOSSES, ("content", "__reduce__")),
    "MaskedArrayNode": _Rule(_masked, _MASKED),
    "NdArrayNode": _Rule(_array, _SCALARS | {"numpy.ndarray"}, ("content", "file", "shape", "type")),
    "ObjectNode": _Rule(_object, _CLASSES),
    "PartialNode": _Rule(_partial, frozenset({"functools.partial"})),
    "RandomGeneratorNode": _Rule(_generator, frozenset({"numpy.random._generator.Generator"})),
    "RandomStateNode": _Rule(_random_state, frozenset({"numpy.random.mtrand.RandomState"})),
    "SetNode": _Rule(_items, frozenset({"builtins.set"})),
    "SliceNode": _Rule(_slice, frozenset({"builtins.slice"})),
    "SparseMatrixNode": _Rule(_file, listed.SPARSE, ("file", "type")),
    "TreeNode": _Rule(_reduced, frozenset({"sklearn.tree._tree.Tree"}), ("content", "__reduce__")),
    "TupleNode": _Rule(_items, frozenset({"builtins.tuple"})),
    "TypeNode": _Rule(_nothing, listed.TYPES | _SCALARS, ()),
}
