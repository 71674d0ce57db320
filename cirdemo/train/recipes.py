"""`train NAME`: what each recipe needs, trains and writes."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cirdemo.data.drawn import queries
from cirdemo.models import fusion as fusion_nets
from cirdemo.models import qwen, trained
from cirdemo.models.familiar import Familiar, token_statistics
from cirdemo.registry import unknown
from cirdemo.train import pools
from cirdemo.train.batches import Pictures
from cirdemo.train.compiled import compiled
from cirdemo.train.encoded import Encoded, digest, encoded
from cirdemo.train.fit import Schedule, fit, told, write_meta
from cirdemo.train.precision import autocast
from cirdemo.types import MissingCheckpoint

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {"fables": 8000, "wardrobe": 2000}  # of ten pictures each, at a full budget
READ = {"fables": 4000, "wardrobe": 1000}  # of them, whose tokens the language model reads
FULL_BUDGET = 1200.0  # seconds from which all families are drawn; shorter runs draw a share
FEWEST = 40  # families of each world in the shortest run
POOL_SEED = 1
VISION_SHARE = 0.6  # of the language model's budget that its vision tower gets
AGAIN = 0.5  # of the learning rate, when training goes on from earlier weights
CHUNK = 250  # pictures encoded at once
SEEN = 1500  # pictures of each world that say what is familiar
HARD = 100  # coarse candidates a query's negatives are drawn from
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
        world: pools.drawn_pool(world, count, POOL_SEED, cache / "pools", _drawing(world))
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


@dataclass(frozen=True, slots=True)
class Job:
    """What a recipe is to do."""

    families: dict[str, int]  # by world, as many as the budget is worth
    drawn: dict[str, pools.DrawnPool]  # them; none for those that only read others
    seconds: float
    seed: int
    out: Path  # folder of the checkpoint
    base: Path  # folder with the models that it builds on
    state: Path  # stem of the resumable state
    start: Path | None  # folder with weights to go on from

    def schedule(self, lr: float, share: float = 1.0, **settings: Any) -> Schedule:
        """A schedule over a share of the budget; slower where training goes on."""
        lr *= AGAIN if self.start else 1.0
        return Schedule(seconds=self.seconds * share, lr=lr, **settings)

    def read(self) -> dict[str, pools.DrawnPool]:
        """The pictures that a language model is trained on: fewer than its tower saw, and others.

        A tower may read the pictures it was trained on better than any other; a language model, a
        judge or a reasoner that learns from those trusts it more than it deserves. The seed says
        which pictures, so that a training that goes on reads new ones.
        """
        return {
            world: pools.drawn_pool(
                world,
                min(READ[world], count),
                POOL_SEED + 1 + self.seed,
                self.kept("pools"),
                _drawing(world),
            )
            for world, count in self.families.items()
        }

    def kept(self, name: str) -> Path:
        """A folder of what is computed once and used by several recipes."""
        return self.state.parents[1] / name

    def done(
        self, recipe: Any, facts: dict[str, float], drawn: dict[str, pools.DrawnPool] | None = None
    ) -> dict[str, Any]:
        """Write `meta.json`; what `run` reports. `drawn`: the pictures used, if not all."""
        started = {"started_from": told(self.start)} if self.start else {}
        write_meta(
            self.out,
            recipe,
            seed=self.seed,
            data=_data(drawn or self.drawn),
            training=facts,
            **started,
        )
        return {"training": facts}


def _families(name: str, world: str, share: float, cache: Path) -> int:
    """Families to draw for a budget; all of them where drawing is done and pictures are cheap."""
    full = FAMILIES[world]
    there = (cache / "pools" / f"{world}-{full}-{POOL_SEED}.npy").exists()
    return full if there and name not in SLOW else max(FEWEST, round(full * share))


def _drawing(world: str) -> Callable[[int, int], None]:
    def tell(done: int, of: int) -> None:
        if done % 4096 < 256 or done == of:
            log.info("drawing %s: %d of %d pictures", world, done, of)

    return tell


def _data(drawn: dict[str, pools.DrawnPool]) -> dict[str, Any]:
    return {
        world: {
            "pictures": len(d.pictures),
            "queries": len(d.targets),
            "fingerprint": d.fingerprint,
        }
        for world, d in drawn.items()
    }


# --- encoder ------------------------------------------------------------------------------


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
    familiar_pictures(trainer.model.visual, job.drawn).save(job.out)
    return job.done(recipe, facts)


def familiar_pictures(visual: torch.nn.Module, drawn: dict[str, pools.DrawnPool]) -> Familiar:
    """What seen pictures look like to the tower, from a spread of every pool."""
    rows = []
    for pool in drawn.values():
        some = pool.pictures[:: max(1, len(pool.pictures) // SEEN)][:SEEN]
        x = torch.from_numpy(np.array(some)).permute(0, 3, 1, 2).float() / 127.5 - 1
        rows.append(token_statistics(visual.eval(), x))
    return Familiar.fit(np.concatenate(rows))


# --- language model -----------------------------------------------------------------------


def features(visual: torch.nn.Module, drawn: dict[str, pools.DrawnPool], cache: Path) -> Tensor:
    """Picture tokens (pictures, tokens, D) in bf16 of all pools, one after another.

    They are kept in the cache: the language model and its adapters read the same ones.
    """
    told = "-".join(f"{d.fingerprint}-{len(d.pictures)}" for d in drawn.values())
    file = cache / f"{told}-{digest(visual)}.pt"
    if file.exists():
        return torch.load(file, weights_only=True)

    def tokens(tower: torch.nn.Module, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        return qwen.batched_vision(tower, qwen.to_patches(x), (qwen.GRID, qwen.GRID))[1]

    look = compiled(tokens)
    out = []
    with torch.no_grad(), autocast():
        for pool in drawn.values():
            for start in range(0, len(pool.pictures), CHUNK):
                pixels = torch.from_numpy(np.array(pool.pictures[start : start + CHUNK]))
                out.append(look(visual, pixels).to(torch.bfloat16))
    cache.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    torch.save(table := torch.cat(out), part)
    part.replace(file)
    return table


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
    table = features(model.model.visual, read, job.kept("tokens"))
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


# --- adapters -----------------------------------------------------------------------------


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


def gallery_vectors(encoder: Any, job: Job) -> dict[str, Tensor]:
    """The dual encoder's vectors (N, D) of the pictures that are read, unit norm, by world."""
    cache = job.kept("encoded")
    return {w: encoded(encoder, d, READ[w], cache).vectors for w, d in job.read().items()}


def hard_negatives(
    encoder: Any, tokenizer: Any, drawn: dict[str, pools.DrawnPool], vectors: dict[str, Tensor]
) -> dict[str, np.ndarray]:
    """Rows of the coarse retriever's best pictures for every query, (queries, HARD), by world."""
    from cirdemo.train.encoder import text_tower

    out = {}
    with torch.inference_mode():
        for world, pool in drawn.items():
            texts = [
                queries.describe(pool.pool, asked)["intersection"] for asked in pool.pool.asked
            ]
            rows = []
            for start in range(0, len(texts), 500):
                with autocast():
                    said = text_tower(encoder, tokenizer(texts[start : start + 500])).float()
                scores = torch.nn.functional.normalize(said, dim=1) @ vectors[world].T
                rows.append(scores.topk(min(HARD, scores.shape[1]), dim=1).indices.to(torch.int32))
            out[world] = torch.cat(rows).numpy()
    return out


def _judge(job: Job) -> Any:
    from cirdemo.train import adapters

    drawn, seed, out, base = job.read(), job.seed, job.out, job.base
    recipe = adapters.JudgeRecipe()
    torch.manual_seed(seed)
    model, tokenizer = _base_model(base)
    encoder, words = _dual_encoder(base)
    hard = hard_negatives(encoder, words, drawn, gallery_vectors(encoder, job))
    table = features(model.model.visual, drawn, job.kept("tokens"))
    tuned = adapters.with_lora(model, "judge", recipe.rank, recipe.alpha, job.start)
    fresh = job.start is None
    trainer = adapters.JudgeTrainer(tuned, tokenizer, drawn, table, hard, recipe, seed, fresh=fresh)
    trainer.forward = compiled(qwen.language_states)
    facts = fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr, weight_decay=0.0),
        job.state.with_suffix(".pt"),
        lambda: adapters.save_adapter(tuned, "judge", out),
        trainer.check,
    )
    return job.done(recipe, facts, drawn)


def _cot(job: Job) -> Any:
    from cirdemo.train import adapters

    drawn, seed, out, base = job.read(), job.seed, job.out, job.base
    recipe = adapters.CotRecipe()
    torch.manual_seed(seed)
    model, tokenizer = _base_model(base)
    vectors = gallery_vectors(_dual_encoder(base)[0], job)
    table = features(model.model.visual, drawn, job.kept("tokens"))
    tuned = adapters.with_lora(model, "cot", recipe.rank, recipe.alpha, job.start)
    trainer = adapters.CotTrainer(tuned, tokenizer, drawn, table, vectors, recipe, seed)
    if job.start:
        adapters.load_projection(trainer.projection, job.start)
    trainer.forward = compiled(qwen.language_states)
    facts = fit(
        trainer.modules,
        trainer.step,
        job.schedule(recipe.lr, weight_decay=0.0, muon=False),
        job.state.with_suffix(".pt"),
        lambda: adapters.save_adapter(tuned, "cot", out, trainer.projection),
        trainer.check,
    )
    return job.done(recipe, facts, drawn)


# --- on the frozen encoder ----------------------------------------------------------------


def _on_encoder(job: Job, families: int) -> tuple[Any, Any, str, dict[str, Encoded]]:
    """The frozen encoder, its tokenizer, its space, and the pools as it sees them."""
    model, tokenizer = _encoder_at(job.base / "encoder")
    model.requires_grad_(False)
    worlds = {w: encoded(model, d, families, job.kept("encoded")) for w, d in job.drawn.items()}
    return model, tokenizer, trained.space_of(job.base / "encoder"), worlds


def _fit_on_encoder(job: Job, trainer: Any, recipe: Any, space: str, **schedule: Any) -> Any:
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
    trainer = fusion.InversionTrainer(model, tokenizer, vectors, recipe, job.seed)
    return _fit_on_encoder(job, trainer, recipe, space)


def _qformer(job: Job) -> Any:
    from cirdemo.train import fusion

    recipe = fusion.QFormerRecipe()
    model, tokenizer, space, worlds = _on_encoder(job, recipe.families)
    asks = fusion.Asks(worlds, job.drawn, recipe.wardrobe, job.seed)
    vocab = fusion_nets.TextTower(model).token_embedding.weight.shape[0]
    trainer = fusion.QFormerTrainer(tokenizer, vocab, asks, recipe, job.seed)
    trainer.forward = compiled(trainer.net.forward, dynamic=True)  # texts vary in length
    return _fit_on_encoder(job, trainer, recipe, space)


def _dpo(job: Job, *, published: bool = False) -> Any:
    from cirdemo.train import fusion

    recipe = fusion.DpoRecipe(published=published)
    model, tokenizer, space, worlds = _on_encoder(job, recipe.families)
    asks = fusion.Asks(worlds, job.drawn, recipe.wardrobe, job.seed)
    trainer = fusion.DpoTrainer(model, tokenizer, asks, recipe, job.seed)
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
