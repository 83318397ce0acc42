"""Text to counts of words or characters: CountVectorizer, TfidfVectorizer, TfidfTransformer.

ONNX Runtime's StringNormalizer lower-cases by a locale of the machine, and its regular expressions have other Unicode
tables than Python's. So a text is split into characters, each is looked up in a table, and the text is put together
again; tokens are matched with the set of characters written out. The operators Tokenizer (com.microsoft) and
TfIdfVectorizer need ONNX Runtime.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.characters import token_expression, token_runs
from mlpack_edge.converters.onnx_from_sklearn.decomposition import floats, promoted
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_from_sklearn.strings import (
    NOTHING,
    characters_of,
    counted,
    lowered,
    spaced_words,
    squeezed_spaces,
    tokens_of,
    word_codes,
)
from mlpack_edge.converters.onnx_graph import ONNX_TYPE
from mlpack_edge.converters.tensor import Tensor


def count_vectorizer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """CountVectorizer.transform, `[batch, vocabulary]` in its dtype."""
    dtype = str(np.dtype(estimator.dtype))
    if dtype not in ONNX_TYPE:
        raise scope.refuse(estimator, f"dtype={estimator.dtype!r}")
    return frame_of(_counts(scope, estimator, frame).cast(dtype).value(len(estimator.vocabulary_)))


def tfidf_vectorizer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """TfidfVectorizer.transform: the counts, then TfidfTransformer.transform."""
    counts = _counts(scope, estimator, frame).cast(str(np.dtype(estimator.dtype)))
    return frame_of(_weighted(counts, estimator._tfidf).value(len(estimator.vocabulary_)))


def tfidf_transformer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """TfidfTransformer.transform of counts that come in."""
    return frame_of(_weighted(floats(scope, frame), estimator).value(frame.width))


def hashing_vectorizer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """Refused: a graph has no hash of a text."""
    raise scope.refuse(estimator, "tokens are hashed, which no operator does; use TfidfVectorizer or CountVectorizer")


def _counts(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """How often each term of the vocabulary stands in each text, float32 `[batch, vocabulary]`."""
    _check(scope, estimator, frame)
    graph = scope.graph
    value = graph.vector(frame.blocks[0].value)
    # one more text than there are, since Tokenizer gives another rank for none
    texts = Tensor(graph, graph.op("Concat", value, graph.const([""], "string"), axis=0), "string", 1)
    accents = estimator.strip_accents
    if estimator.lowercase or accents:
        terms = "".join(estimator.vocabulary_)
        texts = lowered(texts, bool(estimator.lowercase), accents, "σ" in terms or "ς" in terms)
    low, high = estimator.ngram_range
    if estimator.analyzer == "word":
        tokens = tokens_of(texts, token_expression(token_runs(estimator.token_pattern)))
        terms_by_length = _word_terms(estimator)
        stops = estimator.get_stop_words() or frozenset()
        codes, book = word_codes(tokens, {word for words, _ in terms_by_length for word in words}, stops, high > 1)
    else:
        words = estimator.analyzer == "char_wb"
        terms_by_length = [
            (tuple(term), column)
            for term, column in estimator.vocabulary_.items()
            if _reachable(term, low, high, words)
        ]
        split = spaced_words if words else squeezed_spaces
        codes, book = split(characters_of(texts), {letter for letters, _ in terms_by_length for letter in letters})
    pool = [(tuple(book.get(part, NOTHING) for part in parts), column) for parts, column in terms_by_length]
    counts = counted(codes, pool, len(estimator.vocabulary_))
    bounds = [graph.const(np.array([number], np.int64)) for number in (0, -1, 0)]
    made = Tensor(graph, graph.op("Slice", counts.name, *bounds), "float32")
    return made.least(1.0) if estimator.binary else made


def _word_terms(estimator: Estimator) -> list[tuple[tuple[str, ...], int]]:
    """The terms of the vocabulary as tuples of words, those that ngram_range can make."""
    low, high = estimator.ngram_range
    if high == 1:
        return [((term,), column) for term, column in estimator.vocabulary_.items()] if low == 1 else []
    split = [(tuple(term.split(" ")), column) for term, column in estimator.vocabulary_.items()]
    return [(words, column) for words, column in split if low <= len(words) <= high and all(words)]


def _reachable(term: str, low: int, high: int, words: bool) -> bool:
    """Whether the analyzer "char" or "char_wb" can make a term; a whole short word counts though it is shorter."""
    if low <= len(term) <= high:
        return not words or "  " not in term
    return words and 3 <= len(term) < low and term[0] == term[-1] == " " and " " not in term[1:-1]


def _check(scope: Scope, estimator: Estimator, frame: Frame) -> None:
    if frame.width != 1 or not frame.is_text:
        raise scope.refuse(estimator, f"it takes one column of text, not {frame.width} of {frame.dtype}")
    for name in ("preprocessor", "tokenizer"):
        if getattr(estimator, name) is not None:
            raise scope.refuse(estimator, f"{name}= is a function of Python; use the built-in one, or do it before")
    if callable(estimator.analyzer) or callable(estimator.strip_accents):
        raise scope.refuse(estimator, "analyzer or strip_accents is a function of Python; use a built-in one")
    if estimator.input != "content":
        raise scope.refuse(estimator, f"input={estimator.input!r} reads files; give it the text")
    if scope.graph.opset < 20 and (estimator.lowercase or estimator.strip_accents):
        raise scope.refuse(estimator, f"lower-casing needs opset 20, the model is written for {scope.graph.opset}")
    several = estimator.analyzer == "word" and estimator.ngram_range[1] > 1
    if several and token_runs(estimator.token_pattern).holds(" "):
        raise scope.refuse(estimator, "tokens may hold spaces, so that n-grams are ambiguous")


def _weighted(counts: Tensor, transformer: Estimator) -> Tensor:
    """TfidfTransformer.transform: sublinear_tf, idf and norm as on a sparse matrix, where a zero stays one."""
    x = counts
    if transformer.sublinear_tf:
        logs = x.cast("float64").log().cast(x.dtype) + 1.0
        x = x.equals(0.0).where(x, logs)
    if hasattr(transformer, "idf_"):
        idf = np.asarray(transformer.idf_)
        x = (promoted(x, idf) * idf.reshape(1, -1)).cast(x.dtype)
    if transformer.norm is None:
        return x
    wide = x.cast("float64")
    norms = {
        "l1": lambda: wide.abs().sum(),
        "l2": lambda: (wide * wide).sum().sqrt(),
        "max": lambda: wide.abs().max(),
    }[transformer.norm]()
    return (wide / norms.equals(0.0).where(1.0, norms)).cast(x.dtype)


CONVERTERS: dict[str, Converter] = {
    "sklearn.feature_extraction.text.CountVectorizer": count_vectorizer,
    "sklearn.feature_extraction.text.TfidfVectorizer": tfidf_vectorizer,
    "sklearn.feature_extraction.text.TfidfTransformer": tfidf_transformer,
    "sklearn.feature_extraction.text.HashingVectorizer": hashing_vectorizer,
}
