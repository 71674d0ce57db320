"""Whether a picture carries writing, told by shapes of letter size in a row; nothing is read.

A model that reads can be talked into things by what stands on a picture, so the page says so.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 320  # pixels of the longer side that is looked at
LEVELS = (64, 128, 192)  # greys that part ink from ground, both ways round
HEIGHT = (5, 0.3)  # pixels of a letter at least, and share of the picture at most
GAP = 1.2  # letter heights between two letters of a word at most
LEAST = 6  # letters in a row that count as writing: of shorter rows clean pictures hold too many


def has_writing(picture: Image.Image) -> bool:
    """Whether at least `LEAST` letters stand in a row; a word of three is not noticed.

    How often it is right, with words drawn on pictures and without: the README, requirement 37.
    """
    grey = picture.convert("L")
    grey.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(grey)  # (H, W)
    masks = [m for level in LEVELS for m in (values < level, values >= level)]
    return any(_longest(mask) >= LEAST for mask in masks)


def _longest(ink: np.ndarray) -> int:
    """The longest row of letters among the connected parts of a mask (H, W)."""
    labels, _ = ndimage.label(ink, np.ones((3, 3)))
    least, most = HEIGHT[0], HEIGHT[1] * ink.shape[0]
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        inside = 0 < columns.start and columns.stop < ink.shape[1]
        if least <= height <= most and 0.1 * height <= width <= 1.6 * height and inside:
            part = labels[rows, columns] == number
            if 0.15 <= part.mean() <= 0.95:
                found.append((columns.start, columns.stop, rows.start, rows.stop))
    found.sort(key=lambda one: one[0])
    longest = 0
    for number, first in enumerate(found):
        row = [first]
        for other in found[number + 1 :]:
            last, tall = row[-1], first[3] - first[2]
            if other[0] - last[1] > GAP * tall:
                break
            level = abs(other[3] - first[3]) <= 0.2 * tall and other[0] >= last[1] - 1
            if level and 0.6 <= (other[3] - other[2]) / tall <= 1.5:
                row.append(other)
        longest = max(longest, len(row))
    return longest
