"""LoRA adapters on the language model: made, gone on from, and written as PeftModel loads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file, save_file
from torch import nn

from cirdemo.models.mllm import PROJECTION

TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


def with_lora(model: Any, name: str, rank: int, alpha: int, start: Path | None = None) -> PeftModel:
    """The model with an adapter on every projection of its language model.

    Fresh, or with the weights of the adapter in a folder, of the same rank.
    """
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=TARGETS)
    tuned = get_peft_model(model, config, adapter_name=name)
    if start is not None:
        weights = load_file(start / "adapter_model.safetensors")
        set_peft_model_state_dict(tuned, weights, adapter_name=name)
    return tuned


def save_adapter(
    model: PeftModel, name: str, folder: Path, projection: nn.Linear | None = None
) -> None:
    """A folder that PeftModel loads; half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(model, adapter_name=name)
    weights = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in weights.items()}
    save_file(weights, folder / "adapter_model.safetensors")
    config = model.peft_config[name]
    config.inference_mode = True
    config.base_model_name_or_path = "mllm"
    config.save_pretrained(str(folder))
    if projection is not None:
        weight = projection.weight.detach().to(torch.bfloat16).contiguous()
        save_file({"weight": weight}, folder / PROJECTION)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)


def load_projection(projection: nn.Linear, folder: Path) -> None:
    """Go on from the projection beside an adapter."""
    projection.load_state_dict({k: v.float() for k, v in load_file(folder / PROJECTION).items()})
