"""Commands about an encoder's space: geometry; whether its preprocessing is that of a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.cli.common import Answer, engine_of, settings_of
from cirdemo.types import BadInput

if TYPE_CHECKING:
    import numpy as np

VECTORS = (".npy", ".npz")


def geometry(args: argparse.Namespace) -> Answer:
    """Say how pictures and texts lie in a space: cosines, modality gap, what a sum follows."""
    from cirdemo.data.vectors import read_vectors
    from cirdemo.evaluate.geometry import geometry

    if bool(args.gallery) + bool(args.images) > 1 or not (
        args.gallery or args.images or args.texts
    ):
        raise BadInput("Give --gallery NAME or --images FILE, --texts FILE, or one with the other.")
    pictures = texts = references = None
    told: dict[str, str] = {}
    if args.images:
        pictures, told["pictures"] = read_vectors(args.images), str(args.images)
    if args.gallery:
        shelf = engine_of(args).gallery(args.gallery)
        pictures, told["pictures"] = shelf.vectors, f"gallery {args.gallery}, {shelf.space}"
    if args.texts and _is_vectors(args.texts):
        texts, told["texts"] = read_vectors(args.texts), str(args.texts)
    elif args.texts or args.gallery:
        texts, references, told["texts"] = _worded(args)
    if pictures is not None and texts is not None and pictures.shape[1] != texts.shape[1]:
        raise BadInput(
            f"Pictures have {pictures.shape[1]} numbers a vector, texts {texts.shape[1]}: they are "
            "of two encoders, and cosines between them mean nothing."
        )
    found = geometry(pictures, texts, references)
    for side, name in told.items():
        found.setdefault(side, {"count": 0})["from"] = name
    return found, 0


def _is_vectors(name: str) -> bool:
    return name.endswith(VECTORS) or any(f"{kind}:" in name for kind in VECTORS)


def _worded(
    args: argparse.Namespace,
) -> tuple[np.ndarray | None, Sequence[int] | None, str]:
    """Texts that are encoded here: a file's lines, a dataset's queries, or a gallery's captions.

    Returns:
        Vectors (T, D) or None where there are no texts, the row of each text's reference where it
        has one, and where the texts are from.
    """
    from cirdemo.data.vectors import read_lines

    engine = engine_of(args)
    encoder = engine.parts.encoder.get()
    if args.texts:
        return encoder.encode_texts(read_lines(Path(args.texts).expanduser())), None, args.texts
    shelf = engine.gallery(args.gallery)
    if args.gallery in engine.parts.datasets:
        triplets = list(engine.dataset(args.gallery).triplets("val"))
        rows = {image_id: row for row, image_id in enumerate(shelf.ids)}
        texts = encoder.encode_texts([t.modification for t in triplets])
        told = "the modification texts of val, each with its reference"
        return texts, [rows[t.reference_id] for t in triplets], told
    captions = [str((shelf.record(i) or {}).get("caption") or "") for i in shelf.ids]
    captions = [text for text in captions if text]
    if not captions:
        return None, None, "the pictures have no captions"
    return encoder.encode_texts(captions), None, "the captions of its pictures"


def check_preprocessing(args: argparse.Namespace) -> Answer:
    """Whether the encoder's preprocessing makes the tensors of a file out of its pictures."""
    from cirdemo.builder import preprocessing
    from cirdemo.conformance import check_tensors
    from cirdemo.data.vectors import read_array

    if args.pictures is None:
        raise BadInput("Name the folder of the pictures behind the tensors with --pictures DIR.")
    tensors, beside = read_array(args.preprocessing, 4)  # (N, 3, H, W)
    names = [str(n) for n in beside["names"]] if "names" in beside else None
    answer = check_tensors(preprocessing(settings_of(args)), tensors, args.pictures, names)
    return answer, 1 if answer["verdict"] == "failed" else 0


def show_geometry(answer: dict[str, Any]) -> str:
    """The geometry of a space for people."""
    lines, head = [], f"{'cosines':16}{'mean':>8}{'least':>8}{'5 %':>8}{'95 %':>8}{'most':>8}"
    for name in ("pictures", "texts"):
        if name in answer:
            of = answer[name]
            count = f"{of['count']} of {of['dim']} numbers" if of["count"] else "none"
            lines.append(f"{name}: {count}, {of['from']}")
    lines += ["", head]
    pairs = (("pictures", "picture-picture"), ("texts", "text-text"), ("between", "picture-text"))
    for name, label in pairs:
        cosine = answer.get(name, {}).get("cosine")
        if cosine:
            keys = ("mean", "least", "low", "high", "most")
            lines.append(f"{label:16}" + "".join(f"{cosine[k]:8.3f}" for k in keys))
    if "between" not in answer:
        return "\n".join(lines)
    lines += ["", f"Modality gap (distance between the means): {answer['between']['gap']:.3f}"]
    mixed = answer["sum"]
    if mixed is None:
        return "\n".join([*lines, "Too few pictures to say what a sum of both follows."])
    first = mixed["first"]
    lines += [
        "",
        f"Of the first {first} by one side alone, the share among the first {first} of the sum; "
        f"{mixed['queries']} queries, chance {100 * mixed['chance']:.1f} %:",
        f"{'weight of text':16}{'picture':>9}{'text':>9}",
    ]
    lines += [
        f"{row['text']:<16.2f}{100 * row['of_picture']:8.1f}%{100 * row['of_text']:8.1f}%"
        for row in mixed["weights"]
        if round(100 * row["text"]) % 10 == 0 or row["text"] in (0.25, 0.75)
    ]
    level = mixed["level"]
    lines.append(
        "They are never level." if level is None else f"Level at a text weight of {level:.2f}."
    )
    return "\n".join(lines)
