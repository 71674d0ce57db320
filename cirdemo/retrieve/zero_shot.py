"""The baselines that need nothing but the encoder: text, picture, and their sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cirdemo.retrieve import unit
from cirdemo.types import BadInput, Composed, Encoder, Query


class _ZeroShot:
    """A weighted sum of the text vector and the reference's vector."""

    name = ""

    def __init__(self, encoder: Encoder, *, text_weight: float) -> None:
        if not 0.0 <= text_weight <= 1.0:
            raise BadInput(f"The text's weight must lie between 0 and 1, got {text_weight}.")
        self._encoder = encoder
        self._text_weight = text_weight

    def compose(self, query: Query) -> Composed:
        """The query vector."""
        return self.compose_many([query])[0]

    def compose_many(self, queries: Sequence[Query]) -> list[Composed]:
        """The query vectors, encoded in one batch."""
        if not queries:
            return []
        total = np.zeros((len(queries), self._encoder.dim), dtype=np.float32)  # (Q, D)
        if self._text_weight > 0.0:
            texts = [q.modification for q in queries]
            total += self._text_weight * self._encoder.encode_texts(texts)  # (Q, D)
        if self._text_weight < 1.0:
            images = [q.reference for q in queries]
            total += (1.0 - self._text_weight) * self._encoder.encode_images(images)  # (Q, D)
        return [Composed(vector=unit(v), space=self._encoder.space) for v in total]


class TextOnly(_ZeroShot):
    """Searches with the modification text alone, as if there were no reference.

    Source: the "text-only" baseline of Pic2Word (Saito et al., CVPR 2023, section 4) and of every
        later zero-shot paper. Strong on CIRR, whose texts often describe the target in full.
    Needs: the encoder.
    Differs: from `sum` by ignoring the reference image.
    """

    name = "text"

    def __init__(self, encoder: Encoder) -> None:
        """With the gallery's encoder."""
        super().__init__(encoder, text_weight=1.0)


class ImageOnly(_ZeroShot):
    """Searches with the reference image alone, as if nothing had been asked.

    Source: the "image-only" baseline of Pic2Word (Saito et al., CVPR 2023, section 4).
    Needs: the encoder.
    Differs: from `sum` by ignoring the modification text; it shows what looks alike.
    """

    name = "image"

    def __init__(self, encoder: Encoder) -> None:
        """With the gallery's encoder."""
        super().__init__(encoder, text_weight=0.0)


class Sum(_ZeroShot):
    """Adds the two unit vectors and normalises: a union of both inputs, at the score level.

    Source: the "image + text" baseline of Pic2Word (Saito et al., CVPR 2023, section 4), which
        averages. The weight of 0.75 on the text is our choice, as the plain average is ruled by
        the picture (two pictures are nearer to each other than a picture to a text).
    Needs: the encoder.
    Differs: from `union` in adding vectors where `union` writes one text about both.
    """

    name = "sum"

    def __init__(self, encoder: Encoder, *, text_weight: float = 0.75) -> None:
        """With the gallery's encoder and the text's share, in [0, 1]."""
        super().__init__(encoder, text_weight=text_weight)

    def weighted(self, text_weight: float) -> Sum:
        """The same with another share of the text.

        Raises:
            BadInput: It is not in [0, 1].
        """
        return Sum(self._encoder, text_weight=text_weight)
