"""Published weights: from a folder or the hub into memory, or one sentence on what is missing."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from cirdemo import prompts
from cirdemo.hub import absent, revision
from cirdemo.models.trusted import check_model_folder
from cirdemo.types import MissingCheckpoint

HASHED = (".safetensors", ".json", ".jinja")  # of a model's folder: weights, settings, template
TOLD = ("meta.json", "calibration.json")  # of weights and judgements, and read by neither
SMALLEST = 4 * 32 * 32  # pixels of a picture: four tokens of the coarsest published model


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a language model runs, and in which numbers."""

    device: str = "cpu"
    dtype: str = "float32"  # or auto, bfloat16, float16
    device_map: str = ""
    attention: str = ""
    quantisation: str = ""
    pixels: int = 0  # of a picture at most; 0: as the processor has it

    def torch_dtype(self) -> torch.dtype:
        """The number format of the weights; `auto` is half of float32 wherever that runs."""
        if self.dtype != "auto":
            return getattr(torch, self.dtype)
        kind = torch.device(self.device).type
        if kind == "mps" or (kind == "cuda" and not torch.cuda.is_bf16_supported()):
            return torch.float16
        return torch.bfloat16  # as the weights are published; a CPU computes in it too


def free_gib(device: str) -> float | None:
    """GiB that are free on a device that is no CPU; None where there is no such device."""
    try:
        where = torch.device(device)
        if where.type == "mps":
            if not torch.backends.mps.is_available():
                return None
            most = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
            return round(most / 2**30, 1)
        return round(torch.cuda.mem_get_info(where)[0] / 2**30, 1)
    except (RuntimeError, ValueError, AssertionError):  # no such name, no driver, no card
        return None


def load_language_model(source: str, how: Placement) -> tuple[Any, Any]:
    """A transformers model that reads pictures, and its processor.

    Raises:
        MissingCheckpoint: It is not here and cannot be fetched, or cannot run as it was asked to.
    """
    given: dict[str, Any] = {"dtype": how.torch_dtype()}
    if how.attention:
        given["attn_implementation"] = how.attention
    if how.quantisation:
        given["quantization_config"] = _quantised(how)
    if how.device_map or how.quantisation:
        given["device_map"] = how.device_map or how.device
    if Path(source).is_dir():
        check_model_folder(Path(source), "mllm")
    try:
        given["use_safetensors"] = True
        model = AutoModelForImageTextToText.from_pretrained(source, **given)
        processor = AutoProcessor.from_pretrained(source)
    except (OSError, ValueError, ImportError, KeyError) as fault:
        raise MissingCheckpoint(_why(source, fault)) from fault
    if not (how.device_map or how.quantisation):
        model.to(how.device)
    processor.tokenizer.padding_side = "left"
    if how.pixels:
        frame = processor.image_processor
        least = min(SMALLEST, how.pixels)
        frame.size = type(frame.size)(shortest_edge=least, longest_edge=how.pixels)
    return model, processor


def add_embedding_token(model: Any, tokenizer: Any) -> bool:
    """Give a model the token `<emb>` if its tokenizer lacks it, as published ones do.

    Its embedding is the mean of all others, so that an adapter finds the one it was trained with.

    Returns:
        Whether it was added.
    """
    if prompts.EMBED in tokenizer.get_vocab():
        return False
    tokenizer.add_tokens([prompts.EMBED], special_tokens=True)
    index = tokenizer.convert_tokens_to_ids(prompts.EMBED)
    if index >= model.get_input_embeddings().num_embeddings:  # most tables have rows to spare
        model.resize_token_embeddings(index + 1, mean_resizing=False)
    table, output = (
        m.weight for m in (model.get_input_embeddings(), model.get_output_embeddings())
    )
    with torch.no_grad():
        table[index] = table[:index].mean(0, dtype=torch.float32).to(table.dtype)
        if output is not table:
            output[index] = 0
    return True


def digest(source: str, adapters: Mapping[str, Path]) -> str:
    """Hash of weights, settings and prompts: what an answer depends on."""
    digest = hashlib.sha256(f"{prompts.prompt_hash()}{revision(source)}".encode())
    for folder in (Path(source), *adapters.values()):
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        for path in (p for p in files if p.suffix in HASHED and p.name not in TOLD):
            with path.open("rb") as file:
                digest.update(file.read(4 << 20))
    return digest.hexdigest()[:12]


def _quantised(how: Placement) -> BitsAndBytesConfig:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingCheckpoint(
            f"Quantisation to {how.quantisation} needs one more package: pip install bitsandbytes. "
            "Or leave quantisation out."
        )
    if how.quantisation == "4bit":
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=how.torch_dtype())
    return BitsAndBytesConfig(load_in_8bit=True)


def _why(source: str, fault: Exception) -> str:
    """What is missing and the way out, as one sentence after another."""
    reason = (str(fault).splitlines() or [""])[0]
    if Path(source).is_dir():
        return (
            f"The language model in {source!r} cannot be loaded ({reason}). Fetch or train the "
            "folder anew. What works now: --profile embedded."
        )
    return f"The language model {source!r} {absent(source, reason)}"
