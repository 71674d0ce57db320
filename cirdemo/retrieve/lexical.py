"""Retrieval on captions alone: BM25, what a text takes away, and weights of two query halves.

No picture and no model is needed: a picture is the document of its captions, a query the
modification text, the reference's captions, or both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

Analyzer = Literal["word", "ngram"]
NGRAMS = (3, 5)  # characters; they match "dogs" with "dog" and "running" with "runs"
_TOKEN = re.compile(r"[a-z0-9]+")
# "remove the dog", "without a hat", "no people", "instead of the cat": up to the next clause
_TAKES = re.compile(
    r"\b(?:remov(?:e|es|ed|ing)|delet(?:e|es|ed|ing)|without|no|not|instead of|rather than|"
    r"less|fewer|take away|get rid of)\b((?:\s+(?!(?:and|but|with|has|is)\b)[\w'-]+){1,4})",
    re.IGNORECASE,
)


class Bm25:
    """BM25 over documents; queries are weighted terms, so that two of them can be added.

    Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009, with Lucene's
        idf, ln(1 + (N - df + 0.5) / (df + 0.5)), which is never negative.
    Differs: from packages that take a query as a bag of tokens: a sum of two queries with a weight
        needs term weights. A term that a query has twice counts twice.
    """

    def __init__(
        self,
        documents: Sequence[str],
        *,
        analyzer: Analyzer = "word",
        k1: float = 1.2,
        b: float = 0.75,
    ) -> None:
        """Index N documents.

        Args:
            documents: One text a picture.
            analyzer: "word": runs of letters and digits in lower case; "ngram": 3 to 5 characters
                of each word and its ends.
            k1: How soon a term that is repeated stops to count.
            b: How much a long document is held against it, 0 to 1.
        """
        grams = {"analyzer": "char_wb", "ngram_range": NGRAMS}
        words = {"token_pattern": _TOKEN.pattern}
        self._counter = CountVectorizer(
            preprocessor=_plain, **(grams if analyzer == "ngram" else words)
        )
        counts = self._counter.fit_transform(documents).astype(np.float64)  # (N, V)
        length = np.asarray(counts.sum(1)).ravel()  # (N,)
        frequency = np.asarray((counts > 0).sum(0)).ravel()  # (V,)
        idf = np.log1p((len(documents) - frequency + 0.5) / (frequency + 0.5))
        norm = k1 * (1 - b + b * length / length.mean())  # (N,)
        weights = counts.tocoo()
        values = weights.data * (k1 + 1) / (weights.data + norm[weights.row]) * idf[weights.col]
        self._terms = sparse.csr_matrix(
            (values, (weights.row, weights.col)), shape=counts.shape
        ).T.tocsr()  # (V, N)

    def queries(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Term counts (Q, V) of texts; words that no document has count nothing."""
        return self._counter.transform(texts).astype(np.float64)

    def scores(self, queries: sparse.csr_matrix) -> np.ndarray:
        """Scores (Q, N) of weighted terms (Q, V)."""
        return np.asarray((queries @ self._terms).todense())


def _plain(text: str) -> str:
    return " ".join(_TOKEN.findall(text.lower()))


def takes_away(text: str) -> tuple[str, str]:
    """What a modification text asks for, and what it takes away; either may be "".

    "remove the dog and add a cat" -> ("and add a cat", "the dog"). By rule, not by understanding:
    up to four words behind "without", "no", "remove", "instead of" and the like.
    """
    away = " ".join(match[1].strip() for match in _TAKES.finditer(text))
    return " ".join(_TAKES.sub(" ", text).split()), away


def lacking(text: str, away: str) -> str:
    """A text without the words that are taken away; articles and the like stay."""
    gone = {w for w in _TOKEN.findall(away.lower()) if len(w) > 2} - {"the", "and", "any"}
    return " ".join(w for w in _TOKEN.findall(text.lower()) if w not in gone)
