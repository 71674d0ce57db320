"""The batched towers used in training give what transformers' own classes give."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2VLImageProcessor

from cirdemo.models import qwen
from cirdemo.train import mllm
from cirdemo.train.chat import Turns, states

SIDE = qwen.PATCH * qwen.GRID


@pytest.fixture(scope="module")
def model():
    return mllm.fresh(0)[0].eval()


@pytest.fixture(scope="module")
def turns():
    return Turns(mllm.fresh(0)[1])


@pytest.fixture(scope="module")
def pixels():
    return torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, 3, SIDE, SIDE)).astype(np.float32)
    )


def test_patches_are_laid_out_as_the_processor_does(pixels):
    processor = Qwen2VLImageProcessor(
        patch_size=qwen.PATCH,
        merge_size=qwen.MERGE,
        temporal_patch_size=qwen.TEMPORAL,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        size={"shortest_edge": SIDE * SIDE, "longest_edge": SIDE * SIDE},
    )
    images = [Image.fromarray(p.permute(1, 2, 0).byte().numpy()) for p in pixels]
    given = processor(images, return_tensors="pt")
    assert given["image_grid_thw"].tolist() == [[1, qwen.GRID, qwen.GRID]] * 3
    ours = qwen.to_patches(pixels / 127.5 - 1).flatten(0, 1)
    torch.testing.assert_close(ours, given["pixel_values"], atol=1e-5, rtol=0)


def test_pictures_are_taken_out_of_patches_and_moved_by_pixels(pixels):
    grid = (qwen.GRID, qwen.GRID)
    torch.testing.assert_close(qwen.from_patches(qwen.to_patches(pixels), grid), pixels)
    still, moved = qwen.shifted(pixels, ((0, 0), (3, -2)))
    torch.testing.assert_close(still, pixels)
    torch.testing.assert_close(moved[:, :, :-2, 3:], pixels[:, :, 2:, :-3])
    assert (moved[:, :, :-2, 0] == pixels[:, :, 2:, 0]).all()  # edges are drawn out


def test_a_picture_is_read_as_the_mean_of_its_shifted_copies(model, pixels):
    grid, visual = (qwen.GRID, qwen.GRID), model.model.visual
    patches = qwen.to_patches(pixels / 127.5 - 1)
    with torch.inference_mode():
        copies = qwen.shifted(pixels / 127.5 - 1, qwen.SHIFTS)
        each = [qwen.batched_vision(visual, qwen.to_patches(c), grid)[1] for c in copies]
        found = qwen.merged_tokens(
            visual, patches.flatten(0, 1), torch.tensor([[1, *grid]] * len(pixels))
        )
    assert (each[0] - each[1]).abs().max() > 1e-4
    torch.testing.assert_close(torch.stack(found), torch.stack(each).mean(0), atol=1e-5, rtol=1e-5)


def test_grid_positions_follow_the_merged_tokens():
    assert qwen.grid_positions(2, 4).tolist() == [
        [0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3], [1, 2], [1, 3],
    ]  # fmt: skip


@pytest.mark.parametrize("trained", [False, True])
def test_batched_vision_is_the_tower_of_transformers(model, pixels, trained):
    patches = qwen.to_patches(pixels / 127.5 - 1)
    grid = torch.tensor([[1, qwen.GRID, qwen.GRID]] * len(pixels))
    kept = patches.clone()
    with torch.inference_mode(not trained):
        states_, merged = qwen.batched_vision(model.model.visual, patches, (qwen.GRID, qwen.GRID))
        wanted = model.model.get_image_features(patches.flatten(0, 1), grid).pooler_output
    assert torch.equal(patches, kept) and merged.requires_grad == trained
    assert states_.shape == (3, qwen.GRID**2, 256)
    assert merged.shape == (3, qwen.IMAGE_TOKENS, 256)
    torch.testing.assert_close(merged, torch.stack(list(wanted)), atol=1e-5, rtol=1e-4)
    assert (merged[0] - merged[1]).abs().max() > 1e-3  # the pictures are told apart


def test_attend_is_scaled_dot_product_attention():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 5, 8).unbind(0)
    mask = torch.full((5, 5), -1e4).triu(1)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(qwen.attend(q, k, v, mask), wanted)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(qwen.attend(q, k, v), wanted)


def test_every_branch_of_a_tree_is_a_forward_of_its_own(model, turns):
    torch.manual_seed(1)
    features = torch.randn(4, qwen.IMAGE_TOKENS, 256)
    tree = [
        turns.reference(2),
        turns.say("describe the picture", "a dog", 0),
        turns.text("Modification: make it white.", 0),
        turns.describe("union", "a white dog", 2),
        turns.next_picture(1, "a cat in the snow", 2),
        turns.candidate(3, 2, None)[0],
    ]
    packed = turns.pack([[turns.reference(0), turns.text("another tree", 0)], tree])
    with torch.inference_mode():
        hidden = states(model.model.language_model, packed, features[packed.pictures])
        blind = states(model.model.language_model, packed, features[packed.pictures].flip(0))
        for chain in ([0], [0, 1], [0, 2], [0, 2, 3], [0, 2, 4], [0, 2, 5]):
            ids = torch.tensor([[t for i in chain for t in tree[i].ids]])
            rows = [p for i in chain for p in tree[i].pictures]
            embeds = model.model.language_model.embed_tokens(ids)
            shown = ids == turns.image
            embeds[shown] = features[rows].flatten(0, 1)
            positions, _ = model.model.get_rope_index(
                ids,
                mm_token_type_ids=shown.int(),
                image_grid_thw=torch.tensor([[1, qwen.GRID, qwen.GRID]] * len(rows)),
            )
            wanted = model.model.language_model(inputs_embeds=embeds, position_ids=positions)
            place = packed.ends[1][chain[-1]]
            torch.testing.assert_close(
                hidden[place], wanted.last_hidden_state[0, -1], atol=1e-4, rtol=1e-3
            )
            assert (hidden[place] - blind[place]).abs().max() > 1e-2  # the pictures matter
