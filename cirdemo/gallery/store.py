"""Galleries: pictures, their embeddings, and builds of them on disk."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from cirdemo.gallery import copies, fast_index
from cirdemo.gallery.faiss_index import FlatIndex
from cirdemo.gallery.files import read_build, rebuild_hint
from cirdemo.intake import load_image
from cirdemo.types import (
    BadInput,
    Candidate,
    CirError,
    Composed,
    ImageId,
    Ranking,
    SpaceMismatch,
    UnknownName,
    VectorIndex,
)

EXTRA = 16  # rows beyond k, so that most ties at the cut are seen in one pass


class Source(Protocol):
    """Where a gallery's pictures come from; every `Dataset` is one.

    A source that also has `record(image_id) -> dict` gives the gallery its records.
    """

    name: str
    gallery_ids: Sequence[ImageId]

    def image_path(self, image_id: ImageId) -> Path:
        """File of a picture."""


class Gallery:
    """Pictures with their embeddings in one space, searched by dot product."""

    def __init__(
        self,
        *,
        name: str,
        ids: Sequence[ImageId],
        vectors: np.ndarray,
        space: str,
        source: Source,
        preprocessing: str = "",
        index: VectorIndex | None = None,
        thumbnails: Path | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a gallery from vectors in memory.

        Args:
            name: Shown to the user.
            ids: One id a row.
            vectors: (N, D) float32, unit norm.
            space: The encoder's space.
            source: Files and records of the pictures.
            preprocessing: What the encoder did to the pixels.
            index: An index that already holds the rows; None means exact search.
            thumbnails: Folder for thumbnails; None means a fresh temporary one.
            about: What else is known: when it was built and from what, files left out.

        Raises:
            ValueError: Ids repeat, or do not fit the vectors.
        """
        if vectors.ndim != 2 or len(vectors) != len(ids):
            raise ValueError(f"vectors must have shape ({len(ids)}, D), got {vectors.shape}")
        self.name = name
        self.ids: tuple[ImageId, ...] = tuple(ids)
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)  # (N, D)
        self.space = space
        self.preprocessing = preprocessing
        self._source = source
        self._rows = {image_id: row for row, image_id in enumerate(self.ids)}
        if len(self._rows) != len(self.ids):
            raise ValueError(f"ids must be unique, got {len(self._rows)} in {len(self.ids)} rows")
        self.index: VectorIndex = FlatIndex(vectors.shape[1]) if index is None else index
        if index is None:
            self.index.add(self.vectors)
        self._thumbnails = thumbnails
        self.about: Mapping[str, Any] = about or {}

    @classmethod
    def open(cls, folder: str | Path, source: Source, *, thumbnails: Path | None = None) -> Gallery:
        """Load a build and verify its checksums.

        Raises:
            MissingCheckpoint: There is no build in the folder.
            CirError: The build is damaged, or its pictures are not all in the source.
        """
        folder = Path(folder)
        manifest, ids, vectors = read_build(folder)
        known = set(source.gallery_ids)
        lost = [image_id for image_id in ids if image_id not in known]
        if lost:
            raise CirError(
                f"The build in '{folder}' holds {len(lost)} pictures that '{source.name}' does not "
                f"have, such as '{lost[0]}'. {rebuild_hint(folder)}"
            )
        return cls(
            name=str(manifest["name"]),
            ids=ids,
            vectors=vectors,
            space=str(manifest["space"]),
            source=source,
            preprocessing=str(manifest["preprocessing"]),
            thumbnails=thumbnails,
            index=fast_index.opened(folder, manifest),
            about={"index": manifest.get("index", {})},
        )

    def __len__(self) -> int:
        return len(self.ids)

    def search(
        self,
        composed: Composed,
        k: int,
        *,
        exclude: ImageId | None = None,
        query_id: str = "",
        method: str = "",
        where: str = "",
    ) -> Ranking:
        """The best k pictures for a query vector, by (-score, image_id).

        Args:
            composed: The query vector (D,).
            k: How many; fewer come back from a smaller gallery.
            exclude: A picture to leave out (the reference); it need not be in the gallery.
            query_id: For the ranking.
            method: For the ranking.
            where: A filter on the pictures' fields, for a gallery in Milvus.

        Raises:
            SpaceMismatch: The vector is of another space or width.
            BadInput: There is a filter, and the index knows none or not this one.
        """
        self._check_space(composed)
        if where and not getattr(self.index, "filters", False):
            raise BadInput(
                f"Gallery '{self.name}' knows no filters. Index it with --store milvus:./FILE.db, "
                "or leave the filter out."
            )
        options = {"where": where} if where else {}
        out = self._rows.get(exclude) if exclude is not None else None
        most = len(self) - (out is not None)
        kept = min(k, most)
        if kept < 1:
            return Ranking(query_id=query_id, method=method, candidates=())
        query = composed.vector[None].astype(np.float32)  # (1, D)
        fetch = min(kept + 1 + EXTRA, len(self))
        while True:
            scores, rows = self.index.search(query, fetch, **options)  # (1, K), (1, K)
            less = bool((rows < 0).any())  # there is no more
            if not getattr(self.index, "exact", True):  # its scores are of rounded vectors
                near = rows[:, rows[0] >= 0]
                scores, rows = self.vectors[near[0]] @ query[0], near
                scores = scores[None]
            found = [
                (-float(score), self.ids[row])
                for score, row in zip(scores[0], rows[0], strict=True)
                if row >= 0 and row != out
            ]
            found.sort()
            # a tie that crosses the cut must be seen whole, or the ids could not decide it
            if (
                less
                or fetch == len(self)
                or (len(found) > kept and found[kept - 1][0] < found[-1][0])
            ):
                break
            fetch = min(2 * fetch, len(self))
        return _ranking(found[:kept], query_id, method)

    def scores(self, composed: Composed) -> np.ndarray:
        """Cosine of every picture with a query vector: (N,) float32, in the order of `ids`.

        Raises:
            SpaceMismatch: The vector is of another space or width.
        """
        self._check_space(composed)
        return np.asarray(self.vectors @ composed.vector.astype(np.float32))

    def ranked(
        self,
        scores: np.ndarray,
        k: int,
        *,
        exclude: ImageId | None = None,
        query_id: str = "",
        method: str = "",
    ) -> Ranking:
        """The best k pictures by given scores (N,), ordered and cut as by `search`.

        Raises:
            ValueError: There is not one score a picture.
        """
        if scores.shape != (len(self),):
            raise ValueError(f"scores must have shape ({len(self)},), got {scores.shape}")
        rows = zip(scores.tolist(), self.ids, strict=True)
        found = sorted((-score, image_id) for score, image_id in rows if image_id != exclude)
        return _ranking(found[: max(k, 0)], query_id, method)

    def vector(self, image_id: ImageId) -> np.ndarray:
        """Embedding of a picture: (D,) float32.

        Raises:
            UnknownName: The gallery has no such picture.
        """
        self._check_id(image_id)
        return np.asarray(self.vectors[self._rows[image_id]])

    def image_path(self, image_id: ImageId) -> Path:
        """File of a picture.

        Raises:
            UnknownName: The gallery has no such picture.
        """
        self._check_id(image_id)
        return self._source.image_path(image_id)

    def image(self, image_id: ImageId) -> Image.Image:
        """A picture as RGB.

        Raises:
            UnknownName: The gallery has no such picture.
            BadInput: Its file is gone or damaged.
        """
        return load_image(self.image_path(image_id))

    def thumbnail(self, image_id: ImageId) -> Path:
        """File of a small copy, written by this program on first use.

        All thumbnails are in one folder that holds nothing else, so it can be served.

        Raises:
            UnknownName: The gallery has no such picture.
            BadInput: Its file is gone or damaged.
        """
        self._check_id(image_id)
        if self._thumbnails is None:
            self._thumbnails = Path(tempfile.mkdtemp(prefix="cirdemo-thumbnails-"))
        # a digest, because an id may hold characters that no file name may; of the picture where
        # it is known, so that a changed one is never shown by its old copy
        digest = self.digest(image_id)
        path = copies.found(self._thumbnails, digest)
        if path is None:
            path = copies.place(self._thumbnails, digest)
            copies.keep(copies.coded(copies.reduced(self.image(image_id))), path)
        return path

    def digest(self, image_id: ImageId) -> str:
        """A name for a picture that files can have: of its bytes where they are known, or its id.

        Raises:
            UnknownName: The gallery has no such picture.
        """
        self._check_id(image_id)
        return str(getattr(self._source, "digest", _digest)(image_id))

    def record(self, image_id: ImageId) -> dict[str, Any] | None:
        """What is known of a picture, or None for a source without records.

        Raises:
            UnknownName: The gallery has no such picture.
        """
        self._check_id(image_id)
        read = getattr(self._source, "record", None)
        return read(image_id) if read is not None else None

    def _check_id(self, image_id: ImageId) -> None:
        if image_id not in self._rows:
            raise UnknownName(
                f"Gallery '{self.name}' has no picture '{image_id}'; it holds {len(self)}. "
                "Pick one of them, or give a picture file."
            )

    def _check_space(self, composed: Composed) -> None:
        width = self.vectors.shape[1]
        if composed.space != self.space or composed.vector.shape != (width,):
            raise SpaceMismatch(
                f"The query is of space '{composed.space}' {composed.vector.shape}, the gallery "
                f"'{self.name}' of space '{self.space}' ({width},). Build the gallery again with "
                "the query's encoder, or pick a method of the gallery's space."
            )


def _digest(image_id: ImageId) -> str:
    return hashlib.sha256(image_id.encode()).hexdigest()[:24]


def _ranking(found: Sequence[tuple[float, ImageId]], query_id: str, method: str) -> Ranking:
    """A ranking of (negative score, id), best first."""
    return Ranking(
        query_id=query_id,
        method=method,
        candidates=tuple(
            Candidate(image_id=image_id, score=-negative, rank=rank)
            for rank, (negative, image_id) in enumerate(found, start=1)
        ),
    )
