"""`bench rerank`: the judge behind one shared prefix, against the ways it is usually asked.

All variants ask the same model, with the same adapter, the same tokens about the same pictures.
Targets: ratios reached on a model of this size in a trial; see the README.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from cirdemo.bench.clock import Target, Times, interleaved, machine
from cirdemo.bench.tables import number, spread
from cirdemo.bench.ways import Asked, Ways
from cirdemo.models.mllm import VisionLanguageModel

K = 50
CHECKED = 4  # queries whose margins and order are compared


def bench(
    model: VisionLanguageModel,
    adapter: str | None,
    asked: Sequence[Asked],
    *,
    rounds: int = 5,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Every way in turn, on one thread.

    Args:
        model: The language model.
        adapter: Its adapter for judging.
        asked: Queries with as many candidates each; the first is timed, all are compared.
        rounds: How often each variant is timed.
        tell: Called with (rounds done, rounds in all).

    Returns:
        Medians, ratios, targets, and how far the margins are from the loop's.
    """
    with _once(model) as copies:
        report = _measured(model, adapter, asked, rounds, tell) | {"copies": copies}
    return report | {"tables": [_table(report)], "notes": [_note(report)]}


@contextlib.contextmanager
def _once(model: VisionLanguageModel) -> Iterator[int]:
    """Every picture read once, as transformers' own ways read it; yields how often the app does."""
    config = model.core().model.visual.config
    shifts = getattr(config, "shifts", None)
    config.shifts = None
    model.pictures.forget()
    try:
        yield len(shifts or (None,))
    finally:
        config.shifts = shifts
        model.pictures.forget()


def _measured(
    model: VisionLanguageModel,
    adapter: str | None,
    asked: Sequence[Asked],
    rounds: int,
    tell: Callable[[int, int], None],
) -> dict[str, Any]:
    ways = Ways(model, adapter, asked[0])
    half = ways.halved()
    full, small = ways.prepared(), half.prepared()
    reference = [p for p in asked[0].before if isinstance(p, Image.Image)]
    variants: dict[str, Callable[[], object]] = {
        "decision_pipeline": ways.pipeline(),
        "loop": ways.loop,
        "plain_batch": lambda: ways.batch(full),
        "shared_prefix": ways.shared,
        "new_reference": ways.shared,
        "plain_batch_from_pictures": lambda: ways.batch(ways.prepared()),
        "uncached": ways.shared,
        "floor": ways.floor(),
        "plain_batch_bf16": lambda: half.batch(small),
        "shared_prefix_bf16": half.shared,
        "floor_bf16": half.floor(),
    }
    ways.shared()  # what is cached of the pictures is there before the first round
    half.shared()
    # the app keeps the reference's tokens too, from describing it; not every method describes
    before = {"new_reference": lambda: ways.forget(reference), "uncached": ways.forget}
    times = interleaved(variants, rounds, before=before, tell=tell)
    exact = _compared(model, adapter, asked)
    return {
        "bench": "rerank",
        "k": len(asked[0].pictures),
        "prefix_tokens": ways.length() - ways.suffix(),
        "suffix_tokens": ways.suffix(),
        "rounds": rounds,
        "machine": machine(torch.get_num_threads()),
        "seconds": {name: t.median for name, t in times.items()},
        "ratios": {
            name: times[name].over(times["shared_prefix"]).value
            for name in ("decision_pipeline", "loop", "plain_batch", "uncached", "new_reference")
        }
        | {
            "floor": times["shared_prefix"].over(times["floor"]).value,
            "floor_new_reference": times["new_reference"].over(times["floor"]).value,
        },
        "spread": {name: t.told() for name, t in times.items()},
        **exact,
        "bf16": _bf16(ways, half, times),
        "encoded_again": _encoded_again(ways),
        "targets": [t.told() for t in targets(times, exact)],
    }


def _table(report: dict[str, Any]) -> dict[str, Any]:
    """Every way of asking, with its time and how many times the app's that is."""
    seconds = report["spread"]
    named = (
        ("decision_pipeline", '`transformers.pipeline("decision")`, a pass a candidate'),
        ("loop", "a loop of full forward passes"),
        ("plain_batch_from_pictures", "one padded batch, from pictures"),
        ("plain_batch", "one padded batch, pictures prepared"),
        ("uncached", "**shared prefix**, candidates seen for the first time"),
        ("new_reference", "**shared prefix**, candidates seen before, the reference not"),
        ("shared_prefix", "**shared prefix**, all seen before: the app behind a description"),
        ("floor", "floor: language model over the candidates' tokens alone"),
        ("plain_batch_bf16", "bf16: one padded batch"),
        ("shared_prefix_bf16", "bf16: **shared prefix**"),
        ("floor_bf16", "bf16: floor"),
    )
    mine = seconds["shared_prefix"]["median"]
    rows = [
        [text, spread(seconds[key], "ms", 1000), number(seconds[key]["median"] / mine, "×")]
        for key, text in named
    ]
    return {"head": [f"{report['k']} candidates", "processor time", ""], "rows": rows}


def _note(report: dict[str, Any]) -> str:
    half = report["bf16"]
    return (
        f"Prompt: {report['prefix_tokens']} tokens before the candidate, "
        f"{report['suffix_tokens']} of it and the answer cue. "
        f"Same order as the loop on {report['compared_queries']} queries: "
        f"{'yes' if report['same_order'] else 'no'}. A second text about the same pictures encodes "
        f"{report['encoded_again']} of them. bf16 moves P(Yes) by up to "
        f"{half['max_probability_difference']:.3f} and keeps {half['same_of_first_10']} of the "
        f"first 10; the app stays with float32. Every picture is read once here, as the other ways "
        f"read it; the app reads {report['copies']} shifted copies of a new one, which is in the "
        f"figures of `bench app`. Medians of {report['rounds']} rounds (least–most)."
    )


def targets(times: dict[str, Times], exact: dict[str, Any]) -> Iterator[Target]:
    """What the ratios are held against."""
    t = times
    mine = t["shared_prefix"]
    yield Target.of("decision pipeline / shared prefix", t["decision_pipeline"].over(mine), 10)
    ceiling = t["plain_batch"].median / t["floor"].median
    gain = t["plain_batch"].over(mine)
    name = f"plain batch / shared prefix (80 % of the ceiling {ceiling:.1f})"
    yield Target.of(name, gain, 0.8 * ceiling)
    floor = mine.over(t["floor"])
    new = t["new_reference"].over(t["floor"]).value
    name = f"shared prefix / floor (where the reference is new: {new:.2f}×)"
    yield Target.of(name, floor, 1.25, at_least=False)
    half = t["shared_prefix_bf16"].over(t["floor_bf16"])
    yield Target.of("shared prefix / floor, both bf16", half, 1.35, at_least=False)
    fresh = t["plain_batch_from_pictures"].over(t["uncached"])
    yield Target.of("plain batch / shared prefix, both from unseen pictures", fresh, 3.3)
    yield Target(
        "greatest difference of a logit from the loop's",
        exact["max_abs_diff"],
        1e-4,
        at_least=False,
        unit="",
    )


def _compared(
    model: VisionLanguageModel, adapter: str | None, asked: Sequence[Asked]
) -> dict[str, Any]:
    """How far the app's margins are from the loop's, and whether the order is the same."""
    apart, same = [], []
    for one in asked[:CHECKED]:
        ways = Ways(model, adapter, one)
        plain, mine = ways.loop(), ways.shared()
        apart.append(float(np.abs(plain - mine).max()))
        same.append(
            bool((np.argsort(-plain, kind="stable") == np.argsort(-mine, kind="stable")).all())
        )
    return {"max_abs_diff": max(apart), "same_order": all(same), "compared_queries": len(same)}


def _bf16(ways: Ways, half: Ways, times: dict[str, Times]) -> dict[str, Any]:
    """What bf16 saves of the time and changes of the answers."""
    whole, rough = ways.shared(), half.shared()
    chance = [1 / (1 + np.exp(-m)) for m in (whole, rough)]
    best = [set(np.argsort(-m, kind="stable")[:10].tolist()) for m in (whole, rough)]
    return {
        "faster": times["shared_prefix"].over(times["shared_prefix_bf16"]).told(),
        "max_margin_difference": float(np.abs(whole - rough).max()),
        "max_probability_difference": float(np.abs(chance[0] - chance[1]).max()),
        "same_of_first_10": len(best[0] & best[1]),
    }


def _encoded_again(ways: Ways) -> int:
    """Pictures that a second text about the same pictures encodes: counted, not timed."""
    ways.shared()
    said = [p if isinstance(p, Image.Image) else f"{p} Look again." for p in ways.asked.before]
    counted = ways.model.pictures.encoded
    other = Asked(tuple(said), ways.asked.pictures)
    Ways(ways.model, ways.adapter, other).shared()
    return ways.model.pictures.encoded - counted
