"""A tiny open_clip model with random weights, saved the way the trained one is."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

WORDS = "a the red blue dog cat hat snow in on with , . ' -".split()
SIZE, PATCH, DIM, CONTEXT = 128, 16, 32, 16


def save_tiny_encoder(folder: Path, seed: int = 0, resize_mode: str = "squash") -> Path:
    """Write a folder that `local-dir:` loading accepts; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", *WORDS])}
    vocab["[EOS]"] = len(vocab)
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [EOS]",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[EOS]", vocab["[EOS]"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        bos_token="[CLS]",
        eos_token="[EOS]",
        model_max_length=CONTEXT,
    ).save_pretrained(folder)
    config = {
        "model_cfg": {
            "embed_dim": DIM,
            "vision_cfg": {
                "image_size": SIZE,
                "patch_size": PATCH,
                "layers": 2,
                "width": 64,
                "head_width": 32,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": len(vocab),
                "hf_tokenizer_name": "local",
                "width": 64,
                "heads": 2,
                "layers": 2,
                "pad_id": 0,
                "eos_id": vocab["[EOS]"],
                "pool_type": "eos",
            },
        },
        "preprocess_cfg": {
            "size": SIZE,
            "mode": "RGB",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
            "interpolation": "bicubic",
            "resize_mode": resize_mode,
            "fill_color": 0,
        },
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = open_clip.CLIP(**deepcopy(config["model_cfg"]))
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder
