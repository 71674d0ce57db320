"""One training loop for every recipe: a schedule over the time budget, resumable."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from cirdemo.train.precision import Muon, autocast, fast_dtype

log = logging.getLogger(__name__)
LOG_EVERY = 20.0  # seconds between lines of progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast to train; every value is our choice (the papers do not say)."""

    seconds: float  # wall-clock budget; the learning rate follows the share of it that is used
    lr: float = 1e-3
    warmup: float = 0.03  # share of the budget
    final: float = 0.02  # learning rate at the end, as a share of lr
    weight_decay: float = 0.05
    clip: float = 1.0  # gradient norm
    muon: bool = True  # for the inner matrices; else AdamW for all
    save_every: float = 300.0  # seconds between checkpoints


def rate(share: float, schedule: Schedule) -> float:
    """Learning rate after a share of the budget: linear warm-up, then cosine."""
    if share < schedule.warmup:
        return schedule.lr * share / schedule.warmup
    t = min(1.0, (share - schedule.warmup) / (1 - schedule.warmup))
    return schedule.lr * (schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * t)))


class Optimizers:
    """Muon for the matrices inside a network, AdamW for embeddings, heads, norms and biases.

    Muon (Jordan et al., 2024) orthogonalises each matrix's update; scaled to the size of AdamW's,
    both share one learning rate. From scratch it needed far fewer pictures than AdamW alone.
    """

    def __init__(self, named: list[tuple[str, nn.Parameter]], schedule: Schedule) -> None:
        outer = ("embed", "head", "queries", "lm_head", "projection", "conv1", "cells")
        matrices: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, p in named:
            if p.requires_grad:
                inner = p.ndim == 2 and min(p.shape) >= 8 and not any(o in name for o in outer)
                inner = inner and schedule.muon
                (matrices if inner else rest).append(p)
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(Muon(matrices, lr=schedule.lr, weight_decay=schedule.weight_decay))
        if rest:
            self.parts.append(
                torch.optim.AdamW(
                    rest, lr=schedule.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True
                )
            )

    def step(self, lr: float) -> None:
        """One update at a learning rate; gradients are freed."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """State of all parts."""
        return [p.state_dict() for p in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from a saved state."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def fit(
    modules: dict[str, nn.Module],
    step: Callable[[], dict[str, Tensor]],
    schedule: Schedule,
    state_file: Path | None = None,
    on_save: Callable[[], None] | None = None,
    check: Callable[[], float] | None = None,
) -> dict[str, float]:
    """Train until the budget is spent; Ctrl-C stops early, and the next run goes on from there.

    Args:
        modules: everything that has parameters to train, by name.
        step: makes one batch and returns its losses ("loss" is the one to minimise).
        schedule: budget and learning rate.
        state_file: written at every save; an existing one is resumed from.
        on_save: writes a loadable checkpoint; called at every save and at the end.
        check: the loss on held-out data: `on_save` is then only called when it has not risen, so
            that the best weights are kept.

    Returns:
        Steps, seconds and the running means of the last losses; `stopped` after Ctrl-C.
    """
    named = [(f"{m}.{n}", p) for m, module in modules.items() for n, p in module.named_parameters()]
    optimizer = Optimizers(named, schedule)
    used, steps = 0.0, 0
    if state_file and state_file.exists():
        state = torch.load(state_file, weights_only=True)
        for name, module in modules.items():
            module.load_state_dict(state["modules"][name])
        optimizer.load_state_dict(state["optimizer"])
        used, steps = state["used"], state["steps"]
        log.info("resumed after %d steps, %.0f s", steps, used)
    means: dict[str, float] = defaultdict(float)
    best = float("inf")
    start, saved = time.monotonic() - used, used
    bar = Progress(schedule.seconds, used)

    def save() -> None:
        if state_file:
            state_file.parent.mkdir(parents=True, exist_ok=True)
            part = state_file.with_suffix(".part")
            torch.save(
                {
                    "modules": {n: m.state_dict() for n, m in modules.items()},
                    "optimizer": optimizer.state_dict(),
                    "used": used,
                    "steps": steps,
                },
                part,
            )
            part.replace(state_file)
        nonlocal best
        held_out = check() if check else 0.0
        if held_out <= best or not math.isfinite(best):
            best = held_out
            if on_save:
                on_save()

    try:
        while used < schedule.seconds:
            with autocast():
                losses = step()
            losses["loss"].backward()
            nn.utils.clip_grad_norm_([p for _, p in named if p.grad is not None], schedule.clip)
            optimizer.step(rate(used / schedule.seconds, schedule))
            steps += 1
            used = time.monotonic() - start
            for k, v in losses.items():
                value = float(v.detach())
                means[k] = means[k] + (value - means[k]) / min(steps, 50) if k in means else value
            bar.show(used, steps, means)
            if used - saved > schedule.save_every:
                saved = used
                with autocast():
                    save()
    except KeyboardInterrupt:
        log.warning("stopped after %d steps; run the same command to go on", steps)
        means["stopped"] = 1.0
    bar.close()
    with autocast():
        save()
    if check:
        means["held_out"] = best
    return {"steps": steps, "seconds": round(used, 1), **{k: round(v, 4) for k, v in means.items()}}


class Progress:
    """A bar with the time left; lines in a log where no terminal is watching."""

    def __init__(self, seconds: float, used: float) -> None:
        self.bar = tqdm(
            total=round(seconds), initial=round(used), unit="s", disable=None, leave=False
        )
        self.seconds, self.logged = seconds, used

    def show(self, used: float, steps: int, means: Mapping[str, float]) -> None:
        """Where training stands."""
        shown = " ".join(f"{k} {v:.3f}" for k, v in means.items())
        if not self.bar.disable:
            self.bar.n = min(round(used), self.bar.total)
            self.bar.set_postfix_str(f"step {steps} {shown}")
        elif used - self.logged > LOG_EVERY:
            self.logged = used
            left = max(0.0, self.seconds - used)
            log.info("step %d  %.0f s, %.0f s left  %s", steps, used, left, shown)

    def close(self) -> None:
        """Clear the bar."""
        self.bar.close()


def told(folder: Path) -> dict[str, Any]:
    """What `meta.json` says of weights that a training went on from, with its own beginnings."""
    file = folder / "meta.json"
    meta = json.loads(file.read_text()) if file.is_file() else {}
    keys = ("recipe", "command", "seed", "training", "stages", "provenance", "started_from")
    return {"folder": folder.name, **{k: meta[k] for k in keys if k in meta}}


def write_meta(folder: Path, recipe: Any, **facts: Any) -> None:
    """`meta.json` beside weights: recipe, seed, data, seconds, machine, metrics, command."""
    meta = {
        "recipe": asdict(recipe),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "number_format": str(fast_dtype()).removeprefix("torch."),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "command": "python -m cirdemo " + " ".join(sys.argv[1:]),
        **facts,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1, default=str) + "\n")
