"""The ways one language model can be asked about candidates, for `bench rerank` to time.

All of them ask the same model, with the same adapter, the same tokens about the same pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import pipeline
from transformers.decision import DecisionConfig

from cirdemo.models.mllm import Part, VisionLanguageModel
from cirdemo.models.verdicts import spellings

PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
DECIDED = (  # a turn whose state is a text with pictures, laid out as by the chat template
    "<|im_start|>user {% for part in state %}{% if part['type'] == 'image' %}"
    + PICTURE
    + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|><|im_start|>assistant "
)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One query's question: the turn's beginning, and the candidates."""

    before: tuple[Part, ...]  # the reference and all words
    pictures: tuple[Image.Image, ...]  # (K,)


@dataclass(slots=True, eq=False)
class Ways:
    """The ways one model can be asked; margins (K,) are logit(Yes) - logit(No)."""

    model: VisionLanguageModel
    adapter: str | None
    asked: Asked

    def loop(self) -> np.ndarray:
        """A full forward pass a candidate, pictures prepared and encoded each time."""
        found = []
        with self._held():
            for picture in self.asked.pictures:
                self.model.core().model.rope_deltas = None
                inputs = self.model.inputs([[*self.asked.before, picture]])
                found.append(self.model.core()(**inputs).logits[0, -1].float())
        return self._margins(torch.stack(found))

    def prepared(self) -> dict[str, Tensor]:
        """The inputs of all candidates as one padded batch."""
        return self.model.inputs([[*self.asked.before, p] for p in self.asked.pictures])

    def batch(self, inputs: dict[str, Tensor]) -> np.ndarray:
        """One padded batch over inputs that are prepared already."""
        with self._held():
            self.model.core().model.rope_deltas = None
            kind = self.model.core().dtype
            cast = {k: v.to(kind) if v.is_floating_point() else v for k, v in inputs.items()}
            return self._margins(self.model.core()(**cast).logits[:, -1].float())

    def shared(self) -> np.ndarray:
        """What the app does."""
        verdicts = self.model.yes_no(self.asked.before, self.asked.pictures, adapter=self.adapter)
        return np.array([margin for _, margin in verdicts])

    def floor(self) -> Callable[[], object]:
        """The language model alone, over the candidates' tokens and the answer cue."""
        core = self.model.core()
        rows = self.suffix()
        width = core.config.get_text_config().hidden_size
        embeds = torch.randn(len(self.asked.pictures), rows, width, dtype=core.dtype)
        places = torch.arange(rows).expand(3, len(embeds), rows)

        def run() -> object:
            with self._held():
                return core.model.language_model(
                    inputs_embeds=embeds, position_ids=places, use_cache=False
                )

        return run

    def pipeline(self) -> Callable[[], np.ndarray]:
        """Transformers' own pipeline for decisions, a prompt a candidate.

        Its answer is the probability among the two labels, whose log-odds are a margin.
        """
        processor = copy.deepcopy(self.model.processor)  # it adds tokens of its own
        decide = pipeline(
            "decision",
            model=self.model.core(),
            tokenizer=processor.tokenizer,
            processor=processor,
            decision_config=DecisionConfig(chat_template=DECIDED),
        )
        names = [f"[picture {n}]" for n in range(len(self.asked.before) + 1)]
        named = list(zip(names, self.asked.before, strict=False))  # the last name is a candidate's
        told = [n if isinstance(p, Image.Image) else p for n, p in named]
        shown = {n: p for n, p in named if isinstance(p, Image.Image)}
        request = {"state": "".join([*told, names[-1]]), "questions": {"a": {"type": "noul"}}}

        def run() -> np.ndarray:
            found = []
            with self._held():
                for picture in self.asked.pictures:
                    self.model.core().model.rope_deltas = None
                    answer = decide({**request, "assets": {**shown, names[-1]: picture}})
                    chance = min(max(answer["a"]["noul"], 1e-12), 1 - 1e-12)
                    found.append(np.log(chance / (1 - chance)))
            return np.array(found)

        return run

    def forget(self, pictures: Sequence[Image.Image] | None = None) -> None:
        """Drop kept features: of some pictures, or of all."""
        self.model.pictures.forget(pictures)

    def suffix(self) -> int:
        """Tokens of a candidate and the answer cue."""
        ids = self.model.inputs([[*self.asked.before, self.asked.pictures[0]]])["input_ids"][0]
        start = self.model.core().config.vision_start_token_id
        return len(ids) - int((ids == start).nonzero()[-1])

    def length(self) -> int:
        """Tokens of a whole turn."""
        turn = [[*self.asked.before, self.asked.pictures[0]]]
        return int(self.model.inputs(turn)["input_ids"].shape[1])

    def halved(self) -> Ways:
        """The same model with the adapter added in, in bf16."""
        with self.model.using(self.adapter):
            copied = copy.deepcopy(self.model.model)
        half = VisionLanguageModel(copied.bfloat16(), self.model.processor, self.model.identity)
        return Ways(half, None, self.asked)

    def _held(self) -> Any:
        return _Held(self.model, self.adapter)

    def _margins(self, logits: Tensor) -> np.ndarray:
        """(K, vocabulary) to (K,)."""
        yes, no = spellings(self.model, "yes"), spellings(self.model, "no")
        return (logits[:, yes].logsumexp(1) - logits[:, no].logsumexp(1)).numpy()


class _Held:
    """The model under its adapter, without gradients."""

    def __init__(self, model: VisionLanguageModel, adapter: str | None) -> None:
        self._using, self._mode = model.using(adapter), torch.inference_mode()

    def __enter__(self) -> None:
        self._using.__enter__()
        self._mode.__enter__()

    def __exit__(self, *fault: Any) -> None:
        self._mode.__exit__(*fault)
        self._using.__exit__(*fault)
