"""The one gate for pictures and texts from outside: limits, formats by content, plain refusals."""

from __future__ import annotations

import io
import re
import unicodedata
from pathlib import Path

from PIL import Image

from cirdemo.types import BadInput

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # decided by content, never by file name
FORMAT_SENTENCE = "Use a JPEG, PNG, WebP, GIF, BMP or TIFF picture."
SUFFIXES = frozenset(".jpg .jpeg .png .webp .gif .tif .tiff .bmp .heic .heif".split())
NO_PICTURE = "It is no picture."
MAX_PIXELS = 50_000_000  # 150 MB once decoded; under Pillow's own warning at 89 million
MAX_BYTES = 256 * 1024 * 1024  # an uncompressed 50-megapixel RGBA TIFF still fits
MAX_SIDE = 16_384  # pixels; no decoder or encoder here is made for a longer one
MIN_SIDE = 8  # pixels; below this not even one patch has content
MAX_TEXT = 500  # characters, after cleaning
MAX_RAW_TEXT = 20 * MAX_TEXT  # cleaning itself stays cheap

ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # Pillow's own convert() clips these
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_BRANDS = dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"mif1", b"msf1"), "HEIC")
_BRANDS[b"avif"] = "AVIF"  # known for what it is, and refused

_CONTROL_TOKEN = re.compile(
    r"<\s*[|｜].*?[|｜]\s*>"  # <|im_end|>, and the full-width bars some models use
    r"|</?[A-Za-z][\w-]*\s*/?>"  # <emb>, </think>, <image>; "<3" stays
    r"|\[(?:PAD|UNK|CLS|SEP|BOS|EOS|MASK)\]",  # special tokens of BERT-like vocabularies
    re.IGNORECASE | re.DOTALL,
)
_JOINERS = "\u200c\u200d"  # format characters that emoji and some scripts are made of


def load_image(source: str | Path | bytes | Image.Image) -> Image.Image:
    """Open a picture from outside as upright RGB.

    Only the first frame of an animation is taken; transparency is laid over white; 16-bit and
    floating-point greys are scaled to 8 bits; the EXIF rotation is applied.

    Args:
        source: A file, the bytes of one, or a picture that Pillow has already opened (it is not
            changed).

    Returns:
        A new RGB picture of at least 8 x 8 and at most 50 million pixels.

    Raises:
        BadInput: The file is missing, too large, too small, no picture, of another format,
            or damaged.
    """
    if isinstance(source, Image.Image):
        return _to_rgb(source)
    with _opened(source if isinstance(source, bytes) else _read(Path(source))) as opened:
        return _to_rgb(opened)


def _opened(data: bytes) -> Image.Image:
    """A picture whose head was read, of a known format."""
    if not data:
        raise BadInput(f"The picture file is empty. {FORMAT_SENTENCE}")
    if len(data) > MAX_BYTES:
        raise _too_many_bytes(len(data))
    formats = FORMATS if sniff(data) != "HEIC" else _heic()
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise BadInput(
            f"The picture has more than {MAX_PIXELS / 1e6:.0f} megapixels. "
            "Scale it down and try again."
        ) from fault
    except Exception as fault:  # Pillow's parsers raise nearly anything on hostile bytes
        raise BadInput(f"This file is not a picture that can be read. {FORMAT_SENTENCE}") from fault


def check_picture(path: Path) -> None:
    """Refuse a picture file by its head, before anything decodes it.

    Raises:
        BadInput: As `load_image`, as far as the head tells.
    """
    with _opened(_read(path)) as opened:
        _check_size(opened)


def sniff(head: bytes) -> str | None:
    """The format of a picture file by its first 32 bytes, or None for what is no picture."""
    for start, name in _MAGIC.items():
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    return None


def may_be_picture(name: str, head: bytes) -> bool:
    """Whether a file is worth opening: its first 32 bytes or its name say picture."""
    return sniff(head) is not None or Path(name).suffix.lower() in SUFFIXES


def _heic() -> tuple[str, ...]:
    """Teach Pillow to read HEIC, if the package for it is there."""
    try:
        import pillow_heif  # type: ignore[import-not-found]  # an extra of this package
    except ImportError as fault:
        raise BadInput(
            "Reading HEIC pictures needs one more package: pip install pillow-heif. Or save it as "
            "a JPEG."
        ) from fault
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def clean_text(text: str) -> str:
    """Tidy a modification text from outside.

    Characters are composed (NFC), white space and control characters collapse to single spaces,
    invisible format characters and the control tokens of language models are removed.

    Raises:
        BadInput: Nothing is left, or more than 500 characters are.
    """
    if not isinstance(text, str):
        raise BadInput("The modification text is missing. Say what should change.")
    if len(text) > MAX_RAW_TEXT:
        raise _too_long(len(text))
    text = unicodedata.normalize("NFC", "".join(map(_plain, text)))
    while (bare := _CONTROL_TOKEN.sub(" ", text)) != text:  # removal can uncover another token
        text = bare
    text = " ".join(text.split())
    if not any(unicodedata.category(character)[0] in "LNSP" for character in text):
        raise BadInput("The modification text is empty. Say what should change.")
    if len(text) > MAX_TEXT:
        raise _too_long(len(text))
    return text


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    if category in ("Cf", "Cs", "Co") and character not in _JOINERS:
        return ""
    return character


def _too_long(length: int) -> BadInput:
    return BadInput(
        f"The modification text has {length} characters; at most {MAX_TEXT} can be "
        "used. Shorten it."
    )


def _too_many_bytes(size: int) -> BadInput:
    return BadInput(
        f"The picture file has {size / 2**20:.0f} MiB; at most {MAX_BYTES / 2**20:.0f} MiB can be "
        "read. Save it as a JPEG or scale it down."
    )


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BadInput(f"There is no picture file '{path}'. Check the path.")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _too_many_bytes(size)
        return path.read_bytes()
    except (OSError, ValueError) as fault:  # ValueError: a null byte in the path
        raise BadInput(f"The picture file '{path}' cannot be read. Check it.") from fault


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadInput(
            f"The picture has {width * height / 1e6:.0f} megapixels ({width} x {height}); at most "
            f"{MAX_PIXELS / 1e6:.0f} can be used. Scale it down and try again."
        )
    if max(width, height) > MAX_SIDE:
        raise BadInput(
            f"The picture is {width} x {height} pixels; a side may have at most {MAX_SIDE}. "
            "Scale it down and try again."
        )
    if min(width, height) < MIN_SIDE:
        raise BadInput(
            f"The picture is {width} x {height} pixels; each side must have at least {MIN_SIDE}. "
            "Use a larger picture."
        )


def _to_rgb(picture: Image.Image) -> Image.Image:
    _check_size(picture)
    try:
        if getattr(picture, "is_animated", False):
            picture.seek(0)
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        rgb = _flatten(picture)
        return rgb.transpose(turn) if turn is not None else rgb
    except Exception as fault:  # decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        raise BadInput(
            "The picture is damaged or incomplete and cannot be decoded. Download or export it "
            f"again. {FORMAT_SENTENCE}"
        ) from fault


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # broken metadata must not cost the user a sound picture
        return 1


def _flatten(picture: Image.Image) -> Image.Image:
    """A new RGB picture without transparency; the input stays as it is."""
    if picture.mode in _WIDE_MODES:
        return _narrow(picture).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    if picture.mode == "RGB":
        return picture.copy()
    return picture.convert("RGB")


def _narrow(picture: Image.Image) -> Image.Image:
    """Scale a 16-bit, 32-bit or floating-point grey picture to 8 bits."""
    import numpy as np  # most pictures do without; it is most of what a decoder's start would take

    values = np.asarray(picture).astype(np.float32)  # (H, W)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if picture.mode.startswith("I;16") or (picture.mode == "I" and low >= 0 and high <= 65535):
        low, high = 0.0, 65535.0  # full scale of the format, so that dark stays dark
    elif picture.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    span = high - low or 1.0  # a constant picture becomes black instead of NaN
    return Image.fromarray(np.rint((values - low) / span * 255).astype(np.uint8), mode="L")
