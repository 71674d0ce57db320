"""Endings run behind a common beginning give what transformers gives with a cache of its own."""

# ruff: noqa: F811

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    DynamicCache,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    Qwen3VLTextConfig,
    Qwen3VLTextModel,
)

from cirdemo import prompts
from cirdemo.models import qwen, verdicts
from cirdemo.models.pictures import AT_ONCE, PictureTokens
from cirdemo.models.suffixes import can_run, keep, last_states
from tests.fixtures_mllm import home, pictures, vlm  # noqa: F401

SIZES = {
    "vocab_size": 50,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (Qwen2_5_VLTextModel, Qwen2_5_VLTextConfig(**SIZES)),
        (Qwen3VLTextModel, Qwen3VLTextConfig(**SIZES, head_dim=16)),
    ],
    ids=["qwen2.5", "qwen3"],
)
def test_last_states_are_the_librarys(kind, config):
    torch.manual_seed(0)
    language = kind(config).eval()
    for weight in language.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)  # so that every part moves the answer
    begin, rows, length = 7, 5, 4
    x, ends = torch.randn(1, begin, 64), torch.randn(rows, length, 64)
    places = torch.stack([torch.arange(begin)] * 3)[:, None]
    # a picture's tokens do not stand at consecutive places
    after = torch.tensor([[9, 9, 9, 12], [9, 9, 10, 12], [9, 10, 9, 12]])[:, None]
    with torch.inference_mode():
        cache = DynamicCache(config=config)
        language(inputs_embeds=x, position_ids=places, past_key_values=cache, use_cache=True)
        kept = cache.layers[0].keys.clone()
        own = DynamicCache(config=config)
        keep(language, x, places, own)
        for mine, theirs in zip(own.layers, cache.layers, strict=True):
            torch.testing.assert_close(mine.keys, theirs.keys, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(mine.values, theirs.values, atol=1e-5, rtol=1e-4)
        mine = last_states(language, ends, after, cache)
        assert torch.equal(cache.layers[0].keys, kept)  # it was only read
        whole = copy.deepcopy(cache)
        whole.batch_repeat_interleave(rows)
        theirs = language(
            inputs_embeds=ends,
            position_ids=after.expand(3, rows, length),
            past_key_values=whole,
            use_cache=True,
        ).last_hidden_state[:, -1]
        shuffled = last_states(language, ends, after.flip(-1), cache)
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
    assert (shuffled - theirs).abs().max() > 1e-3  # the places count


def test_a_model_of_another_kind_goes_through_the_library(vlm, pictures, monkeypatch):
    before = [pictures[0], prompts.judge_prompt("make it white", "a white dog")]
    assert can_run(vlm.core().model.language_model)
    mine = [m for _, m in vlm.yes_no(before, pictures, adapter="judge")]
    monkeypatch.setattr(verdicts, "can_run", lambda language: False)
    theirs = [m for _, m in vlm.yes_no(before, pictures, adapter="judge")]
    np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_pictures_of_one_size_are_encoded_in_one_pass_as_one_by_one(vlm, pictures):
    inputs = vlm.processor.image_processor(pictures[:5], return_tensors="pt")
    visual, grid = vlm.core().model.visual, inputs["image_grid_thw"]
    assert qwen.whole_batch(visual, grid)
    with torch.inference_mode():
        mine = qwen.merged_tokens(visual, inputs["pixel_values"], grid)
        theirs = (
            vlm.core()
            .model.get_image_features(inputs["pixel_values"], grid, return_dict=True)
            .pooler_output
        )
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    odd = grid.clone()
    odd[0, 1] += 2  # another size than the others
    assert not qwen.whole_batch(visual, odd)


def test_pictures_of_several_sizes_are_encoded_by_size_and_come_in_order():
    shown = [Image.new("RGB", (8 + 8 * (n % 2), 8), (n, 0, 0)) for n in range(2 * AT_ONCE + 3)]
    batches = []

    def encode(images):
        batches.append([image.size for image in images])
        told = [torch.tensor([[float(image.getpixel((0, 0))[0])]]) for image in images]
        grids = torch.tensor([[1, 1, image.width // 8] for image in images])
        return SimpleNamespace(pooler_output=told), grids

    pictures = PictureTokens(encode)
    seen = pictures.seen([*shown, shown[0]])
    assert [float(one.features[0]) for one in seen] == [*range(len(shown)), 0]
    assert [one.grid for one in seen[:2]] == [(1, 1, 1), (1, 1, 2)]
    assert all(len(set(batch)) == 1 for batch in batches)
    assert sorted(map(len, batches)) == [1, 2, AT_ONCE, AT_ONCE]
    assert pictures.encoded == len(shown)
    pictures.forget(shown[:2])
    pictures.forget(shown[:2])  # what is not there is no fault
    assert pictures.get(shown) and pictures.encoded == len(shown) + 2


def test_adapters_are_worn_until_another_is_asked_for(vlm):
    weight = next(
        m.get_base_layer().weight
        for n, m in vlm.model.named_modules()
        if n.endswith("0.self_attn.q_proj")
    )
    with vlm.using(None):
        own = weight.clone()
    with vlm.using("judge"):
        judge = weight.clone()
    with vlm.using("cot"):
        assert not torch.equal(weight, judge)
    with vlm.using("judge"):
        assert torch.equal(weight, judge)
    with vlm.using("unknown"):
        assert torch.equal(weight, own)
