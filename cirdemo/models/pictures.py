"""Picture tokens, kept by content: a gallery's pictures are judged again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from transformers.utils import ModelOutput

KEPT = 4096  # pictures; 16 KB each in the embedded model
AT_ONCE = 16  # pictures a pass: more of them fall out of the processor's cache
KEPT_BYTES = 512 << 20  # of all: a photograph can take 4 MB in a published model

# of one picture: its tokens (t, D), then what deeper layers of the tower add to the first layers
# of the language model, (t, D) each: none in Qwen2.5-VL, three in Qwen3-VL
Features = tuple[Tensor, ...]
Key = tuple[int, int, str, int]


class Seen(NamedTuple):
    """What is kept of a picture."""

    grid: tuple[int, ...]  # (3,) patches in time, down and across
    features: Features


class PictureTokens:
    """A vision tower's answers, the latest `KEPT` of them kept."""

    def __init__(self, encode: Callable[[Sequence[Image.Image]], tuple[Any, Tensor]]) -> None:
        """How pictures are encoded.

        Args:
            encode: Gives a tower's output for pictures of one size, with `pooler_output` a
                picture at a time, and their grids (pictures, 3).
        """
        self._encode = encode
        self._kept: OrderedDict[Key, Seen] = OrderedDict()
        self._bytes = 0
        self.encoded = 0  # pictures that went through the tower so far

    def get(self, images: Sequence[Image.Image]) -> list[Features]:
        """The features of each picture."""
        return [one.features for one in self.seen(images)]

    def seen(self, images: Sequence[Image.Image]) -> list[Seen]:
        """The features of each picture, and its grid."""
        keys = [_key(image) for image in images]
        missing = {k: i for k, i in zip(keys, images, strict=True) if k not in self._kept}
        if missing:
            self.encoded += len(missing)
            for batch in _batches(missing):
                with torch.inference_mode():
                    out, grids = self._encode([missing[key] for key in batch])
                deeper = getattr(out, "deepstack_features", None) or ()
                parts = zip(batch, grids.tolist(), out.pooler_output, *deeper, strict=True)
                for key, grid, *features in parts:
                    self._kept[key] = Seen(tuple(grid), tuple(features))
                    self._bytes += _size(self._kept[key])
        found = [self._kept[k] for k in keys]
        for key in keys:
            self._kept.move_to_end(key)
        while self._kept and (len(self._kept) > KEPT or self._bytes > KEPT_BYTES):
            self._bytes -= _size(self._kept.popitem(last=False)[1])
        return found

    def forget(self, images: Sequence[Image.Image] | None = None) -> None:
        """Drop the features of some pictures, or of all."""
        keys = [*self._kept] if images is None else [_key(image) for image in images]
        for key in keys:
            if (dropped := self._kept.pop(key, None)) is not None:
                self._bytes -= _size(dropped)


@dataclass
class Encoded(ModelOutput):
    """A tower's output as the library's classes have it, each of them its own."""

    pooler_output: list[Tensor] | None = None  # (t, D) a picture
    deepstack_features: list[list[Tensor]] | None = None  # the same for each deeper layer


def as_encoded(features: Sequence[Features]) -> dict[str, Encoded]:
    """Features in the form that a model's `mm_encoder_outputs` takes them in."""
    tokens, *deeper = ([*layer] for layer in zip(*features, strict=True))
    return {"image": Encoded(pooler_output=tokens, deepstack_features=deeper)}


def _batches(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """Pictures of one size together, which a tower can run as one batch."""
    by_size: dict[tuple[int, int], list[Key]] = {}
    for key in keys:
        by_size.setdefault(key[:2], []).append(key)
    for same in by_size.values():
        for start in range(0, len(same), AT_ONCE):
            yield same[start : start + AT_ONCE]


def _size(one: Seen) -> int:
    return sum(tensor.nbytes for tensor in one.features)


def _key(image: Image.Image) -> Key:
    """By content: Python's hash of bytes, under a key that each process draws for itself.

    Nobody can make a picture that meets another's without that key, and by chance two of
    thousands meet once in 10^12 processes; a digest that needs no key takes five times as long,
    which was a tenth of a whole re-ranking.
    """
    return (*image.size, image.mode, hash(image.tobytes()))
