"""The embedded language model on random weights, saved as the trained one is, with lora."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.train import lora, mllm


def _adapter(folder, name, seed):
    model, _ = mllm.fresh(0)
    torch.manual_seed(seed)
    tuned = lora.with_lora(model, name, 4, 8)
    for key, weight in tuned.named_parameters():
        if "lora_B" in key:  # fresh ones are zero and change nothing
            nn.init.normal_(weight, std=0.1)
    projection = nn.Linear(256, 32, bias=False) if name == "cot" else None
    lora.save_adapter(tuned, name, folder, projection)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("embedded")
    model, tokenizer = mllm.fresh(0)
    # read once: what is compared with here are transformers' own passes, which know no copies
    model.config.vision_config.shifts = None
    mllm.save(model, tokenizer, home / "mllm")
    _adapter(home / "judge", "judge", 1)
    _adapter(home / "cot", "cot", 2)
    return home


@pytest.fixture(scope="module")
def vlm(home):
    return VisionLanguageModel.load(
        str(home / "mllm"), {"judge": str(home / "judge"), "cot": str(home / "cot")}
    )


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (13, 8, 8, 3), np.uint8)
    return [Image.fromarray(n).resize((256, 256), Image.Resampling.NEAREST) for n in noise]
