"""Textual inversion: the reference becomes a word of a sentence that also says the modification."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cirdemo.models.fusion import SENTENCE, pseudo_ids
from cirdemo.retrieve import unit
from cirdemo.types import Composed, Query

TEMPLATE = SENTENCE + " with {}"  # chosen on val; the star is the pseudo-word
STEPS = 60  # of OTI; SEARLE takes 350. On val more steps raised the cosine and lowered recall
RATE = 0.6  # step of OTI's AdamW, as a share of the spread of the tower's word embeddings
BATCH = 100  # queries optimised or encoded together


class _PseudoWord(ABC):
    """A picture's vector to a pseudo-word, then a sentence with it through the text tower."""

    name = ""

    def __init__(self, encoder: Any, tower: Any) -> None:
        """The gallery's encoder, and its text tower opened up (`models.fusion.TextTower`)."""
        self._encoder = encoder
        self._tower = tower

    @abstractmethod
    def words(self, pictures: Tensor) -> Tensor:
        """Pseudo-words (N, V) of picture vectors (N, D)."""

    def compose(self, query: Query) -> Composed:
        """The query vector."""
        return self.compose_many([query])[0]

    def compose_many(self, queries: Sequence[Query]) -> list[Composed]:
        """The query vectors of a batch."""
        out: list[Composed] = []
        for start in range(0, len(queries), BATCH):
            some = queries[start : start + BATCH]
            pictures = torch.from_numpy(self._encoder.encode_images([q.reference for q in some]))
            words = self.words(pictures.to(self._encoder.device))  # (N, V)
            texts = [TEMPLATE.format(q.modification) for q in some]
            ids, place = pseudo_ids(self._tower, self._encoder.tokenizer, texts)
            with torch.inference_mode():
                vectors = self._tower(ids.to(words.device), words, place)  # (N, D)
            space = self._encoder.space
            out += [Composed(vector=unit(v), space=space) for v in vectors.cpu().numpy()]
        return out


class InversionComposer(_PseudoWord):
    """A small network maps the reference's vector to a pseudo-word; a sentence says the rest.

    Source: Pic2Word (Saito et al., CVPR 2023, section 3) and the network phi of SEARLE (Baldrati
        et al., ICCV 2023, section 3.3): trained on pictures alone, the frozen text tower's vector
        of "a *" against the picture's. No triplets.
    Needs: the encoder with CLIP's text tower, and the weights `inversion`.
    Differs: from `oti` in one forward pass per picture in place of an optimisation; from SEARLE in
        Pic2Word's contrastive loss in place of distillation from OTI's words, and in the sentence
        "a * with ...", as this project's encoder knows the words of its own captions only.
    """

    name = "inversion"

    def __init__(self, encoder: Any, tower: Any, phi: Any) -> None:
        """The encoder, its text tower, and the trained `models.fusion.Inverter`."""
        super().__init__(encoder, tower)
        self._phi = phi

    def words(self, pictures: Tensor) -> Tensor:
        """Pseudo-words (N, V) of picture vectors (N, D)."""
        with torch.inference_mode():
            found: Tensor = self._phi(pictures)
        return found


class OtiComposer(_PseudoWord):
    """Optimises a pseudo-word for each reference until its sentence has the picture's vector.

    Source: optimisation-based textual inversion of SEARLE (Baldrati et al., ICCV 2023, section
        3.2): cosine loss, AdamW on the word's embedding alone. The "zero-shot" log of the report
        by Kakarla and Bulusu Venkata (2025, arXiv 2506.06602) is this method.
    Needs: the encoder with CLIP's text tower; nothing is trained beforehand.
    Differs: from `inversion` in optimising per picture. Left out of SEARLE's: the regularisation
        by phrases that a language model writes about similar concepts, the choice among many
        templates at each step, and the moving average of the word. The start is not random but
        the mean of all words, so that the same picture always gets the same word.
    """

    name = "oti"

    def __init__(self, encoder: Any, tower: Any, *, steps: int = STEPS, rate: float = RATE) -> None:
        """The encoder and its text tower; steps, and their size in spreads of the embeddings."""
        super().__init__(encoder, tower)
        self._steps, self._rate = steps, rate

    def words(self, pictures: Tensor) -> Tensor:
        """Pseudo-words (N, V) of picture vectors (N, D)."""
        known = self._tower.token_embedding.weight.detach()  # (vocabulary, V)
        words = known.mean(0).repeat(len(pictures), 1).requires_grad_(True)  # (N, V)
        rate = self._rate * float(known.std())
        optimizer = torch.optim.AdamW([words], lr=rate, weight_decay=0.01)
        ids, place = pseudo_ids(self._tower, self._encoder.tokenizer, [SENTENCE])
        ids = ids.to(pictures.device).expand(len(pictures), -1)
        with torch.enable_grad():
            for _ in range(self._steps):
                said = self._tower(ids, words, place)  # (N, D)
                # the sum, so that a word does not depend on what else is in the batch
                loss = (1 - functional.cosine_similarity(said, pictures, dim=1)).sum()
                optimizer.zero_grad()
                torch.autograd.backward(loss, inputs=[words])
                optimizer.step()
        found: Tensor = words.detach()
        return found
