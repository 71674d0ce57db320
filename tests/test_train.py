"""Every recipe runs for a moment and writes what the app loads; the loop learns and resumes."""

import functools
import itertools
import json
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cirdemo import prompts
from cirdemo.data.drawn import edits, fables, queries, reasoning
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.train import (
    chat,
    cot,
    encoder,
    frozen,
    job,
    judge,
    mllm,
    pools,
    recipes,
    vision,
    vocabulary,
)
from cirdemo.train.attributes import ABSENT, NAMES
from cirdemo.train.batches import HELD_OUT, Pictures
from cirdemo.train.fit import Optimizers, Schedule, fit, rate
from cirdemo.types import MissingCheckpoint, UnknownName

FAMILIES = 4  # of each world: 80 pictures in all, drawn in a second
SECONDS = 0.5  # at least one step each, whatever the machine


@pytest.fixture
def short(monkeypatch):
    """Small batches, few pictures, nothing compiled; the recipes' code is untouched."""
    monkeypatch.setattr(recipes, "FEWEST", FAMILIES)
    for module in (recipes, frozen):
        monkeypatch.setattr(module, "compiled", lambda function, **_: function)
    for module, name, sizes in (
        (encoder, "EncoderRecipe", {"families": 2, "each": 4}),
        (vision, "VisionRecipe", {"batch": 8}),
        (mllm, "MllmRecipe", {"batch": 2}),
        (judge, "JudgeRecipe", {"batch": 2, "candidates": 3, "taken": 1}),
        (cot, "CotRecipe", {"batch": 2, "negatives": 8}),
    ):
        monkeypatch.setattr(module, name, functools.partial(getattr(module, name), **sizes))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


def _train(home, name, **options):
    given = {"seconds": SECONDS, "cache": home / "cache", "base": home, "out": home / name}
    report = recipes.run(name, **(given | options))
    return report, json.loads((home / name / "meta.json").read_text())


@pytest.mark.usefixtures("short")
def test_every_recipe_writes_what_the_app_loads(home):
    for name in ("encoder", "vision", "mllm", "judge", "cot"):
        report, meta = _train(home, name, seed=3)
        assert (report["recipe"], report["seed"], report["out"]) == (name, 3, str(home / name))
        assert report["training"]["steps"] >= 1
        assert np.isfinite(report["training"]["loss"])
        assert meta["seed"] == 3 and meta["training"] == report["training"]
        assert meta["recipe"]["lr"] > 0
        assert meta["command"].startswith("python -m cirdemo")
        assert {"cores", "torch", "python"} <= set(meta["machine"])
        for world in ("fables", "wardrobe"):
            # the shares of the full budget that the shortest runs draw
            assert meta["data"][world]["pictures"] >= FAMILIES * 10
            assert len(meta["data"][world]["fingerprint"]) == 16
        assert meta["data"]["fables"]["fingerprint"] != meta["data"]["wardrobe"]["fingerprint"]
    picture = Image.effect_noise((256, 256), 90).convert("RGB")
    dual = OpenClipEncoder(home / "encoder")
    for rows in (dual.encode_images([picture]), dual.encode_texts(["a white dog"])):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    model = VisionLanguageModel.load(
        str(home / "mllm"), {r: str(home / r) for r in ("judge", "cot")}
    )
    before = [picture, prompts.judge_prompt("make it white", "a white dog")]
    ((chance, _),) = model.yes_no(before, [picture], adapter="judge")
    assert 0 < chance < 1
    _, vectors = model.reason([[picture, prompts.reason_prompt("white")]], max_new_tokens=2)
    assert vectors.shape == (1, dual.dim)  # of the gallery's space
    sizes = {
        str(p.relative_to(home)): p.stat().st_size
        for p in home.rglob("*")
        if p.is_file() and "cache" not in p.parts
    }
    assert {name for name, size in sizes.items() if size >= 10_000_000} == set()


def test_adapters_say_what_to_train_first(home, short, tmp_path):
    for name in ("judge", "cot"):
        with pytest.raises(MissingCheckpoint, match="cirdemo train"):
            recipes.run(
                name, seconds=1, cache=home / "cache", base=tmp_path / "empty", out=tmp_path / name
            )
        assert not (tmp_path / name).exists()


def test_unknown_recipes_are_named():
    with pytest.raises(UnknownName, match=r"recipe 'juge'. Did you mean 'judge'\?"):
        recipes.run("juge")


# --- the loop -----------------------------------------------------------------------------


def test_the_rate_warms_up_and_falls_to_its_end():
    schedule = Schedule(seconds=1, lr=2.0, warmup=0.1, final=0.5)
    assert rate(0.05, schedule) == pytest.approx(1.0)
    assert rate(0.1, schedule) == pytest.approx(2.0)
    assert rate(0.55, schedule) == pytest.approx(1.5)  # halfway down the cosine
    assert rate(1.0, schedule) == rate(1.3, schedule) == pytest.approx(1.0)


def _regression(seed=0):
    torch.manual_seed(seed)
    model = nn.Linear(3, 1)

    def step():
        x = torch.randn(32, 3)
        wanted = x @ torch.tensor([[1.0], [-2.0], [0.5]])
        return {"loss": nn.functional.mse_loss(model(x).float(), wanted)}

    return model, step


@pytest.fixture
def clock(monkeypatch):
    """A clock that ticks a hundredth of a second a look, so that no machine is too slow."""
    ticks = itertools.count()
    watch = types.SimpleNamespace(monotonic=lambda: next(ticks) / 100)
    monkeypatch.setattr(sys.modules["cirdemo.train.fit"], "time", watch)


def test_the_loop_learns_saves_and_resumes(tmp_path, clock):
    model, step = _regression()
    state, saves = tmp_path / "state.pt", []
    facts = fit({"m": model}, step, Schedule(seconds=2.0, lr=0.2), state, lambda: saves.append(1))
    assert facts["steps"] > 10
    assert (model.weight - torch.tensor([[1.0, -2.0, 0.5]])).abs().max() < 0.2  # learnt
    assert saves == [1]
    assert not list(tmp_path.glob("*.part"))
    other, step = _regression(seed=1)
    again = fit({"m": other}, step, Schedule(seconds=1.9, lr=0.05), state)
    assert again["steps"] == facts["steps"]  # the budget was spent before: nothing is trained
    torch.testing.assert_close(other.weight, model.weight)
    longer = fit({"m": other}, step, Schedule(seconds=2.5, lr=0.05), state)
    assert longer["steps"] > facts["steps"]


def test_ctrl_c_keeps_what_was_learnt(tmp_path):
    model, step = _regression()
    calls, saves = [], []

    def interrupted():
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return step()

    facts = fit({"m": model}, interrupted, Schedule(seconds=60), on_save=lambda: saves.append(1))
    assert (facts["steps"], saves) == (3, [1])


def test_the_best_weights_on_held_out_data_are_kept(tmp_path, clock):
    model, step = _regression()
    losses, kept = iter((3.0, 1.0, 2.0, 0.5)), []
    schedule = Schedule(seconds=0.5, lr=0.1, save_every=0.15)
    facts = fit({"m": model}, step, schedule, None, lambda: kept.append(1), lambda: next(losses))
    assert len(kept) == 3 and facts["held_out"] == 0.5  # not at the third check, which rose


def test_edits_are_made_up_over_pictures_that_may_be_trained_on():
    pool = queries.make_pool("fables", ("train",) * (HELD_OUT + 6), 3)
    drawn = types.SimpleNamespace(pool=pool, pictures=range(len(pool.contents)))
    stream = mllm.QueryStream({"fables": drawn}, 1)
    contents, known = pool.contents, {(a.reference, a.edit.text) for a in pool.asked}
    some = [stream.fresh("fables", mixed=1.0) for _ in range(200)]
    new = {(a.reference, a.edit.text) for a in some} - known
    assert len(new) > 190
    assert {a.edit.kind for a in some} >= set(mllm.NAMED)
    for asked in some:
        scene = contents[asked.reference]
        assert asked.reference // queries.FAMILY_PICTURES % HELD_OUT
        assert edits.is_mixed(scene.animals)
        assert fables.split_of(asked.edit.animals, asked.edit.action) == "train"


@pytest.mark.parametrize("world", ["fables", "wardrobe"])
def test_some_captions_are_not_the_pictures_and_their_edits_are_of_what_they_say(world):
    pool = queries.make_pool(world, ("train",) * 12, 3)
    drawn = types.SimpleNamespace(pool=pool, pictures=range(len(pool.contents)))
    stream = mllm.QueryStream({world: drawn}, 1)
    for reference in range(0, len(pool.contents), 3):
        content, edit = stream.retold(world, reference)
        assert content != pool.contents[reference]
        told = reasoning.of_edit(world, content, edit)
        assert told.caption == queries.CAPTION[world](content) != pool.caption(reference)
        assert told.conclusion in queries.described(world, content, edit).values()


@pytest.mark.parametrize("held_out", [True, False])
def test_held_out_families_are_never_trained_on(held_out, home):
    drawn = types.SimpleNamespace(
        pool=types.SimpleNamespace(asked=range(1000)), pictures=range(2000)
    )
    stream = mllm.QueryStream({"fables": drawn, "wardrobe": drawn}, 1, held_out=held_out)
    families = {stream.draw(0.5)[1] // queries.FAMILY_QUERIES for _ in range(3000)}
    trainer, _ = _looking(np.zeros(2000, int))
    trainer.held = held_out
    found = families, set(trainer.draw(3000) // queries.FAMILY_PICTURES)
    for some in found:
        assert {f % HELD_OUT == 0 for f in some} == {held_out}
        assert len(some) == (4 if held_out else 196)


def test_language_models_read_pictures_that_their_tower_has_not_seen(tmp_path):
    def of(seed):
        drawn = {"fables": pools.drawn_pool("fables", 3, job.POOL_SEED, tmp_path / "pools")}
        state = tmp_path / "train" / "judge"
        return job.Job({"fables": 3}, drawn, 1.0, seed, tmp_path, tmp_path, state, None)

    seen = of(0).drawn["fables"].pool.contents
    one, two = (of(seed).read()["fables"] for seed in (0, 1))
    assert len(one.pictures) == len(two.pictures) == 30
    for mine, others in ((one, seen), (two, seen), (two, one.pool.contents)):
        assert not set(mine.pool.contents) & set(others)
    assert one.fingerprint != two.fingerprint


def test_two_animals_are_drawn_more_often_and_garments_less():
    counts = np.array([0, 1, 2, ABSENT]).repeat(500)
    trainer, recipe = _looking(counts)
    chosen = counts[trainer.draw(20_000)]
    seen = {c: (chosen == c).sum() for c in (0, 1, 2, ABSENT)}
    assert seen[1] / seen[0] == pytest.approx(recipe.pairs, rel=0.1)
    assert seen[ABSENT] / seen[0] == pytest.approx(recipe.garments, rel=0.1)
    assert seen[2] / seen[0] == pytest.approx(1, rel=0.1)


def _looking(counts):
    """A trainer of a vision tower on pictures of which the number of animals alone is known."""
    labels = torch.full((len(counts), len(NAMES)), ABSENT)
    labels[:, NAMES.index("count")] = torch.from_numpy(counts)
    shown = object.__new__(Pictures)
    shown.labels, shown.starts = labels, np.array([0, len(counts)])
    recipe = vision.VisionRecipe()
    return vision.VisionTrainer(nn.Identity(), shown, recipe, 0, fresh=True), recipe


def test_matrices_go_to_muon_and_all_else_to_adamw():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(16, 16)
            self.head = nn.Linear(16, 4)
            self.frozen = nn.Linear(16, 16).requires_grad_(False)
            self.lora_A = nn.Linear(16, 16, bias=False)

    net = Net()
    muon, adamw = Optimizers(list(net.named_parameters()), Schedule(seconds=1)).parts
    matrices = {id(net.inner.weight), id(net.lora_A.weight)}
    assert {id(p) for g in muon.param_groups for p in g["params"]} == matrices
    rest = {id(p) for g in adamw.param_groups for p in g["params"]}
    assert rest == {id(p) for p in (net.inner.bias, net.head.weight, net.head.bias)}
    (plain,) = Optimizers(list(net.named_parameters()), Schedule(seconds=1, muon=False)).parts
    assert {id(p) for g in plain.param_groups for p in g["params"]} == matrices | rest


# --- what the judge is shown --------------------------------------------------------------


class Coarse:
    """Finds any pictures, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def best(self, world, texts, count):
        self.asked.append((world, texts[0]))
        first = len(self.asked) % 7
        return np.arange(first, first + count)[None]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A judge's trainer without its model, and fables queries by the kind of their edit."""
    folder = tmp_path_factory.mktemp("pool")
    drawn = {w: pools.drawn_pool(w, 20, 1, folder) for w in ("fables", "wardrobe")}
    trainer = judge.JudgeTrainer.__new__(judge.JudgeTrainer)
    trainer.recipe, trainer.steps = judge.JudgeRecipe(), judge.PRACTISED
    trainer.stream = mllm.QueryStream(drawn, 0)
    trainer.coarse = Coarse()
    trainer.hard = {w: np.zeros((len(d.targets), 1), np.int32) for w, d in drawn.items()}
    trainer.subjects = judge.by_subject(drawn["fables"].pool)
    return trainer, drawn["fables"]


def test_edits_of_the_surroundings_are_asked_about_the_same_animals_elsewhere(shown):
    trainer, drawn = shown
    pool, looked = drawn.pool, 0
    for number, asked in enumerate(pool.asked):
        if asked.edit.kind not in judge.AROUND:
            continue
        wanted = pool.contents[asked.reference].subject
        there = {i for i, scene in enumerate(pool.contents) if scene.subject == wanted}
        hits = set(drawn.targets[number])
        pictures = trainer._shown("fables", number, hits)
        assert len(pictures) == len(set(pictures)) == trainer.recipe.candidates
        assert hits & set(pictures)
        wrong = there - hits
        assert len(wrong & set(pictures)) >= min(len(wrong), trainer.recipe.alike)
        looked += 1
    assert looked > 10


def test_the_judge_reads_the_caption_and_mostly_the_true_one(shown):
    trainer, drawn = shown
    trainer.turns = chat.Turns(vocabulary.chat_tokenizer())
    told = true = 0
    for number, asked in enumerate(drawn.pool.asked):
        tree, _, _ = trainer.tree("fables", number)
        said = trainer.turns.tokenizer.decode(tree[1].ids).split(" wanted :")[0]
        told += "reference :" in said
        true += drawn.pool.caption(asked.reference).strip() in said
    assert told == len(drawn.pool.asked)
    assert 0.8 < true / told < 1.0  # some are misread, as a caption can be


def test_what_nothing_satisfies_is_asked_of_what_a_careless_reader_would_find(shown):
    trainer, drawn = shown
    trainer.turns = chat.Turns(vocabulary.chat_tokenizer())
    possible = 0
    for number in range(len(drawn.pool.asked)):
        trainer.coarse.asked.clear()
        tree, truths, _ = trainer.tree("fables", number)
        if not trainer.coarse.asked:
            possible += 1
            assert sum(truths) > 0
            continue
        first = len(trainer.coarse.asked) % 7
        found = {trainer.stream.base["fables"] + i for i in range(first, first + judge.FIRST)}
        pictures = [segment.pictures[0] for segment in tree[2:]]
        assert len(pictures) == len(set(pictures)) == trainer.recipe.candidates
        assert len(found & set(pictures)) >= trainer.recipe.taken
        assert not any(truths)
    assert 0.1 < 1 - possible / len(drawn.pool.asked) < 0.4


def test_a_training_that_goes_on_asks_in_another_order(tmp_path):
    start = tmp_path / "judge"
    start.mkdir()
    (start / "meta.json").write_text(json.dumps({"seed": 4, "started_from": {"seed": 3}}))

    def of(before):
        return job.Job({}, {}, 1.0, 4, tmp_path, tmp_path, tmp_path / "train" / "judge", before)

    assert len({of(None).order, of(start).order, of(tmp_path).order}) == 3


def test_edits_of_the_surroundings_come_more_often_than_they_occur(shown):
    trainer, drawn = shown
    kinds = [
        drawn.pool.asked[n].edit.kind
        for w, n in (trainer._draw() for _ in range(400))
        if w == "fables"
    ]
    share = sum(k in judge.AROUND for k in kinds) / len(kinds)
    natural = sum(a.edit.kind in judge.AROUND for a in drawn.pool.asked) / len(drawn.pool.asked)
    assert share > natural + 0.2
