"""Profiles: which models play which part; and the settings that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cirdemo.registry import unknown
from cirdemo.types import BadInput

Role = Literal["encoder", "mllm", "reranker"]
ON_ENCODER = ("inversion", "qformer", "dpo_published", "dpo")  # weights on one encoder alone
ADAPTERS = ("judge", "cot")
CHOICES = {
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "attention": ("", "sdpa", "eager", "flash_attention_2"),
    "quantisation": ("", "4bit", "8bit"),
    "preprocess": ("", "targetpad"),
    "remote_api": ("chat", "systemone"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What the published weights of a source need."""

    parameters: int  # counted on the models built from their published configurations
    stored: int  # bytes of a parameter in the published file

    @property
    def disk_gib(self) -> float:
        """Of the download."""
        return self.parameters * self.stored / 2**30

    def memory_gib(self, width: float) -> float:
        """Of the weights in memory, at so many bytes a parameter; activations come on top."""
        return self.parameters * width / 2**30


B_32 = "hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
L_14 = "hf-hub:laion/CLIP-ViT-L-14-laion2B-s32B-b82K"
# `CIRDEMO_FULL_SIZE=1 python -m pytest tests/test_full_size.py` counts them again
WEIGHTS = {
    B_32: Weights(parameters=151_277_313, stored=4),
    L_14: Weights(parameters=427_616_513, stored=4),
    "Qwen/Qwen3-VL-2B-Instruct": Weights(parameters=2_127_532_032, stored=2),
    "Qwen/Qwen3-VL-Reranker-2B": Weights(parameters=2_127_532_032, stored=2),
    "Qwen/Qwen2.5-VL-7B-Instruct": Weights(parameters=8_292_166_656, stored=2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Which models play which part; a source is a folder under checkpoints/ or a hub name."""

    purpose: str
    encoder: str
    mllm: str = ""  # none: the server's
    reranker: str = ""  # a reranking model that judges; none: the mllm does
    adapters: Mapping[str, str] = field(default_factory=dict)  # LoRA: judge, cot
    tuned: Mapping[str, str] = field(default_factory=dict)  # of ON_ENCODER, for this encoder alone
    shipped: bool = False  # the sources are this project's own, under checkpoints/


PROFILES: dict[str, Profile] = {
    "embedded": Profile(
        purpose="any machine, no network, 2 CPU cores",
        encoder="embedded/encoder",
        mllm="embedded/mllm",
        adapters={"judge": "embedded/judge", "cot": "embedded/cot"},
        tuned={name: f"embedded/{name}" for name in ON_ENCODER},
        shipped=True,
    ),
    "photo": Profile(
        purpose="real photographs on a laptop or a free Space",
        encoder=B_32,  # a plain ViT under the MIT licence: heatmaps and pseudo-words work on it
        mllm="Qwen/Qwen3-VL-2B-Instruct",
        reranker="Qwen/Qwen3-VL-Reranker-2B",
        adapters={name: f"photo/{name}" for name in ADAPTERS},
    ),
    "paper": Profile(
        purpose="published settings on a GPU",
        encoder=L_14,
        mllm="Qwen/Qwen2.5-VL-7B-Instruct",
        adapters={name: f"paper/{name}" for name in ADAPTERS},
    ),
    "remote": Profile(
        purpose="photographs; a server of yours runs the language model",
        encoder=B_32,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """How models are found and run; part of `config.Settings`, so each is a variable too."""

    encoder: str = ""  # a folder or a hub name in place of the profile's
    mllm: str = ""  # the same; a transformers image-text-to-text model
    reranker: str = ""  # the same; "none": the mllm judges
    device: str = "cpu"  # a torch device: cpu, cuda, cuda:1, mps
    dtype: str = "auto"  # of large models; auto: bfloat16, float16 where a device has only that
    device_map: str = ""  # "auto" spreads a language model over all devices (accelerate)
    attention: str = ""  # of transformers: sdpa, eager, flash_attention_2
    quantisation: str = ""  # 4bit, 8bit: by bitsandbytes, on CUDA
    pixels: int = 512 * 512  # of a picture that a published language model looks at, at most
    preprocess: str = ""  # targetpad: pad the encoder's pictures to a ratio of at most 1.25
    remote: str = ""  # address of an OpenAI-compatible server, http://host:8000/v1
    remote_model: str = ""  # its name there; "": the only one it offers
    remote_key: str = field(default="", repr=False)  # sent as the bearer token, never shown
    remote_api: str = "chat"  # how it is asked for Yes or No: chat (logprobs) or systemone
    remote_timeout: float = 60.0  # seconds for one answer
    remote_tries: int = 4  # of one request, with growing pauses between
    remote_parallel: int = 8  # requests at a time

    def check(self) -> None:
        """Reject what cannot be.

        Raises:
            UnknownName: A value is not among its choices.
            BadInput: A number or an address cannot be.
        """
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown(f"value of {name}", getattr(self, name), [k for k in known if k])
        for name in ("pixels", "remote_timeout", "remote_tries", "remote_parallel"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} must be more than 0, got {getattr(self, name)}.")
        if self.remote and not self.remote.startswith(("http://", "https://")):
            raise BadInput(
                f"remote must be an address like http://127.0.0.1:8000/v1, got {self.remote!r}."
            )


def convert(name: str, text: str) -> object:
    """The value of a setting of this module from its text.

    Raises:
        BadInput: It is no number where one is needed.
    """
    kind: type = {"pixels": int, "remote_tries": int, "remote_parallel": int}.get(name, str)
    kind = float if name == "remote_timeout" else kind
    try:
        return kind(text)
    except ValueError:
        raise BadInput(f"{name} must be a number, got {text!r}.") from None


def chosen(profile: Profile, settings: ModelSettings, role: Role) -> str:
    """The source of a role as it was set, or the profile's; "" where a role has none."""
    given = getattr(settings, role)
    if given == "none":
        return ""
    if settings.remote and role != "encoder":
        return ""
    return (
        str(Path(given).expanduser()) if given.startswith("~") else given or getattr(profile, role)
    )
