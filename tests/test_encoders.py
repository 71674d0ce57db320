"""The open_clip encoder on a tiny model saved as the trained one is."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.models.preprocessing import target_padded
from cirdemo.train.encoder import shards
from cirdemo.types import Encoder, MissingCheckpoint
from tests.fixtures_encoder import DIM, save_tiny_encoder
from tests.fixtures_hub import clip

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "clip_vit_b32"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return OpenClipEncoder(folder)


@pytest.fixture(scope="module")
def pictures():
    noise = np.random.default_rng(0).integers(0, 255, (5, 40, 60, 3), np.uint8)
    return [Image.fromarray(array) for array in noise]


def test_is_an_encoder(encoder):
    assert isinstance(encoder, Encoder)
    assert encoder.dim == DIM
    assert encoder.preprocessing == (
        "size=128 interpolation=bicubic resize=squash mean=0.5,0.5,0.5 std=0.25,0.25,0.25"
    )


@pytest.mark.parametrize("verb", ["images", "texts"])
def test_unit_float32_rows_in_any_batching(folder, encoder, pictures, verb):
    items = pictures if verb == "images" else ["a dog", "the red cat", "snow", "a hat", "blue"]
    small = OpenClipEncoder(folder, batch_size=2)
    whole = getattr(encoder, f"encode_{verb}")(items)
    assert (whole.shape, whole.dtype) == ((5, DIM), np.float32)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(getattr(small, f"encode_{verb}")(items), whole, atol=1e-5)
    assert np.linalg.matrix_rank(whole) == 5  # different inputs, different vectors
    assert getattr(encoder, f"encode_{verb}")([]).shape == (0, DIM)


def test_images_match_open_clip_itself(encoder, pictures):
    with torch.inference_mode():
        batch = torch.stack([encoder.preprocess(p) for p in pictures])
        expected = encoder.model.encode_image(batch, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode_images(pictures), expected, atol=1e-6)


def test_patches_match_a_walk_through_the_tower(encoder, pictures):
    visual = encoder.model.visual
    with torch.inference_mode():
        tokens = visual._embeds(encoder.preprocess(pictures[0])[None])
        for block in visual.transformer.resblocks:
            tokens = block(tokens)
        tokens = (visual.ln_post(tokens) @ visual.proj)[0].numpy()
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    patches = encoder.encode_patches(pictures[0])
    assert (patches.shape, patches.dtype) == ((8, 8, DIM), np.float32)
    np.testing.assert_allclose(patches.reshape(64, DIM), tokens[1:], atol=1e-5)
    np.testing.assert_allclose(encoder.encode_images(pictures[:1])[0], tokens[0], atol=1e-5)


def test_unknown_words(encoder):
    assert encoder.unknown_words("A red ZEBRA, with a tutu - the zebra!") == (
        "ZEBRA",
        "tutu",
        "zebra",
    )
    assert encoder.unknown_words("a \U0001f436 dog") == ("\U0001f436",)
    assert encoder.unknown_words("the red dog; in snow") == ()


def test_space_follows_the_weights(folder, encoder, tmp_path):
    shutil.copytree(folder, tmp_path / "tiny")
    assert OpenClipEncoder(tmp_path / "tiny").space == encoder.space
    assert OpenClipEncoder(f"local-dir:{folder}").space == encoder.space
    other = OpenClipEncoder(save_tiny_encoder(tmp_path / "other" / "tiny", seed=1))
    assert other.space.startswith("tiny@")
    assert other.space != encoder.space
    (tmp_path / "tiny" / "meta.json").write_text('{"name": "drawn"}')
    named = OpenClipEncoder(tmp_path / "tiny").space
    assert named == encoder.space.replace("tiny@", "drawn@")


def test_seen_box(encoder, tmp_path):
    wide = Image.new("RGB", (60, 40))
    assert encoder.seen_box(wide) == (0, 0, 60, 40)
    cropping = OpenClipEncoder(save_tiny_encoder(tmp_path / "crop", resize_mode="shortest"))
    assert cropping.seen_box(wide) == (10, 0, 50, 40)


def test_missing_parts_name_the_command(folder, tmp_path):
    with pytest.raises(MissingCheckpoint, match=r"does not exist.*cirdemo train encoder"):
        OpenClipEncoder(tmp_path / "none")
    shutil.copytree(folder, tmp_path / "bare")
    (tmp_path / "bare" / "open_clip_model.safetensors").unlink()
    with pytest.raises(MissingCheckpoint, match=r"lacks open_clip_model.*cirdemo train encoder"):
        OpenClipEncoder(tmp_path / "bare")
    (tmp_path / "bare" / "open_clip_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(MissingCheckpoint, match="is not a safetensors file"):
        OpenClipEncoder(tmp_path / "bare")
    with pytest.raises(MissingCheckpoint, match="TAG"):
        OpenClipEncoder("ViT-B-32")


def test_weights_in_shards_are_the_same_encoder(folder, encoder, pictures, tmp_path, caplog):
    weights = load_file(folder / "open_clip_model.safetensors")
    parts = shards(weights, limit=100_000)
    assert len(parts) > 2
    assert [k for part in parts for k in part] == list(weights)
    assert all(len(p) == 1 or sum(w.nbytes for w in p.values()) <= 100_000 for p in parts)
    shutil.copytree(folder, tmp_path / "tiny", ignore=shutil.ignore_patterns("*.safetensors"))
    for n, part in enumerate(parts, start=1):
        save_file(
            part, tmp_path / "tiny" / f"open_clip_model-{n:05d}-of-{len(parts):05d}.safetensors"
        )
    found = OpenClipEncoder(tmp_path / "tiny")
    np.testing.assert_array_equal(found.encode_images(pictures), encoder.encode_images(pictures))
    np.testing.assert_array_equal(found.encode_texts(["a dog"]), encoder.encode_texts(["a dog"]))
    assert "randomly" not in caplog.text
    next((tmp_path / "tiny").glob("*-00002-of-*")).unlink()
    with pytest.raises(MissingCheckpoint, match=r"could not be loaded .*loading state_dict"):
        OpenClipEncoder(tmp_path / "tiny")


# --- as published ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip_224(tmp_path_factory):
    return clip(tmp_path_factory.mktemp("clip") / "b32", 224)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared vectors are not here")
def test_preprocessing_is_the_published_one_to_the_bit(clip_224):
    data = np.load(SHARED / "vectors_and_tensors.npz", allow_pickle=False)
    files = [next((SHARED / "images").glob(f"{n}.*")) for n in data["names"]]
    photos = [Image.open(f).convert("RGB") for f in files]
    found = OpenClipEncoder(clip_224).pixels(photos).numpy()
    assert found.shape == data["preprocessed"].shape == (7, 3, 224, 224)
    np.testing.assert_array_equal(found, data["preprocessed"])


def test_target_padding_keeps_what_a_crop_would_lose(clip_224, tmp_path):
    plain, padding = (OpenClipEncoder(clip_224, target_pad=p) for p in (False, True))
    assert padding.space == f"{plain.space}+targetpad"
    assert padding.preprocessing == f"targetpad=1.25 {plain.preprocessing}"
    wide = Image.new("RGB", (400, 100), "red")
    assert target_padded(wide).size == (400, 320)  # 400 / 1.25
    assert target_padded(wide).getpixel((5, 5)) == (0, 0, 0)
    assert target_padded(wide.rotate(90, expand=True)).size == (320, 400)
    near = Image.new("RGB", (120, 100), "red")  # a ratio below 1.25 is left as it is
    assert target_padded(near) is near
    assert torch.equal(plain.pixels([near]), padding.pixels([near]))
    assert plain.seen_box(wide) == (150, 0, 250, 100)
    assert padding.seen_box(wide) == (40, 0, 360, 100)
    assert np.abs(plain.encode_images([wide]) - padding.encode_images([wide])).max() > 1e-3
