"""Encoders of pictures and texts into one space."""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.transformer import VisionTransformer
from PIL import Image
from safetensors.torch import load_file

from cirdemo.hub import absent, revision
from cirdemo.models.familiar import Familiar, token_statistics
from cirdemo.models.preprocessing import (
    CONFIG_FILE,
    TARGET_RATIO,
    Preprocessing,
    described,
    open_clip_preprocessing,
    padding,
    target_padded,
)
from cirdemo.models.trusted import check_file, read_settings
from cirdemo.models.turns import Turns
from cirdemo.types import CirError, MissingCheckpoint

WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
)  # open_clip's own order of preference
SHARDS = "open_clip_model-*-of-*.safetensors"  # ours: a plain push takes files up to 10 MB
HASHED_BYTES = 4 * 1024 * 1024  # of the weights: any training step changes them, and it is fast


class OpenClipEncoder:
    """A contrastive image and text encoder loaded through open_clip.

    Source: Cherti et al., Reproducible scaling laws for contrastive language-image learning, 2023.
    Needs: a folder with `open_clip_config.json`, weights and tokenizer, or a hub name.

    Pictures pass through `lock`, because the hooks of grad-cam see every forward pass of the
    visual tower: plain passes share it, heatmaps have it alone; texts do not need it.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        device: str = "cpu",
        batch_size: int = 64,
        target_pad: bool = False,
        command: str = "python -m cirdemo train encoder",
    ) -> None:
        """Load the encoder.

        Args:
            source: A local folder, or a hub name such as `ViT-B-32:openai` or `hf-hub:org/repo`.
            device: A torch device.
            batch_size: Pictures or texts per forward pass.
            target_pad: Pad pictures to a ratio of at most 1.25 before the encoder crops them.
            command: The command that makes the folder, named when it is absent.

        Raises:
            MissingCheckpoint: The folder is absent or incomplete, or the hub cannot be reached.
        """
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.lock = Turns()
        folder = _as_folder(source)
        if folder is not None:
            _check_folder(folder, command)
            model_name, tag, self.space = f"local-dir:{folder}", None, _identity(folder)
        else:
            model_name, tag = _split_hub_name(str(source))
            self.space = "@".join(filter(None, (str(source), revision(str(source)))))
        try:
            model, self.preprocess = open_model(model_name, tag, self.device)
            self.tokenizer: Any = open_clip.get_tokenizer(model_name)
        except Exception as fault:  # open_clip, safetensors and the hub client each have their own
            raise MissingCheckpoint(_load_failure(source, folder, command, fault)) from fault
        self.model: Any = model.eval().requires_grad_(False)
        # an own pass finds the width: towers of other libraries do not state it
        # inverse temperature of the contrastive softmax: cosine * scale is a log-probability
        self.scale = float(model.logit_scale.detach().exp())
        self._familiar = Familiar.load(folder) if folder is not None else None
        self.dim = int(self._texts(["a"]).shape[1])
        self.preprocessing = described(_preprocess_cfg(model))
        self.target_pad = target_pad
        if target_pad:  # other pixels, other vectors: such galleries are not to be mixed
            self.space += "+targetpad"
            self.preprocessing = f"targetpad={TARGET_RATIO} {self.preprocessing}"

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embed pictures: (N, D) float32, unit norm."""
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(images), self.batch_size):
            batch = self.pixels(images[start : start + self.batch_size])  # (N, 3, H, W)
            with self.lock.shared(), torch.inference_mode():
                parts.append(_unit(self.model.encode_image(batch)))
        return np.concatenate(parts)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts: (N, D) float32, unit norm."""
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(texts), self.batch_size):
            parts.append(self._texts(list(texts[start : start + self.batch_size])))
        return np.concatenate(parts)

    def encode_patches(self, image: Image.Image) -> np.ndarray:
        """Embed the patches of one picture in the shared space: (Gh, Gw, D) float32, unit norm.

        Raises:
            CirError: The visual tower has no patch grid.
        """
        visual = self.visual_transformer()
        batch = self.pixels([image])  # (1, 3, H, W)
        with self.lock, torch.inference_mode():
            tokens = visual.forward_intermediates(
                batch,
                indices=1,  # the last block
                normalize_intermediates=True,  # through ln_post
                intermediates_only=True,
                output_fmt="NLC",
            )["image_intermediates"][0]  # (1, Gh * Gw, width)
            if visual.proj is not None:
                tokens = tokens @ visual.proj  # (1, Gh * Gw, D)
        height, width = visual.grid_size
        return _unit(tokens[0]).reshape(height, width, -1)

    def is_familiar(self, image: Image.Image) -> bool:
        """Whether the picture looks like those the tower was trained on; True if not known."""
        if self._familiar is None:
            return True
        with self.lock:
            statistics = token_statistics(self.model.visual, self.pixels([image]))
        return bool(self._familiar.distance(statistics)[0] <= self._familiar.limit)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words that the tokenizer can only map to its unknown token, in order, each once.

        Empty for tokenizers that can spell any word.
        """
        inner: Any = getattr(self.tokenizer, "tokenizer", None)
        unknown = getattr(inner, "unk_token_id", None)
        if unknown is None or not getattr(inner, "is_fast", False):
            return ()
        coded = inner(text, add_special_tokens=False, return_offsets_mapping=True)
        words = (
            text[start:end]
            for token, (start, end) in zip(coded["input_ids"], coded["offset_mapping"], strict=True)
            if token == unknown
        )
        return tuple(dict.fromkeys(word for word in words if not _is_punctuation(word)))

    def seen_box(self, image: Image.Image) -> tuple[float, float, float, float]:
        """The part of a picture that reaches the model: (x0, y0, x1, y1) in its pixels."""
        width, height = image.size
        if self.target_pad:
            across, down = padding(image)
            width, height = width + 2 * across, height + 2 * down
            x0, y0, x1, y1 = self._cropped(width, height)
            inner = (image.width, image.height) * 2
            moved = (x0 - across, y0 - down, x1 - across, y1 - down)
            return tuple(  # type: ignore[return-value]
                min(max(v, 0.0), float(most)) for v, most in zip(moved, inner, strict=True)
            )
        return self._cropped(width, height)

    def _cropped(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of so many pixels that the preprocessing keeps."""
        if self._resize_mode() != "shortest":
            return (0.0, 0.0, float(width), float(height))
        side = min(width, height)
        x0, y0 = (width - side) / 2, (height - side) / 2
        return (x0, y0, x0 + side, y0 + side)

    def pixels(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Preprocess pictures into a batch (N, 3, H, W) on the encoder's device."""
        if self.target_pad:
            images = [target_padded(image) for image in images]
        return torch.stack([self.preprocess(image) for image in images]).to(self.device)

    def visual_transformer(self) -> VisionTransformer:
        """The visual tower, when it is a vision transformer with a class token.

        Raises:
            CirError: It is another kind of tower.
        """
        visual = self.model.visual
        if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None:
            raise CirError(
                f"The encoder '{self.space}' has no plain vision transformer, so it has no patch "
                "grid to explain. Pick an encoder such as ViT-B-32 for heatmaps."
            )
        return visual

    def _texts(self, texts: list[str]) -> np.ndarray:
        tokens = self.tokenizer(texts).to(self.device)  # (N, T)
        with torch.inference_mode():
            return _unit(self.model.encode_text(tokens))

    def _resize_mode(self) -> str:
        return str(_preprocess_cfg(self.model).get("resize_mode", "shortest"))


def preprocessing_of(source: str | Path, *, target_pad: bool = False) -> Preprocessing:
    """What the encoder of a source does to pictures; loads no weights.

    Raises:
        MissingCheckpoint: Its configuration is not here and cannot be fetched.
    """
    folder = _as_folder(source)
    tag = _split_hub_name(str(source))[1] if folder is None else None
    return open_clip_preprocessing(str(source), folder, tag, target_pad=target_pad)


def _unit(vectors: torch.Tensor) -> np.ndarray:
    """Float32 rows of unit norm."""
    array = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
    return np.ascontiguousarray(array, dtype=np.float32)


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(character)[0] in "PZ" for character in word)


def _as_folder(source: str | Path) -> Path | None:
    """The folder a source names, or None for a hub name."""
    if isinstance(source, Path):
        return source
    if source.startswith("local-dir:"):
        return Path(source.removeprefix("local-dir:"))
    if source.startswith("hf-hub:") or (":" in source and not Path(source).exists()):
        return None
    is_hub = source in open_clip.list_models() and not Path(source).exists()
    return None if is_hub else Path(source)


def _split_hub_name(name: str) -> tuple[str, str | None]:
    """Model name and weight tag; a name alone would load random weights.

    Raises:
        MissingCheckpoint: The name has no tag.
    """
    if name.startswith("hf-hub:"):
        return name, None
    model_name, _, tag = name.partition(":")
    if not tag:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(model_name)[:5]) or "none"
        raise MissingCheckpoint(
            f"'{name}' names a model but no weights. Write '{name}:TAG'; known tags: {known}."
        )
    return model_name, tag


def open_model(name: str, tag: str | None, device: torch.device | str = "cpu") -> tuple[Any, Any]:
    """A model of open_clip and its preprocessing; a local folder may hold weights in shards."""
    folder = Path(name.removeprefix("local-dir:")) if name.startswith("local-dir:") else None
    shards = sorted(folder.glob(SHARDS)) if folder is not None else []
    if not shards or (folder is not None and _weights(folder) not in shards):
        model, _, preprocess = open_clip.create_model_and_transforms(
            name, pretrained=tag, device=device
        )
        return model, preprocess
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it warns of random weights, which are replaced right here
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(
            name, device=device, load_weights=False
        )
    finally:
        logging.disable(before)
    model.load_state_dict({k: v for path in shards for k, v in load_file(path).items()})
    return model, preprocess


def _weights(folder: Path) -> Path | None:
    """The file of the weights, or the first of its shards."""
    whole = (folder / name for name in WEIGHT_FILES if (folder / name).is_file())
    return next(whole, None) or next(iter(sorted(folder.glob(SHARDS))), None)


def _check_folder(folder: Path, command: str) -> None:
    """Refuse a folder that open_clip would load without weights, or not at all."""
    wanted = [CONFIG_FILE] if not (folder / CONFIG_FILE).is_file() else []
    if _weights(folder) is None:  # open_clip only warns here and leaves the weights random
        wanted.append(WEIGHT_FILES[0])
    if wanted:
        state = f"lacks {' and '.join(wanted)}" if folder.is_dir() else "does not exist"
        raise MissingCheckpoint(
            f"No encoder in '{folder}': the folder {state}. Train one with \"{command}\", "
            "or choose another profile."
        )
    settings = read_settings(folder / CONFIG_FILE, "encoder")
    if "hf_model_name" in json.dumps(settings):  # open_clip would fetch what it names
        raise MissingCheckpoint(
            f"{CONFIG_FILE} in '{folder}' names a model elsewhere ('hf_model_name'). Use an "
            "encoder whose weights are all in its folder."
        )
    for path in sorted(folder.glob("*.safetensors")):
        check_file(path, "encoder")


def _load_failure(source: str | Path, folder: Path | None, command: str, fault: Exception) -> str:
    reason = f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"
    if folder is None:
        return f"The encoder {str(source)!r} {absent(str(source), reason)}"
    return (
        f"The encoder in '{folder}' could not be loaded ({reason}). Train it again with "
        f'"{command}", or fetch the folder anew.'
    )


def _identity(folder: Path) -> str:
    """Name of the space: the encoder's name and what its files hold."""
    meta = folder / "meta.json"
    name = folder.resolve().name
    if meta.is_file():
        try:
            name = str(json.loads(meta.read_text(encoding="utf-8")).get("name", name))
        except (ValueError, AttributeError):
            pass  # a broken meta.json costs the name, not the encoder
    digest = hashlib.sha256()
    for file in (folder / CONFIG_FILE, folder / "tokenizer.json"):
        digest.update(file.read_bytes() if file.is_file() else b"")
    weights = _weights(folder)
    if weights is not None:
        digest.update(str(weights.stat().st_size).encode())
        with weights.open("rb") as stream:
            digest.update(stream.read(HASHED_BYTES))
    return f"{name}@{digest.hexdigest()[:12]}"


def _preprocess_cfg(model: Any) -> dict[str, Any]:
    return dict(getattr(model.visual, "preprocess_cfg", None) or {})
