"""Deletion and insertion curves: does the cosine follow a heatmap? Pixels only, any encoder.

Source: Petsiuk, Das and Saenko, RISE, 2018: patches go into a plain canvas, and come back into a
blurred one, so that no sharp edges are made where there were none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from PIL import Image, ImageFilter

from cirdemo.types import Encoder, Heatmap

STEPS = 6  # of a curve in the evaluation; a screen can afford more


def deletion_curve(
    encoder: Encoder,
    image: Image.Image,
    text: str,
    heat: Heatmap | np.ndarray,
    *,
    steps: int = 16,
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of picture and text as the hottest patches go, each replaced by the mean colour.

    Args:
        encoder: Any encoder.
        image: RGB.
        text: The text that the cosine is with.
        heat: A heatmap, or an array (Gh, Gw) whose largest cells go first.
        steps: How many steps from the whole picture to none of it.

    Returns:
        Shares of the patches that are gone, (steps + 1,) from 0 to 1, and the cosines there;
        the first is the cosine of the picture as it is.
    """
    return _curve(encoder, image, text, heat, steps, deleting=True)


def insertion_curve(
    encoder: Encoder,
    image: Image.Image,
    text: str,
    heat: Heatmap | np.ndarray,
    *,
    steps: int = 16,
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of picture and text as the hottest patches come back into the blurred picture.

    Arguments and result as in `deletion_curve`, the shares being those of the patches that are
    back: the last cosine is that of the picture as it is.
    """
    return _curve(encoder, image, text, heat, steps, deleting=False)


def area(shares: np.ndarray, cosines: np.ndarray) -> float:
    """Area under a curve, by the trapezoidal rule."""
    return float(np.trapezoid(cosines, shares))


def curve_areas(
    encoder: Encoder,
    image: Image.Image,
    text: str,
    orders: Mapping[str, np.ndarray],
    *,
    steps: int = STEPS,
) -> dict[str, dict[str, float]]:
    """Areas under the curves of several orders of one picture's patches, in one pass.

    Arguments as in `curve_lines`; the area by curve ("deletion": less is better, "insertion": more
    is) and order.
    """
    shares, lines = curve_lines(encoder, image, text, orders, steps=steps)
    return {
        curve: {name: area(shares, line) for name, line in by_order.items()}
        for curve, by_order in lines.items()
    }


def curve_lines(
    encoder: Encoder,
    image: Image.Image,
    text: str,
    orders: Mapping[str, np.ndarray],
    *,
    steps: int = STEPS,
) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
    """Both curves of several orders of one picture's patches, in one pass.

    Args:
        encoder: Any encoder.
        image: RGB.
        text: The text that the cosine is with.
        orders: Arrays (Gh, Gw) by name; the largest cells go, or come back, first.
        steps: As in `deletion_curve`.

    Returns:
        Shares (steps + 1,) from 0 to 1, and cosines (steps + 1,) by curve ("deletion",
        "insertion") and order.
    """
    inner = range(1, steps)
    frames: list[Image.Image] = []
    for deleting in (True, False):
        some = next(iter(orders.values()))
        frames += _frames(encoder, image, some, (0, steps), steps, deleting=deleting)
        for values in orders.values():
            frames += _frames(encoder, image, values, inner, steps, deleting=deleting)
    cosines = encoder.encode_images(frames) @ encoder.encode_texts([text])[0]
    out: dict[str, dict[str, np.ndarray]] = {}
    halves = np.split(np.asarray(cosines, np.float64), 2)
    for curve, half in zip(("deletion", "insertion"), halves, strict=True):
        (first, last), rest = half[:2], half[2:].reshape(len(orders), steps - 1)
        out[curve] = {
            name: np.concatenate([[first], line, [last]])
            for name, line in zip(orders, rest, strict=True)
        }
    return np.arange(steps + 1) / steps, out


def carried(shares: np.ndarray, deletion: np.ndarray, share: float = 0.2) -> float | None:
    """How much of the similarity the first part of the area carries.

    The fall of a deletion curve up to a share, over its fall from the whole picture to an empty
    one; None where the whole picture is no more like the text than the empty one.
    """
    whole, empty = float(deletion[0]), float(deletion[-1])
    if whole - empty < 1e-3:
        return None
    return (whole - float(np.interp(share, shares, deletion))) / (whole - empty)


def _curve(
    encoder: Encoder,
    image: Image.Image,
    text: str,
    heat: Heatmap | np.ndarray,
    steps: int,
    *,
    deleting: bool,
) -> tuple[np.ndarray, np.ndarray]:
    values = heat.values if isinstance(heat, Heatmap) else np.asarray(heat)
    frames = list(_frames(encoder, image, values, range(steps + 1), steps, deleting=deleting))
    cosines = encoder.encode_images(frames) @ encoder.encode_texts([text])[0]  # (steps + 1,)
    return np.arange(steps + 1) / steps, np.asarray(cosines, np.float64)


def _frames(
    encoder: Encoder,
    image: Image.Image,
    values: np.ndarray,
    at: Iterable[int],
    steps: int,
    *,
    deleting: bool,
) -> Iterator[Image.Image]:
    """The picture at some steps of a curve."""
    whole = image.convert("RGB")
    height, width = values.shape
    # cells of no heat are equal: a fixed shuffle orders them, where the grid's own order would
    # take them from the top of the picture
    shuffled = np.random.default_rng(0).permutation(values.size)
    order = shuffled[np.argsort(-values.ravel()[shuffled], kind="stable")]  # (Gh * Gw,)
    seen = getattr(encoder, "seen_box", None)
    x0, y0, x1, y1 = seen(whole) if seen else (0.0, 0.0, *map(float, whole.size))
    columns = np.rint(np.linspace(x0, x1, width + 1)).astype(int)
    rows = np.rint(np.linspace(y0, y1, height + 1)).astype(int)
    empty = _mean_coloured(whole) if deleting else _blurred(whole, (x1 - x0) / width)
    base, paint = (whole, empty) if deleting else (empty, whole)
    for step in at:
        if step == 0 or step == steps:
            yield base if step == 0 else paint
            continue
        frame = base.copy()
        for cell in order[: round(step * values.size / steps)]:
            row, column = divmod(int(cell), width)
            box = (columns[column], rows[row], columns[column + 1], rows[row + 1])
            frame.paste(paint.crop(box), box[:2])
        yield frame


def _mean_coloured(image: Image.Image) -> Image.Image:
    red, green, blue = (round(v) for v in np.asarray(image, np.float64).mean(axis=(0, 1)))
    return Image.new("RGB", image.size, (red, green, blue))


def _blurred(image: Image.Image, patch: float) -> Image.Image:
    """Blurred by a patch's width: shapes are gone, large areas keep their colour."""
    return image.filter(ImageFilter.GaussianBlur(patch))
