"""The loop of big models: epochs over a benchmark's queries, on one process or several."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, send_to_device
from tqdm.auto import tqdm

from cirdemo.train.fit import LOG_EVERY, Schedule, rate
from cirdemo.train.large_data import Ask, ahead, plan
from cirdemo.train.large_models import LargeAdapter, LargeRecipe
from cirdemo.types import CirError

log = logging.getLogger(__name__)
SMOOTH = 50  # steps that a shown loss is the mean of


def fit(
    adapter: LargeAdapter,
    recipe: LargeRecipe,
    accelerator: Accelerator,
    asks: Sequence[Ask],
    held: Sequence[Ask],
    state: Path,
    *,
    save: Callable[[], None],
    seed: int,
    seconds: float | None,
) -> dict[str, float]:
    """Train over the recipe's epochs or the seconds, whichever end first.

    Every batch follows from the seed and its number, so a resumed run goes on as if it had never
    stopped. Ctrl-C ends it after the step; the same command goes on.

    Args:
        adapter: What is trained.
        recipe: Settings.
        accelerator: Device, number format, processes.
        asks: Queries to learn from.
        held: Queries to choose the weights by.
        state: File to resume from; written at every save.
        save: Writes the adapter's folder: called when the loss on `held` has not risen, so that
            the best weights are kept, or at every save where there are none.
        seed: Of batches and pictures.
        seconds: Of training, at most.

    Returns:
        Steps, seconds, running means of the losses, `held_out`; `stopped` after Ctrl-C.

    Raises:
        CirError: The loss is no longer a number.
    """
    own = {n: p for n, p in adapter.named_parameters() if p.requires_grad}
    optimizer: Any = torch.optim.AdamW(own.values(), lr=recipe.lr, weight_decay=0.0)
    done, used, best = 0, 0.0, math.inf
    if state.is_file():
        kept = torch.load(state, map_location="cpu", weights_only=True)
        adapter.load_state_dict(kept["weights"], strict=False)
        optimizer.load_state_dict(kept["optimizer"])
        done, used, best = kept["done"], kept["used"], kept["best"]
        log.info("resumed after %d steps, %.0f s", done, used)
    module, optimizer = accelerator.prepare(adapter, optimizer)
    world, rank = accelerator.num_processes, accelerator.process_index
    epoch = functools.lru_cache(2)(functools.partial(plan, asks, recipe.batch, seed))
    length = len(epoch(0))
    total = max(1, math.ceil(recipe.epochs * length / (recipe.accumulate * world)))
    schedule = Schedule(seconds=0, lr=recipe.lr, warmup=recipe.warmup, final=0)
    tests = plan(held, recipe.batch, 0, 0)[rank::world]

    def numbered() -> Iterator[tuple[str, list[Ask]]]:
        for number in range(done * recipe.accumulate, total * recipe.accumulate):
            place = number * world + rank
            yield f"{seed}-{place}", epoch(place // length)[place % length]

    def make(item: tuple[str, list[Ask]]) -> dict[str, Any]:
        return adapter.batch(item[1], random.Random(item[0]))

    def check(pool: ThreadPoolExecutor) -> float:
        """Mean loss on the held-out queries, with the same pictures every time."""
        sums = torch.zeros(2, device=accelerator.device)
        module.eval()
        with torch.no_grad(), accelerator.autocast():
            for number, some in enumerate(tests):
                batch = pool.submit(make, (f"held-{number}", some)).result()
                loss = adapter(**send_to_device(batch, accelerator.device))["loss"].float()
                sums += torch.stack([loss * len(some), torch.full_like(loss, len(some))])
        module.train()
        sums = accelerator.reduce(sums)
        return check_finite(float(sums[0] / sums[1]), done, recipe.lr)

    def keep(pool: ThreadPoolExecutor) -> None:
        nonlocal best
        value = check(pool) if held else best
        if not accelerator.is_main_process:
            return
        if value <= best:
            best = value
            save()
        state.parent.mkdir(parents=True, exist_ok=True)
        part = state.with_suffix(".part")
        weights = {n: p.detach().cpu() for n, p in own.items()}
        facts = {"done": done, "used": used, "best": best}
        torch.save({"weights": weights, "optimizer": optimizer.state_dict(), **facts}, part)
        part.replace(state)

    means: dict[str, float] = {}
    start, over, halt = time.monotonic() - used, done >= total, False
    bar = Bar(total, done, quiet=rank > 0)
    module.train()
    # one thread makes all batches: a tokenizer does not bear two
    with asked_to_stop() as stop, ThreadPoolExecutor(1) as pool:
        coming = ahead(make, numbered(), pool)
        while not over:
            share = max((done + 0.5) / total, used / seconds if seconds else 0.0)
            for group in optimizer.param_groups:
                group["lr"] = rate(share, schedule)
            sums: dict[str, float] = {}
            for _ in range(recipe.accumulate):
                batch = send_to_device(next(coming), accelerator.device)
                with accelerator.accumulate(module):
                    losses = module(**batch)
                    accelerator.backward(losses["loss"])
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(own.values(), recipe.clip)
                    optimizer.step()
                    optimizer.zero_grad()
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + float(value.detach()) / recipe.accumulate
            done += 1
            check_finite(sums["loss"], done, recipe.lr)
            for name, value in sums.items():
                means[name] = means.get(name, value)
                means[name] += (value - means[name]) / min(done, SMOOTH)
            # the first process's clock and Ctrl-C hold for all: their weights must not part
            clock = torch.tensor([time.monotonic() - start, float(stop.is_set())])
            used, halt = broadcast(clock.to(accelerator.device)).tolist()
            over = done >= total or bool(halt) or bool(seconds and used >= seconds)
            bar.show(done, used, means)
            if over or done % recipe.save_every == 0:
                keep(pool)
    bar.close()
    facts = {"steps": done, "seconds": round(used, 1)}
    facts |= {k: round(v, 4) for k, v in means.items()}
    if held:
        facts["held_out"] = round(best, 4)
    if halt and done < total:
        log.warning("stopped after %d of %d steps; run the same command to go on", done, total)
        facts["stopped"] = 1.0
    return facts


def check_finite(loss: float, step: int, lr: float) -> float:
    """The loss.

    Raises:
        CirError: It is no number.
    """
    if not math.isfinite(loss):
        raise CirError(
            f"The loss is no number any more at step {step}. Run it again with a lower learning "
            f"rate, such as --set lr={lr / 4:g}; weights that were saved before stay."
        )
    return loss


@contextlib.contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that no step is cut in two; a second Ctrl-C stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals reach the main thread alone
        return
    before = signal.getsignal(signal.SIGINT)

    def first(signum: int, frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, first)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


class Bar:
    """Steps with the time left: a bar, or lines in a log where no terminal is watching."""

    def __init__(self, total: int, done: int, *, quiet: bool) -> None:
        off = True if quiet else None  # None: off where there is no terminal
        self.bar = tqdm(total=total, initial=done, unit="step", leave=False, disable=off)
        self.total, self.first, self.quiet = total, done, quiet
        self.start = self.logged = time.monotonic()

    def show(self, done: int, used: float, means: dict[str, float]) -> None:
        """Where training stands."""
        text = " ".join(f"{k} {v:.3f}" for k, v in means.items())
        now = time.monotonic()
        if not self.bar.disable:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(done - self.bar.n)
        elif not self.quiet and now - self.logged > LOG_EVERY:
            self.logged = now
            left = (now - self.start) / (done - self.first) * (self.total - done)
            where = (done, self.total, used, left)
            log.info("step %d of %d  %.0f s, %.0f s left  %s", *where, text)

    def close(self) -> None:
        """Clear the bar."""
        self.bar.close()
