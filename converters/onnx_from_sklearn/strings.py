"""Tensors of strings: characters, words, and how often runs of them occur.

Every text tensor here is `[batch]` with at least one row. Codes are int64 `[batch, length]`; GONE marks what is not
there (padding, stop words), NOTHING what no term holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from onnx import GraphProto, TensorProto, helper

from mlpack_edge.converters.onnx_from_sklearn.categories import lookup
from mlpack_edge.converters.onnx_from_sklearn.characters import (
    CAPITAL_SIGMA,
    CASED,
    IGNORABLE,
    around_sigma,
    replacements,
    whitespace,
)
from mlpack_edge.converters.onnx_graph import ML, Graph, Value
from mlpack_edge.converters.tensor import Tensor, beside

GONE, NOTHING = -1, 0
#: Between two words of "char_wb": no n-gram crosses it.
WALL = -2
#: No character and no text that stands for one.
_UNCHANGED = "\uffff\uffff\uffff\uffff"


def characters_of(texts: Tensor) -> Tensor:
    """The characters (code points) of each text, `[batch, length]`, padded with ""; at least one column."""
    return _padded(texts, separators=[""])


def tokens_of(texts: Tensor, expression: str) -> Tensor:
    """What `expression` matches in each text, `[batch, length]`, padded with ""; at least one column."""
    return _padded(texts, tokenexp=expression)


def _padded(texts: Tensor, **attributes: object) -> Tensor:
    graph = texts.graph
    split = graph.op("Tokenizer", texts.name, domain="com.microsoft", mark=0, mincharnum=1, pad_value="", **attributes)
    # texts that are all empty give no column at all
    return beside([_filled(texts, "", "string"), Tensor(graph, split, "string")])


def _filled(like: Tensor, item: str | int | bool, dtype: str) -> Tensor:
    """`[batch, 1]` of one constant, as many rows as `like` has."""
    graph = like.graph
    rows = graph.op("Shape", like.name, start=0, end=1)
    shape = graph.op("Concat", rows, graph.const(np.array([1], np.int64)), axis=0)
    constant = graph.const([[item]], dtype)
    return Tensor(graph, graph.op("Expand", constant, shape), dtype)


def _code(items: Tensor, table: dict[str, int], default: int) -> Tensor:
    """`table[item]` of each string, int64, else `default`."""
    keys = np.array(list(table), object)
    return lookup(
        items.graph, Value(items.name, "string", None), keys, np.array(list(table.values()), np.int64), default
    )


def lowered(texts: Tensor, lowercase: bool, accents: str | None, final_sigma: bool) -> Tensor:
    """Each text lower-cased and stripped of accents as Python does it; final_sigma: whether ς and σ must be told apart."""
    graph = texts.graph
    letters = characters_of(texts)
    table = replacements(lowercase, accents)
    replaced = _replaced(letters, table)
    if lowercase and final_sigma and table.get(CAPITAL_SIGMA) == "σ":
        sigma = Tensor(graph, graph.op("Equal", letters.name, graph.const([[CAPITAL_SIGMA]], "string")), "bool")
        last = sigma & _word_ends(letters)
        replaced = Tensor(graph, graph.op("Where", last.name, graph.const([["ς"]], "string"), replaced.name), "string")
    return _joined(replaced)


def _replaced(letters: Tensor, table: dict[str, str]) -> Tensor:
    graph = letters.graph
    found = graph.op(
        "LabelEncoder", letters.name, domain=ML,
        keys_strings=list(table), values_strings=list(table.values()), default_string=_UNCHANGED,
    )  # fmt: skip
    same = graph.op("Equal", found, graph.const([[_UNCHANGED]], "string"))
    return Tensor(graph, graph.op("Where", same, letters.name, found), "string")


def _word_ends(letters: Tensor) -> Tensor:
    """Where the nearest characters that are not case-ignorable are a cased one before and none cased after."""
    kinds = _code(letters, around_sigma(), 2)
    counts = ~kinds.equals(IGNORABLE)
    cased = kinds.equals(CASED).cast("int64")
    ranks = _running(counts.cast("int64"))
    # the kinds of the counting characters in order, with a 0 before the first
    ordered = beside([_filled(letters, 0, "int64"), _compact(cased, counts, 0)])
    before, after = (
        Tensor(letters.graph, letters.graph.op("GatherElements", ordered.name, place.name, axis=1), "int64")
        for place in (ranks - 1, ranks + 1)
    )
    return before.equals(1) & after.equals(0)


def _running(numbers: Tensor) -> Tensor:
    """Running sums along axis 1."""
    graph = numbers.graph
    return Tensor(graph, graph.op("CumSum", numbers.name, graph.const(np.array(1, np.int64))), "int64")


def _compact(codes: Tensor, keep: Tensor, empty: int) -> Tensor:
    """The codes to keep moved to the left, `empty` after them; one column more than there was."""
    graph = codes.graph
    places = _running(keep.cast("int64")) - 1
    width = Tensor(graph, graph.op("Shape", codes.name, start=1, end=2), "int64", 1)
    places = keep.where(places, width)
    blank = beside([codes * 0 + empty, _filled(codes, empty, "int64")])
    kept = keep.where(codes, empty)
    return Tensor(graph, graph.op("ScatterElements", blank.name, places.name, kept.name, axis=1), "int64")


def _joined(letters: Tensor) -> Tensor:
    """The strings of each row put together, `[batch]`: neighbours in pairs, until one is left."""
    graph = letters.graph
    columns = graph.op("Shape", letters.name, start=1, end=2)
    one = graph.const(np.array([1], np.int64))
    more = graph.op("Squeeze", graph.op("Greater", columns, one))
    joined = graph.op("Loop", "", more, letters.name, body=_pairs(graph))
    return Tensor(graph, joined, "string").reshape(-1)


def _pairs(graph: Graph) -> GraphProto:
    """A Loop body: strings `[batch, n]` -> `[batch, (n + 1) // 2]`."""
    n = {name: graph.fresh(name) for name in ("i", "go", "s", "rows", "column", "blank", "wide", "columns", "half",
                                              "even", "left", "right", "out", "many", "next")}  # fmt: skip
    zero, one, two = (graph.const(np.array([number], np.int64)) for number in (0, 1, 2))
    nodes = [
        helper.make_node("Shape", [n["s"]], [n["rows"]], start=0, end=1),
        helper.make_node("Concat", [n["rows"], one], [n["column"]], axis=0),
        helper.make_node("Expand", [graph.const([""], "string"), n["column"]], [n["blank"]]),
        helper.make_node("Concat", [n["s"], n["blank"]], [n["wide"]], axis=1),
        helper.make_node("Shape", [n["wide"]], [n["columns"]], start=1, end=2),
        helper.make_node("Div", [n["columns"], two], [n["half"]]),
        helper.make_node("Mul", [n["half"], two], [n["even"]]),
        helper.make_node("Slice", [n["wide"], zero, n["even"], one, two], [n["left"]]),
        helper.make_node("Slice", [n["wide"], one, n["even"], one, two], [n["right"]]),
        helper.make_node("StringConcat", [n["left"], n["right"]], [n["out"]]),
        helper.make_node("Greater", [n["half"], one], [n["many"]]),
        helper.make_node("Squeeze", [n["many"]], [n["next"]]),
    ]
    inputs = [
        helper.make_tensor_value_info(n["i"], TensorProto.INT64, []),
        helper.make_tensor_value_info(n["go"], TensorProto.BOOL, []),
        helper.make_tensor_value_info(n["s"], TensorProto.STRING, [None, None]),
    ]
    outputs = [
        helper.make_tensor_value_info(n["next"], TensorProto.BOOL, []),
        helper.make_tensor_value_info(n["out"], TensorProto.STRING, [None, None]),
    ]
    return helper.make_graph(nodes, graph.fresh("pairs"), inputs, outputs)


def word_codes(
    tokens: Tensor, words: Collection[str], stops: Collection[str], close_up: bool
) -> tuple[Tensor, dict[str, int]]:
    """(the code of each token, the codes by word); stop words are taken out, and what follows moves up (`close_up`)."""
    book = {word: code for code, word in enumerate(sorted(words), start=1) if word not in stops}
    table = {**book, "": GONE}
    if not close_up:
        return _code(tokens, table, NOTHING), book
    codes = _code(tokens, {**table, **dict.fromkeys(stops, GONE)}, NOTHING)
    return _compact(codes, ~codes.equals(GONE), GONE), book


def _letter_codes(letters: Tensor, known: Collection[str]) -> tuple[Tensor, dict[str, int], Tensor, Tensor]:
    """(codes, the codes by letter, where a character stands, where it is white)."""
    book = {letter: code for code, letter in enumerate(sorted({*known, " "}), start=1)}
    kinds = _code(letters, {**dict.fromkeys(whitespace(), 1), "": 2}, 0)
    return _code(letters, book, NOTHING), book, ~kinds.equals(2), kinds.equals(1)


def _moved(flags: Tensor, by: int) -> Tensor:
    """Flags of the neighbour before (by=1) or after (by=-1); False beyond the ends."""
    graph = flags.graph
    off = _filled(flags, False, "bool")
    bounds = (0, -1, 1) if by > 0 else (1, np.iinfo(np.int64).max, 1)
    names = [graph.const(np.array([number], np.int64)) for number in bounds]
    rest = Tensor(graph, graph.op("Slice", flags.name, *names), "bool")
    return beside([off, rest] if by > 0 else [rest, off])


def squeezed_spaces(letters: Tensor, known: Collection[str]) -> tuple[Tensor, dict[str, int]]:
    """Codes for the analyzer "char": two or more white characters in a row are one space, a single one stays."""
    codes, book, stands, white = _letter_codes(letters, known)
    before, after = _moved(white, 1), _moved(white, -1)
    codes = (white & after).where(book[" "], codes)
    return _compact(codes, stands & ~(white & before), GONE), book


def spaced_words(letters: Tensor, known: Collection[str]) -> tuple[Tensor, dict[str, int]]:
    """Codes for the analyzer "char_wb": each word with a space before and after it, and a WALL between words."""
    codes, book, stands, white = _letter_codes(letters, known)
    inside = stands & ~white
    starts, ends = inside & ~_moved(inside, 1), inside & ~_moved(inside, -1)
    slots = [
        starts.where(book[" "], codes * 0 + GONE),
        inside.where(codes, GONE),
        ends.where(book[" "], codes * 0 + GONE),
        ends.where(WALL, codes * 0 + GONE),
    ]
    graph = letters.graph
    apart = [
        Tensor(graph, graph.op("Unsqueeze", slot.name, graph.const(np.array([2], np.int64))), "int64", 3)
        for slot in slots
    ]
    flat = beside(apart, axis=2)
    rows = graph.op("Shape", letters.name, start=0, end=1)
    shape = graph.op("Concat", rows, graph.const(np.array([-1], np.int64)), axis=0)
    stream = Tensor(graph, graph.op("Reshape", flat.name, shape), "int64")
    return _compact(stream, ~stream.equals(GONE), GONE), book


def counted(codes: Tensor, pool: Sequence[tuple[tuple[int, ...], int]], width: int) -> Tensor:
    """How often each run of codes occurs in each row, float32 `[batch, width]`.

    pool: (the codes, its column). Codes of NOTHING match nothing; a column without an entry is 0.
    """
    used = {column for parts, column in pool if NOTHING not in parts}
    entries = [(parts, column) for parts, column in pool if column in used]
    # what cannot occur keeps its column: a code that no row has, each its own since the pool holds nothing twice
    entries += [((np.iinfo(np.int64).min + column,), column) for column in range(width) if column not in used]
    entries.sort(key=lambda entry: (len(entry[0]), entry[1]))
    longest = max(len(parts) for parts, _ in entries)
    shortest = min(len(parts) for parts, _ in entries)
    starts = [sum(len(parts) for parts, _ in entries if len(parts) < size) for size in range(1, longest + 1)]
    name = codes.graph.op(
        "TfIdfVectorizer", codes.name, mode="TF", min_gram_length=shortest, max_gram_length=longest, max_skip_count=0,
        ngram_counts=starts, ngram_indexes=[column for _, column in entries],
        pool_int64s=[int(code) for parts, _ in entries for code in parts],
    )  # fmt: skip
    return Tensor(codes.graph, name, "float32")
