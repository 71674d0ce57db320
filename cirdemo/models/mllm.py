"""One vision-language model for all roles: write, judge, reason; LoRA adapters by role.

Loads a folder or hub name of the Qwen2.5-VL, Qwen3-VL or Qwen3.5 class through transformers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from PIL import Image
from torch import Tensor
from transformers import DynamicCache

from cirdemo import prompts
from cirdemo.models import layout, rationales
from cirdemo.models.loading import (
    Placement,
    add_embedding_token,
    digest,
    load_language_model,
)
from cirdemo.models.pictures import PictureTokens, as_encoded
from cirdemo.models.qwen import merged_tokens, whole_batch
from cirdemo.models.rationales import PROJECTION as PROJECTION
from cirdemo.models.trusted import add_adapter, check_template, control_tokens
from cirdemo.models.verdicts import after_no, question_margins, yes_no
from cirdemo.types import MissingCheckpoint

Part = Image.Image | str  # one piece of a user's turn
MERGED = 100_000_000  # parameters of a model small enough to keep adapted weights beside its own


class VisionLanguageModel:
    """A vision-language model with its processor and adapters; safe under threads (one lock).

    `system` is what its turns begin with, where it was trained on such; `exact` reads a verdict
    from the tokens "yes" and "no" alone and not from every spelling of them.
    """

    system = ""
    exact = False

    def __init__(self, model: Any, processor: Any, identity: str) -> None:
        """Wrap a loaded model; use `load`."""
        self.model = model.eval()
        self.processor = processor
        self.identity = identity
        self.adapters: dict[str, Path] = {}
        self.lock = threading.RLock()
        self.pictures = PictureTokens(self._see)
        template = getattr(processor, "chat_template", None) or ""
        # Qwen3.5's template: answer without thinking aloud first
        check_template(template if isinstance(template, str) else str(template))
        self.control = control_tokens(processor.tokenizer)
        self.at_once = {"enable_thinking": False} if "enable_thinking" in template else {}
        self._adapted: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
        self._worn: str | None = None  # the adapter whose sums the weights are now
        self.small = model.num_parameters() <= MERGED
        self._small = isinstance(model, PeftModel) and self.small
        if self._small:  # its adapters are worn as sums and never run beside the weights
            model.base_model.disable_adapter_layers()

    @classmethod
    def load(
        cls,
        source: str,
        adapters: Mapping[str, str] | None = None,
        how: Placement | None = None,
    ) -> VisionLanguageModel:
        """A model from a local folder or a hub name, with LoRA adapters by role.

        Raises:
            MissingCheckpoint: The folder, the hub or an adapter cannot be reached.
        """
        model, processor = load_language_model(source, how or Placement())
        folders = {role: Path(path) for role, path in (adapters or {}).items()}
        if any((folder / PROJECTION).is_file() for folder in folders.values()):
            add_embedding_token(model, processor.tokenizer)
        for role, folder in folders.items():
            if not (folder / "adapter_config.json").is_file():
                raise MissingCheckpoint(
                    f"No adapter {role!r} at {folder}. Train it with "
                    f'"python -m cirdemo train {role}".'
                )
            model = add_adapter(model, folder, role)
        identity = f"{Path(source).name}@{digest(source, folders)}"
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
        with self.using(adapter), torch.inference_mode():
            inputs = self.laid_out(turns)
            sequences = self.model.generate(
                **inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1
            )
        start = inputs["input_ids"].shape[1]
        return [self.text(row[start:]) for row in sequences]

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One sentence a picture."""
        return self.generate([[image, prompts.CAPTION] for image in images])

    def inputs(self, turns: Sequence[Sequence[Part]]) -> dict[str, Tensor]:
        """User turns as tensors with their pictures' pixels, padded on the left.

        This is what training needs, and whoever wants the model to see the pictures anew.
        """
        return layout.with_pixels(self, turns)

    def laid_out(self, turns: Sequence[Sequence[Part]]) -> dict[str, Any]:
        """The same turns with picture tokens, kept by content, in place of pixels.

        The model takes it as it takes `inputs`; nothing is done to a picture that was seen.
        """
        return layout.with_tokens(self, turns)

    def text(self, ids: Tensor | Sequence[int]) -> str:
        """Token ids as words, without the special ones."""
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

    def ask(
        self,
        reference: Image.Image,
        asked: Sequence[str],
        candidate: Image.Image,
        *,
        adapter: str | None = None,
    ) -> list[float]:
        """logit(Yes) - logit(No) of several questions about one pair of pictures, in one batch."""
        return question_margins(self, reference, asked, candidate, adapter)

    def after_no(
        self, before: Sequence[Part], candidate: Image.Image, *, adapter: str | None = None
    ) -> str:
        """What is written behind a No about a candidate."""
        return after_no(self, before, candidate, adapter)

    # --- pictures and passes ----------------------------------------------------------------

    def features(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """Picture tokens (tokens, D) of each picture, kept by content."""
        with self.lock:
            return [tokens for tokens, *_ in self.pictures.get(images)]

    def _see(self, images: Sequence[Image.Image]) -> tuple[Any, Tensor]:
        inputs = self.processor.image_processor(images, return_tensors="pt")
        core, grid = self.core().model, inputs["image_grid_thw"].to(self.device)
        pixels = inputs["pixel_values"].to(self.device)
        if whole_batch(core.visual, grid):
            pixels = pixels.to(core.visual.dtype)
            out = SimpleNamespace(pooler_output=merged_tokens(core.visual, pixels, grid))
        else:
            out = core.get_image_features(pixels, grid, return_dict=True)
        return out, grid

    def positions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Rope positions (3, N, T) of whole turns: a picture moves them on by its side."""
        names = ("input_ids", "mm_token_type_ids", "image_grid_thw", "attention_mask")
        found: Tensor = self.core().model.get_rope_index(**{n: inputs[n] for n in names})[0]
        return found

    def states(
        self,
        ids: Tensor,
        positions: Tensor,
        cache: DynamicCache,
        images: Sequence[Image.Image] = (),
        mask: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (N, T, D) of a piece of some turns, behind what a cache holds.

        Args:
            ids: (N, T) of the piece.
            positions: (3, N, T), told because transformers would guess them from its last call.
            cache: Keys and values of all that stands before; the piece is added.
            images: The pictures whose places are among the ids, row by row.
            mask: (N, tokens in the cache + T), 0 where a row is padded.
        """
        seen = {"mm_encoder_outputs": as_encoded(self.pictures.get(images))} if images else {}
        return (
            self.core()
            .model(
                input_ids=ids.to(self.device),
                position_ids=positions.to(self.device),
                past_key_values=cache,
                attention_mask=None if mask is None else mask.to(self.device),
                use_cache=True,
                **seen,
            )
            .last_hidden_state
        )

    def cache(self) -> DynamicCache:
        """Room for the keys and values of a turn."""
        return DynamicCache(config=self.core().config.get_text_config())

    # --- reasoning -------------------------------------------------------------------------

    def reason(
        self,
        turns: Sequence[Sequence[Part]],
        said: Sequence[str] = (),
        *,
        adapter: str = "cot",
        max_new_tokens: int = 96,
    ) -> tuple[list[str], np.ndarray]:
        """What is written behind `said`, and the states at `<emb>` in the gallery's space.

        Args:
            turns: Of the user.
            said: The beginning of each answer; none: nothing is said yet.
            adapter: Its role.
            max_new_tokens: Of what is written.

        Returns:
            A text a turn, without its beginning, and vectors (N, D), unit norm.
        """
        return rationales.reason(self, turns, adapter, max_new_tokens, said)

    def reason_stream(
        self, turn: Sequence[Part], said: str = "", *, adapter: str = "cot", write: bool = True
    ) -> Iterator[tuple[str, np.ndarray | None]]:
        """One rationale as it is written behind `said`, with the vector (D,) at its end."""
        return rationales.stream(self, turn, adapter, said, write=write)

    def embed(self, turns: Sequence[Sequence[Part]], *, adapter: str = "cot") -> np.ndarray:
        """The states at an `<emb>` put where the answer would begin: (N, D), unit norm."""
        return rationales.embed(self, turns, adapter)

    def certainty(
        self, turn: Sequence[Part], answer: str, *, adapter: str | None = None
    ) -> list[tuple[int, int, float]]:
        """Where each token of an answer begins and ends in it, and its probability."""
        return rationales.certainty(self, turn, answer, adapter)

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

    @property
    def device(self) -> torch.device:
        """Where its inputs must be."""
        return self.core().get_input_embeddings().weight.device

    @property
    def recurrent(self) -> bool:
        """Whether some layers keep one state in place of keys, which padding would go into."""
        kinds = getattr(self.core().config.get_text_config(), "layer_types", None) or ()
        return "linear_attention" in kinds

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
            elif self._small:
                self._wear(adapter if adapter in self.adapters else None)
                yield
            elif adapter is None or adapter not in self.adapters:
                with self.model.disable_adapter():
                    yield
            else:
                self.model.set_adapter(adapter)
                yield

    def _wear(self, adapter: str | None) -> None:
        """Give a small model's weights an adapter's sums: fewer and larger matrix products.

        Both sets of weights are kept, so that nothing is ever added to rounded sums. What is worn
        stays on until another is asked for: to change it takes longer than a short answer.
        """
        if adapter == self._worn:
            return
        if self._worn is not None:
            for weight, own, _ in self._adapted[self._worn]:
                weight.data = own
            self._worn = None
        if adapter is None:
            return
        if adapter not in self._adapted:
            layers = [
                m for m in self.model.modules() if isinstance(m, LoraLayer) and adapter in m.lora_A
            ]
            with torch.inference_mode(False), torch.no_grad():
                self._adapted[adapter] = [
                    (
                        w := layer.get_base_layer().weight,
                        w.data,
                        (w + layer.get_delta_weight(adapter)).to(w.dtype),
                    )
                    for layer in layers
                ]
        for weight, _, both in self._adapted[adapter]:
            weight.data = both
        self._worn = adapter
