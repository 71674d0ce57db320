"""The two adapters on a published vision-language model: recipes, batches, losses, folders."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForImageTextToText, AutoProcessor

from cirdemo import prompts
from cirdemo.gallery.store import Gallery
from cirdemo.models.loading import add_embedding_token
from cirdemo.models.mllm import PROJECTION, Part, VisionLanguageModel
from cirdemo.models.verdicts import spellings
from cirdemo.train.large_data import Ask, picture
from cirdemo.train.packing import IGNORED
from cirdemo.types import MissingCheckpoint

log = logging.getLogger(__name__)

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeRecipe:
    """What both adapters share; where a value comes from stands at `large.RECIPES`."""

    rank: int
    alpha: int
    lr: float
    targets: tuple[str, ...] = LAYERS  # projections of the language model; the rest is frozen
    epochs: float = 1.0
    warmup: float = 0.03  # share of the steps; then a cosine to 0
    batch: int = 2  # queries of a forward pass, on every device
    accumulate: int = 4  # forward passes of a step
    clip: float = 1.0  # gradient norm
    pixels: int = 512 * 512  # of a picture, at most
    held_out: int = 64  # queries, at most one in twenty, that choose the weights to keep
    save_every: int = 200  # steps
    checkpointing: bool = True  # activations are computed again on the way back: less memory


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeJudgeRecipe(LargeRecipe):
    """Settings of the judge."""

    candidates: int = 4  # pictures judged for a query, one of them a target
    told: float = 0.9  # share of queries with the stage-1 description in the prompt
    list_weight: float = 0.5  # softmax over a query's candidates beside the Yes/No loss


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeCotRecipe(LargeRecipe):
    """Settings of CIR-CoT; the loss is the paper's, weights and temperature are not published."""

    text_weight: float = 1.0  # lambda_txt
    info_weight: float = 0.5  # lambda_Info
    temperature: float = 0.05
    negatives: int = 1024  # gallery vectors drawn for a batch
    hard: int = 16  # of the coarse retriever's for every query among them


def load(source: str, dtype: torch.dtype) -> VisionLanguageModel:
    """A language model to be trained, frozen.

    Raises:
        MissingCheckpoint: It is no folder here, and the hub cannot be reached or lacks it.
    """
    try:
        model = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype)
        processor = AutoProcessor.from_pretrained(source)
    except (OSError, ValueError, ImportError) as error:
        on_hub = source.count("/") == 1 and not source.startswith((".", "/", "~"))
        way = f'"hf download {source} --local-dir FOLDER" fetches it where there is a network'
        raise MissingCheckpoint(
            f"The language model {source!r} is no complete folder here, nor does a hub give it "
            f"({str(error).splitlines()[0]}). {way + '; then pass' if on_hub else 'Pass'} "
            "--model FOLDER with weights and processor. What works now: --model "
            "checkpoints/embedded/mllm, or train without --data and --profile."
        ) from error
    processor.tokenizer.padding_side = "left"
    return VisionLanguageModel(model.requires_grad_(False), processor, source)


class LargeAdapter(nn.Module):
    """A LoRA adapter on the language model's projections, and how it is kept."""

    name: str

    def __init__(self, vlm: VisionLanguageModel, recipe: LargeRecipe, start: Path | None) -> None:
        """A fresh adapter, or one with the weights in a folder."""
        super().__init__()
        targets = rf".*language_model.*\.({'|'.join(recipe.targets)})"
        config = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=targets)
        self.tuned: PeftModel = get_peft_model(vlm.model, config, adapter_name=self.name)
        self.vlm, self.pixels = vlm, recipe.pixels
        if recipe.checkpointing:
            self.tuned.gradient_checkpointing_enable({"use_reentrant": False})
        if start is not None:
            if not (start / WEIGHTS).is_file():
                raise MissingCheckpoint(f"There is no adapter at {start}: it lacks {WEIGHTS}.")
            weights = load_file(start / WEIGHTS)
            set_peft_model_state_dict(self.tuned, weights, adapter_name=self.name)

    def states(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The last hidden states (N, T, hidden), by transformers' own forward."""
        core = self.tuned.get_base_model()
        core.model.rope_deltas = None  # transformers keeps it between calls
        return core.model(**inputs, use_cache=False).last_hidden_state

    def see(self, ask: Ask, image_id: str) -> Image.Image:
        """A picture of a query's gallery."""
        return picture(ask.gallery, image_id, self.pixels)

    def save(self, folder: Path) -> None:
        """The folder that `VisionLanguageModel.load` takes; half precision."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = get_peft_model_state_dict(
            self.tuned, adapter_name=self.name, save_embedding_layers=False
        )
        half = {k: v.detach().cpu().to(torch.bfloat16).contiguous() for k, v in weights.items()}
        _write(half, folder / WEIGHTS)
        self.tuned.peft_config[self.name].save_pretrained(str(folder))


class LargeJudge(LargeAdapter):
    """Yes or No behind reference, words and candidate, as `models/verdicts.py` reads it."""

    name = "judge"

    def __init__(
        self,
        vlm: VisionLanguageModel,
        recipe: LargeJudgeRecipe,
        shelves: Mapping[str, Gallery],
        start: Path | None,
    ) -> None:
        super().__init__(vlm, recipe, start)
        self.recipe = recipe
        yes, no = spellings(vlm, "yes"), spellings(vlm, "no")
        self.verdicts, self.spellings = [*yes, *no], len(yes)

    def batch(self, asks: Sequence[Ask], rng: random.Random) -> dict[str, Any]:
        """Every query with a target and wrong pictures: inputs (Q * C, T), labels (Q, C)."""
        turns: list[list[Part]] = []
        for ask in asks:
            reference = self.see(ask, ask.triplet.reference_id)
            said = prompts.judge_prompt(wording(ask, rng), ask.wanted, ask.caption)
            shown = [rng.choice(ask.triplet.target_ids)]
            shown += ask.draw_wrong(rng, self.recipe.candidates - 1)
            turns += [[reference, said, self.see(ask, image_id)] for image_id in shown]
        labels = torch.zeros(len(asks), self.recipe.candidates)
        labels[:, 0] = 1
        return {"inputs": self.vlm.inputs(turns), "labels": labels}

    def forward(self, inputs: Mapping[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The losses."""
        cue = self.states(inputs)[:, -1]  # inputs are padded on the left
        head = self.tuned.get_base_model().get_output_embeddings().weight
        logits = functional.linear(cue, head[self.verdicts]).float()
        yes, no = logits[:, : self.spellings], logits[:, self.spellings :]
        margins = (yes.logsumexp(1) - no.logsumexp(1)).view(labels.shape)  # (Q, C)
        binary = functional.binary_cross_entropy_with_logits(margins, labels)
        listed = (margins.logsumexp(1) - margins[:, 0]).mean()
        top = (margins.argmax(1) == 0).float().mean()
        loss = binary + self.recipe.list_weight * listed
        return {"loss": loss, "yesno": binary, "list": listed, "top": top}


class LargeCot(LargeAdapter):
    """Rationale tokens and the `<emb>` state: lambda_txt * CE + lambda_Info * InfoNCE.

    Each query is also answered with `<emb>` at once; that is all there is without rationales.
    """

    name = "cot"

    def __init__(
        self,
        vlm: VisionLanguageModel,
        recipe: LargeCotRecipe,
        shelves: Mapping[str, Gallery],
        start: Path | None,
    ) -> None:
        self.added = add_embedding_token(vlm.model, vlm.processor.tokenizer)
        super().__init__(vlm, recipe, start)
        self.recipe, self.shelves = recipe, shelves
        width = next(iter(shelves.values())).vectors.shape[1]
        hidden = vlm.model.config.get_text_config().hidden_size
        self.projection = nn.Linear(hidden, width, bias=False)
        if start is not None:
            self.projection.weight.data = load_file(start / PROJECTION)["weight"].float()

    def batch(self, asks: Sequence[Ask], rng: random.Random) -> dict[str, Any]:
        """Inputs and labels (N, T) of all answers, where `<emb>` is, and what it should find."""
        tokenizer = self.vlm.processor.tokenizer
        emb, end = tokenizer.convert_tokens_to_ids(prompts.EMBED), tokenizer.eos_token_id
        # a token that was added has no output row to be learnt: the end of the turn is said
        # there, where `VisionLanguageModel.reason` puts the token
        stop = end if self.added else emb
        turns: list[list[Part]] = []
        answers: list[list[int]] = []
        owners: list[int] = []
        for number, ask in enumerate(asks):
            reference, said = self.see(ask, ask.triplet.reference_id), wording(ask, rng)
            turns.append([reference, prompts.direct_prompt(said)])
            answers.append([])
            owners.append(number)
            if ask.rationale is not None and self.recipe.text_weight:
                r = ask.rationale
                text = prompts.RATIONALE.format(
                    caption=r.caption, reasoning=r.reasoning, conclusion=r.conclusion
                )
                turns.append([reference, prompts.reason_prompt(said)])
                answers.append(tokenizer(text, add_special_tokens=False)["input_ids"])
                owners.append(number)
        inputs = self.vlm.inputs(turns)
        rows, width = inputs["input_ids"].shape
        extra = max(map(len, answers)) + 2
        ids = torch.full((rows, extra), tokenizer.pad_token_id)
        mask, labels = torch.zeros_like(ids), torch.full((rows, width + extra), IGNORED)
        for row, answer in enumerate(answers):
            ids[row, : len(answer) + 2] = torch.tensor([*answer, emb, end])
            mask[row, : len(answer) + 2] = 1
            if answer:
                labels[row, width : width + len(answer) + 2] = torch.tensor([*answer, stop, end])
        tails = {"input_ids": ids, "attention_mask": mask}
        for key, value in inputs.items():
            if value.shape == (rows, width):
                inputs[key] = torch.cat([value, tails.get(key, torch.zeros_like(ids))], 1)
        found, kinds = self._gallery(asks, rng)
        return {
            "inputs": inputs,
            "labels": labels,
            "places": torch.tensor([width + len(a) for a in answers]),
            "gallery": found,
            "kinds": kinds[owners],
        }

    def _gallery(self, asks: Sequence[Ask], rng: random.Random) -> tuple[Tensor, Tensor]:
        """Vectors (R, D) of targets, coarse candidates and random pictures; what each is.

        The second is (Q, R): 1 a target, 0 wrong, -1 neither (the reference, other good answers).
        """
        shelf = self.shelves[asks[0].gallery.name]
        ids = {i for a in asks for i in a.triplet.target_ids}
        for ask in asks:
            ids.update(rng.sample(ask.wrong, min(self.recipe.hard, len(ask.wrong))))
        ids.update(rng.sample(shelf.ids, min(self.recipe.negatives, len(shelf))))
        columns = sorted(ids)
        kinds = [
            [1 if i in a.triplet.target_ids else -1 if i in a.right else 0 for i in columns]
            for a in asks
        ]
        vectors = torch.stack([torch.from_numpy(shelf.vector(i)) for i in columns])
        return vectors, torch.tensor(kinds)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        labels: Tensor,
        places: Tensor,
        gallery: Tensor,
        kinds: Tensor,
    ) -> dict[str, Tensor]:
        """The losses."""
        hidden = self.states(inputs)
        emb = hidden[torch.arange(len(places), device=places.device), places]
        vectors = functional.normalize(self.projection(emb.float()).float(), dim=1)
        scores = vectors @ gallery.T / self.recipe.temperature  # (N, R)
        scores = scores.masked_fill(kinds < 0, float("-inf"))
        hit = scores.masked_fill(kinds < 1, float("-inf")).logsumexp(1)
        info = (scores.logsumexp(1) - hit).mean()
        there = labels[:, 1:] != IGNORED
        text = info.new_zeros(())
        if there.any():
            head = self.tuned.get_base_model().get_output_embeddings()
            logits = head(hidden[:, :-1][there]).float()
            text = functional.cross_entropy(logits, labels[:, 1:][there])
        loss = self.recipe.text_weight * text + self.recipe.info_weight * info
        return {"loss": loss, "text": text, "info": info}

    def save(self, folder: Path) -> None:
        """As every adapter, with the projection."""
        super().save(folder)
        weight = self.projection.weight.detach().cpu().to(torch.bfloat16).contiguous()
        _write({"weight": weight}, folder / PROJECTION)


def wording(ask: Ask, rng: random.Random) -> str:
    """The modification text; one of FashionIQ's two orders."""
    return rng.choice(ask.triplet.modifications or (ask.triplet.modification,))


def _write(weights: dict[str, Tensor], path: Path) -> None:
    """Weights into a file that all may read, in one move: a stop leaves no half of it."""
    part = path.with_suffix(".part")
    save_file(weights, part)
    part.chmod(0o644)
    part.replace(path)
