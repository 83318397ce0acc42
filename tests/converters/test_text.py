"""Text becomes the counts that scikit-learn counts, for any text, without a locale."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder

from mlpack_edge.converters.onnx_from_sklearn.characters import character_set, token_expression, token_runs
from mlpack_edge.core.errors import Unsupported
from tests.converters.sklearn_parity import assert_same

#: Letters whose case, accents or class are troublesome, marks, white space and signs, beside any text at all.
LETTERS = "aAzZ09_ÀéßẞİıŁſσςΣΑαŸǅﬁÅ日本한글ʰªⅧ²½𝔸🙂'’.,-·:\u0301\u0345\u200d\u00ad\ufffe\x00\x1c\x85\u2028\u3000 \t\n"
TEXT = st.one_of(
    st.text(st.sampled_from(LETTERS), max_size=25), st.text(st.characters(exclude_categories=["Cs"]), max_size=25)
)
TEXTS = st.lists(TEXT, min_size=1, max_size=8)
WORDS = [
    "The Straße in ÉTÉ", "été à la plage, the sea the sea", "ΟΔΥΣΣΕΥΣ ΣΑΣ ὈΔΟΣ Σ.", "İstanbul'da ILIK ılık", "", "   \n ",
    "東京 は 大きい 都市 です", "the quick brown fox, the lazy dog", "it's a_b x1 22 ½ Ⅷ", "a b c d", "sea the sea", "été",
]  # fmt: skip


def same(model: Any, texts: list[str], **options: Any) -> None:
    rows = pandas.DataFrame({"text": np.array(texts, object)}, dtype=object)
    try:
        model.fit(texts)
    except ValueError as fault:
        assert "empty vocabulary" in str(fault) or "no terms remain" in str(fault).lower()
        return
    assert_same(model, rows, **options)


@pytest.mark.long
@settings(max_examples=30, deadline=None)
@given(TEXTS, st.sampled_from([None, "unicode", "ascii"]), st.booleans())
def test_words_of_any_text(texts: list[str], accents: str | None, lowercase: bool) -> None:
    same(
        CountVectorizer(strip_accents=accents, lowercase=lowercase, token_pattern=r"(?u)\b\w+\b"), texts, rtol=0, atol=0
    )


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.sampled_from(["char", "char_wb"]), st.sampled_from([(1, 1), (1, 3), (2, 4), (5, 6)]))
def test_characters_of_any_text(texts: list[str], analyzer: str, lengths: tuple[int, int]) -> None:
    same(CountVectorizer(analyzer=analyzer, ngram_range=lengths), texts, rtol=0, atol=0)


@settings(max_examples=30, deadline=None)
@given(TEXTS, TEXTS)
def test_texts_that_were_not_seen(texts: list[str], others: list[str]) -> None:
    model = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", stop_words=["a", "à"])
    try:
        model.fit(texts)
    except ValueError:
        return
    assert_same(model, pandas.DataFrame({"text": np.array(others, object)}, dtype=object), rtol=0, atol=0)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"ngram_range": (1, 2)}, {"ngram_range": (2, 3)}, {"sublinear_tf": True}, {"norm": "l1"}, {"norm": None, "binary": True},
     {"use_idf": False}, {"smooth_idf": False, "max_features": 7}, {"stop_words": "english", "ngram_range": (1, 3)},
     {"stop_words": ["the", "été"]}, {"min_df": 2}, {"dtype": np.float32}, {"strip_accents": "unicode"}, {"strip_accents": "ascii"},
     {"lowercase": False}, {"analyzer": "char", "ngram_range": (2, 3)}, {"analyzer": "char_wb", "ngram_range": (3, 5)},
     {"token_pattern": r"(?u)\b(\w+)\b"}, {"token_pattern": r"[a-zé]{3,}"}, {"token_pattern": r"\S+"}, {"token_pattern": r"[^\s,]+"},
     {"dtype": np.float32, "sublinear_tf": True, "norm": "l1"}],
    ids=str,
)  # fmt: skip
def test_tfidf(parameters: dict[str, Any]) -> None:
    single = parameters.get("dtype") is np.float32
    same(TfidfVectorizer(**parameters), WORDS, rtol=2e-7 if single else 1e-14, atol=0)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.int32])
@pytest.mark.parametrize("binary", [True, False])
def test_counts_keep_their_dtype(dtype: Any, binary: bool) -> None:
    same(CountVectorizer(dtype=dtype, binary=binary), WORDS, rtol=0, atol=0)


@pytest.mark.parametrize("analyzer", ["word", "char", "char_wb"])
def test_terms_of_a_given_vocabulary_that_cannot_occur_are_zero(analyzer: str) -> None:
    """A stop word, a bigram where words are counted, two spaces where runs are squeezed."""
    vocabulary = ["été", "the", "the sea", "  ", " a ", "sea  the", "", "zz"]
    same(
        CountVectorizer(
            vocabulary=vocabulary,
            analyzer=analyzer,
            ngram_range=(1, 3),
            stop_words=["the"] if analyzer == "word" else None,
        ),
        WORDS,
        rtol=0,
        atol=0,
    )
    same(CountVectorizer(vocabulary=["  ", "qq zz"], analyzer=analyzer), WORDS, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize(
    "parameters", [{}, {"sublinear_tf": True, "norm": "l1"}, {"use_idf": False, "norm": None}], ids=str
)
def test_weights_of_counts(parameters: dict[str, Any], dtype: str) -> None:
    rows = np.random.default_rng(0).poisson(0.5, (40, 6)).astype(dtype)
    rows[3] = 0
    assert_same(TfidfTransformer(**parameters).fit(rows), rows, rtol=2e-7 if dtype == "float32" else 1e-15, atol=0)


def test_a_text_column_beside_others() -> None:
    rows = pandas.DataFrame({"text": WORDS, "kind": ["x", "y", "é"] * 4, "size": np.arange(12.0)})
    columns = ColumnTransformer(
        [("text", TfidfVectorizer(), "text"), ("kind", OneHotEncoder(), ["kind"])], remainder="passthrough"
    )
    assert_same(make_pipeline(columns, LogisticRegression()).fit(rows, np.arange(12) % 3), rows)


def test_two_vectorizers_of_one_text() -> None:
    model = make_pipeline(make_union(TfidfVectorizer(), CountVectorizer(analyzer="char_wb")), LogisticRegression())
    rows = pandas.DataFrame({"text": WORDS})
    assert_same(model.fit(WORDS, np.arange(12) % 2), rows)


def test_a_long_text_beside_short_ones() -> None:
    same(TfidfVectorizer(strip_accents="unicode"), [" ".join(WORDS * 60), "a", "", "the sea"], rtol=1e-12)


@pytest.mark.long
def test_no_locale_is_needed() -> None:
    """The same test in a process where only the locale C is set."""
    code = "from tests.converters.test_text import *\nsame(TfidfVectorizer(), WORDS, rtol=1e-14)\nprint('right')"
    made = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LC_ALL": "C", "LANG": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.stdout == "right\n", made.stderr[-500:]


@pytest.mark.parametrize(
    ("model", "why"),
    [(CountVectorizer(tokenizer=str.split, token_pattern=None), "tokenizer="), (CountVectorizer(preprocessor=str.upper), "preprocessor="),
     (CountVectorizer(analyzer=str.split), "analyzer"), (CountVectorizer(token_pattern=r"\b[a-z]+\b"), "token_pattern"),
     (CountVectorizer(token_pattern=r"[a-z]+(?:-[a-z]+)*"), "token_pattern"), (HashingVectorizer(), "hashed"),
     (CountVectorizer(token_pattern=r"[a-z ]+", ngram_range=(1, 2)), "ambiguous")],
)  # fmt: skip
def test_what_is_not_exact_is_refused(model: Any, why: str) -> None:
    with pytest.raises(Unsupported) as fault:
        same(model, WORDS)
    assert why in fault.value.why


@pytest.mark.parametrize("pattern", [r"(?u)\b\w\w+\b", r"\w+", r"[^\W\d_]{2,}", r"(\S\S+)"])
def test_token_expressions_agree_with_re_on_every_character(pattern: str) -> None:
    """The set written out for RE2 holds what Python's re says, each code point asked."""
    runs = token_runs(pattern)
    assert token_expression(runs) == f"{character_set(runs.holds)}{{{runs.least},}}"
    assert runs.holds("é")
    assert not runs.holds("\u3000")
