"""A region of the reference image to ignore or to keep, painted as cells of a coarse grid.

Written as "ignore:HEX" or "keep:HEX": one bit a cell, row by row from the top left, so that it fits
into an address. The models then see the picture without what was painted over; the cues that go
with it show what it carried.
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from cirdemo.types import BadInput

SIDE = 12  # cells a side: the language model's picture tokens are no finer
_WRITTEN = re.compile(r"(ignore|keep):([0-9a-f]{36})")


def masked(image: Image.Image, region: str) -> Image.Image:
    """The picture as the models are to see it.

    Args:
        image: RGB.
        region: As above; "" and a region with no painted cell leave the picture as it is.

    Returns:
        A new picture whose hidden cells have the mean colour of the visible ones.

    Raises:
        BadInput: The region is not written as above, or hides everything.
    """
    if not region:
        return image
    match = _WRITTEN.fullmatch(region)
    if match is None:
        raise BadInput("The painted region cannot be read; clear it and paint it again.")
    bits = np.array([int(b) for b in f"{int(match[2], 16):0{SIDE * SIDE}b}"], bool)
    if not bits.any():
        return image
    hidden = (bits if match[1] == "ignore" else ~bits).reshape(SIDE, SIDE)
    if hidden.all():
        raise BadInput("The painted region covers the whole picture; leave something to look at.")
    mask = np.asarray(
        Image.fromarray(hidden).resize(image.size, Image.Resampling.NEAREST)
    )  # (H, W)
    pixels = np.array(image)  # (H, W, 3)
    pixels[mask] = np.rint(pixels[~mask].mean(axis=0)).astype(np.uint8)
    return Image.fromarray(pixels)
