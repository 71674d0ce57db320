"""A region of the reference image to ignore, to keep, or to search by, painted as cells of a grid.

Written as "ignore:HEX", "keep:HEX" or "crop:HEX": one bit a cell, row by row from the top left, so
that it fits into an address. The models then see the picture without what was painted over, only
what was painted over, or the smallest part of it that holds all painted cells, enlarged as any
picture is. "crop:X0,Y0,X1,Y1" names that part exactly, in shares of width and height.
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from cirdemo.intake import MIN_SIDE
from cirdemo.types import BadInput

SIDE = 12  # cells a side: the language model's picture tokens are no finer
_WRITTEN = re.compile(r"(ignore|keep|crop):([0-9a-f]{36})")
_SHARES = re.compile(r"crop:([01]?\.?\d*),([01]?\.?\d*),([01]?\.?\d*),([01]?\.?\d*)")


def masked(image: Image.Image, region: str) -> Image.Image:
    """The picture as the models are to see it.

    Args:
        image: RGB.
        region: As above; "" and a region with no painted cell leave the picture as it is.

    Returns:
        A new picture whose hidden cells have the mean colour of the visible ones, or the part.

    Raises:
        BadInput: The region is not written as above, hides everything, or is too small to see.
    """
    if not region:
        return image
    if (shares := _SHARES.fullmatch(region)) is not None:
        return _part(image, [float(s or "nan") for s in shares.groups()])
    match = _WRITTEN.fullmatch(region)
    if match is None:
        raise BadInput("The painted region cannot be read; clear it and paint it again.")
    bits = np.array([int(b) for b in f"{int(match[2], 16):0{SIDE * SIDE}b}"], bool)
    if not bits.any():
        return image
    if match[1] == "crop":
        rows, columns = np.nonzero(bits.reshape(SIDE, SIDE))
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        return _part(image, [int(v) / SIDE for v in box])
    hidden = (bits if match[1] == "ignore" else ~bits).reshape(SIDE, SIDE)
    if hidden.all():
        raise BadInput("The painted region covers the whole picture; leave something to look at.")
    mask = np.asarray(
        Image.fromarray(hidden).resize(image.size, Image.Resampling.NEAREST)
    )  # (H, W)
    pixels = np.array(image)  # (H, W, 3)
    pixels[mask] = np.rint(pixels[~mask].mean(axis=0)).astype(np.uint8)
    return Image.fromarray(pixels)


def _part(image: Image.Image, shares: list[float]) -> Image.Image:
    """The part of a picture between shares of its width and height: left, top, right, bottom.

    Raises:
        BadInput: They are no part of it, or one of fewer pixels than a picture needs.
    """
    x0, y0, x1, y1 = shares
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise BadInput(
            "A part of the picture is named by four shares, left, top, right, bottom, each from 0 "
            "to 1 and the second pair larger: 0.25,0,0.75,0.5."
        )
    sides = (image.width, image.height)
    box = tuple(round(s * sides[n % 2]) for n, s in enumerate((x0, y0, x1, y1)))
    if box[2] - box[0] < MIN_SIDE or box[3] - box[1] < MIN_SIDE:
        raise BadInput(
            f"The part has {box[2] - box[0]} x {box[3] - box[1]} pixels; each side must have at "
            f"least {MIN_SIDE}. Take a larger part."
        )
    return image.crop(box)  # type: ignore[arg-type]  # four numbers
