"""`train NAME`: what each recipe needs, trains and writes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cirdemo.models import fusion as fusion_nets
from cirdemo.models import qwen, trained
from cirdemo.registry import unknown
from cirdemo.train import frozen, pools
from cirdemo.train.batches import Pictures
from cirdemo.train.compiled import compiled
from cirdemo.train.encoded import Encoded, encoded
from cirdemo.train.fit import fit
from cirdemo.train.job import POOL_SEED, Job, drawing
from cirdemo.types import MissingCheckpoint

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {"fables": 8000, "wardrobe": 2000}  # of ten pictures each, at a full budget
FULL_BUDGET = 1200.0  # seconds from which all families are drawn; shorter runs draw a share
FEWEST = 40  # families of each world in the shortest run
VISION_SHARE = 0.6  # of the language model's budget that its vision tower gets
SECONDS = {
    "encoder": 2400.0,
    "vision": 2400.0,
    "mllm": 3400.0,
    "judge": 1200.0,
    "cot": 1200.0,
    "inversion": 400.0,
    "qformer": 1000.0,
    "dpo_published": 300.0,
    "dpo": 500.0,
}
READERS = ("mllm", "judge", "cot")  # read pictures that the vision tower was not trained on
SLOW = ("encoder", "vision")  # look at every picture again and again: short runs take fewer


def run(
    name: str,
    *,
    seconds: float | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    cache: Path | None = None,
    base: Path | None = None,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train one recipe and write a loadable checkpoint.

    Args:
        name: A name of `RECIPES`.
        seconds: Wall-clock budget of the training itself; drawing pictures comes before it.
        seed: Of weights and batches, and of which pictures a language model reads.
        out: Folder of the checkpoint; default `runs/NAME`.
        cache: Where drawn pictures and resumable states are kept.
        base: Folder with `encoder` and `mllm` that adapters build on.
        start: Folder with weights of the same kind to go on from, in place of fresh ones.

    Raises:
        UnknownName: No such recipe.
        MissingCheckpoint: An adapter's base has not been trained.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    budget = seconds or SECONDS[name]
    folder = Path(out or Path("runs") / name)
    cache = cache or Path(os.environ.get("CIRDEMO_CACHE", Path.home() / ".cache" / "cirdemo"))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    share = min(1.0, budget / FULL_BUDGET)
    families = {world: _families(name, world, share, cache) for world in FAMILIES}
    reads = name in READERS and (name != "mllm" or start is not None)  # its tower is trained
    drawn = {
        world: pools.drawn_pool(world, count, POOL_SEED, cache / "pools", drawing(world))
        for world, count in ({} if reads else families).items()
    }
    base = base or ROOT / "checkpoints" / "embedded"
    state = cache / "train" / f"{name}-{seed}"
    job = Job(families, drawn, budget, seed, folder, base, state, start)
    facts = RECIPES[name](job)
    if "stopped" not in facts["training"]:
        for path in state.parent.glob(f"{state.name}*.pt"):  # done: the next run starts afresh
            path.unlink()
    return {"recipe": name, "out": str(folder), "seed": seed, **facts}


def _families(name: str, world: str, share: float, cache: Path) -> int:
    """Families to draw for a budget; all of them where drawing is done and pictures are cheap."""
    full = FAMILIES[world]
    there = (cache / "pools" / f"{world}-{full}-{POOL_SEED}.npy").exists()
    return full if there and name not in SLOW else max(FEWEST, round(full * share))


def _encoder(job: Job) -> Any:
    from cirdemo.train import encoder

    recipe = encoder.EncoderRecipe()
    trainer = encoder.EncoderTrainer(Pictures(list(job.drawn.values())), recipe, job.seed)
    if job.start:
        trainer.model.load_state_dict(_encoder_at(job.start)[0].state_dict())
    trainer.images = compiled(encoder.image_tower)
    trainer.written = compiled(encoder.text_tower)
    facts = fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr),
        job.state.with_suffix(".pt"),
        lambda: trainer.save(job.out),
    )
    frozen.familiar_pictures(trainer.model.visual, job.drawn).save(job.out)
    return job.done(recipe, facts)


def _see(job: Job, model: Any, tokenizer: Any, share: float) -> tuple[Any, dict[str, float]]:
    """Train the vision tower; its recipe and facts."""
    from cirdemo.train import mllm, vision

    recipe = vision.VisionRecipe()
    pictures = Pictures(list(job.drawn.values()))
    visual = model.model.visual
    trainer = vision.VisionTrainer(visual, pictures, recipe, job.seed, fresh=job.start is None)
    trainer.forward = compiled(qwen.batched_vision)
    return recipe, fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr, share),
        job.state.with_suffix(".vision.pt"),
        lambda: mllm.save(model, tokenizer, job.out),
        trainer.check,
    )


def _model(job: Job) -> tuple[Any, Any]:
    from cirdemo.train import mllm

    return mllm.continued(job.start) if job.start else mllm.fresh(job.seed)


def _vision(job: Job) -> Any:
    return job.done(*_see(job, *_model(job), 1.0))


def _mllm(job: Job) -> Any:
    """The vision tower, unless one to go on from is given, then the language model."""
    from cirdemo.train import mllm

    model, tokenizer = _model(job)
    seen: dict[str, float] = {}
    if job.start is None:
        looking, seen = _see(job, model, tokenizer, VISION_SHARE)
        if "stopped" in seen:
            return job.done(looking, seen)
    recipe = mllm.MllmRecipe()
    read = job.read()
    table = frozen.features(model.model.visual, read, job.kept("tokens"))
    trainer = mllm.MllmTrainer(model, tokenizer, read, table, recipe, job.seed)
    trainer.forward = compiled(qwen.language_states)
    facts = fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr, 1.0 if job.start else 1 - VISION_SHARE),
        job.state.with_suffix(".pt"),
        lambda: mllm.save(model, tokenizer, job.out),
        trainer.check,
    )
    both = {**facts, **{f"vision_{k}": v for k, v in seen.items()}}
    return job.done(recipe, both, read)


def _base_model(base: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    folder = base / "mllm"
    if not folder.is_dir():
        raise MissingCheckpoint(
            f'No checkpoint "mllm" at {folder}. Train it with "python -m cirdemo train mllm".'
        )
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return model.requires_grad_(False), AutoTokenizer.from_pretrained(folder)


def _dual_encoder(base: Path) -> Any:
    return _encoder_at(base / "encoder")


def _encoder_at(folder: Path) -> Any:
    import open_clip

    from cirdemo.models.encoders import open_model

    if not folder.is_dir():
        raise MissingCheckpoint(
            f'No checkpoint "encoder" at {folder}. Train it with "python -m cirdemo train encoder".'
        )
    model, _ = open_model(f"local-dir:{folder}", None)
    return model.eval(), open_clip.get_tokenizer(f"local-dir:{folder}")


def _judge(job: Job) -> Any:
    from cirdemo.train import judge, lora

    drawn, recipe = job.read(), judge.JudgeRecipe()
    torch.manual_seed(job.order)
    model, tokenizer = _base_model(job.base)
    encoder, words = _dual_encoder(job.base)
    coarse = frozen.Coarse(encoder, words, frozen.gallery_vectors(encoder, job))
    table = frozen.features(model.model.visual, drawn, job.kept("tokens"))
    tuned = lora.with_lora(model, "judge", recipe.rank, recipe.alpha, job.start)
    trainer = judge.JudgeTrainer(
        tuned, tokenizer, drawn, table, coarse, recipe, job.order, fresh=job.start is None
    )
    trainer.forward = compiled(qwen.language_states)
    facts = fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr, weight_decay=0.0),
        job.state.with_suffix(".pt"),
        lambda: lora.save_adapter(tuned, "judge", job.out),
        trainer.check,
    )
    return job.done(recipe, facts, drawn)


def _cot(job: Job) -> Any:
    from cirdemo.train import cot, lora

    drawn, recipe = job.read(), cot.CotRecipe()
    torch.manual_seed(job.order)
    model, tokenizer = _base_model(job.base)
    vectors = frozen.gallery_vectors(_dual_encoder(job.base)[0], job)
    table = frozen.features(model.model.visual, drawn, job.kept("tokens"))
    tuned = lora.with_lora(model, "cot", recipe.rank, recipe.alpha, job.start)
    trainer = cot.CotTrainer(tuned, tokenizer, drawn, table, vectors, recipe, job.order)
    if job.start:
        lora.load_projection(trainer.projection, job.start)
    trainer.forward = compiled(qwen.language_states)
    facts = fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr, weight_decay=0.0, muon=False),
        job.state.with_suffix(".pt"),
        lambda: lora.save_adapter(tuned, "cot", job.out, trainer.projection),
        trainer.check,
    )
    return job.done(recipe, facts, drawn)


def _on_encoder(job: Job, families: int) -> tuple[Any, Any, str, dict[str, Encoded]]:
    """The frozen encoder, its tokenizer, its space, and the pools as it sees them."""
    model, tokenizer = _encoder_at(job.base / "encoder")
    model.requires_grad_(False)
    worlds = {w: encoded(model, d, families, job.kept("encoded")) for w, d in job.drawn.items()}
    return model, tokenizer, trained.space_of(job.base / "encoder"), worlds


def _fit_on_encoder(job: Job, trainer: Any, recipe: Any, space: str, **schedule: Any) -> Any:
    if job.start:
        net = next(iter(trainer.modules.values()))  # what a checkpoint holds
        name = job.start.name
        trained.fill(net, trained.read(job.start, name, space)[1], job.start, name)
        net.train().requires_grad_(True)
    facts = fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr, **schedule),
        job.state.with_suffix(".pt"),
        lambda: trainer.save(job.out, space),
    )
    return job.done(recipe, facts)


def _inversion(job: Job) -> Any:
    from cirdemo.train import fusion

    recipe = fusion.InversionRecipe()
    model, tokenizer, space, worlds = _on_encoder(job, recipe.families)
    vectors = torch.cat([w.vectors for w in worlds.values()])
    trainer = fusion.InversionTrainer(model, tokenizer, vectors, recipe, job.order)
    return _fit_on_encoder(job, trainer, recipe, space)


def _qformer(job: Job) -> Any:
    from cirdemo.train import fusion

    recipe = fusion.QFormerRecipe()
    model, tokenizer, space, worlds = _on_encoder(job, recipe.families)
    asks = fusion.Asks(worlds, job.drawn, recipe.wardrobe, job.order)
    vocab = fusion_nets.TextTower(model).token_embedding.weight.shape[0]
    trainer = fusion.QFormerTrainer(tokenizer, vocab, asks, recipe, job.order)
    trainer.forward = compiled(trainer.net.forward, dynamic=True)  # texts vary in length
    return _fit_on_encoder(job, trainer, recipe, space)


def _dpo(job: Job, *, published: bool = False) -> Any:
    from cirdemo.train import fusion

    recipe = fusion.DpoRecipe(published=published)
    model, tokenizer, space, worlds = _on_encoder(job, recipe.families)
    asks = fusion.Asks(worlds, job.drawn, recipe.wardrobe, job.order)
    trainer = fusion.DpoTrainer(model, tokenizer, asks, recipe, job.order)
    return _fit_on_encoder(job, trainer, recipe, space, muon=False)  # AdamW, as the report's


RECIPES: dict[str, Callable[[Job], dict[str, Any]]] = {
    "encoder": _encoder,
    "vision": _vision,
    "mllm": _mllm,
    "judge": _judge,
    "cot": _cot,
    "inversion": _inversion,
    "qformer": _qformer,
    "dpo_published": functools.partial(_dpo, published=True),
    "dpo": _dpo,
}
