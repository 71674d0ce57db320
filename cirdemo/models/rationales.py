"""Rationales and the state at `<emb>`: written in one batch, written word by word, or left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor

from cirdemo import prompts
from cirdemo.models.layout import begun
from cirdemo.models.trusted import load_exact, plain
from cirdemo.types import MissingCheckpoint

if TYPE_CHECKING:
    from cirdemo.models.mllm import Part, VisionLanguageModel

PROJECTION = "projection.safetensors"
PICTURES = ("image_grid_thw", "mm_encoder_outputs")  # what a turn's inputs hold of its pictures
AT_ONCE = 4  # tokens written before others may have the model, and before the reader sees them


def reason(
    model: VisionLanguageModel,
    turns: Sequence[Sequence[Part]],
    adapter: str,
    max_new_tokens: int,
    said: Sequence[str] = (),
) -> tuple[list[str], np.ndarray]:
    """See `VisionLanguageModel.reason`."""
    emb, end = _stops(model)
    with model.using(adapter), torch.inference_mode():
        inputs = model.laid_out(turns)
        if any(said):
            inputs = begun(model, inputs, said)
        start = inputs["input_ids"].shape[1]
        sequences = model.model.generate(
            **inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1
        )
        texts = [model.text(row[start:]) for row in sequences]
        rows, width = sequences.shape
        # where a rationale was cut short before <emb>, it is put behind the last word
        sequences = torch.cat([sequences, sequences.new_full((rows, 1), emb)], 1)
        ends = []
        for row in range(rows):
            after = sequences[row, start:]
            stop = (after == emb) | (after == end)
            ends.append(start + int(stop.nonzero()[0]))
            sequences[row, ends[-1]] = emb
        extra = width + 1 - start
        mask = inputs["attention_mask"]
        mask = torch.cat([mask, mask.new_zeros(rows, extra)], 1)
        for row, last in enumerate(ends):
            mask[row, start : last + 1] = 1
        types = inputs["mm_token_type_ids"]
        model.core().model.rope_deltas = None
        states = (
            model.core()
            .model(
                input_ids=sequences,
                attention_mask=mask,
                mm_token_type_ids=torch.cat([types, types.new_zeros(rows, extra)], 1),
                **{name: inputs[name] for name in PICTURES if name in inputs},
            )
            .last_hidden_state
        )
    return texts, _projected(model, adapter, states[torch.arange(rows), torch.tensor(ends)])


def embed(model: VisionLanguageModel, turns: Sequence[Sequence[Part]], adapter: str) -> np.ndarray:
    """See `VisionLanguageModel.embed`."""
    emb, _ = _stops(model)
    with model.using(adapter), torch.inference_mode():
        inputs = model.laid_out(turns)
        rows = len(inputs["input_ids"])
        for key, value in (("input_ids", emb), ("attention_mask", 1), ("mm_token_type_ids", 0)):
            inputs[key] = torch.cat([inputs[key], inputs[key].new_full((rows, 1), value)], 1)
        states = model.core().model(**inputs).last_hidden_state  # (N, T, hidden)
    return _projected(model, adapter, states[:, -1])


def stream(
    model: VisionLanguageModel,
    turn: Sequence[Part],
    adapter: str,
    said: str = "",
    *,
    write: bool = True,
    max_new_tokens: int = 96,
) -> Iterator[tuple[str, np.ndarray | None]]:
    """One rationale as it is written, greedily, behind words that are already said.

    The same words and the same vector as `reason`, one pass a token over kept keys and values. A
    pass of its own, and not `generate` with a streamer, because that would keep every other
    visitor waiting for the whole rationale, and go on writing when the reader has gone.

    Args:
        model: With the adapter.
        turn: The user's turn.
        adapter: Its role.
        said: The beginning of the answer.
        write: Whether the answer goes on behind it, or ends there.
        max_new_tokens: Of what is written; `<emb>` is then put behind the last word.

    Yields:
        What has been written so far, without `said`, and None; at last the whole with the vector
        (D,), unit norm.
    """
    emb, end = _stops(model)
    with model.using(adapter), torch.inference_mode():
        inputs = model.laid_out([turn])
        said = plain(said, model.control)
        told = model.processor.tokenizer(said, add_special_tokens=False)["input_ids"]
        more = inputs["input_ids"].new_tensor([told])  # (1, S)
        asked = _behind(inputs, more)
        ids, positions = asked["input_ids"], model.positions(asked)
        images = [part for part in turn if not isinstance(part, str)]
        cache = model.cache()
        state = model.states(ids, positions, cache, images)[:, -1]  # (1, hidden)
    written: list[int] = []
    at, adjust = int(positions.max()) + 1, _adjustments(model)
    while write and len(written) < max_new_tokens:
        with model.using(adapter), torch.inference_mode():
            for _ in range(min(AT_ONCE, max_new_tokens - len(written))):
                scores = model.core().lm_head(state).float()  # (1, vocabulary)
                token = int(adjust(ids, scores).argmax())
                if token in (emb, end):
                    write = False
                    break
                written.append(token)
                ids = torch.cat([ids, ids.new_tensor([[token]])], 1)
                state = _next(model, token, at, cache)
                at += 1
        if write:
            yield model.text(written), None
    with model.using(adapter), torch.inference_mode():
        state = _next(model, emb, at, cache)
    yield model.text(written), _projected(model, adapter, state)[0]


def certainty(
    model: VisionLanguageModel, turn: Sequence[Part], answer: str, adapter: str | None
) -> list[tuple[int, int, float]]:
    """See `VisionLanguageModel.certainty`; one pass, whoever wrote the answer."""
    with model.using(adapter), torch.inference_mode():
        inputs = model.laid_out([turn])
        told = model.processor.tokenizer(
            answer, add_special_tokens=False, return_offsets_mapping=True
        )
        more = inputs["input_ids"].new_tensor([told["input_ids"]])  # (1, S)
        asked = _behind(inputs, more)
        images = [part for part in turn if not isinstance(part, str)]
        states = model.states(asked["input_ids"], model.positions(asked), model.cache(), images)
        start, count = inputs["input_ids"].shape[1], more.shape[1]
        before = states[0, start - 1 : start + count - 1]  # (S, hidden)
        chances = model.core().lm_head(before).float().softmax(-1)  # (S, vocabulary)
        found = chances.gather(1, more[0][:, None])[:, 0].tolist()
    return [(a, b, p) for (a, b), p in zip(told["offset_mapping"], found, strict=True)]


def _behind(inputs: dict[str, Tensor], more: Tensor) -> dict[str, Tensor]:
    """A turn's inputs with the beginning of its answer (1, S) put behind."""
    plain, there = torch.zeros_like(more), torch.ones_like(more)
    added = {"input_ids": more, "mm_token_type_ids": plain, "attention_mask": there}
    joined = {key: torch.cat([inputs[key], value], 1) for key, value in added.items()}
    return joined | {"image_grid_thw": inputs["image_grid_thw"]}


def continuation(
    model: VisionLanguageModel, cache: object, state: Tensor, at: int, max_new_tokens: int
) -> str:
    """What is written, greedily, behind a cache of one row; the caller holds the model.

    Args:
        model: Under the adapter that is to write.
        cache: Of all that stands before; it grows.
        state: (1, hidden) of the last token in it.
        at: The rope position behind it.
        max_new_tokens: At most.
    """
    _, end = _stops(model)
    written: list[int] = []
    while len(written) < max_new_tokens:
        token = int(model.core().lm_head(state).argmax())
        if token == end:
            break
        written.append(token)
        state = _next(model, token, at + len(written) - 1, cache)
    return model.text(written)


def _next(model: VisionLanguageModel, token: int, at: int, cache: object) -> Tensor:
    """The state (1, hidden) of one more token at a rope position."""
    ids = torch.tensor([[token]])
    return model.states(ids, torch.full((3, 1, 1), at), cache)[:, -1]


def _adjustments(model: VisionLanguageModel) -> LogitsProcessorList:
    """What `generate` does to the scores when it decodes greedily: a published model's penalty."""
    penalty = getattr(model.core().generation_config, "repetition_penalty", None)
    some = [RepetitionPenaltyLogitsProcessor(penalty)] if penalty and penalty != 1 else []
    return LogitsProcessorList(some)


def _stops(model: VisionLanguageModel) -> tuple[int, int]:
    """Ids of `<emb>` and of an answer's end."""
    tokenizer = model.processor.tokenizer
    return tokenizer.convert_tokens_to_ids(prompts.EMBED), tokenizer.eos_token_id


def _projected(model: VisionLanguageModel, adapter: str, states: Tensor) -> np.ndarray:
    """States (N, hidden) in the gallery's space: (N, D) float32, unit norm."""
    path = model.adapters[adapter] / PROJECTION
    if not path.is_file():
        raise MissingCheckpoint(f"Adapter {adapter!r} has no {PROJECTION}; train it again.")
    weight = load_exact(path, adapter)["weight"].float()  # (D, hidden)
    with torch.inference_mode():
        unit = torch.nn.functional.normalize(states.float().cpu() @ weight.T, dim=1)
    return unit.numpy()
