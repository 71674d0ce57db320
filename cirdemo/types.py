"""Records, protocols and errors shared by every part of cirdemo; imports nothing of cirdemo.

Shape letters, used with one meaning everywhere: N items, Q queries, K results, D embedding
width, T tokens, (Gh, Gw) patch grid, row-major from the top left, (H, W) pixels.
Embeddings are float32 with unit L2 norm, so a dot product is a cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from PIL import Image

if TYPE_CHECKING:
    import numpy as np  # the processes that decode pictures do without

ImageId = str
Mode = Literal["union", "enhanced", "intersection"]  # from all of the reference to its core
CueStatus = Literal["kept", "dropped", "added", "changed", "negated"]  # negated: by hand


# --- errors -------------------------------------------------------------------------------


class CirError(Exception):
    """An error whose text is shown to the user as it stands and says the way out."""


class BadInput(CirError):
    """A picture or a text from outside that cannot be used."""


class UnknownName(CirError):
    """A method, gallery, dataset or profile name that is not registered."""


class MissingCheckpoint(CirError):
    """Weights that a part needs are not on disk."""


class SpaceMismatch(CirError):
    """A query vector and a gallery come from different embedding spaces."""


# --- records ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """A reference image and a modification text."""

    query_id: str
    reference: Image.Image  # RGB
    modification: str
    reference_id: ImageId | None = None  # set: this gallery picture is left out of the results


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One piece of meaning and what a description does with it."""

    text: str
    status: CueStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A pseudo-target description, written by a model."""

    text: str
    mode: Mode
    cues: tuple[Cue, ...] = ()
    prompt: str = ""  # the exact text the writer was asked
    writer: str = ""  # identity of the model that wrote it; "user" when it was typed
    caption: str = ""  # of the reference, which the cues compare with


@dataclass(frozen=True, slots=True, kw_only=True)
class Rationale:
    """A CIR-CoT rationale: Caption -> Reasoning -> Conclusion."""

    caption: str
    reasoning: str
    conclusion: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composed:
    """A query as one vector in a gallery's space."""

    vector: np.ndarray  # (D,) float32, unit norm
    space: str
    description: Description | None = None
    rationale: Rationale | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One retrieved picture."""

    image_id: ImageId
    score: float
    rank: int  # from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Candidates of one method, best first, ordered by (-score, image_id)."""

    query_id: str
    method: str
    candidates: tuple[Candidate, ...]

    def rank_of(self, image_id: ImageId) -> int | None:
        """Rank of a picture (from 1), or None when it is not in the list."""
        return next((c.rank for c in self.candidates if c.image_id == image_id), None)

    @property
    def ids(self) -> tuple[ImageId, ...]:
        """Image ids, best first."""
        return tuple(c.image_id for c in self.candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The judge's verdict on one candidate."""

    image_id: ImageId
    yes_probability: float  # in [0, 1]
    margin: float  # logit(Yes) - logit(No)
    failed: str = ""  # why there is none, where a server gave no answer; the numbers are NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What speaks for and against a verdict."""

    judgement: Judgement
    reason: str  # what the judge wrote behind its No; "" for a Yes
    cues: tuple[tuple[str, float], ...]  # each phrase wanted, P(Yes) when it alone is asked for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heatmap:
    """Where a picture carries its similarity to a text."""

    image_id: ImageId
    text: str
    kind: str
    values: np.ndarray  # (Gh, Gw) in [0, 1] on the shared value range
    value_range: tuple[float, float]  # raw values that map to 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranked:
    """One picture of the re-ranked list."""

    image_id: ImageId
    rank: int  # from 1
    coarse_rank: int  # from 1, in the list that was re-ranked
    score: float  # coarse score
    yes_probability: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """Everything a query has produced so far; the engine yields it after every stage."""

    query: Query
    stage: str  # the stage just finished: describe, coarse, judging, rerank, reasoning, reason
    descriptions: Mapping[Mode, Description] = field(default_factory=dict)
    composed: Mapping[str, Composed] = field(default_factory=dict)  # by method
    coarse: Mapping[str, Ranking] = field(default_factory=dict)  # by method
    judgements: Mapping[ImageId, Judgement] = field(default_factory=dict)
    unanswered: Mapping[ImageId, str] = field(default_factory=dict)  # asked for no verdict: why
    reranked: tuple[Reranked, ...] = ()
    rationale: Rationale | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage
    models: Mapping[str, str] = field(default_factory=dict)  # role -> identity
    method_seconds: Mapping[str, float] = field(
        default_factory=dict
    )  # to compose, descriptions apart
    tuned: bool = True  # whether the judge used its adapter
    remembered: frozenset[str] = frozenset()  # stages whose answers were all computed before
    unknown_words: tuple[str, ...] = ()  # words the text models have never seen
    notices: tuple[str, ...] = ()  # plain sentences for the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Triplet:
    """A benchmark query with its ground truth."""

    query_id: str
    reference_id: ImageId
    modification: str
    target_ids: tuple[ImageId, ...]
    subset_ids: tuple[ImageId, ...] = ()
    kind: str = ""
    union: str = ""  # true union description, "" where unknown
    enhanced: str = ""  # true enhanced description, "" where unknown
    intersection: str = ""  # true intersection description, "" where unknown
    conclusion: str = ""  # what a rationale should conclude, "" where unknown
    modifications: tuple[str, ...] = ()  # wordings that a protocol averages over (FashionIQ: two)
    soft_targets: tuple[tuple[ImageId, float], ...] = ()  # graded labels, -1 to 1 (CIRR)
    aspects: tuple[str, ...] = ()  # semantic aspects (CIRCO)
    shared_concept: str = ""  # what reference and target have in common (CIRCO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A method measured on a split; means never come without rows."""

    method: str
    dataset: str
    split: str
    protocol: str
    means: Mapping[str, float]
    rows: tuple[Mapping[str, object], ...]
    interval: Mapping[str, tuple[float, float]]  # 95 % bootstrap
    seconds: float = 0.0  # what the method needs for all rows, loading left out


# --- protocols ----------------------------------------------------------------------------


@runtime_checkable
class Encoder(Protocol):
    """Maps pictures and texts into one space."""

    space: str  # names the space; equal spaces can be compared
    dim: int
    preprocessing: str  # what was done to the pixels, for the gallery's manifest

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """(N, D) float32, unit norm."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32, unit norm."""

    def encode_patches(self, image: Image.Image) -> np.ndarray:
        """(Gh, Gw, D) float32, unit norm."""


class DescriptionWriter(Protocol):
    """Writes a pseudo-target description."""

    identity: str

    def write(self, query: Query, mode: Mode) -> Description:
        """The description of the target under a mode."""


class Composer(Protocol):
    """A coarse method: turns a query into one vector of the gallery's space."""

    name: str

    def compose(self, query: Query) -> Composed:
        """The query vector."""


class Fusion(Protocol):
    """A coarse method that makes one list out of the lists of other methods."""

    name: str
    members: tuple[str, ...]  # the methods whose lists it takes

    def fuse(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores (N,) of the gallery's pictures from each member's scores (N,)."""


class Reranker(Protocol):
    """Judges candidates one by one."""

    identity: str

    def judge(
        self,
        query: Query,
        candidates: Sequence[tuple[ImageId, Image.Image]],
        wanted: str = "",
        *,
        tuned: bool = True,
    ) -> Iterator[Judgement]:
        """One judgement a candidate, in order; `wanted` is the stage-1 description.

        `tuned`: whether the model judges with what was trained for judging, its adapter.
        """


class VectorIndex(Protocol):
    """Nearest neighbours by dot product."""

    dim: int

    def __len__(self) -> int: ...

    def add(self, vectors: np.ndarray) -> None:
        """Append (N, D) float32 rows."""

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores (Q, K) and rows (Q, K) int64, best first, row -1 where there is none."""


class Dataset(Protocol):
    """A gallery with queries."""

    name: str
    gallery_ids: Sequence[ImageId]

    def triplets(self, split: str) -> Sequence[Triplet]:
        """Queries of a split."""

    def image_path(self, image_id: ImageId) -> Path:
        """File of a gallery picture."""
