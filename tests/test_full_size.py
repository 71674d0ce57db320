"""The published configurations at their true size, with random weights: run by hand, not in CI.

    CIRDEMO_FULL_SIZE=1 python -m pytest tests/test_full_size.py

ViT-B-32 is written in the hub's layout (0.6 GB), loaded and run; the language models are built on
the meta device, which holds no numbers, and their parameters counted.
"""

import json
import os
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    AutoModelForImageTextToText,
    Qwen2_5_VLConfig,
    Qwen3VLConfig,
)

from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.profiles import B_32, L_14, WEIGHTS

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "clip_vit_b32"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("CIRDEMO_FULL_SIZE"), reason="CIRDEMO_FULL_SIZE=1"),
]

# as their config.json on the hub has them
QWEN3_VL_2B = Qwen3VLConfig(
    text_config={
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "tie_word_embeddings": True,
    },
    vision_config={
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "patch_size": 16,
        "out_hidden_size": 2048,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
    tie_word_embeddings=True,
)
QWEN25_VL_7B = Qwen2_5_VLConfig(
    text_config={
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
    },
    vision_config={
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "patch_size": 14,
        "out_hidden_size": 3584,
    },
    tie_word_embeddings=False,
)


@pytest.mark.parametrize(
    ("source", "config"),
    [
        ("Qwen/Qwen3-VL-2B-Instruct", QWEN3_VL_2B),
        ("Qwen/Qwen3-VL-Reranker-2B", QWEN3_VL_2B),
        ("Qwen/Qwen2.5-VL-7B-Instruct", QWEN25_VL_7B),
    ],
)
def test_the_language_models_have_the_parameters_that_doctor_counts_on(source, config):
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    count = sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
    print(source, count)
    assert count == WEIGHTS[source].parameters


@pytest.mark.parametrize(("name", "source"), [("ViT-B-32", B_32), ("ViT-L-14", L_14)])
def test_the_encoders_have_the_parameters_that_doctor_counts_on(name, source):
    with torch.device("meta"):
        model = open_clip.CLIP(**open_clip.get_model_config(name))
    assert sum(p.numel() for p in model.parameters()) == WEIGHTS[source].parameters


def test_vit_b_32_loads_and_runs_at_its_true_size(tmp_path):
    torch.manual_seed(0)
    config = open_clip.get_model_config("ViT-B-32")
    model = open_clip.CLIP(**config).eval()
    frame = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    told = {"model_cfg": config, "preprocess_cfg": {k: list(v) for k, v in frame.items()}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(told))
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        tmp_path / "open_clip_model.safetensors",
    )
    encoder = OpenClipEncoder(tmp_path)
    assert encoder.dim == 512
    photos = [Image.new("RGB", (640, 480), c) for c in ("red", "blue")]
    if SHARED.is_dir():
        data = np.load(SHARED / "vectors_and_tensors.npz", allow_pickle=False)
        files = [next((SHARED / "images").glob(f"{n}.*")) for n in data["names"]]
        photos = [Image.open(f).convert("RGB") for f in files]
        assert np.array_equal(encoder.pixels(photos).numpy(), data["preprocessed"])
    with torch.no_grad():
        plain = model.encode_image(encoder.pixels(photos), normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode_images(photos), plain, atol=1e-5)
    assert encoder.encode_patches(photos[0]).shape == (7, 7, 512)
