"""Search of large galleries: short codes scanned in full, the best of them compared again.

Which index a gallery gets is decided when it is built: exact search below `FLAT_BELOW` pictures,
above it this one, with the shortest codes and the least depth that find 99.5 of 100 of the true
first fifty for composed queries, and exact search again where none do. The recall that is told was
measured on other queries than those that chose, and has to be 99 of 100.

The codes are of the directions in which the pictures differ most, as many as `WIDTHS` say: the time
of a scan goes with their number. How much the others count for queries depends on the encoder, so
it is measured and not assumed; where they do, the codes are of all directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from cirdemo.gallery.faiss_index import checked
from cirdemo.types import CirError, Encoder

FLAT_BELOW = 20_000  # pictures: exact search takes about a millisecond and a half there
LEAST_RECALL = 0.99  # of the true first 50; what is judged is taken from them
# The depth is chosen with half of what may be lost in hand: on made-up vectors, queries of other
# texts than `TEXTS` lost up to 1.7 times what those that chose it lost, and people write others.
WANTED_RECALL = 0.995
K = 50
DEPTHS = (8, 12, 16, 24, 32, 48, 64)  # times k are compared again
# Shares of all directions, and how many of the depths each is tried with: beyond them, the next
# share takes less time (200,000 x 512: 0.8, 0.9 and 1.3 ms at the depths that were chosen).
WIDTHS = ((3 / 8, 3), (1 / 2, 3), (1, len(DEPTHS)))
TRAINED_ON = 50_000  # rows
QUERIES = 400  # composed, half to choose the depth and half to measure
FILE = "index.faiss"
TEXTS = (  # modification texts for the composed queries: any encoder knows some of the words
    *("make it black", "in red", "the same in blue", "white instead", "with stripes", "plain"),
    *("at night", "in the snow", "on a beach", "in a forest", "by the sea", "in a city", "indoors"),
    *("two of them", "alone", "with a dog", "with a cat", "with a hat", "without the person"),
    *("sleeping", "running", "sitting on a chair", "looking at the camera", "seen from above"),
    *("longer", "with short sleeves", "more colourful", "much larger", "closer", "older"),
    *("is open", "in the rain", "with flowers", "a drawing of it", "replace it with a car"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """What a gallery's card says of its index."""

    kind: str  # flat or fast-scan
    recall: float  # of the true first 50, on composed queries that were held out; 1 if exact
    queries: int = 0  # that it was measured on
    depth: int = 0  # times k are compared again

    def told(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)


FLAT = IndexFacts(kind="flat", recall=1.0)


class FastScanIndex:
    """Nearest neighbours by dot product from 4-bit product codes and a half-precision refinement.

    Source: André et al., "Quicker ADC", 2019 (the scan); Jégou et al., "Product quantization for
        nearest neighbor search", 2011; FAISS `IndexRefine` over `IndexPQFastScan`.
    Takes W / 4 + 2 D bytes a vector, W the width of the codes. Scores are those of the
    half-precision vectors.
    """

    exact = False

    def __init__(self, dim: int, *, depth: int = DEPTHS[0], share: float = 1) -> None:
        """An empty index; the first rows that are added train it.

        Args:
            dim: D.
            depth: Times k are compared again.
            share: Of the directions, that the codes are of; 1: of all, as they come.

        Raises:
            ValueError: The width is odd.
        """
        if dim % 2:
            raise ValueError(f"the width must be even, got {dim}")
        self.dim, self.depth = dim, depth
        self._width = max(2, int(share * dim) // 2 * 2)
        turned = f"RR{self._width}," if share < 1 else ""
        codes = f"{turned}PQ{self._width // 2}x4fs,Refine(SQfp16)"
        self._index: Any = faiss.index_factory(dim, codes, faiss.METRIC_INNER_PRODUCT)

    @classmethod
    def open(cls, path: Path, depth: int) -> FastScanIndex:
        """An index from its file, which stays on disk until a search needs a part of it."""
        found = cls.__new__(cls)
        found._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        found.dim, found.depth = int(found._index.d), depth
        return found

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: np.ndarray) -> None:
        """Append (N, D) float32 rows.

        Raises:
            ValueError: Another shape, or a value that is not finite.
        """
        rows = checked(vectors, self.dim)
        if not self._index.is_trained:
            some = np.random.default_rng(0).permutation(len(rows))[:TRAINED_ON]
            self._train(rows[np.sort(some)])
        self._index.add(rows)

    def _train(self, rows: np.ndarray) -> None:
        if self._width < self.dim:  # the factory's rotation is at random: it gets another matrix
            base: Any = faiss.downcast_index(self._index.base_index)
            turn: Any = faiss.downcast_VectorTransform(base.chain.at(0))
            faiss.copy_array_to_vector(_directions(rows, self._width).ravel(), turn.A)
            turn.is_trained = True
        self._index.train(rows)

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores (Q, K) float32 and rows (Q, K) int64, best first; equal ones in row order.

        Where the index holds fewer than k rows, the row is -1 and the score -inf.

        Raises:
            ValueError: Another shape, a value that is not finite, or k below 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        queries = checked(vectors, self.dim)
        how: Any = faiss.IndexRefineSearchParameters()
        how.k_factor = float(self.depth)
        scores, rows = self._index.search(queries, k, params=how)  # (Q, K)
        scores = np.where(rows < 0, np.float32(-np.inf), scores)
        order = np.lexsort((rows, -scores), axis=1)
        return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)

    def dump(self) -> bytes:
        """The index as the bytes of its file."""
        return bytes(faiss.serialize_index(self._index))


def _directions(rows: np.ndarray, width: int) -> np.ndarray:
    """The orthonormal directions (W, D) in which rows (N, D) differ most, the first with the last.

    So, two to a code, that all codes have about as much to tell: Ge et al., "Optimized product
    quantization", 2013.
    """
    centred = rows - rows.mean(0)
    spread = (centred.T @ centred).astype(np.float64)  # (D, D)
    strongest = np.linalg.eigh(spread)[1].T[::-1][:width]  # (W, D)
    pairs = np.stack([np.arange(width // 2), np.arange(width)[::-1][: width // 2]], axis=1)
    return np.ascontiguousarray(strongest[pairs.ravel()], np.float32)


def composed(vectors: np.ndarray, texts: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Composed queries of a gallery: a picture's vector and a text's in one, (count, D).

    Args:
        vectors: (N, D) the gallery's pictures.
        texts: (T, D) what an encoder makes of modification texts.
        count: How many.
        seed: Of which pictures and texts.
    """
    random = np.random.default_rng(seed)
    share = random.uniform(0.3, 0.7, (count, 1)).astype(np.float32)
    pictures = vectors[np.sort(random.integers(0, len(vectors), count))]
    mixed = share * pictures + (1 - share) * texts[random.integers(0, len(texts), count)]
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int = K) -> np.ndarray:
    """The true first k rows of each query: (Q, k), in no order."""
    found: Any = faiss.knn(queries, vectors, min(k, len(vectors)), faiss.METRIC_INNER_PRODUCT)[1]
    return np.asarray(found)


def shared(rows: np.ndarray, truth: np.ndarray) -> float:
    """The mean share of the true rows (Q, k) among those found (Q, k)."""
    pairs = zip(rows, truth, strict=True)
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in pairs]))


def fitted(vectors: np.ndarray, encoder: Encoder) -> tuple[FastScanIndex | None, IndexFacts]:
    """The index for a gallery, or None for exact search; and what its card says.

    Args:
        vectors: (N, D) float32, unit norm.
        encoder: Of the vectors; asked for `TEXTS` where there is a choice.
    """
    if len(vectors) < FLAT_BELOW or vectors.shape[1] % 2:
        return None, FLAT
    queries = composed(vectors, encoder.encode_texts(TEXTS), QUERIES)
    truth = nearest(vectors, queries)
    half = len(queries) // 2
    for share, depths in WIDTHS:
        index = FastScanIndex(vectors.shape[1], share=share)
        index.add(vectors)
        for depth in DEPTHS[:depths]:
            index.depth = depth
            if shared(index.search(queries[:half], K)[1], truth[:half]) < WANTED_RECALL:
                continue
            found = shared(index.search(queries[half:], K)[1], truth[half:])
            if found >= LEAST_RECALL:
                facts = IndexFacts(kind="fast-scan", recall=found, queries=half, depth=depth)
                return index, facts
    return None, FLAT


def opened(folder: Path, manifest: Mapping[str, Any]) -> FastScanIndex | None:
    """The index of a build whose checksums hold, or None for exact search.

    faiss takes most altered files and then answers wrongly, so it is given only one that the
    manifest has the checksum of.

    Raises:
        CirError: The manifest does not name it, or it is not this gallery's.
    """
    facts = manifest.get("index") or {}
    if facts.get("kind") != "fast-scan":
        return None
    depth, size = facts.get("depth"), (manifest.get("count"), manifest.get("dim"))
    found = None
    if FILE in manifest.get("extra", {}) and depth in DEPTHS:
        found = FastScanIndex.open(folder / FILE, int(depth))
    if found is None or (len(found), found.dim) != size:
        raise CirError(
            f"The index of gallery '{manifest.get('name')}' is not the one that was built for it. "
            f'Run "python -m cirdemo index FOLDER --name {manifest.get("name")}" again.'
        )
    return found
