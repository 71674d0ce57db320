"""`train judge|cot --data DIR`: LoRA on a published vision-language model, with accelerate.

The losses of `train/judge.py` and `train/cot.py` on real pictures: transformers' own forward,
vision tower frozen; number format, accumulation and several processes by accelerate.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

from cirdemo.data.benchmark import Missing
from cirdemo.data.benchmarks import read_all
from cirdemo.gallery.store import Gallery
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.prompts import prompt_hash
from cirdemo.registry import unknown
from cirdemo.train import large_data as data
from cirdemo.train import large_models as models
from cirdemo.train.fit import write_meta
from cirdemo.train.large_data import Ask
from cirdemo.train.large_fit import fit
from cirdemo.train.large_models import LargeAdapter, LargeCotRecipe, LargeJudgeRecipe
from cirdemo.train.precision import fast_dtype
from cirdemo.types import BadInput, Encoder, MissingCheckpoint

log = logging.getLogger(__name__)

QWEN_RERANKER = ("q_proj", "k_proj", "v_proj", "up_proj", "down_proj", "gate_proj")
WAIT = timedelta(hours=12)  # for the process that encodes the gallery
# Published: LamRA-Rank (7B): rank 128, alpha 256, learning rate 2e-5, one epoch, cosine, warm-up
# 0.03, batch 2 with 4 accumulated, lists of 2 to 5, vision tower frozen; LamRA-Ret: learning rate
# 1e-4. Qwen3-VL-Reranker (2B): rank 32, alpha 32, its six targets. Our choice, since SETR and
# CIR-CoT publish nothing of it: all else, among it LamRA's targets and the 2B learning rate.
RECIPES: dict[str, dict[str, LargeJudgeRecipe | LargeCotRecipe]] = {
    "judge": {
        "paper": LargeJudgeRecipe(rank=128, alpha=256, lr=2e-5),
        "photo": LargeJudgeRecipe(rank=32, alpha=32, targets=QWEN_RERANKER, lr=1e-4),
    },
    "cot": {
        "paper": LargeCotRecipe(rank=128, alpha=256, lr=1e-4),
        "photo": LargeCotRecipe(rank=32, alpha=32, targets=QWEN_RERANKER, lr=1e-4),
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeJob:
    """What to train, on what, and where to put it."""

    name: str  # judge or cot
    folder: Path  # of the benchmark
    model: str  # folder or hub name of the language model
    encoder: str | None  # of the coarse retriever; None: wrong pictures are random
    out: Path  # folder of the adapter
    cache: Path  # vectors, descriptions, resumable states
    profile: str = "photo"  # whose recipe
    dataset: str | None = None  # cirr, circo or fashioniq; None: what the folder holds
    split: str = "train"
    images: Path | None = None
    missing: Missing = "stop"
    rationales: Path | None = None  # JSON lines, for cot
    seconds: float | None = None  # of training, at most; else the recipe's epochs
    seed: int = 0
    start: Path | None = None  # folder of an adapter to go on from
    device: str | None = None  # "cpu"; else what accelerate finds
    options: Mapping[str, str] = field(default_factory=dict)  # values for fields of the recipe


def run(job: LargeJob) -> dict[str, Any]:
    """Train an adapter and write its folder, which `VisionLanguageModel.load` takes.

    Raises:
        UnknownName: No such recipe, option, benchmark or split.
        BadInput: An option, the annotations, the rationales or a picture cannot be used.
        MissingCheckpoint: A model or the annotations cannot be reached.
        CirError: The loss is no longer a number.
    """
    recipe = recipe_of(job)
    galleries = read_all(job.folder, job.dataset, job.split, images=job.images, missing=job.missing)
    asks = data.asks_of(galleries)
    _check(recipe, asks)
    thinking = data.read_rationales(job.rationales, asks) if job.rationales else 0
    half = has_bf16(job.device)
    accelerator = Accelerator(
        cpu=job.device == "cpu",
        gradient_accumulation_steps=recipe.accumulate,
        mixed_precision="bf16" if half else "no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=WAIT)],
    )
    if accelerator.device.type == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    say = log.info if accelerator.is_main_process else log.debug
    for gallery in galleries:
        say("%s", gallery.summary())
    if job.split != "train":
        say("Results on split %s of what is trained on it mean nothing.", job.split)
    if job.name == "cot" and not thinking:
        say(
            "No rationales (--rationales FILE): there is no text loss, and only the direct answer, "
            "method cot_direct, is learnt."
        )
    vlm = models.load(job.model, torch.bfloat16 if half else torch.float32)
    vlm.model.to(accelerator.device)
    encoder = _encoder(job, accelerator)
    if isinstance(recipe, LargeJudgeRecipe):
        _describe(job, recipe, asks, vlm, accelerator)
    shelves: dict[str, Gallery] = {}
    if encoder is not None:
        with accelerator.main_process_first():
            shelves = data.vectors_of(galleries, encoder, job.cache / "large", _tell)
        data.mine(asks, encoder, shelves)
    torch.manual_seed(job.seed)
    kind = {"judge": models.LargeJudge, "cot": models.LargeCot}[job.name]
    trainer: LargeAdapter = kind(vlm, recipe, shelves, job.start)
    learning, held = data.hold_out(asks, recipe.held_out, job.seed)
    state = job.cache / "train" / f"{job.name}-{_key(dataclasses.replace(job, seconds=None))}.pt"
    facts = fit(
        trainer,
        recipe,
        accelerator,
        learning,
        held,
        state,
        save=lambda: trainer.save(job.out),
        seed=job.seed,
        seconds=job.seconds,
    )
    report = {
        "model": vlm.identity,
        "encoder": encoder.space if encoder else None,
        "wrong_pictures": "coarse retriever's best 100" if encoder else "random",
        "queries": len(learning),
        "held_out_queries": len(held),
        "described": sum(bool(a.wanted) for a in asks),
        "rationales": thinking,
        "galleries": [g.summary() for g in galleries],
        "missing": {g.name: list(g.absent) for g in galleries if g.absent},
        "device": str(accelerator.device),
        "precision": accelerator.mixed_precision,
        "processes": accelerator.num_processes,
        "prompts": prompt_hash(),
    }
    if accelerator.is_main_process:
        write_meta(job.out, recipe, seed=job.seed, profile=job.profile, training=facts, **report)
        if "stopped" not in facts:
            state.unlink(missing_ok=True)  # done: the next run starts afresh
    accelerator.end_training()
    return {"out": str(job.out), "seed": job.seed, "training": facts, **report}


def recipe_of(job: LargeJob) -> LargeJudgeRecipe | LargeCotRecipe:
    """The profile's recipe with the job's options.

    Raises:
        UnknownName: There is no such recipe or option.
        BadInput: A value does not fit.
    """
    if job.name not in RECIPES:
        raise unknown("recipe for a benchmark folder", job.name, RECIPES)
    recipe = RECIPES[job.name].get(job.profile, RECIPES[job.name]["photo"])
    fields = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    given: dict[str, Any] = {}
    for name, text in job.options.items():
        if name not in fields:
            raise unknown("setting", name, fields)
        kind = type(fields[name])
        try:
            if kind is tuple:
                given[name] = tuple(part.strip() for part in text.split(",") if part.strip())
            elif kind is bool:
                given[name] = {"true": True, "false": False}[text.lower()]
            else:
                given[name] = kind(text)
        except (ValueError, KeyError):
            raise BadInput(f"--set {name}={text}: like {fields[name]!r}, please.") from None
        if kind in (int, float) and given[name] < (name in ("rank", "batch", "accumulate")):
            raise BadInput(f"--set {name}={text}: the value is too small.")
    return dataclasses.replace(recipe, **given)


def has_bf16(device: str | None) -> bool:
    """Whether the device that accelerate will take computes in bf16, and gains by it."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    on_cpu = device == "cpu" or not torch.backends.mps.is_available()
    return on_cpu and fast_dtype() is torch.bfloat16


# --- before training ----------------------------------------------------------------------


def _check(recipe: LargeJudgeRecipe | LargeCotRecipe, asks: Sequence[Ask]) -> None:
    """Refuse galleries that are too small for the lists."""
    needed = recipe.candidates if isinstance(recipe, LargeJudgeRecipe) else 2
    for ask in asks:
        if needed < 2 or len(ask.gallery.gallery_ids) - len(ask.right) < needed - 1:
            raise BadInput(
                f"{ask.gallery.name} has too few pictures for lists of {needed}: choose another "
                "length from 2 up with --set candidates=2, or add pictures."
            )


def _encoder(job: LargeJob, accelerator: Accelerator) -> Encoder | None:
    """The coarse retriever's encoder; without one the judge's wrong pictures are random."""
    why = "none was asked for"
    if job.encoder is not None:
        try:
            return OpenClipEncoder(job.encoder, device=str(accelerator.device))
        except MissingCheckpoint as error:
            why = str(error)
    if job.name == "cot":
        raise MissingCheckpoint(
            f"CIR-CoT needs an encoder, into whose space it is trained: {why} "
            "--encoder FOLDER takes one from disk; train judge works without."
        )
    log.warning("No coarse retriever (%s) The judge's wrong pictures are random ones.", why)
    return None


def _describe(
    job: LargeJob,
    recipe: LargeJudgeRecipe,
    asks: Sequence[Ask],
    vlm: VisionLanguageModel,
    accelerator: Accelerator,
) -> None:
    """Stage-1 descriptions for the share of queries that are told one."""
    told = [a for a in asks if random.Random(f"{job.seed}-{a.key}").random() < recipe.told]
    where = (job.model, job.folder.resolve(), job.split, prompt_hash())
    folder = job.cache / "large" / f"descriptions-{_key(*where)}"
    share = (accelerator.process_index, accelerator.num_processes)
    data.describe(told, vlm, folder, share=share, pixels=recipe.pixels, tell=_tell)
    accelerator.wait_for_everyone()
    data.described(told, folder)


def _tell(what: str, done: int, of: int) -> None:
    log.info("%s: %d of %d", what, done, of)


def _key(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
