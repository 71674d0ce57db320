"""A hub's cache with small models of the published classes, random weights, published layouts.

The profiles find them under the names that they name, as they would find what was downloaded.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from cirdemo import prompts
from cirdemo.profiles import PROFILES

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
)
TEMPLATE = (  # the turns of Qwen's, pictures where they stand
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level pieces as Qwen's: any word can be spelt, and " yes" is not "yes"."""
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    said = ["yes", "no", "Yes", "No", "yes no Yes No", prompts.CAPTION, prompts.JUDGE] * 9
    said += [prompts.RERANKER, *prompts.DESCRIBE.values()]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    base.train_from_iterator(said, trainer)
    base.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=base,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        padding_side="right",  # as published; the program turns it
        chat_template=TEMPLATE,
    )


def language_model(kind: str, folder: Path, seed: int = 0) -> Path:
    """A small model of a class in its published layout: qwen2_5_vl, qwen3_vl or qwen3_5."""
    words = tokenizer()
    ids = dict(zip(SPECIAL, words.convert_tokens_to_ids(list(SPECIAL)), strict=True))
    shared = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": True,
    }
    text = TEXT | {"vocab_size": len(words) + 8}  # rows to spare, as published tables have
    tower = {"depth": 2, "num_heads": 2, "intermediate_size": 64}
    torch.manual_seed(seed)
    if kind == "qwen2_5_vl":
        config = Qwen2_5_VLConfig(
            text_config=text | {"rope_parameters": MROPE},
            vision_config=tower
            | {"hidden_size": 32, "out_hidden_size": 64, "fullatt_block_indexes": [1]},
            **shared,
        )
        model, patch = Qwen2_5_VLForConditionalGeneration(config), 14
    else:
        vision = tower | {"hidden_size": 32, "out_hidden_size": 64, "num_position_embeddings": 64}
        if kind == "qwen3_vl":
            config = Qwen3VLConfig(
                text_config=text | {"head_dim": 16, "rope_parameters": MROPE},
                vision_config=vision | {"deepstack_visual_indexes": [0]},
                **shared,
            )
            model, patch = Qwen3VLForConditionalGeneration(config), 16
        else:
            linear = {f"linear_{w}_head_dim": 16 for w in ("key", "value")}
            linear |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4}
            rope = MROPE | {"partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1]}
            kinds = ["linear_attention", "full_attention"]
            config = Qwen3_5Config(
                text_config=text
                | linear
                | {"head_dim": 16, "rope_parameters": rope, "layer_types": kinds},
                vision_config=vision,
                **shared,
            )
            model, patch = Qwen3_5ForConditionalGeneration(config), 16
    for name, weight in model.named_parameters():
        if "visual" in name and weight.ndim > 1:  # so that a picture moves the answer
            torch.nn.init.normal_(weight, std=0.2)
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.to(torch.bfloat16).save_pretrained(folder)
    frame = {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2}
    first = kind == "qwen2_5_vl"
    (Qwen2_5_VLProcessor if first else Qwen3VLProcessor)(
        image_processor=Qwen2VLImageProcessor(**frame),
        tokenizer=words,
        video_processor=(Qwen2VLVideoProcessor if first else Qwen3VLVideoProcessor)(**frame),
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def clip(folder: Path, size: int = 64) -> Path:
    """A small CLIP in open_clip's hub layout: OpenAI's tokenizer and preprocessing."""
    config = {
        "model_cfg": {
            "embed_dim": 32,
            "vision_cfg": {"image_size": size, "layers": 2, "width": 64, "patch_size": 32}
            | {"head_width": 32},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2}
            | {"layers": 1},
        },
        "preprocess_cfg": {
            "mean": list(open_clip.OPENAI_DATASET_MEAN),
            "std": list(open_clip.OPENAI_DATASET_STD),
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.CLIP(**deepcopy(config["model_cfg"]))
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return folder


def cached(cache: Path, source: str) -> Path:
    """The folder of a repository's one commit in a hub's cache."""
    repository = source.removeprefix("hf-hub:").replace("/", "--")
    refs = cache / f"models--{repository}" / "refs"
    refs.mkdir(parents=True, exist_ok=True)
    (refs / "main").write_text(COMMIT)
    return refs.parent / "snapshots" / COMMIT


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory):
    """What the profiles photo, paper and remote name, small."""
    cache = tmp_path_factory.mktemp("hub")
    photo, paper = PROFILES["photo"], PROFILES["paper"]
    clip(cached(cache, photo.encoder))
    clip(cached(cache, paper.encoder), 96)
    language_model("qwen3_vl", cached(cache, photo.mllm))
    language_model("qwen3_vl", cached(cache, photo.reranker), seed=1)
    language_model("qwen2_5_vl", cached(cache, paper.mllm))
    return cache


@pytest.fixture
def hub(hub_cache, monkeypatch):
    """The cache in place of the user's, and no network."""
    use(hub_cache, monkeypatch)
    return hub_cache


def use(cache: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
