"""BLIP-2's Q-Former as an encoder of pictures and texts into one space."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, Blip2ForImageTextRetrieval

from cirdemo.hub import absent, revision
from cirdemo.models.encoders import HASHED_BYTES
from cirdemo.models.preprocessing import Preprocessing
from cirdemo.types import CirError, MissingCheckpoint

LONGEST = 32  # tokens of a text, as BLIP-2 was trained


class Blip2Encoder:
    """The contrastive side of BLIP-2's Q-Former.

    Source: Li et al., BLIP-2, 2023; the model that SPRC (Bai et al., 2024) and the Q-Former row of
        "Zero Shot CIR" start from.
    Needs: weights of the class `Blip2ForImageTextRetrieval`, such as Salesforce/blip2-itm-vit-g.
    Differs: BLIP-2 scores a pair by the best of a picture's 32 query vectors; here their mean is
        the picture's one vector, so that a gallery is searched by a dot product.
    """

    scale = 1.0

    def __init__(self, source: str, *, device: str = "cpu", batch_size: int = 16) -> None:
        """Load from a folder or a hub name.

        Raises:
            MissingCheckpoint: It is not here and cannot be fetched, or is of another class.
        """
        self.device, self.batch_size = torch.device(device), batch_size
        self.lock = threading.Lock()
        try:
            self.model = Blip2ForImageTextRetrieval.from_pretrained(source, dtype=torch.float32)
            self.processor = AutoProcessor.from_pretrained(source)
        except (OSError, ValueError, RuntimeError) as fault:
            reason = (str(fault).splitlines() or [""])[0]
            raise MissingCheckpoint(f"The encoder {source!r} {absent(source, reason)}") from fault
        self.model.to(self.device).eval().requires_grad_(False)
        self.dim = int(self.model.config.image_text_hidden_size)
        self.space = "@".join(filter(None, (_named(source), revision(source))))
        self.preprocessing = _described(self.processor.image_processor)

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embed pictures: (N, D) float32, unit norm."""
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(images), self.batch_size):
            batch = list(images[start : start + self.batch_size])
            pixels = self.processor.image_processor(batch, return_tensors="pt")["pixel_values"]
            with self.lock, torch.inference_mode():
                seen = self.model.vision_model(pixel_values=pixels.to(self.device))[0]  # (N, P, V)
                queries = self.model.query_tokens.expand(len(batch), -1, -1)  # (N, 32, H)
                states = self.model.qformer(
                    query_embeds=queries,
                    encoder_hidden_states=seen,
                    encoder_attention_mask=seen.new_ones(seen.shape[:2], dtype=torch.long),
                )[0]
                vectors = torch.nn.functional.normalize(
                    self.model.vision_projection(states), dim=-1
                )
                parts.append(_unit(vectors.mean(1)))
        return np.concatenate(parts)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts: (N, D) float32, unit norm."""
        parts = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(texts), self.batch_size):
            with self.lock:  # a fast tokenizer refuses a second thread
                words = self.processor.tokenizer(
                    list(texts[start : start + self.batch_size]),
                    padding=True,
                    truncation=True,
                    max_length=LONGEST,
                    return_tensors="pt",
                ).to(self.device)
            with self.lock, torch.inference_mode():
                embedded = self.model.embeddings(input_ids=words["input_ids"])
                states = self.model.qformer(
                    query_embeds=embedded, query_length=0, attention_mask=words["attention_mask"]
                )[0]  # (N, T, H)
                parts.append(_unit(self.model.text_projection(states[:, 0])))
        return np.concatenate(parts)

    def encode_patches(self, image: Image.Image) -> np.ndarray:
        """None.

        Raises:
            CirError: The Q-Former's queries have no places in the picture.
        """
        raise CirError(
            f"The encoder '{self.space}' gives a picture 32 vectors without places, so there is no "
            "heatmap. Pick an encoder such as ViT-B-32 for heatmaps."
        )

    def is_familiar(self, image: Image.Image) -> bool:
        """True: what it was trained on is not known here."""
        return True

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """None: its tokenizer spells any word."""
        return ()

    def seen_box(self, image: Image.Image) -> tuple[float, float, float, float]:
        """All of it: pictures are resized to a square."""
        return (0.0, 0.0, float(image.width), float(image.height))


def is_blip2(source: str) -> bool:
    """Whether a source is BLIP-2's, and not open_clip's: by its configuration or its name."""
    file = Path(source) / "config.json"
    if file.is_file():
        return str(json.loads(file.read_text(encoding="utf-8")).get("model_type")) == "blip-2"
    return "blip2" in source.lower() and not source.startswith("hf-hub:")


def preprocessing_of(source: str) -> Preprocessing:
    """What the encoder of a source does to pictures; loads no weights.

    Raises:
        MissingCheckpoint: Its configuration is not here and cannot be fetched.
    """
    try:
        frame = AutoImageProcessor.from_pretrained(source)
    except (OSError, ValueError) as fault:
        reason = (str(fault).splitlines() or [""])[0]
        raise MissingCheckpoint(
            f"The preprocessing of the encoder {source!r} {absent(source, reason)}"
        ) from fault

    def pixels(images: Sequence[Image.Image]) -> np.ndarray:
        return np.asarray(frame(list(images), return_tensors="pt")["pixel_values"])

    return Preprocessing(source=source, about=_described(frame), pixels=pixels)


def _described(frame: Any) -> str:
    return f"size={dict(frame.size)} mean={frame.image_mean} std={frame.image_std}"


def _named(source: str) -> str:
    """A name for the space: the hub's, or the folder's with what its weights begin with."""
    if not Path(source).is_dir():
        return source
    digest = hashlib.sha256()
    for file in sorted(Path(source).glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(stream.read(HASHED_BYTES))
    return f"{Path(source).name}@{digest.hexdigest()[:12]}"


def _unit(vectors: torch.Tensor) -> np.ndarray:
    array = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
    return np.ascontiguousarray(array, dtype=np.float32)
