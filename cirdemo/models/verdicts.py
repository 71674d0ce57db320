"""Yes or No about many candidates behind one shared beginning.

One key/value cache of everything before the candidate picture serves all candidates.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache

from cirdemo.models.pictures import Features
from cirdemo.models.rationales import continuation
from cirdemo.models.suffixes import can_run, keep, last_states
from cirdemo.types import CirError

if TYPE_CHECKING:
    from cirdemo.models.mllm import Part, VisionLanguageModel

CHUNK = 25  # candidates judged in one batch, twice as many by a small model; results come so


@dataclass(slots=True, eq=False)
class _Shared:
    """What all candidates of one size share."""

    cache: DynamicCache  # keys and values of the prefix
    ids: Tensor  # (1, S) the candidate's tokens and the answer cue
    positions: Tensor  # (3, 1, S)


def yes_no(
    model: VisionLanguageModel,
    before: Sequence[Part],
    candidates: Sequence[Image.Image],
    adapter: str | None,
) -> Iterator[tuple[float, float]]:
    """P(Yes) and logit(Yes) - logit(No) of each candidate shown after a turn's beginning.

    Everything before the candidate runs once; each candidate then costs its own tokens and
    the answer cue. Rope positions are taken from the whole turn, because a picture moves
    them on by its side and not by its number of tokens.
    """
    yes, no = spellings(model, "yes"), spellings(model, "no")
    shared: dict[tuple[int, int], _Shared] = {}  # by candidate size: sizes differ in tokens
    step = 2 * CHUNK if model.small else CHUNK
    references = [part for part in before if isinstance(part, Image.Image)]
    for start in range(0, len(candidates), step):
        chunk = candidates[start : start + step]
        logits: list[Tensor] = [torch.empty(0)] * len(chunk)
        with model.using(adapter), torch.inference_mode():
            features = model.pictures.get([*references, *chunk])[len(references) :]
            for size in dict.fromkeys(image.size for image in chunk):
                members = [i for i, image in enumerate(chunk) if image.size == size]
                if size not in shared:
                    known = next((s.cache for s in shared.values()), None)
                    shared[size] = _share(model, before, chunk[members[0]], known)
                shown = [chunk[i] for i in members]
                rows = _suffix_logits(model, shared[size], shown, [features[i] for i in members])
                for i, row in zip(members, rows, strict=True):
                    logits[i] = row
        table = torch.stack(logits)  # (K, vocabulary)
        margins = table[:, yes].logsumexp(1) - table[:, no].logsumexp(1)
        for margin in margins.tolist():
            yield float(1 / (1 + np.exp(-margin))), margin


def question_margins(
    model: VisionLanguageModel,
    reference: Image.Image,
    asked: Sequence[str],
    candidate: Image.Image,
    adapter: str | None,
) -> list[float]:
    """logit(Yes) - logit(No) of several questions about one pair of pictures.

    What the turns have in common before their words part runs once; the rest is one batch.
    """
    if len(asked) != 1 and (model.recurrent or not asked):
        alone = ([text] for text in asked)
        return [question_margins(model, reference, a, candidate, adapter)[0] for a in alone]
    with model.using(adapter), torch.inference_mode():
        inputs = model.laid_out([[reference, text, candidate] for text in asked])
        ids, positions = inputs["input_ids"], model.positions(inputs)  # (N, T), (3, N, T)
        n, t = ids.shape
        pads = t - inputs["attention_mask"].sum(1)  # (N,) on the left
        whole = [row[pad:] for row, pad in zip(ids, pads.tolist(), strict=True)]
        common = next(
            i
            for i in range(t)
            if len({int(row[i]) for row in whole}) > 1
            or (
                int(whole[0][i]) == model.core().config.vision_start_token_id
                and (whole[0][:i] == model.core().config.image_token_id).any()
            )
        )  # at the latest before the candidate
        cache = model.cache()
        first = int(pads[0])
        begin = positions[:, :1, first : first + common]
        model.states(whole[0][None, :common], begin, cache, [reference])
        repeat(cache, n)
        rest = t - common
        there = (
            torch.arange(rest, device=ids.device)[None] >= pads[:, None]
        )  # (N, rest): the others ran already
        pad_id = model.processor.tokenizer.pad_token_id
        suffix = torch.where(there, ids[:, common:], pad_id)
        mask = torch.cat([ids.new_ones(n, common), there.long()], 1)
        states = model.states(suffix, positions[:, :, common:], cache, [candidate] * n, mask)
        logits = model.core().lm_head(states[:, -1]).float()  # (N, vocabulary)
        yes, no = spellings(model, "yes"), spellings(model, "no")
        margins = logits[:, yes].logsumexp(1) - logits[:, no].logsumexp(1)
    return [float(m) for m in margins]


def after_no(
    model: VisionLanguageModel,
    before: Sequence[Part],
    candidate: Image.Image,
    adapter: str | None,
    max_new_tokens: int = 24,
) -> str:
    """What the model writes behind a No about a candidate."""
    with model.using(adapter), torch.inference_mode():
        inputs = model.laid_out([[*before, candidate]])
        positions = model.positions(inputs)  # (3, 1, T)
        images = [part for part in (*before, candidate) if isinstance(part, Image.Image)]
        cache = model.cache()
        model.states(inputs["input_ids"], positions, cache, images)
        at = int(positions.max()) + 1
        no = spellings(model, "no", capital=True)[0]
        state = model.states(torch.tensor([[no]]), torch.full((3, 1, 1), at), cache)[:, -1]
        return continuation(model, cache, state, at + 1, max_new_tokens)


def _share(
    model: VisionLanguageModel,
    before: Sequence[Part],
    candidate: Image.Image,
    known: DynamicCache | None = None,
) -> _Shared:
    """The key/value cache of all that stands before a candidate, and the suffix's layout.

    `known` is that cache where a candidate of another size has it: photographs have many sizes.
    """
    inputs = model.laid_out([[*before, candidate]])
    ids, positions = inputs["input_ids"], model.positions(inputs)  # (1, T), (3, 1, T)
    # the mark that a picture begins is the same before every candidate
    begin = int((ids[0] == model.core().config.vision_start_token_id).nonzero()[-1]) + 1
    cache = known
    if cache is None:
        references = [part for part in before if isinstance(part, Image.Image)]
        cache = model.cache()
        language = model.core().model.language_model
        if can_run(language) and references:
            seen = [torch.cat(layer) for layer in zip(*model.pictures.get(references), strict=True)]
            embeds, places, deeper = _embedded(model, ids[:, :begin], [tuple(seen)])
            keep(language, embeds, positions[:, :, :begin], cache, places, deeper)
        else:
            model.states(ids[:, :begin], positions[:, :, :begin], cache, references)
    return _Shared(cache=cache, ids=ids[:, begin:], positions=positions[:, :, begin:])


def _suffix_logits(
    model: VisionLanguageModel,
    shared: _Shared,
    candidates: Sequence[Image.Image],
    features: Sequence[Features],
) -> Tensor:
    """Next-token logits (K, vocabulary) after each candidate."""
    k, core = len(candidates), model.core()
    language = core.model.language_model
    if can_run(language):
        embeds, seen, deeper = _embedded(model, shared.ids, features)
        states = last_states(language, embeds, shared.positions, shared.cache, seen, deeper)
        return core.lm_head(states).float()
    cache = copy.deepcopy(shared.cache)  # the forward pass appends to it
    repeat(cache, k)
    ids, positions = shared.ids.repeat(k, 1), shared.positions.repeat(1, k, 1)
    states = model.states(ids, positions, cache, candidates)  # (K, S, D)
    return core.lm_head(states[:, -1]).float()


def _embedded(
    model: VisionLanguageModel, ids: Tensor, rows: Sequence[Features]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The same tokens (1, S) with other pictures in each row.

    Returns:
        Embeddings (K, S, D), which tokens are pictures' (S,), and what deeper layers of the tower
        add to them, (K, picture tokens, D) a layer.
    """
    tokens, *deeper = (torch.stack(layer) for layer in zip(*rows, strict=True))
    seen = ids[0] == model.core().config.image_token_id
    embeds = model.core().get_input_embeddings()(ids).repeat(len(rows), 1, 1)
    embeds[:, seen] = tokens.to(embeds.dtype)
    return embeds, seen, deeper


def repeat(cache: DynamicCache, times: int) -> None:
    """Make so many rows of a cache of one; layers of linear attention have states, not keys."""
    rows = torch.zeros(times, dtype=torch.long)
    for layer in cache.layers:
        layer.reorder_cache(rows)


def spellings(model: VisionLanguageModel, word: str, *, capital: bool = False) -> list[int]:
    """Ids of every single-token spelling of a word: "Yes", "yes", " Yes", ...; or "Yes" alone."""
    vocabulary = model.processor.tokenizer.get_vocab()
    if model.exact and word in vocabulary:
        return [vocabulary[word]]
    spelt = (word.capitalize(),) if capital else (word, word.capitalize())
    found = {vocabulary.get(p + w) for p in ("", "Ġ", "▁")[: 1 if capital else 3] for w in spelt}
    ids = sorted(i for i in found if i is not None)
    if not ids:
        raise CirError(f"This language model has no single token for {word!r}: it cannot judge.")
    return ids
