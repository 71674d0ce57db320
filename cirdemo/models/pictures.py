"""Picture tokens, kept by content: a gallery's pictures are judged again and again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
from PIL import Image
from torch import Tensor

KEPT = 4096  # pictures; 16 KB each in the embedded model

# of one picture: its tokens (t, D), then what deeper layers of the tower add to the first layers
# of the language model, (t, D) each: none in Qwen2.5-VL, three in Qwen3-VL
Features = tuple[Tensor, ...]


class PictureTokens:
    """A vision tower's answers, the latest `KEPT` of them kept."""

    def __init__(self, encode: Callable[[Sequence[Image.Image]], SimpleNamespace]) -> None:
        """How pictures are encoded: a tower's output, with `pooler_output` a picture at a time."""
        self._encode = encode
        self._kept: OrderedDict[str, Features] = OrderedDict()

    def get(self, images: Sequence[Image.Image]) -> list[Features]:
        """The features of each picture."""
        keys = [_key(image) for image in images]
        missing = {k: i for k, i in zip(keys, images, strict=True) if k not in self._kept}
        if missing:
            with torch.inference_mode():
                out = self._encode(list(missing.values()))
            deeper = getattr(out, "deepstack_features", None) or ()
            for key, *features in zip(missing, out.pooler_output, *deeper, strict=True):
                self._kept[key] = tuple(features)
        found = [self._kept[k] for k in keys]
        for key in keys:
            self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found


def as_encoded(features: Sequence[Features]) -> dict[str, SimpleNamespace]:
    """Features in the form that a model's `mm_encoder_outputs` takes them in."""
    tokens, *deeper = ([*layer] for layer in zip(*features, strict=True))
    return {"image": SimpleNamespace(pooler_output=tokens, deepstack_features=deeper)}


def _key(image: Image.Image) -> str:
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
