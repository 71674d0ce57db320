"""One vision-language model for all roles: write, judge, reason; LoRA adapters by role.

Loads any Qwen2.5-VL-architecture folder or hub name through transformers' Auto classes.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from cirdemo import prompts
from cirdemo.models.verdicts import yes_no
from cirdemo.types import MissingCheckpoint

Part = Image.Image | str  # one piece of a user's turn
CACHED_PICTURES = 4096  # picture tokens kept by content; 16 KB each in the embedded model
PROJECTION = "projection.safetensors"


class VisionLanguageModel:
    """A vision-language model with its processor and adapters; safe under threads (one lock)."""

    def __init__(self, model: Any, processor: Any, identity: str) -> None:
        """Wrap a loaded model; use `load`."""
        self.model = model.eval()
        self.processor = processor
        self.identity = identity
        self.adapters: dict[str, Path] = {}
        self.lock = threading.RLock()
        self._features: OrderedDict[str, Tensor] = OrderedDict()

    @classmethod
    def load(cls, source: str, adapters: Mapping[str, str] | None = None) -> VisionLanguageModel:
        """A model from a local folder or a hub name, with LoRA adapters by role.

        Raises:
            MissingCheckpoint: The folder, the hub or an adapter cannot be reached.
        """
        try:
            model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32)
            processor = AutoProcessor.from_pretrained(source)
        except (OSError, ValueError) as error:
            raise MissingCheckpoint(
                f"The language model {source!r} cannot be loaded ({str(error).splitlines()[0]}). "
                'Use --profile embedded, or train it with "python -m cirdemo train mllm".'
            ) from error
        processor.tokenizer.padding_side = "left"
        folders = {role: Path(path) for role, path in (adapters or {}).items()}
        if any((folder / PROJECTION).is_file() for folder in folders.values()):
            add_embedding_token(model, processor.tokenizer)
        for role, folder in folders.items():
            if not (folder / "adapter_config.json").is_file():
                raise MissingCheckpoint(
                    f"No adapter {role!r} at {folder}. Train it with "
                    f'"python -m cirdemo train {role}".'
                )
            if isinstance(model, PeftModel):
                model.load_adapter(folder, adapter_name=role)
            else:
                model = PeftModel.from_pretrained(model, folder, adapter_name=role)
        identity = f"{Path(source).name}@{_digest(source, folders)}"
        wrapped = cls(model, processor, identity)
        wrapped.adapters = folders
        return wrapped

    # --- writing ---------------------------------------------------------------------------

    def generate(
        self,
        turns: Sequence[Sequence[Part]],
        *,
        adapter: str | None = None,
        max_new_tokens: int = 48,
    ) -> list[str]:
        """The answers to user turns, greedily decoded, in one batch."""
        sequences, start, _ = self._generate(turns, adapter, max_new_tokens)
        return [self._text(row[start:]) for row in sequences]

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One sentence a picture."""
        return self.generate([[image, prompts.CAPTION] for image in images])

    def _generate(
        self, turns: Sequence[Sequence[Part]], adapter: str | None, max_new_tokens: int
    ) -> tuple[Tensor, int, dict[str, Tensor]]:
        inputs = self.inputs(turns)
        with self.using(adapter), torch.inference_mode():
            sequences = self.model.generate(
                **inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1
            )
        return sequences, inputs["input_ids"].shape[1], inputs

    def inputs(self, turns: Sequence[Sequence[Part]]) -> dict[str, Tensor]:
        """User turns as tensors, padded on the left, ready to be answered."""
        conversations = [
            [{"role": "user", "content": [_content(part) for part in turn]}] for turn in turns
        ]
        return dict(
            self.processor.apply_chat_template(
                conversations,
                tokenize=True,
                add_generation_prompt=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
        )

    def _text(self, ids: Tensor) -> str:
        text = self.processor.tokenizer.decode(ids, skip_special_tokens=True)
        return " ".join(text.split())

    # --- judging ---------------------------------------------------------------------------

    def yes_no(
        self,
        before: Sequence[Part],
        candidates: Sequence[Image.Image],
        *,
        adapter: str | None = None,
    ) -> Iterator[tuple[float, float]]:
        """P(Yes) and logit(Yes) - logit(No) of each candidate shown after a turn's beginning."""
        return yes_no(self, before, candidates, adapter)

    # --- pictures --------------------------------------------------------------------------

    def features(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """Picture tokens (tokens, D) of each picture, kept by content."""
        keys = [_key(image) for image in images]
        missing = {k: i for k, i in zip(keys, images, strict=True) if k not in self._features}
        if missing:
            inputs = self.processor.image_processor(list(missing.values()), return_tensors="pt")
            with torch.inference_mode():
                tokens = (
                    self.core()
                    .model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
                    .pooler_output
                )
            for key, value in zip(missing, tokens, strict=True):
                self._features[key] = value
        found = [self._features[k] for k in keys]
        for key in keys:
            self._features.move_to_end(key)
        while len(self._features) > CACHED_PICTURES:
            self._features.popitem(last=False)
        return found

    # --- reasoning -------------------------------------------------------------------------

    def reason(
        self, turns: Sequence[Sequence[Part]], *, adapter: str = "cot", max_new_tokens: int = 96
    ) -> tuple[list[str], np.ndarray]:
        """Written rationales, and the state at `<emb>` projected to the gallery's space.

        Returns:
            Texts, and vectors (N, D) float32 with unit norm.
        """
        emb = self.processor.tokenizer.convert_tokens_to_ids(prompts.EMBED)
        sequences, start, inputs = self._generate(turns, adapter, max_new_tokens)
        texts = [self._text(row[start:]) for row in sequences]
        rows, width = sequences.shape
        # where a rationale was cut short before <emb>, it is put behind the last word
        sequences = torch.cat([sequences, sequences.new_full((rows, 1), emb)], 1)
        ends = []
        for row in range(rows):
            after = sequences[row, start:]
            stop = (after == emb) | (after == self.processor.tokenizer.eos_token_id)
            ends.append(start + int(stop.nonzero()[0]))
            sequences[row, ends[-1]] = emb
        extra = width + 1 - start
        mask = torch.cat(
            [inputs["attention_mask"], inputs["attention_mask"].new_zeros(rows, extra)], 1
        )
        for row, end in enumerate(ends):
            mask[row, start : end + 1] = 1
        types = inputs["mm_token_type_ids"]
        with self.using(adapter), torch.inference_mode():
            states = (
                self.core()
                .model(
                    input_ids=sequences,
                    attention_mask=mask,
                    pixel_values=inputs["pixel_values"],
                    image_grid_thw=inputs["image_grid_thw"],
                    mm_token_type_ids=torch.cat([types, types.new_zeros(rows, extra)], 1),
                )
                .last_hidden_state
            )
            vectors = states[torch.arange(rows), torch.tensor(ends)] @ self._projection(adapter).T
        unit = torch.nn.functional.normalize(vectors.float(), dim=1)
        return texts, unit.numpy()

    def embed(self, turns: Sequence[Sequence[Part]], *, adapter: str = "cot") -> np.ndarray:
        """The state at an `<emb>` that is put where the answer would begin, projected.

        Returns:
            Vectors (N, D) float32 with unit norm.
        """
        emb = self.processor.tokenizer.convert_tokens_to_ids(prompts.EMBED)
        inputs = self.inputs(turns)
        rows = len(inputs["input_ids"])
        for key, value in (("input_ids", emb), ("attention_mask", 1), ("mm_token_type_ids", 0)):
            inputs[key] = torch.cat([inputs[key], inputs[key].new_full((rows, 1), value)], 1)
        with self.using(adapter), torch.inference_mode():
            states = self.core().model(**inputs).last_hidden_state  # (N, T, hidden)
            vectors = states[:, -1] @ self._projection(adapter).T
        return torch.nn.functional.normalize(vectors.float(), dim=1).numpy()

    def _projection(self, adapter: str) -> Tensor:
        """(D, hidden) of the adapter's folder."""
        path = self.adapters[adapter] / PROJECTION
        if not path.is_file():
            raise MissingCheckpoint(f"Adapter {adapter!r} has no {PROJECTION}; train it again.")
        return load_file(path)["weight"].float()

    # --- the rest --------------------------------------------------------------------------

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words that the tokenizer has no token for; none where it spells words in pieces."""
        tokenizer = self.processor.tokenizer
        if tokenizer.unk_token_id is None:
            return ()
        words = [
            w for w, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text.lower())
        ]
        known = tokenizer.get_vocab()
        return tuple(dict.fromkeys(w for w in words if w.isalnum() and w not in known))

    def core(self) -> Any:
        """The model without its adapters' wrapping."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @contextlib.contextmanager
    def using(self, adapter: str | None) -> Iterator[None]:
        """The model with an adapter, or with none; the lock keeps threads from each other's."""
        with self.lock:
            self.core().model.rope_deltas = None  # transformers keeps it between calls
            if not isinstance(self.model, PeftModel):
                yield
            elif adapter is None or adapter not in self.adapters:
                with self.model.disable_adapter():
                    yield
            else:
                self.model.set_adapter(adapter)
                yield


def add_embedding_token(model: Any, tokenizer: Any) -> bool:
    """Give a model the token `<emb>` if its tokenizer lacks it, as published ones do.

    Its embedding is the mean of all others, so that an adapter finds the one it was trained with.

    Returns:
        Whether it was added.
    """
    if prompts.EMBED in tokenizer.get_vocab():
        return False
    tokenizer.add_tokens([prompts.EMBED], special_tokens=True)
    index = tokenizer.convert_tokens_to_ids(prompts.EMBED)
    if index >= model.get_input_embeddings().num_embeddings:  # most tables have rows to spare
        model.resize_token_embeddings(index + 1, mean_resizing=False)
    table, output = (
        m.weight for m in (model.get_input_embeddings(), model.get_output_embeddings())
    )
    with torch.no_grad():
        table[index] = table[:index].mean(0, dtype=torch.float32).to(table.dtype)
        if output is not table:
            output[index] = 0
    return True


def _content(part: Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "image": part}


def _key(image: Image.Image) -> str:
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _digest(source: str, adapters: Mapping[str, Path]) -> str:
    """Hash of the weights and of the prompts: what an answer depends on."""
    digest = hashlib.sha256(prompts.prompt_hash().encode())
    for folder in (Path(source), *adapters.values()):
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
            with path.open("rb") as file:
                digest.update(file.read(4 << 20))
    return digest.hexdigest()[:12]
