"""From a picture to what an encoder reads, known from its configuration: no weights are needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
from huggingface_hub import hf_hub_download
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image

from cirdemo.hub import absent
from cirdemo.types import MissingCheckpoint

CONFIG_FILE = "open_clip_config.json"
TARGET_RATIO = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What an encoder does to a picture before its first layer."""

    source: str  # of the encoder
    about: str  # sizes and numbers, as in a gallery's manifest
    pixels: Callable[[Sequence[Image.Image]], np.ndarray]  # RGB pictures -> (N, 3, H, W) float32


def open_clip_preprocessing(
    source: str, folder: Path | None, tag: str | None, *, target_pad: bool = False
) -> Preprocessing:
    """Of an open_clip model, by the merging of configurations that open_clip does when it loads.

    Args:
        source: A folder, `NAME:TAG`, or `hf-hub:org/repo`.
        folder: The folder that the source names, if it names one.
        tag: The weights' tag, if the source is `NAME:TAG`.
        target_pad: Pad pictures to a ratio of at most 1.25 first.

    Raises:
        MissingCheckpoint: The configuration is not here and cannot be fetched, or is unknown.
    """
    try:
        if folder is not None or source.startswith("hf-hub:"):
            place = folder / CONFIG_FILE if folder is not None else None
            file = place or hf_hub_download(source.removeprefix("hf-hub:"), CONFIG_FILE)
            told = json.loads(Path(file).read_text(encoding="utf-8"))
            tower, given = told["model_cfg"]["vision_cfg"], told.get("preprocess_cfg", {})
        else:
            name = source.partition(":")[0].replace("/", "-")
            tower = (open_clip.get_model_config(name) or {})["vision_cfg"]
            given = open_clip.get_pretrained_cfg(name, tag or "")
            if not given:
                raise KeyError(tag)
    except Exception as fault:  # files, the hub's client and open_clip each have their own
        reason = f"{type(fault).__name__}: {(str(fault).splitlines() or [''])[0]}"
        raise MissingCheckpoint(
            f"The preprocessing of the encoder {source!r} {absent(source, reason)}"
        ) from fault
    base = PreprocessCfg(size=tower.get("image_size", 224))
    settings = merge_preprocess_dict(base, {**given, "size": base.size})
    transform = image_transform_v2(PreprocessCfg(**settings), is_train=False)

    def pixels(images: Sequence[Image.Image]) -> np.ndarray:
        padded = [target_padded(i) for i in images] if target_pad else images
        return np.stack([transform(image).numpy() for image in padded])

    about = described(settings)
    if target_pad:
        about = f"targetpad={TARGET_RATIO} {about}"
    return Preprocessing(source=source, about=about, pixels=pixels)


def described(settings: Mapping[str, Any]) -> str:
    """open_clip's preprocessing settings as text for a gallery's manifest."""
    size = settings.get("size", 224)
    sides = dict.fromkeys(size if isinstance(size, (tuple, list)) else (size,))
    side = "x".join(str(n) for n in sides)  # 128, or 128x96
    numbers = {key: ",".join(f"{v:.6g}" for v in settings.get(key, ())) for key in ("mean", "std")}
    return (
        f"size={side} interpolation={settings.get('interpolation')} "
        f"resize={settings.get('resize_mode')} mean={numbers['mean']} std={numbers['std']}"
    )


def target_padded(image: Image.Image) -> Image.Image:
    """The picture with black on its shorter side, so that no more than a fifth is cropped away.

    Source: CLIP4CIR (Baldrati et al., 2022), target ratio 1.25; SEARLE and others follow it.
    """
    across, down = padding(image)
    if not across and not down:
        return image
    size = (image.width + 2 * across, image.height + 2 * down)
    padded = Image.new(image.mode, size)
    padded.paste(image, (across, down))
    return padded


def padding(image: Image.Image) -> tuple[int, int]:
    """Pixels put on either side, and above and below."""
    width, height = image.size
    if max(width, height) / min(width, height) < TARGET_RATIO:
        return 0, 0
    side = max(width, height) / TARGET_RATIO
    return max(int((side - width) / 2), 0), max(int((side - height) / 2), 0)
