"""User turns as tensors: with their pictures' pixels, or with picture tokens that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch.nn.functional import pad

from cirdemo.models.pictures import as_encoded
from cirdemo.models.trusted import plain

if TYPE_CHECKING:
    from cirdemo.models.mllm import Part, VisionLanguageModel

# processors that give a picture the tokens of its grid, and nothing else that depends on it
KNOWN = {"Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor"}


def with_pixels(model: VisionLanguageModel, turns: Sequence[Sequence[Part]]) -> dict[str, Any]:
    """See `VisionLanguageModel.inputs`."""
    with model.lock:  # a fast tokenizer refuses a second thread: "Already borrowed"
        found = model.processor.apply_chat_template(
            _conversations(model, turns),
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
            **model.at_once,
        )
    return {name: value.to(model.device) for name, value in found.items()}


def with_tokens(model: VisionLanguageModel, turns: Sequence[Sequence[Part]]) -> dict[str, Any]:
    """See `VisionLanguageModel.laid_out`."""
    images = [part for turn in turns for part in turn if isinstance(part, Image.Image)]
    if not images:
        return with_pixels(model, turns)
    with model.lock:
        seen = model.pictures.seen(images)
        grids = torch.tensor([one.grid for one in seen])  # (pictures, 3)
        if type(model.processor).__name__ in KNOWN:
            found = _tokenized(model, turns, grids)
        else:
            found = with_pixels(model, turns)
            del found["pixel_values"]
    found |= {"image_grid_thw": grids}
    found = {name: value.to(model.device) for name, value in found.items()}
    return found | {"mm_encoder_outputs": as_encoded([one.features for one in seen])}


def begun(
    model: VisionLanguageModel, inputs: dict[str, Any], said: Sequence[str]
) -> dict[str, Any]:
    """Laid-out turns with the beginnings of their answers behind them, padded on the left anew."""
    tokenizer = model.processor.tokenizer
    rows = []
    for n, text in enumerate(said):
        there = inputs["attention_mask"][n].bool()
        told = tokenizer(plain(text, model.control), add_special_tokens=False)["input_ids"]
        more = inputs["input_ids"].new_tensor(told)
        ids = torch.cat([inputs["input_ids"][n, there], more])
        types = torch.cat([inputs["mm_token_type_ids"][n, there], torch.zeros_like(more)])
        rows.append({"input_ids": ids, "mm_token_type_ids": types, "attention_mask": ids * 0 + 1})
    width = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": tokenizer.pad_token_id}
    padded = {
        name: torch.stack(
            [pad(row[name], (width - len(row[name]), 0), value=fill.get(name, 0)) for row in rows]
        )
        for name in rows[0]
    }
    return inputs | padded


def _tokenized(
    model: VisionLanguageModel, turns: Sequence[Sequence[Part]], grids: torch.Tensor
) -> dict[str, Any]:
    """What the processor makes of the words, with as many tokens a picture as its grid has."""
    processor = model.processor
    texts = processor.apply_chat_template(
        _conversations(model, turns), add_generation_prompt=True, **model.at_once
    )
    merged = grids.prod(1) // processor.image_processor.merge_size**2
    counts, mark = iter(merged.tolist()), processor.image_token
    for n, text in enumerate(texts):
        first, *rest = text.split(mark)
        texts[n] = first + "".join(mark * next(counts) + more for more in rest)
    found = processor.tokenizer(texts, padding=True, return_tensors="pt")
    ids = found["input_ids"]
    return {
        "input_ids": ids,
        "attention_mask": found["attention_mask"],
        "mm_token_type_ids": (ids == processor.image_token_id).long(),  # no turn holds a video
    }


def _conversations(model: VisionLanguageModel, turns: Sequence[Sequence[Part]]) -> list[Any]:
    """User turns behind the system's, as the chat template takes them."""
    system = model.system
    said = [{"role": "system", "content": [_content(model, system)]}] if system else []
    return [
        [*said, {"role": "user", "content": [_content(model, part) for part in turn]}]
        for turn in turns
    ]


def _content(model: VisionLanguageModel, part: Part) -> dict[str, Any]:
    """A piece of a turn; a text cannot begin another turn or show a picture."""
    if isinstance(part, str):
        return {"type": "text", "text": plain(part, model.control)}
    return {"type": "image", "image": part}
